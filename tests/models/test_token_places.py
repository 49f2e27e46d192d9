import pytest
import torch

from unmask.diffusion.state import State
from unmask.models.token_places import Line, Rows, layout_of

SEGMENTS = torch.tensor(
    [
        [1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 0],
        [1] * 12,
        [4, 4, 5, 5, 5, 5, 5, 5, 4, 4, 0, 0],  # a document that stands apart
        [0] * 12,
    ]
)
REACH = 3


@pytest.fixture
def line():
    return layout_of(State(torch.ones_like(SEGMENTS), segments=SEGMENTS), REACH)


def values():
    x = torch.arange(1.0, SEGMENTS.numel() + 1).view(*SEGMENTS.shape, 1)
    return x.expand(-1, -1, 2).contiguous()


def test_documents_of_a_line_stand_as_far_apart_as_the_reach_and_padding_takes_no_place(line):
    assert isinstance(line, Line) and line.shape == (4, 12)
    spread = line.spread(values())
    assert torch.equal((spread != 0).any(-1)[0], line.live[0, :, 0] > 0)
    there = (SEGMENTS > 0).sum()
    runs = 3 + 1 + 3
    assert line.live.sum() == there and spread.shape[1] == there + REACH * (runs - 1) + 1
    owner = line.owners[0]
    at = (owner >= 0).nonzero()[:, 0]
    for a, b in zip(at, at[1:], strict=False):
        assert owner[a] == owner[b] or b - a > REACH
    assert owner[-1] == -1  # the last place is empty


def test_what_is_spread_comes_back_to_its_token_and_padding_is_zero(line):
    x = values()
    back = line.gathered(line.spread(x))
    assert torch.equal(back, x * (SEGMENTS > 0)[..., None])
    rows, columns = torch.tensor([0, 2, 3, 0]), torch.tensor([5, 9, 4, 11])
    asked = line.spread(x)[line.places(rows, columns)]
    assert torch.equal(asked, back[rows, columns])


def test_tokens_are_gathered_by_document_in_their_order_and_come_back(line):
    spread = line.spread(values())
    gathered = line.by_document(spread)
    assert gathered.shape == (6, 12, 2)
    pairs = list(zip(line.row.tolist(), line.piece.tolist(), strict=True))
    assert sorted(pairs) == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 4), (2, 5)]
    for number, (row, piece) in enumerate(pairs):
        mine = values()[row][SEGMENTS[row] == piece]
        assert torch.equal(gathered[number, : len(mine)], mine)
        assert line.present[number].sum() == len(mine) and line.present[number, : len(mine)].all()
    assert torch.equal(line.by_place(gathered), spread)


def test_gathering_has_the_gradient_of_what_it_does(line):
    x = torch.randn(1, line.owners.shape[1], 2, dtype=torch.float64, requires_grad=True)
    y = torch.randn(6, 12, 2, dtype=torch.float64, requires_grad=True)
    (grad_x,) = torch.autograd.grad(line.by_document(x), x, y.detach())
    (grad_y,) = torch.autograd.grad(line.by_place(y), y, x.detach())
    assert torch.equal(grad_x, line.by_place(y.detach()))
    assert torch.equal(grad_y, line.by_document(x.detach() * line.live))
    assert torch.equal(grad_y, grad_y * line.present)


def test_adding_leaves_empty_places_empty(line):
    spread = line.spread(values())
    total = line.add(spread, torch.ones_like(spread))
    assert torch.equal(total, spread + line.live)


@pytest.mark.parametrize(
    ("given", "padded"),
    [
        ({}, False),
        ({"segments": torch.full((2, 5), 7)}, False),
        ({"valid": torch.ones(2, 5, dtype=torch.bool)}, False),
        ({"segments": torch.tensor([[1, 1, 1, 0, 0], [2, 2, 2, 2, 2]])}, True),
        ({"valid": torch.tensor([[True] * 3 + [False] * 2, [True] * 5])}, True),
        ({"segments": torch.zeros(2, 5, dtype=torch.int64)}, True),
    ],
)
def test_one_document_a_row_stays_where_it_is(given, padded):
    layout = layout_of(State(torch.ones(2, 5, dtype=torch.int64), **given), REACH)
    assert isinstance(layout, Rows) and (layout.live is not None) == padded
    x = torch.ones(2, 5, 3)
    alive = x if layout.live is None else x * layout.live
    assert torch.equal(layout.spread(x), alive) and torch.equal(layout.by_place(layout.by_document(x)), alive)
    assert torch.equal(layout.add(alive, x), 2 * alive)


def test_padding_inside_packed_rows_is_no_token():
    valid = torch.ones_like(SEGMENTS, dtype=torch.bool)
    valid[1, 8:] = False
    layout = layout_of(State(torch.ones_like(SEGMENTS), segments=SEGMENTS, valid=valid), REACH)
    assert layout.live.sum() == ((SEGMENTS > 0) & valid).sum()
