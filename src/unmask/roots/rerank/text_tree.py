"""The tree of a text: document -> section -> sentence, as spans of its bytes.

A section begins after a blank line and at a heading (a line of 1 to 6 ``#``, or one underlined by ``===`` or ``---``).
A sentence ends at ``.``, ``!`` or ``?``, with what closes a quotation or bracket, before white space that no small
letter follows, and at a danda. The spans put one behind the other are the text. Documents hang from one root, so two
sentences are this many edges apart:

    the same 0, of one section 2, of one document 4, of two documents 6;      d = edges / 6

Letters: N sentences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

_SECTION = re.compile(rb"\n[ \t\r]*\n\s*|\n(?=#{1,6} )|\n(?=[^\n]+\n(?:={3,}|-{3,})[ \t\r]*(?:\n|\Z))")
_SENTENCE = re.compile(rb"[.!?][\"')\]]*\s+(?![a-z\s])|\xe0\xa5\xa4\s*")


@dataclass(frozen=True)
class TextTree:
    """The sentences of a text.

    Attributes:
        sentences: Where each begins and ends.
        section: The number of each one's section, rising from 0.
    """

    sentences: list[tuple[int, int]]
    section: list[int]

    def texts(self, text: bytes) -> list[bytes]:
        """Return the sentences of the text that this is the tree of."""
        return [text[start:end] for start, end in self.sentences]


def text_tree(text: bytes) -> TextTree:
    """Return the tree of a text; an empty one has no sentence."""
    heads = {0} | {found.end() for found in _SECTION.finditer(text)}
    starts = sorted({at for at in heads | {found.end() for found in _SENTENCE.finditer(text)} if at < len(text)})
    section, number = [], -1
    for start in starts:
        number += start in heads
        section.append(number)
    return TextTree(list(zip(starts, [*starts[1:], len(text)], strict=True)) if starts else [], section)


def tree_distance(document: Int[Tensor, " N"], section: Int[Tensor, " N"]) -> Float[Tensor, "N N"]:
    """Return d of all pairs of sentences.

    Args:
        document: The number of each sentence's document.
        section: The number of its section *within* the document.
    """
    together = document[:, None] == document
    close = together & (section[:, None] == section)
    found = (6 - 2 * together.float() - 2 * close.float()) / 6
    return found.fill_diagonal_(0)
