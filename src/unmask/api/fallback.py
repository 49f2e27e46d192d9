"""The autoregressive fallback: passages that have collapsed are written again, left to right, by another run.

What is written is checked passage by passage (the whole text, where a run has no passages) with
:func:`unmask.evaluation.collapse.collapse`. A collapsed piece is replaced by what a causal run writes behind the text
before it: as many of its tokens as it needs for the piece, and the two tokenizers meet in plain text. Later passages
stay: they were written with the collapsed one in mind. Given words are never replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.evaluation.collapse import collapse
from unmask.training.loaded_run import held
from unmask.training.run import Run

Write = Callable[[Run, str, int, int], str]
"""(run, text before, most tokens, seed) -> what is written behind it."""


@dataclass(frozen=True)
class Mended:
    """A text after its fallback.

    Attributes:
        text: The text.
        data: Its bytes, be they text or not.
        passages: Numbers of the passages that were written again, from 0.
    """

    text: str
    data: bytes
    passages: list[int]


def fallback_run(run: str | Path | Run) -> Run:
    """Open the run that writes again.

    Raises:
        Error: not a run, or one that does not write left to right.
    """
    run = held(run)  # its weights are read once, however many passages it writes
    if run.process.visibility != "causal":
        raise Error(f"run {run.path} does not write left to right; --fallback takes a causal run.")
    return run


def pieces(tokens: Sequence[int], given: int, behind: int, size: int | None) -> list[tuple[int, int, int]]:
    """Return (passage, first, behind the last) of what was written, passage by passage.

    Args:
        tokens: The text, BOS first.
        given: Tokens before what was written, BOS among them.
        behind: Given tokens behind it.
        size: Tokens of a passage; ``None``: there are none.
    """
    end = len(tokens) - behind
    if size is None:
        return [(0, given, end)] if given < end else []
    spans = [(p, max(given, p * size), min(end, (p + 1) * size)) for p in range(given // size, -(-end // size))]
    return [span for span in spans if span[1] < span[2]]


def mended(
    tokens: Sequence[int],
    spans: Sequence[tuple[int, int, int]],
    tokenizer: Tokenizer,
    run: Run,
    write: Write,
    seed: int,
) -> Mended:
    """Write the collapsed pieces of a text again.

    Args:
        tokens: The text, BOS first.
        spans: What was written, from :func:`pieces`.
        tokenizer: Of the run that wrote it.
        run: The causal run.
        write: Writes with it.
        seed: Of the first piece; the next one's is one more.
    """
    done, at = b"", 0
    again: list[int] = []
    for passage, start, end in spans:
        done += tokenizer.decode_bytes(tokens[at:start])
        own, at = tokenizer.decode_bytes(tokens[start:end]), end
        text = own.decode("utf-8", "replace")
        if collapse(text) is not None:
            before = done.decode("utf-8", "replace")
            own = write(run, *_fitting(run, before, len(run.tokenizer.encode(text))), seed + len(again)).encode()
            again.append(passage)
        done += own
    done += tokenizer.decode_bytes(tokens[at:])
    return Mended(done.decode("utf-8", "replace"), done, again)


def _fitting(run: Run, before: str, count: int) -> tuple[str, int]:
    """Return as much of a text's end as fits into the run's context with what is written behind it, or half of that."""
    context = run.recipe.data.length
    ids = run.tokenizer.encode(before)
    room = context - 1 - count if count <= context - 2 else context // 2
    text, kept = before, room
    while len(ids) > room:  # a tail that begins within a word may need more tokens than it had
        text = run.tokenizer.decode_bytes(ids[len(ids) - kept :]).decode("utf-8", "ignore")
        if len(run.tokenizer.encode(text)) <= room:
            break
        kept -= 1
    return text, count
