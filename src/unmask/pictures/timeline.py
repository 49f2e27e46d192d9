"""A trace as places in a text and what each shows from which frame on: what its page and its picture are drawn from.

A *place* is a run of positions that the last frame shows as one piece, so no letter is split between two. It is as wide
as the widest word that it ever shows: nothing moves while the text is being written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from unmask.data.pieces import pieces, words
from unmask.data.visible import cells, visible
from unmask.sampling.spent import Ledger
from unmask.sampling.state import Frame
from unmask.sampling.trace import Trace

FEED = "\u21b5"
"""Stands for a line feed."""
Kind = Literal["open", "waiting", "guess", "word", "given", "gone"]


@dataclass(frozen=True)
class Moment:
    """What a place shows from a frame on.

    Attributes:
        frame: Number of the frame, from 0.
        kind: ``open``; ``waiting``: open, in a block that was not begun yet; ``guess``: open, with its likeliest
            candidate; ``word``: decided; ``given``: there from the start; ``gone``: behind the text's end, or nothing
            to see.
        text: The word, without the spaces before it and the line feeds around it.
        confidence: The least of its positions', 0 to 1.
    """

    frame: int
    kind: Kind
    text: str
    confidence: float


@dataclass(frozen=True)
class Place:
    """A run of positions that is shown as one.

    Attributes:
        space: Spaces before it.
        breaks: Line feeds behind it.
        indent: Spaces that the line behind them begins with.
        width: Cells of the widest word that it shows, at least 1.
        moments: What it shows, in order; no two neighbours are alike.
        calls: Network calls that it stood open in, the most of its positions; ``None``: the trace does not tell.
    """

    space: int
    breaks: int
    indent: int
    width: int
    moments: tuple[Moment, ...]
    calls: int | None


@dataclass(frozen=True)
class Timeline:
    """How one text came about.

    Attributes:
        number: Of the text, from 0.
        steps: Number of the step that each frame shows.
        places: In the order of the text.
    """

    number: int
    steps: tuple[int, ...]
    places: tuple[Place, ...]


def timelines(trace: Trace) -> list[Timeline]:
    """Return the timeline of each text of a trace."""
    rows: dict[int, list[tuple[Frame, int]]] = {}
    spent: dict[int, Tensor] = {}
    ledger = Ledger()
    for which, frame in trace.frames:
        so_far = ledger.add(which, frame)
        for row, number in enumerate(which):
            rows.setdefault(number, []).append((frame, row))
            spent[number] = so_far.looks[row]
    special = set(trace.header["vocabulary"].values())
    told = all(frame.forwards is not None for _, frame in trace.frames)
    calls = {number: spent[number].tolist() if told else None for number in rows}
    return [
        _timeline(number, rows[number], calls[number], lambda t: _bytes(trace, special, t)) for number in sorted(rows)
    ]


def _bytes(trace: Trace, special: set[int], token: int) -> bytes:
    return b"" if token in special else trace.strings[token]


@dataclass(frozen=True)
class _Row:
    """One text in one frame, as plain lists over its positions."""

    tokens: list[int]
    committed: list[bool]
    confidence: list[float]
    guesses: list[int | None]
    waiting: list[bool]


def _timeline(
    number: int, frames: list[tuple[Frame, int]], calls: list[int] | None, text_of: Callable[[int], bytes]
) -> Timeline:
    rows = [_row(frame, row) for frame, row in frames]
    longest, last = max(len(row.tokens) for row in rows), rows[-1]
    spans, at = [], 0
    for piece in pieces(last.tokens, last.committed, text_of):
        spans += [(place, place + 1) for place in range(at, piece.start)]
        spans.append((piece.start, piece.end))
        at = piece.end
    spans += [(place, place + 1) for place in range(at, longest)]
    places = [_place(span, rows, calls, text_of) for span in spans]
    shown = tuple(place for place in places if any(moment.kind != "gone" for moment in place.moments))
    return Timeline(number, tuple(int(frame.step[row]) for frame, row in frames), shown)


def _row(frame: Frame, row: int) -> _Row:
    keep = frame.valid[row]
    tokens, committed, confidence, waiting = (
        x[row][keep].tolist() for x in (frame.tokens, frame.committed, frame.confidence, frame.waiting)
    )
    guesses: list[int | None] = list(tokens) if frame.doubtful else [None] * len(tokens)
    if frame.candidates is not None:
        best = frame.candidates.mass[row][keep].max(-1)
        likeliest = frame.candidates.tokens[row][keep].gather(-1, best.indices[:, None])[:, 0].tolist()
        guesses = [token if mass > 0 else None for token, mass in zip(likeliest, best.values.tolist(), strict=True)]
    return _Row(tokens, committed, confidence, guesses, waiting)


def _place(span: tuple[int, int], rows: list[_Row], calls: list[int] | None, text_of: Callable[[int], bytes]) -> Place:
    start, end = span
    moments, whole, space = list[Moment](), "", 0
    for number, row in enumerate(rows):
        said = _said(start, end, row, text_of)
        text = "" if said is None else said.replace("\t", "    ")
        if all(row.committed[start:end]) and end <= len(row.tokens):
            whole = text
        elif end > len(row.tokens):
            whole = ""
        if text.strip("\n "):
            space = max(space, len(text) - len(text.lstrip(" ")))
            shown = visible(text.lstrip("\n ").rstrip("\n").replace("\n", FEED))
        else:  # white space alone is a place of its own, as it takes a step to be decided
            shown = FEED if "\n" in text else text
        moment = _moment(number, start, end, row, shown)
        if not moments or _differs(moments[-1], moment):
            moments.append(moment)
    head, *lines = whole.split("\n")
    width = max((cells(moment.text) for moment in moments), default=1)
    indent = len(lines[-1]) if lines and not lines[-1].strip(" ") else 0
    feeds = len(lines) if not whole.strip("\n ") or lines and not lines[-1].strip(" ") else 0
    return Place(
        space, feeds, indent, max(1, width), tuple(moments), None if calls is None else max(calls[start:end], default=0)
    )


def _said(start: int, end: int, row: _Row, text_of: Callable[[int], bytes]) -> str | None:
    """Return the words of some positions, or of their candidate; ``None``: an open position without one."""
    if end > len(row.tokens):
        return ""
    if all(row.committed[start:end]):
        return words(b"".join(text_of(token) for token in row.tokens[start:end]))
    guess = row.guesses[start] if end - start == 1 else None
    return None if guess is None else words(text_of(guess))


def _moment(number: int, start: int, end: int, row: _Row, text: str) -> Moment:
    if end > len(row.tokens):
        return Moment(number, "gone", "", 0.0)
    if not all(row.committed[start:end]):
        kind: Kind = "guess" if text.strip() else "waiting" if row.waiting[start] else "open"
        return Moment(number, kind, text.strip(" "), 0.0)
    if not text:
        return Moment(number, "gone", "", 0.0)
    trust = min(row.confidence[start:end])
    return Moment(number, "given" if number == 0 else "word", text, round(trust, 3))


def _differs(last: Moment, new: Moment) -> bool:
    if last.kind == "given" and new.kind == "word" and last.text == new.text:
        return False
    return (last.kind, last.text) != (new.kind, new.text)
