"""The use of slots that is shown is the use that the network made of them, and changed slots are what it then reads."""

from __future__ import annotations

import pytest
import torch

from benchmarks.studies.eco.slot_use import changed_slots, of_another_text, slot_use, zeroed
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.eco import Eco
from unmask.models.eco_config import EcoConfig
from unmask.models.transformer import Transformer, TransformerConfig

SIZES = {
    "vocab_size": 23,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 48,
    "initializer_range": 0.3,
    "memory_slots": 6,
}


def network(heads: int = 1, **sizes: object) -> Eco:
    torch.manual_seed(0)
    return Eco(EcoConfig(**{**SIZES, "num_attention_heads": heads, **sizes})).eval()


def texts(rows: int = 3, length: int = 40) -> State:
    tokens = torch.randint(4, 23, (rows, length), generator=torch.Generator().manual_seed(1))
    return State(tokens, t=torch.full((rows,), 0.5))


def seen(layer: torch.nn.Module) -> list[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
    """Note what a layer is given and what it answers."""
    notes: list[tuple[tuple[torch.Tensor, ...], torch.Tensor]] = []
    layer.register_forward_hook(lambda _, given, out: notes.append((given, out[0] if isinstance(out, tuple) else out)))
    return notes


@pytest.mark.parametrize("variant", [{}, {"route_top_k": 2}, {"slow_slots": 3, "slow_every": 1}, {"memory_size": 64}])
def test_the_shown_weights_are_those_that_made_the_answer(variant):
    """With one head the mean over heads is the weight itself, so it must give the layer's own answer."""
    model = network(**variant)
    notes = [(seen(block.read), None if block.update is None else seen(block.update.write)) for block in model.blocks]
    use = slot_use(model, texts())
    assert len(use.write) == len(use.read) - 1
    for n, (block, (read, write)) in enumerate(zip(model.blocks, notes, strict=True)):
        (_, memory, *_), answer = read[0]
        value = block.read.key_value(memory).chunk(2, dim=-1)[1]
        torch.testing.assert_close(block.read.out(use.read[n] @ value), answer, atol=1e-4, rtol=1e-4)
        if write:
            (_, x, _), answer = write[0]
            value = block.update.write.key_value(x).chunk(2, dim=-1)[1]
            torch.testing.assert_close(block.update.write.out(use.write[n] @ value), answer, atol=1e-4, rtol=1e-4)


def test_shares_sum_to_one_and_padding_is_never_written_from():
    state = texts()
    valid = torch.ones_like(state.tokens, dtype=torch.bool)
    valid[1, 25:] = False
    use = slot_use(network(heads=4), State(state.tokens, t=state.t, valid=valid))
    torch.testing.assert_close(use.read.sum(-1), torch.ones(3, 3, 40))
    torch.testing.assert_close(use.write.sum(-1), torch.ones(2, 3, 6))
    assert (use.write[:, 1, :, 25:] == 0).all() and (use.write[:, 1, :, :25] > 0).all()


def test_routed_tokens_are_shown_to_read_as_many_slots_as_they_do():
    use = slot_use(network(heads=4, route_top_k=2), texts())
    assert ((use.read > 0).sum(-1) == 2).all()


def test_zeroed_slots_are_a_network_that_reads_nothing_and_the_change_ends_with_the_block():
    model, state = network(heads=4), texts()
    with torch.no_grad():
        before = model(state).logits
        with changed_slots(model, zeroed):
            changed = model(state).logits
        after = model(state).logits
        for block in model.blocks:
            torch.nn.init.zeros_(block.read.out.weight)
        deaf = model(state).logits
    torch.testing.assert_close(changed, deaf)
    assert not torch.allclose(before, changed, atol=1e-3) and torch.equal(before, after)


def test_slots_of_another_text_change_what_texts_differ_in_and_nothing_for_equal_texts():
    model, state = network(heads=4), texts()
    equal = State(state.tokens[:1].expand(3, -1), t=state.t)
    with torch.no_grad():
        plain, same = model(state).logits, model(equal).logits
        with changed_slots(model, of_another_text):
            assert not torch.allclose(model(state).logits, plain, atol=1e-3)
            torch.testing.assert_close(model(equal).logits, same)


def test_networks_without_slots_and_packed_documents_are_refused_with_the_fix():
    transformer = Transformer(TransformerConfig(vocab_size=23, hidden_size=32, num_hidden_layers=1))
    with pytest.raises(Error, match="backbone eco"):
        slot_use(transformer, texts())
    with pytest.raises(Error, match="backbone eco"), changed_slots(transformer, zeroed):
        pass
    segments = torch.ones(3, 40, dtype=torch.int64)
    segments[:, 20:] = 2
    state = texts()
    with pytest.raises(Error, match="packed documents"):
        slot_use(network(), State(state.tokens, segments=segments, t=state.t))
