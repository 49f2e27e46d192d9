"""Blocks: the chain rule at one end, masked diffusion at the other, and nothing told that has to be predicted."""

from dataclasses import replace

import pytest
import torch

from guards.guard import Watched
from guards.parts import VOCABULARY, make_batch, make_process
from oracles import Tempered
from unmask.certificates.worlds import HMM
from unmask.data.batch import Batch
from unmask.diffusion.block import Block, BlockOptions
from unmask.diffusion.block_layout import laid_out
from unmask.diffusion.state import State
from unmask.errors import Error

SIZES = (1, 2, 4)


def one_document(rows):
    """A batch of single documents, padded."""
    width = max(map(len, rows))
    tokens = torch.tensor([[*row, *[VOCABULARY.pad] * (width - len(row))] for row in rows])
    segments = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return Batch(tokens, segments, torch.arange(len(rows)), VOCABULARY.bos)


def test_every_document_fills_whole_blocks_and_a_layout_is_laid_out_once():
    packed = Batch(
        torch.tensor([[1, 5, 6, 2, 1, 7, 8, 9], [1, 5, 6, 7, 8, 9, 2, 0]]),
        torch.tensor([[1, 1, 1, 1, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 0]]),
        torch.arange(2),
        VOCABULARY.bos,
    )
    laid = laid_out(packed, 4, VOCABULARY)
    assert laid.batch.tokens.tolist() == [[1, 5, 6, 2, 2, 1, 7, 8, 9, 0], [1, 5, 6, 7, 8, 9, 2, 2, 2, 0]]
    assert laid.owner.tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]]
    assert laid.unknown.nonzero().tolist() == [[0, 9]] and laid.fill.sum() == 4
    assert laid.starts(torch.tensor([4, 2])).tolist() == [
        [0, 1, 1, 1, 1, 5, 6, 6, 6, 6],
        [0, 1, 1, 3, 3, 5, 5, 7, 7, 9],
    ]
    again = laid_out(laid.batch, 4, VOCABULARY)
    for name in ("owner", "unknown", "fill"):
        assert torch.equal(getattr(again, name), getattr(laid, name)), name
    assert torch.equal(again.batch.tokens, laid.batch.tokens)


@pytest.mark.parametrize("ragged", [False, True])
def test_blocks_of_one_word_score_the_chain_rule_exactly(tiny, batch, ragged):
    model, clean = tiny(), batch(ragged=ragged)
    process = make_process("block", block_size=1)
    found = process.likelihood(model, clean, draws=5)
    assert found.bound == "exact" and found.draws == 1
    torch.testing.assert_close(found.nats, make_process("causal").likelihood(model, clean).nats, atol=1e-4, rtol=1e-6)
    torch.testing.assert_close(process.causal(model, clean).nats, found.nats, atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize("size", [8, 24])
def test_one_block_scores_as_masked_diffusion_does(size):
    world = HMM.random(5, states=3)
    clean = world.batch(world.sample(200, 8))
    of_block = Block(BlockOptions(block_size=size), world.vocabulary).likelihood(world, clean, draws=3, seed=2)
    masked = make_process("masked").likelihood(world, clean, draws=3, seed=2)
    torch.testing.assert_close(of_block.nats, masked.nats, atol=1e-9, rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("size", SIZES)
def test_the_bound_is_never_below_the_source_and_smaller_blocks_come_closer(size, temperature):
    world = HMM.random(4, states=3, seed=3)
    words = world.sample(3000, 8)
    process = Block(BlockOptions(block_size=size), world.vocabulary)
    excess = process.likelihood(Tempered(world, temperature), world.batch(words), draws=4).nats - world.nats(words)
    assert float(excess.mean()) > -4 * float(excess.std()) / 3000**0.5 - 1e-3
    if temperature == 1.0:  # order costs a perfect denoiser nothing
        assert abs(float(excess.mean())) < 4 * float(excess.std()) / 3000**0.5 + 1e-3


def test_the_first_word_of_a_block_is_predicted_exactly_as_left_to_right(tiny, batch):
    model, clean = tiny(), batch(4, 17)
    process = make_process("block", block_size=4)
    state = process.corrupt(clean, seed=0).state
    first = torch.zeros_like(clean.valid)
    first[:, 1::4] = True
    with torch.no_grad():
        in_blocks = model(state, at=first).logits
        causal = model(State(clean.tokens, "causal"), at=first).logits
    torch.testing.assert_close(in_blocks, causal, atol=1e-5, rtol=1e-5)


def test_the_clean_copy_is_the_left_to_right_model_and_costs_nothing_where_it_is_not_asked(tiny, batch):
    model, clean = tiny(), batch(ragged=True)
    both, none = (make_process("block", block_size=4, causal_weight=weight) for weight in (0.5, 0.0))
    causal = make_process("causal").loss(model, clean, 0)["loss"]
    parts = both.loss(model, clean, 0)
    torch.testing.assert_close(parts["causal"], causal.detach(), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(parts["loss"].detach(), parts["block"] + 0.5 * parts["causal"])
    watched = Watched(model)
    alone = none.loss(watched, clean, 0)
    assert set(alone) == {"loss"} and watched.calls[0].state.clean_at is None
    torch.testing.assert_close(alone["loss"].detach(), parts["block"])
    assert none.also == () and none.likelihoods == ("default",)


def test_a_noisy_block_sees_finished_text_and_itself_alone(tiny, batch):
    model, clean = tiny(), batch(1, 13)
    state = make_process("block", block_size=4).corrupt(clean, seed=0).state
    at = torch.zeros_like(clean.valid)
    at[:, 7] = True  # inside the block of places 5 to 8

    @torch.no_grad()
    def answer(**change):
        return model(replace(state, **change), at=at).logits

    def other(tokens, place):
        changed = tokens.clone()
        changed[0, place] = 4 + (changed[0, place] + 1) % 19
        return changed

    for place in range(1, 13):
        seen = not torch.equal(answer(), answer(clean=other(state.clean, place)))
        assert seen == (place < 5), f"clean token {place}"
        seen = not torch.equal(answer(), answer(tokens=other(state.tokens, place)))
        assert seen == (5 <= place < 9), f"noisy token {place}"


def test_how_a_text_ends_is_predicted_and_not_told():
    process = make_process("block", block_size=4)
    watched = Watched(HMM.random(15))
    for row in ([1, 5, 6, 7, 8, 9, 2], [1, 5, 6, 7, 8, 9, 4]):
        process.likelihood(watched, one_document([row]), draws=1, seed=1)
    ended, cut = (call.state for call in watched.calls)
    assert torch.equal(ended.block, cut.block) and ended.segments is None and cut.segments is None
    assert (cut.tokens[:, 7:] == VOCABULARY.mask).all()


def test_a_text_scores_the_same_packed_and_alone(tiny):
    process, model = make_process("block", block_size=4), tiny()
    packed = Batch(
        torch.tensor([[1, 5, 6, 7, 8, 2, 1, 9, 10, 11]]),
        torch.tensor([[1, 1, 1, 1, 1, 1, 2, 2, 2, 2]]),
        torch.arange(1),
        VOCABULARY.bos,
    )
    second = packed.segments == 2
    alone = one_document([[1, 9, 10, 11]])
    # the hidden places are others, so that only exact parts agree: the first word, and all of it left to right
    torch.testing.assert_close(
        process.causal(model, packed, scored=second).nats, process.causal(model, alone).nats, atol=1e-4, rtol=1e-5
    )
    first = torch.zeros_like(second)
    first[0, 7] = True
    torch.testing.assert_close(
        process.likelihood(model, packed, scored=first).nats,
        process.likelihood(model, alone, scored=torch.tensor([[False, True, False, False]])).nats,
        atol=1e-4,
        rtol=1e-5,
    )


def test_a_part_is_scored_given_what_stands_before_it_and_the_rest_of_its_block(tiny, batch):
    process, model, clean = make_process("block", block_size=4), tiny(), batch(3, 13)
    scored = torch.zeros_like(clean.valid)
    scored[:, 6] = True
    watched = Watched(model)
    process.likelihood(watched, clean, draws=1, scored=scored)
    state = watched.calls[0].state
    assert ((state.tokens == VOCABULARY.mask)[:, :13] == scored).all()


def test_block_sizes_are_drawn_by_example():
    process = make_process("block", block_size=(2, 4))
    starts = [process.corrupt(make_batch(order=order), seed=0).state.block for order in (0, 0, 100)]
    sizes = {int((row == row[1]).sum()) for row in starts[0]}
    assert sizes == {2, 4}
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize(
    "sizes, word",
    [
        ({"output_shift": 0}, "output_shift"),
        ({"time_input": True}, "time_input"),
        ({"candidate_input": "pooled", "candidates": 2}, "candidate_input"),
        ({"memory_width": 4}, "memory_width"),
    ],
)
def test_networks_that_cannot_learn_blocks_are_refused_by_name(tiny, sizes, word):
    with pytest.raises(Error, match=word):
        make_process("block").check(tiny(**sizes).config)


@pytest.mark.parametrize("size", [0, (), (2, 3), (-1, 1)])
def test_block_sizes_that_do_not_divide_the_largest_are_refused(size):
    with pytest.raises(ValueError, match="block_size"):
        BlockOptions(block_size=size)


def test_blocks_grow_from_one_word_through_the_sizes_that_divide_the_last():
    options = BlockOptions(block_size=8, block_growth=0.6, causal_warmup=0.2)
    seen = [options.sizes_at(progress)[0] for progress in (0.0, 0.2, 0.35, 0.37, 0.5, 0.53, 0.67, 0.69, 1.0)]
    assert seen == [1, 1, 1, 2, 2, 4, 4, 8, 8]
    assert BlockOptions(block_size=(4, 8), block_growth=1).sizes_at(1.0) == (4, 8)
    assert BlockOptions(block_size=6).sizes_at(0.0) == (6,) and BlockOptions(block_size=1, block_growth=1).sizes_at(0)


def test_growing_blocks_begin_as_the_chain_rule_and_are_scored_at_their_last_size(tiny, batch):
    model, clean = tiny(), batch(4, 17)
    grows = make_process("block", block_size=4, block_growth=0.5)
    first = grows.corrupt(clean, seed=0, progress=0.0)
    at = first.weights > 0
    with torch.no_grad():
        blocks, causal = model(first.state, at=at), model(State(first.targets, "causal"), at=at)
    torch.testing.assert_close(blocks.logits, causal.logits, atol=1e-5, rtol=1e-5)
    whole = make_process("block", block_size=4)
    assert torch.equal(grows.corrupt(clean, seed=0, progress=0.5).state.block, whole.corrupt(clean, seed=0).state.block)
    assert torch.equal(grows.likelihood(model, clean).nats, whole.likelihood(model, clean).nats)
