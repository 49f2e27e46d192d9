import pytest
import torch
from torch.nn import functional as F

from unmask.diffusion.state import State
from unmask.models import slots
from unmask.models.eco_config import EcoConfig
from unmask.models.slots import Read, Update, Write, folds
from unmask.models.token_places import HIDDEN, layout_of

D, M = 16, 5


def config(**sizes):
    return EcoConfig(hidden_size=D, num_attention_heads=2, memory_slots=M, **sizes)


def layout(valid=None, rows=3, length=11):
    return layout_of(State(torch.ones(rows, length, dtype=torch.int64), valid=valid), reach=3)


def by_hand(module, asks, answers, mask=None):
    """Attention of several heads, an equation at a time."""
    query = module.query(asks).unflatten(-1, (2, -1))
    key, value = (part.unflatten(-1, (2, -1)) for part in module.key_value(answers).chunk(2, -1))
    score = torch.einsum("gqhe,gkhe->ghqk", query, key) / query.shape[-1] ** 0.5
    weights = (score if mask is None else score + mask).softmax(-1)
    return module.out(torch.einsum("ghqk,gkhe->gqhe", weights, value).flatten(2))


@pytest.fixture(params=[True, False], ids=["folded", "projected"])
def order(request, monkeypatch):
    monkeypatch.setattr(slots, "folds", lambda *_: request.param)
    return request.param


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("absent", [False, True])
def test_reading_is_attention_of_tokens_to_slots_in_either_order_of_products(order, padded, absent):
    torch.manual_seed(0)
    module, where = Read(config()), layout(torch.arange(11) < torch.tensor([[11], [6], [1]]) if padded else None)
    x, memory = torch.randn(3, 11, D, requires_grad=True), torch.randn(3, M, D, requires_grad=True)
    hidden = torch.zeros(3, 1, 1, M)
    hidden[1, ..., 2:] = HIDDEN
    hidden = hidden if absent else None
    ours, routing = module(x, memory, where, hidden)
    theirs = by_hand(module, x, memory, hidden)
    assert routing is None
    there = torch.ones(3, 11, dtype=torch.bool) if where.live is None else where.live[..., 0] > 0
    torch.testing.assert_close(ours[there], theirs[there], atol=1e-5, rtol=1e-5)
    grad = torch.randn_like(ours) * there[..., None]
    of = (x, memory, *module.parameters())
    for a, b in zip(*(torch.autograd.grad(y, of, grad) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("padded", [False, True])
def test_writing_is_attention_of_slots_to_tokens_in_either_order_of_products(order, padded):
    torch.manual_seed(0)
    valid = torch.arange(11) < torch.tensor([[11], [6], [1]])
    module, where = Write(config()), layout(valid if padded else None)
    memory, x = torch.randn(3, M, D, requires_grad=True), torch.randn(3, 11, D, requires_grad=True)
    mask = torch.where(valid, 0.0, -torch.inf)[:, None, None] if padded else None
    ours, theirs = module(memory, x, where), by_hand(module, memory, x, mask)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    of = (x, memory, *module.parameters())
    grad = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(y, of, grad) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_an_update_writes_and_then_thinks():
    module, where = Update(config()), layout()
    memory, x = torch.randn(3, M, D), torch.randn(3, 11, D)
    written = memory + module.write(module.norm(memory), module.token_norm(x), where)
    gate, up = module.mlp.gate_up(module.mlp_norm(written)).chunk(2, -1)
    torch.testing.assert_close(module(memory, x, where), written + module.mlp.down(F.silu(gate) * up))


def test_a_row_without_tokens_leaves_finite_slots(order):
    valid = torch.ones(3, 11, dtype=torch.bool)
    valid[1] = False
    module, where = Write(config()), layout(valid)
    assert module(torch.randn(3, M, D), torch.randn(3, 11, D) * where.live, where).isfinite().all()


def test_products_are_folded_where_that_saves_multiplications():
    assert folds(2048, slots=16, width=512, inner=256, heads=8)  # 128 columns instead of 256
    assert not folds(2048, slots=64, width=512, inner=256, heads=8)  # 512
    assert not folds(8, slots=16, width=512, inner=256, heads=8)  # too few tokens to pay for the folding
