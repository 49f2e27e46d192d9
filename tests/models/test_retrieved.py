from dataclasses import replace

import pytest
import torch

from unmask.diffusion.memory import Memory
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.eco import Eco
from unmask.models.eco_config import EcoConfig
from unmask.models.retrieved import dropped

SIZES = {
    "vocab_size": 23,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
    "memory_slots": 6,
    "memory_width": 5,
    "output_shift": 0,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Eco(EcoConfig(**SIZES)).eval()


@pytest.fixture
def state():
    torch.manual_seed(1)
    vectors = torch.randn(3, 4, 5)
    valid = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    return State(torch.randint(4, 23, (3, 20)), t=torch.full((3,), 0.5), memory=Memory(vectors, valid))


def without(state):
    return replace(state, memory=None)


@torch.no_grad()
def logits(model, state):
    return model(state).logits.view(*state.tokens.shape, -1)


def same(a, b):
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_row_without_memory_is_a_row_of_the_network_without_memory(model, state):
    given, plain = logits(model, state), logits(model, without(state))
    same(given[2], plain[2])
    assert ((given - plain)[:2].abs().amax((1, 2)) > 1e-2).all()


def test_only_vectors_that_are_there_count_and_their_order_does_not(model, state):
    before = logits(model, state)
    vectors, valid = state.memory.vectors, state.memory.valid
    garbage = torch.where(valid[..., None], vectors, 100 * torch.randn(3, 4, 5))
    assert torch.equal(logits(model, replace(state, memory=Memory(garbage, valid))), before)
    order = torch.tensor([2, 0, 3, 1])
    same(logits(model, replace(state, memory=Memory(vectors[:, order], valid[:, order]))), before)
    few = replace(state.rows(torch.tensor([1])), memory=Memory(vectors[1:2, :2], valid[1:2, :2]))
    same(logits(model, few)[0], before[1])


def test_packed_documents_read_their_own_vectors_as_each_alone(model, state):
    segments = torch.where(torch.arange(20) < 9, 1, 2).expand(3, -1)
    owners = torch.tensor([[1, 2, 2, 0], [2, 1, 1, 1], [1, 1, 1, 1]])
    packed = logits(model, replace(state, segments=segments, memory=replace(state.memory, segments=owners)))
    for row in range(3):
        for piece, part in ((1, slice(0, 9)), (2, slice(9, 20))):
            mine = state.memory.valid[row] & (owners[row] == piece)
            alone = State(
                state.tokens[row : row + 1, part],
                t=state.t[row : row + 1],
                memory=Memory(state.memory.vectors[row : row + 1], mine[None]),
            )
            same(packed[row, part], logits(model, alone)[0])
    with pytest.raises(Error, match="Memory.segments"):
        logits(model, replace(state, segments=segments))


def test_a_help_that_was_dropped_is_a_help_that_is_not_there(model, state):
    model.retrieved.dropout = 0.5
    model.train()
    gone = dropped(state, 0.5)
    assert gone.any() and not gone.all()  # by these tokens
    given, plain = logits(model, state), logits(model, without(state))
    same(given[gone], plain[gone])
    kept = ~gone & state.memory.valid.any(1)
    assert ((given - plain)[kept].abs().amax((1, 2)) > 1e-2).all()
    model.eval()
    assert torch.equal(logits(model, state)[2], given[2]) and (logits(model, state) - plain)[:2].abs().amax() > 1e-2


def test_what_is_dropped_is_a_function_of_the_tokens_that_a_row_shows():
    tokens = torch.randint(4, 23, (4000, 12), generator=torch.Generator().manual_seed(0))
    state = State(tokens)
    gone = dropped(state, 0.3)
    assert float(gone.float().mean()) == pytest.approx(0.3, abs=0.03)  # 4 standard errors
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(dropped(State(tokens[order]), 0.3), gone[order])
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert torch.equal(dropped(state, 0.3), gone)
    assert not torch.equal(dropped(State(tokens.roll(1, 1)), 0.3), gone)
    padded = State(torch.cat([tokens, torch.full((4000, 3), 9)], 1), valid=(torch.arange(15) < 12).expand(4000, -1))
    assert torch.equal(dropped(padded, 0.3), gone)
    other = replace(padded, valid=None, segments=(torch.arange(15) < 12).long().expand(4000, -1))
    assert torch.equal(dropped(other, 0.3), gone)


def test_the_projection_learns_from_rows_that_kept_their_memory(model, state):
    model.train()
    model(state).logits.square().mean().backward()
    assert model.retrieved.project.weight.grad.abs().max() > 0 and model.retrieved.project.bias.grad.abs().max() > 0


def test_memory_that_the_network_does_not_take_is_refused(model, state):
    with pytest.raises(Error, match="set memory_width|memory_width is 5"):
        logits(model, replace(state, memory=replace(state.memory, vectors=torch.randn(3, 4, 7))))
    with pytest.raises(Error, match="takes no retrieved memory"):
        logits(Eco(EcoConfig(**{**SIZES, "memory_width": 0})), state)
