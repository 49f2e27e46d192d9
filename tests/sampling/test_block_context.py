"""Text before a block that is read in whole blocks (BD3-LM, Fast-dLLM v2): an exact cache, and no answer that shows."""

from dataclasses import replace

import pytest
import torch

from guards.parts import VOCABULARY
from unmask.data.batch import Batch
from unmask.diffusion.block import Block
from unmask.diffusion.options import BlockOptions
from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.sampling import fill_request, generate
from unmask.sampling.block import Blocks
from unmask.sampling.block_settings import BlockSettings

SIZE = 4


def read_whole(model, shift):
    model.config.block_context, model.config.output_shift, model.config.block_size = True, shift, SIZE
    return model


@pytest.mark.parametrize("shift", [0, 1])
def test_texts_with_a_cache_are_those_without(tiny, shift):
    model = read_whole(tiny(), shift)
    own = BlockSettings(rule="confidence", block_size=SIZE, steps=3)
    asked = [fill_request(tuple(range(5, 6 + 2 * i)), 11 + i, VOCABULARY, own.but(seed=i), index=i) for i in range(4)]
    texts = [state.tokens for state in generate(model, Blocks(), asked, VOCABULARY)]
    assert texts == [state.tokens for state in generate(model, Blocks(use_cache=False), asked, VOCABULARY)]
    model.config.block_context = False
    assert texts != [state.tokens for state in generate(model, Blocks(), asked, VOCABULARY)], "it reads otherwise"


@pytest.mark.parametrize("shift", [0, 1])
@torch.no_grad()
def test_hidden_words_stay_hidden_and_later_blocks_unseen(tiny, shift):
    model = read_whole(tiny(), shift)
    process = Block(BlockOptions(block_size=SIZE, causal_weight=0), VOCABULARY)
    tokens = torch.tensor([[VOCABULARY.bos, *range(5, 17)]])
    batch = Batch(tokens, torch.ones_like(tokens), torch.arange(1), VOCABULARY.bos)
    state = process.corrupt(batch, 0).state
    at = state.tokens == VOCABULARY.mask
    assert 0 < int(at.sum()) < at.shape[1]
    told = model(state, at=at).logits
    for place in at[0].nonzero()[:, 0].tolist():
        changed = state.clean.clone()
        changed[0, place] = 20
        seen = model(replace(state, clean=changed), at=at).logits
        start = int(state.block[0, place])
        same = at[0].nonzero()[:, 0] < start + SIZE  # its own block, and those before
        torch.testing.assert_close(seen[same], told[same])


def test_such_a_run_has_no_left_to_right_side():
    config = TransformerConfig(block_context=True, block_size=SIZE)
    BlockOptions(causal_weight=0).check(config)
    with pytest.raises(Error, match=r"block_context.*causal_weight=0"):
        BlockOptions().check(config)
    assert Block(BlockOptions(causal_weight=0), VOCABULARY).likelihoods == ("default",)
