"""Documents packed into rows of one length, page after page; what :mod:`unmask.data.blocks` keeps on disk.

Documents are cut where a row ends. Talks are not: one that does not fit what is left of a row begins the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unmask.data import utf8

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer

ROWS = 1024
"""Rows of a page."""
Page = tuple[NDArray[Any], ...]
"""Tokens and segments of some rows; of talks also which tokens are learned."""


class Packer:
    """Fills pages with document pieces.

    Args:
        length: Positions in a row.
        tokenizer: Whose tokens they are.
        types: Of tokens and segments, and of the marks of learned tokens where there are any.
    """

    def __init__(self, length: int, tokenizer: Tokenizer, *types: Any) -> None:
        self._length = length
        self._ids = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
        self._types = types
        self._inner = tokenizer.inner
        self._new_page()

    def _new_page(self) -> None:
        fills = (self._ids[0], 0, 0)
        self._page = tuple(np.full((ROWS, self._length), fills[i], kind) for i, kind in enumerate(self._types))
        self._row = self._column = self._segment = 0

    def add(self, ids: NDArray[np.int32], learned: NDArray[np.bool_] | None = None) -> Iterator[Page]:
        """Pack one document, or a talk and which of its tokens are learned; yield each page that became full."""
        _, bos, eos = self._ids
        document = np.append(ids, np.int32(eos))
        if learned is not None and self._column and self._column + 1 + len(document) > self._length:
            yield from self._next_row()
        start = 0
        while start < len(document):
            room = self._length - self._column - 1
            count = self._whole(document[start : start + room + 1], room)
            if not count and self._column:
                yield from self._next_row()
                continue
            taken = document[start : start + (count or room)]
            end = self._column + 1 + len(taken)
            self._segment += 1
            self._page[0][self._row, self._column] = bos
            self._page[0][self._row, self._column + 1 : end] = taken
            self._page[1][self._row, self._column : end] = self._segment
            if learned is not None:
                self._page[2][self._row, self._column + 1 : end] = np.append(learned, True)
            start += len(taken)
            self._column = end
            if self._length - end < 2 or start < len(document):
                yield from self._next_row()

    def _next_row(self) -> Iterator[Page]:
        self._row, self._column, self._segment = self._row + 1, 0, 0
        if self._row == ROWS:
            yield self._page
            self._new_page()

    def _whole(self, ahead: NDArray[np.int32], room: int) -> int:
        """Return how many of the tokens ahead are taken, so that the next piece begins where a character may.

        0: the character that comes does not fit.
        """
        if self._inner is None or len(ahead) <= room:
            return room
        for back in range(utf8.LONGEST):
            if back == room or not self._inner[ahead[room - back]]:
                return room - back
        return room  # this is not UTF-8

    def has_full_row(self) -> bool:
        """Tell whether a row of the last page is full."""
        return self._row > 0

    def rest(self) -> Page:
        """Return what the last page holds; its last row may end in padding."""
        rows = self._row + (self._column > 0)
        return tuple(part[:rows] for part in self._page)
