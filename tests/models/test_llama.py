import pytest
import torch

from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.families.convert import to_native
from unmask.models.families.registry import FAMILIES


def to_llama(model):
    return to_native(model, FAMILIES.get("llama"))


def causal_logits(model, tokens):
    """Our logits of tokens 1.., which are Llama's at positions 0.. ."""
    at = torch.ones_like(tokens, dtype=torch.bool)
    at[:, 0] = False
    return model(State(tokens, "causal"), at=at).logits.view(len(tokens), tokens.shape[1] - 1, -1)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_with_our_weights_llamas_logits_are_ours(kv_heads, tied, tokens, tiny):
    ours = tiny(num_key_value_heads=kv_heads, tie_word_embeddings=tied, rope_theta=500.0)
    for parameter in ours.parameters():  # the norms' weights too: all ones would hide a swap
        parameter.mul_(1 + 0.2 * torch.randn_like(parameter))
    theirs = to_llama(ours)(tokens).logits[:, :-1]
    assert theirs.std() > 0.5
    torch.testing.assert_close(causal_logits(ours, tokens), theirs, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_padded_rows_agree_with_llama_too(tokens, tiny):
    model = tiny(num_key_value_heads=2)
    valid = torch.arange(12) < torch.tensor([12, 9, 4, 1])[:, None]
    theirs = to_llama(model)(tokens, attention_mask=valid.long()).logits[:, :-1]
    at = valid.clone()
    at[:, 0] = False
    ours = model(State(tokens, "causal", valid=valid), at=at).logits
    torch.testing.assert_close(ours, theirs[at[:, 1:]], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("change", [{"output_shift": 0}, {"time_input": True}])
def test_a_network_that_is_no_llama_is_refused(change, tiny):
    with pytest.raises(Error, match=next(iter(change))):
        to_llama(tiny(**change))
