"""Trace files: a sampling run, frame by frame, as JSON lines (gzip if the name ends in .gz); replay needs no run.

    {"format": 1 or 2, "kind": "unmask-trace", "sampler", "run", "tokenizer": {name, fingerprint}, "vocabulary": {...},
     "requests": [{"length", "index", "settings"}], "created"}
    {"rows": [{"request", "step", "set": [[position, token, confidence], ...], "length", "calls",
               "open": [position, ...], "candidates": [[position, [[token, mass], ...]], ...],
               "block": [first, behind the last], "verdict": [[verdict, first, behind the last], ...]}],
     "strings": {token: text}}
    ...
    {"end": number of frames}

Frames hold what changed since the request's last frame; a position that opens again is set to the mask id. The first
frame of a request holds its given words. Format 2 has ``open``: the open positions that show a word which may change,
in traces of samplers that show such. ``candidates`` are there for models that carry them: those of all open
positions, masses to four digits. ``block`` is there where a text is written in blocks: the places of the one that it
writes in. ``calls`` are the network calls that the text has taken part in, from which follows what each position cost
(:mod:`unmask.sampling.spent`); older traces do not tell them. ``verdict`` is there where a verifier reads along: spans
of words of which it said the same so far (``accepted``, ``rewritten``, ``skipped`` or ``added``). ``strings`` brings
the tokens seen for the first time: their text, or their bytes as a list of numbers where they are not UTF-8 by
themselves.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.state import SparseState
from unmask.errors import Error
from unmask.sampling.checks import VERDICTS, spans
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.state import Frame
from unmask.sampling.trace_header import KIND, check_header, missing, not_a_trace, open_trace, refuse_other

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
        self._tokenizer = tokenizer
        self._mask = vocabulary.mask
        self._doubtful = sampler in SAMPLERS and SAMPLERS.facts(sampler).shows == "token"
        self._told: set[int] = set()
        self._last = [[vocabulary.mask] * len(r.tokens) for r in requests]
        self._open: list[set[int]] = [set() for _ in requests]
        self._frames = 0
        special = {"pad": vocabulary.pad, "bos": vocabulary.bos, "eos": vocabulary.eos, "mask": vocabulary.mask}
        header = {
            "format": 2 if self._doubtful else 1,
            "kind": KIND,
            "sampler": sampler,
            "run": run,
            "tokenizer": {"name": tokenizer.name, "fingerprint": tokenizer.fingerprint},
            "vocabulary": special,
            "requests": [
                {"length": len(r.tokens), "index": r.index, "settings": r.settings.model_dump()} for r in requests
            ],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        refuse_other(Path(path))
        try:
            self._file = open_trace(Path(path), "w")
        except OSError as error:
            raise Error(f"the trace {path} cannot be written: {error.strerror}; choose another place.") from error
        self._line(header)

    def write(self, which: Sequence[int], frame: Frame) -> None:
        """Add a frame whose rows are the requests ``which``."""
        rows, strings = [], {}
        tokens, confidence = frame.tokens.tolist(), frame.confidence.tolist()
        lengths = frame.valid.sum(1).tolist()
        for row, request in enumerate(which):
            last, opened = self._last[request], self._open[request]
            if self._doubtful:
                shown = ~frame.committed[row] & frame.valid[row] & (frame.tokens[row] != self._mask)
                self._open[request] = set(shown.nonzero()[:, 0].tolist())
            closed = opened - self._open[request]  # their words may stay, and be believed otherwise in the end
            changed = [p for p in range(min(lengths[row], len(last))) if tokens[row][p] != last[p] or p in closed]
            for p in changed:
                token = last[p] = tokens[row][p]
                if token not in self._told and token != self._mask:
                    self._told.add(token)
                    strings[str(token)] = _readable(self._tokenizer.decode_bytes([token]))
            sets = [[p, last[p], round(confidence[row][p], 5)] for p in changed]
            entry = {"request": request, "step": int(frame.step[row]), "set": sets, "length": lengths[row]}
            if frame.forwards is not None:
                entry["calls"] = int(frame.forwards[row])
            if self._doubtful:
                entry["open"] = sorted(self._open[request])
            if frame.candidates is not None:
                entry["candidates"] = _listed(frame.candidates, row)
                for token in {token for _, given in entry["candidates"] for token, _ in given} - self._told:
                    self._told.add(token)
                    strings[str(token)] = _readable(self._tokenizer.decode_bytes([token]))
            if frame.block is not None:
                entry["block"] = frame.block[row].tolist()
            if frame.verdict is not None:
                entry["verdict"] = spans(frame.verdict[row].tolist())
            rows.append(entry)
        self._frames += 1
        self._line({"rows": rows, "strings": strings} if strings else {"rows": rows})

    def close(self) -> None:
        """Write the last line, which says that the trace is whole."""
        self._line({"end": self._frames})
        self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def _line(self, content: dict[str, Any]) -> None:
        self._file.write(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()


def _listed(candidates: SparseState, row: int) -> list[list[Any]]:
    """Return the candidates of each position that has any, the likeliest first."""
    mass, order = candidates.mass[row].sort(-1, descending=True)
    tokens = candidates.tokens[row].gather(-1, order)
    found = []
    for position in (mass[:, 0] > 0).nonzero()[:, 0].tolist():
        pairs = zip(tokens[position].tolist(), mass[position].tolist(), strict=True)
        found.append([position, [[token, round(m, 4)] for token, m in pairs if m > 0]])
    return found


def _readable(data: bytes) -> str | list[int]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return list(data)


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
