"""Where the tokens of a batch stand while a network without attention works on them, and whose they are.

Such a network knows two neighbourhoods: places beside each other (convolution, windows), and a document (memory).

* ``Rows``: each row is one document, perhaps padded. Tokens stay where they are.
* ``Line``: rows hold several documents. All tokens of the batch stand on one line, each document as many empty places
  from the next as the convolution reaches, so that it cannot cross a border; what was padding takes no place. For the
  memory, tokens are gathered by document, and back.

Empty places hold exact zeros in the residual stream throughout: ``add`` leaves them so, and no part has a bias.

Letters: B batch, T tokens, R rows and P places of the layout, N tokens that are there, G documents, L tokens of the
longest, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.state import State

Positions = tuple[Int[Tensor, " n"], Int[Tensor, " n"]]
"""Rows and columns of some positions."""
HIDDEN = -1e30
"""What is added to a score that must not count: so low that its weight is exactly 0, and finite, so that a softmax over
nothing is no NaN."""


class _Regather(torch.autograd.Function):
    """Rows of a table in another order. ``index`` and ``back`` undo each other where ``live``; elsewhere there is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, back: Tensor, live: Tensor, lands: bool) -> Tensor:
        ctx.save_for_backward(back, live)
        ctx.lands = lands
        out = x.index_select(0, index)
        return out.mul_(live.to(out.dtype)) if lands else out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        back, live = ctx.saved_tensors
        grad = grads[0] * live.to(grads[0].dtype) if ctx.lands else grads[0]
        out = grad.index_select(0, back)
        return (out if ctx.lands else out.mul_(live.to(out.dtype))), None, None, None, None


@dataclass(frozen=True)
class Rows:
    """One document a row.

    Attributes:
        shape: B and T.
        live: 1 at tokens, 0 at padding; ``None``: no padding.
        positions: Position ids.
        row: The row of each document: 0, 1, 2, ...
        piece: ``None``: rows are not divided.
        whole: Documents are rows as they stand, so that matrices of a document multiply the layout itself.
    """

    shape: tuple[int, int]
    live: Float[Tensor, "B T 1"] | None
    positions: Int[Tensor, "b T"]
    row: Int[Tensor, " G"]
    piece: None = None
    whole: bool = True

    @property
    def present(self) -> Float[Tensor, "G L 1"] | None:
        """1 at a token, gathered by document, 0 behind its end; ``None``: tokens everywhere."""
        return self.live

    @property
    def owners(self) -> Int[Tensor, "R P"] | None:
        """The document of each place, -1 at an empty one; ``None``: each row's own."""
        if self.live is None:
            return None
        return torch.where(self.live[..., 0] > 0, self.row[:, None], -1)

    def spread(self, x: Float[Tensor, "B T W"]) -> Float[Tensor, "R P W"]:
        """Bring a batch into this layout."""
        return x if self.live is None else x * self.live.to(x.dtype)

    def gathered(self, x: Float[Tensor, "R P W"]) -> Float[Tensor, "B T W"]:
        """Bring a result back to the batch's own places; 0 at padding."""
        return x

    def places(self, rows: Int[Tensor, " n"], columns: Int[Tensor, " n"]) -> Positions:
        """Return where some tokens stand; those at padding stand at an empty place."""
        return rows, columns

    def by_document(self, x: Float[Tensor, "R P W"]) -> Float[Tensor, "G L W"]:
        """Gather by document."""
        return x

    def by_place(self, x: Float[Tensor, "G L W"]) -> Float[Tensor, "R P W"]:
        """Gather back; 0 at empty places."""
        return x if self.live is None else x * self.live.to(x.dtype)

    def add(self, x: Float[Tensor, "R P W"], y: Float[Tensor, "R P W"]) -> Float[Tensor, "R P W"]:
        """Return x + y, and 0 at empty places, where x is 0."""
        return x + y if self.live is None else torch.addcmul(x, y, self.live.to(y.dtype))


@dataclass(frozen=True)
class Line:
    """Several documents a row, on one line of places.

    Attributes:
        shape: B and T.
        live: 1 at tokens, 0 at empty places. The last place is empty.
        positions: Position ids.
        row: The batch's row of each document.
        piece: The number of each document in its row.
        place: Of each token of the batch; the last place for padding.
        document: Of each place, -1 at an empty one.
        to_document: Place of each gathered token; behind a document's end the last place.
        to_place: Gathered token of each place; any at an empty one.
        longest: L.
        present: 1 at a gathered token, 0 behind a document's end.
        whole: As for :class:`Rows`.
    """

    shape: tuple[int, int]
    live: Float[Tensor, "1 P 1"]
    positions: Int[Tensor, "1 P"]
    row: Int[Tensor, " G"]
    piece: Int[Tensor, " G"]
    place: Int[Tensor, "B T"]
    document: Int[Tensor, " P"]
    to_document: Int[Tensor, " G*L"]
    to_place: Int[Tensor, " P"]
    longest: int
    present: Float[Tensor, "G L 1"]
    whole: bool = False

    @property
    def owners(self) -> Int[Tensor, "1 P"]:
        """As for :class:`Rows`."""
        return self.document[None]

    def spread(self, x: Float[Tensor, "B T W"]) -> Float[Tensor, "1 P W"]:
        """As for :class:`Rows`."""
        line = x.new_zeros(len(self.document), x.shape[-1])
        return line.index_copy(0, self.place.flatten(), x.flatten(0, 1))[None] * self.live.to(x.dtype)

    def gathered(self, x: Float[Tensor, "1 P W"]) -> Float[Tensor, "B T W"]:
        """As for :class:`Rows`."""
        return x[0].index_select(0, self.place.flatten()).view(*self.shape, -1)

    def places(self, rows: Int[Tensor, " n"], columns: Int[Tensor, " n"]) -> Positions:
        """As for :class:`Rows`."""
        return torch.zeros_like(rows), self.place[rows, columns]

    def by_document(self, x: Float[Tensor, "1 P W"]) -> Float[Tensor, "G L W"]:
        """As for :class:`Rows`."""
        out = _Regather.apply(x[0], self.to_document, self.to_place, self.live[0], False)
        return out.view(len(self.row), self.longest, -1)

    def by_place(self, x: Float[Tensor, "G L W"]) -> Float[Tensor, "1 P W"]:
        """As for :class:`Rows`."""
        return _Regather.apply(x.flatten(0, 1), self.to_place, self.to_document, self.live[0], True)[None]

    def add(self, x: Float[Tensor, "1 P W"], y: Float[Tensor, "1 P W"]) -> Float[Tensor, "1 P W"]:
        """As for :class:`Rows`."""
        return torch.addcmul(x, y, self.live.to(y.dtype))


Layout = Rows | Line


def layout_of(state: State, reach: int) -> Layout:
    """Return the layout of a state.

    Segment 0 is padding. Documents are told apart by row and segment; a convolution knows neighbours in a row only, so
    the parts of a document that stands apart in its row do not meet in it.

    Args:
        state: The state.
        reach: Empty places between documents.
    """
    batch, length = state.tokens.shape
    device = state.tokens.device
    there = state.valid
    positions = torch.arange(length, device=device)[None] if state.positions is None else state.positions
    if state.segments is not None:
        there = state.segments > 0 if there is None else there & (state.segments > 0)
        only = (state.segments * there).amax(1, keepdim=True)
        if not bool(((state.segments == only) | ~there).all()):
            return _line(state.segments, there, positions.expand(batch, -1), reach)
    live = None if there is None or bool(there.all()) else there[..., None].float()
    return Rows((batch, length), live, positions, torch.arange(batch, device=device))


def _line(segments: Int[Tensor, "B T"], there: Bool[Tensor, "B T"], positions: Tensor, reach: int) -> Line:
    """Place the documents of a batch on a line."""
    length = segments.shape[1]
    index = there.flatten().nonzero()[:, 0]
    piece = segments.flatten()[index]
    names_a_row = int(segments.max()) + 1
    key = index // length * names_a_row + piece
    begins = torch.ones_like(key)
    begins[1:] = (key[1:] != key[:-1]) | (index[1:] != index[:-1] + 1)
    at = torch.arange(len(index), device=index.device) + reach * (begins.cumsum(0) - 1)
    last = int(at[-1]) + 1
    live = torch.zeros(last + 1, 1, device=index.device).index_fill(0, at, 1.0)

    names, document, count = key.unique(return_inverse=True, return_counts=True)
    order = document.argsort(stable=True)
    first = count.cumsum(0) - count
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - first[document[order]]
    longest = int(count.max())
    gathered = document * longest + rank

    def scattered(value: Tensor, where: Tensor, size: int, empty: int) -> Tensor:
        return torch.full((size,), empty, device=value.device).index_copy(0, where, value)

    return Line(
        shape=(segments.shape[0], length),
        live=live[None],
        positions=scattered(positions.flatten()[index], at, last + 1, 0)[None],
        row=names // names_a_row,
        piece=names % names_a_row,
        place=scattered(at, index, segments.numel(), last).view_as(segments),
        document=scattered(document, at, last + 1, -1),
        to_document=scattered(at, gathered, len(names) * longest, last),
        to_place=scattered(gathered, at, last + 1, 0),
        longest=longest,
        present=torch.arange(longest, device=index.device).lt(count[:, None])[..., None].float(),
    )
