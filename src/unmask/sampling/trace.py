"""Trace files: a sampling run, frame by frame, as the lines of :mod:`unmask.sampling.trace_lines`; replay needs no run.

A file whose name ends in .gz is compressed.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.state import SparseState
from unmask.errors import Error
from unmask.sampling.checks import VERDICTS
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.state import Frame
from unmask.sampling.trace_header import check_header, missing, not_a_trace, open_trace, refuse_other
from unmask.sampling.trace_lines import TraceLines

_LONGEST, _MOST_PLACES, _MOST_SHOWN = 1 << 26, 1 << 22, 1 << 28
"""Characters of a line, places of all texts, and of all frames: far above what a run writes."""


class TraceWriter:
    """Writes a trace while a sampler runs; a context manager.

    Args:
        path: The file; an older trace is replaced, any other file is not.
        sampler: Name of the sampler.
        requests: What is being sampled.
        tokenizer: Gives tokens their text.
        vocabulary: The special tokens.
        run: Name of the run.

    Raises:
        Error: the file cannot be written, or is something else than a trace.
    """

    def __init__(
        self,
        path: str | Path,
        sampler: str,
        requests: Sequence[Request],
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        run: str = "",
    ) -> None:
        self._lines = TraceLines(sampler, requests, tokenizer, vocabulary, run)
        refuse_other(Path(path))
        try:
            self._file = open_trace(Path(path), "w")
        except OSError as error:
            raise Error(f"the trace {path} cannot be written: {error.strerror}; choose another place.") from error
        self._add(self._lines.header())

    def write(self, which: Sequence[int], frame: Frame) -> None:
        """Add a frame whose rows are the requests ``which``."""
        self._add(self._lines.line(which, frame))

    def close(self) -> None:
        """Write the last line, which says that the trace is whole."""
        self._add(self._lines.end())
        self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def _add(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


@dataclass(frozen=True)
class Trace:
    """A trace that was read.

    Attributes:
        header: Its first line.
        frames: (numbers of the requests in the rows, frame) step by step, as ``unmask.sampling.frames`` yields them.
        strings: Bytes of every token that occurs.
        whole: False if the file stops before its last line; the frames are then those that are complete.
    """

    header: dict[str, Any]
    frames: tuple[tuple[tuple[int, ...], Frame], ...]
    strings: dict[int, bytes] = field(repr=False)
    whole: bool

    @property
    def vocabulary(self) -> Vocabulary:
        """The special tokens."""
        return Vocabulary(**self.header["vocabulary"])

    def texts(self) -> list[str]:
        """Return the text of each request as its last frame has it; open positions are left out."""
        last = {n: (f, row) for which, f in self.frames for row, n in enumerate(which)}
        special = set(self.header["vocabulary"].values())
        texts = []
        for number in sorted(last):
            frame, row = last[number]
            ids = [t for t in frame.tokens[row][frame.committed[row]].tolist() if t not in special]
            texts.append(b"".join(self.strings[t] for t in ids).decode("utf-8", "replace"))
        return texts


def read_trace(path: str | Path) -> Trace:
    """Read a trace file.

    Raises:
        Error: no such file, not a trace, a newer format, or damaged before its end.
    """
    lines, broken = _lines(Path(path))
    header = lines[0] if lines else {}
    check_header(header, path)
    whole = not broken and len(lines) > 1 and lines[-1].get("end") == len(lines) - 2
    body = lines[1:-1] if whole else [line for line in lines[1:] if "rows" in line]
    strings: dict[int, bytes] = {}
    try:
        _check_header(header)
        canvases = [_Canvas(r["length"], header["vocabulary"]["mask"]) for r in header["requests"]]
        frames, cells = [], 0
        for line in body:
            for token, text in line.get("strings", {}).items():
                strings[int(token)] = (
                    text.encode() if isinstance(text, str) else b"".join(bytes([byte]) for byte in text)
                )
            cells += sum(len(canvases[row["request"]].tokens) for row in line["rows"])
            if cells > _MOST_SHOWN:
                raise ValueError(f"its frames have more than {_MOST_SHOWN:,} places")
            frames.append(_frame(line["rows"], canvases, header["vocabulary"]))
            told = {*strings, header["vocabulary"]["mask"]}
            for row in line["rows"]:
                told_here = {t for _, given in row.get("candidates", []) for t, _ in given}
                if unknown := told_here - set(strings):
                    raise ValueError(f"candidate {min(unknown)} has no text")
            if unknown := [t for row in line["rows"] for _, t, _ in row["set"] if t not in told]:
                raise ValueError(f"token {unknown[0]} has no text")
        if not frames:
            raise ValueError("it holds no frame")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, OverflowError) as error:
        why = " ".join((str(error) if type(error) is ValueError else repr(error)).split())[:200]
        raise Error(f"trace {path} is damaged ({why}); record it again with --trace.") from error
    return Trace(header, tuple(frames), strings, whole)


def _lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the lines that are whole, and whether the file breaks off within one."""
    lines: list[dict[str, Any]] = []
    try:
        with open_trace(path, "r") as file:
            while text := file.readline(_LONGEST + 1):
                if len(text) > _LONGEST:
                    raise ValueError(f"a line has more than {_LONGEST:,} characters")
                lines.append(json.loads(text))
                if not isinstance(lines[-1], dict):
                    raise ValueError("a line is not an object")
    except FileNotFoundError as error:
        raise missing(path) from error
    except (ValueError, EOFError, RecursionError, zlib.error, gzip.BadGzipFile) as error:
        rest = lines and not isinstance(error, gzip.BadGzipFile)
        if not rest:
            raise not_a_trace(path) from error
        return [line for line in lines if isinstance(line, dict)], True
    except OSError as error:
        raise Error(f"the trace {path} cannot be read: {error.strerror or error}; give a file of --trace.") from error
    return lines, False


def _check_header(header: dict[str, Any]) -> None:
    """Refuse a header whose values are not what they are for, or whose texts would take all memory."""
    if not all(isinstance(header.get(name), str) for name in ("sampler", "run", "created")):
        raise ValueError("its sampler, run and date are no text")
    special = header["vocabulary"]
    if special.keys() != {"pad", "bos", "eos", "mask"} or not all(type(i) is int and i >= 0 for i in special.values()):
        raise ValueError("its vocabulary holds no token ids")
    lengths = [request["length"] for request in header["requests"]]
    if not all(type(length) is int and length > 0 for length in lengths) or sum(lengths) > _MOST_PLACES:
        raise ValueError(f"its requests have no lengths, or more than {_MOST_PLACES:,} places")


class _Canvas:
    """The last known canvas of a request."""

    def __init__(self, length: int, mask: int) -> None:
        self.tokens = [mask] * length
        self.confidence = [0.0] * length
        self.length = length
        self.open: set[int] = set()


def _frame(
    rows: list[dict[str, Any]], canvases: list[_Canvas], special: dict[str, int]
) -> tuple[tuple[int, ...], Frame]:
    which = tuple(row["request"] for row in rows)
    size = max(len(canvases[n].tokens) for n in which)
    tokens = torch.full((len(rows), size), special["pad"])
    confidence = torch.zeros(len(rows), size)
    valid = torch.zeros(len(rows), size, dtype=torch.bool)
    changed = torch.zeros_like(valid)
    for i, row in enumerate(rows):
        canvas = canvases[row["request"]]
        for position, token, trust in row["set"]:
            if not 0 <= position < len(canvas.tokens):
                raise IndexError(f"position {position} of a text of {len(canvas.tokens)}")
            canvas.tokens[position], canvas.confidence[position] = token, trust
            changed[i, position] = row["step"] > 0
        shown = set(row.get("open", []))
        if not all(type(place) is int and 0 <= place < len(canvas.tokens) for place in shown):
            raise IndexError(f"an open position outside a text of {len(canvas.tokens)}")
        closed, canvas.open = canvas.open - shown, shown
        changed[i, sorted(closed)] = True
        n = row["length"]
        if not 0 <= n <= len(canvas.tokens):
            raise IndexError(f"length {n} of a text of {len(canvas.tokens)}")
        changed[i, n : canvas.length] = True
        canvas.length = n
        tokens[i, :n] = torch.tensor(canvas.tokens[:n])
        confidence[i, :n] = torch.tensor(canvas.confidence[:n])
        valid[i, :n] = True
    steps = torch.tensor([row["step"] for row in rows])
    committed = valid & (tokens != special["mask"])
    for i, row in enumerate(rows):
        committed[i, sorted(set(row.get("open", [])))] = False
    candidates, doubtful = _candidates(rows, size), any(row.get("open") for row in rows)
    block = torch.tensor([row["block"] for row in rows]).view(-1, 2) if all("block" in row for row in rows) else None
    calls = torch.tensor([row["calls"] for row in rows]) if all("calls" in row for row in rows) else None
    verdict = torch.zeros_like(tokens) if all("verdict" in row for row in rows) else None
    for i, row in enumerate(rows if verdict is not None else ()):
        for what, first, behind in row["verdict"]:
            if not 0 <= first < behind <= size:
                raise IndexError(f"a verdict outside a text of {size}")
            verdict[i, first:behind] = VERDICTS.index(what)
    return which, Frame(
        steps,
        tokens,
        committed,
        changed,
        valid,
        confidence,
        candidates,
        doubtful=doubtful,
        block=block,
        forwards=calls,
        verdict=verdict,
    )


def _candidates(rows: list[dict[str, Any]], size: int) -> SparseState | None:
    most = max((len(given) for row in rows for _, given in row.get("candidates", [])), default=0)
    if not most:
        return None
    tokens = torch.zeros(len(rows), size, most, dtype=torch.int64)
    mass = torch.zeros(len(rows), size, most)
    for i, row in enumerate(rows):
        for position, given in row.get("candidates", []):
            for k, (token, m) in enumerate(given):
                tokens[i, position, k], mass[i, position, k] = token, m
    return SparseState(tokens, mass)
