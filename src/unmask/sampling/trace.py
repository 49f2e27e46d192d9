"""Trace files: a sampling run, frame by frame, as JSON lines (gzip if the name ends in .gz); replay needs no run.

    {"format": 1, "kind": "unmask-trace", "sampler", "run", "tokenizer": {name, fingerprint}, "vocabulary": {...},
     "requests": [{"length", "index", "settings"}], "created"}
    {"rows": [{"request", "step", "set": [[position, token, confidence], ...], "length",
               "candidates": [[position, [[token, mass], ...]], ...]}], "strings": {token: text}}
    ...
    {"end": number of frames}

Frames hold what changed since the request's last frame; a position that opens again is set to the mask id. The first
frame of a request holds its given words. ``candidates`` are there for models that carry them: those of all open
positions, masses to four digits. ``strings`` brings the tokens seen for the first time: their text, or their
bytes as a list of numbers where they are not UTF-8 by themselves.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TextIO, cast

import torch

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.state import SparseState
from unmask.errors import Error
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.state import Frame

FORMAT = 1
KIND = "unmask-trace"


def _open(path: Path, mode: str) -> TextIO:
    raw = gzip.GzipFile(path, mode + "b") if path.suffix == ".gz" else path.open(mode + "b")
    return TextIOWrapper(cast(BinaryIO, raw), encoding="utf-8")


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
        self._told: set[int] = set()
        self._last = [[vocabulary.mask] * len(r.tokens) for r in requests]
        self._frames = 0
        special = {"pad": vocabulary.pad, "bos": vocabulary.bos, "eos": vocabulary.eos, "mask": vocabulary.mask}
        header = {
            "format": FORMAT,
            "kind": KIND,
            "sampler": sampler,
            "run": run,
            "tokenizer": {"name": tokenizer.name, "fingerprint": tokenizer.fingerprint},
            "vocabulary": special,
            "requests": [{"length": len(r.tokens), "index": r.index, "settings": asdict(r.settings)} for r in requests],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _refuse_other(Path(path))
        try:
            self._file = _open(Path(path), "w")
        except OSError as error:
            raise Error(f"the trace {path} cannot be written: {error.strerror}; choose another place.") from error
        self._line(header)

    def write(self, which: Sequence[int], frame: Frame) -> None:
        """Add a frame whose rows are the requests ``which``."""
        rows, strings = [], {}
        tokens, confidence = frame.tokens.tolist(), frame.confidence.tolist()
        lengths = frame.valid.sum(1).tolist()
        for row, request in enumerate(which):
            last = self._last[request]
            changed = [p for p in range(min(lengths[row], len(last))) if tokens[row][p] != last[p]]
            for p in changed:
                token = last[p] = tokens[row][p]
                if token not in self._told and token != self._mask:
                    self._told.add(token)
                    strings[str(token)] = _readable(self._tokenizer.decode_bytes([token]))
            sets = [[p, last[p], round(confidence[row][p], 5)] for p in changed]
            entry = {"request": request, "step": int(frame.step[row]), "set": sets, "length": lengths[row]}
            if frame.candidates is not None:
                entry["candidates"] = _listed(frame.candidates, row)
                for token in {token for _, given in entry["candidates"] for token, _ in given} - self._told:
                    self._told.add(token)
                    strings[str(token)] = _readable(self._tokenizer.decode_bytes([token]))
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


def _refuse_other(path: Path) -> None:
    """Refuse to write over a file that is neither empty nor a trace: it may be a corpus, or weights."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with _open(path, "r") as file:
            known = f'"kind":"{KIND}"' in file.readline(1 << 16)
    except (OSError, EOFError, ValueError):
        known = False
    if not known:
        raise Error(f"{path} exists and is no trace; name another file for --trace.")


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
    if header.get("kind") != KIND:
        raise Error(f"{path} is not a trace; make one with: unmask sample RUN --trace FILE")
    if header.get("format") != FORMAT:
        raise Error(
            f"trace {path} has format {header.get('format')}, this version reads {FORMAT}; "
            "upgrade with: pip install -U unmask"
        )
    whole = not broken and len(lines) > 1 and lines[-1].get("end") == len(lines) - 2
    body = lines[1:-1] if whole else [line for line in lines[1:] if "rows" in line]
    strings: dict[int, bytes] = {}
    try:
        canvases = [_Canvas(r["length"], header["vocabulary"]["mask"]) for r in header["requests"]]
        frames = []
        for line in body:
            for token, text in line.get("strings", {}).items():
                strings[int(token)] = text.encode() if isinstance(text, str) else bytes(text)
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
    except (KeyError, TypeError, ValueError, IndexError) as error:
        why = error if type(error) is ValueError else repr(error)
        raise Error(f"trace {path} is damaged ({why}); record it again with --trace.") from error
    return Trace(header, tuple(frames), strings, whole)


def _lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the lines that are whole, and whether the file breaks off within one."""
    lines: list[dict[str, Any]] = []
    try:
        with _open(path, "r") as file:
            for text in file:
                lines.append(json.loads(text))
                if not isinstance(lines[-1], dict):
                    raise ValueError("a line is not an object")
    except FileNotFoundError as error:
        raise Error(f"there is no trace {path}; make one with: unmask sample RUN --trace {path}") from error
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        rest = lines and not isinstance(error, gzip.BadGzipFile)
        if not rest:
            raise Error(f"{path} is not a trace; make one with: unmask sample RUN --trace FILE") from error
        return [line for line in lines if isinstance(line, dict)], True
    except OSError as error:
        raise Error(f"the trace {path} cannot be read: {error.strerror or error}; give a file of --trace.") from error
    return lines, False


class _Canvas:
    """The last known canvas of a request."""

    def __init__(self, length: int, mask: int) -> None:
        self.tokens = [mask] * length
        self.confidence = [0.0] * length
        self.length = length


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
            canvas.tokens[position], canvas.confidence[position] = token, trust
            changed[i, position] = row["step"] > 0
        n = row["length"]
        changed[i, n : canvas.length] = True
        canvas.length = n
        tokens[i, :n] = torch.tensor(canvas.tokens[:n])
        confidence[i, :n] = torch.tensor(canvas.confidence[:n])
        valid[i, :n] = True
    steps = torch.tensor([row["step"] for row in rows])
    committed = valid & (tokens != special["mask"])
    return which, Frame(steps, tokens, committed, changed, valid, confidence, _candidates(rows, size))


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
