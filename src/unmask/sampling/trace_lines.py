"""A sampling run as JSON lines, frame by frame: what a trace file holds, and what a server streams of a canvas.

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

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.state import SparseState
from unmask.sampling.checks import spans
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.state import Frame
from unmask.sampling.trace_header import KIND


class TraceLines:
    """Makes the lines of one trace, each without a line feed; it keeps what its reader knows so far.

    Args:
        sampler: Name of the sampler.
        requests: What is being sampled; lines name them by their number here.
        tokenizer: Gives tokens their text.
        vocabulary: The special tokens.
        run: Name of the run.
    """

    def __init__(
        self, sampler: str, requests: Sequence[Request], tokenizer: Tokenizer, vocabulary: Vocabulary, run: str = ""
    ) -> None:
        self._sampler, self._requests, self._run = sampler, tuple(requests), run
        self._tokenizer, self._vocabulary = tokenizer, vocabulary
        self._doubtful = sampler in SAMPLERS and SAMPLERS.facts(sampler).shows == "token"
        self._told: set[int] = set()
        self._last = [[vocabulary.mask] * len(r.tokens) for r in requests]
        self._open: list[set[int]] = [set() for _ in requests]
        self._frames = 0

    def header(self) -> str:
        """Return the first line."""
        special = {name: getattr(self._vocabulary, name) for name in ("pad", "bos", "eos", "mask")}
        return _json(
            {
                "format": 2 if self._doubtful else 1,
                "kind": KIND,
                "sampler": self._sampler,
                "run": self._run,
                "tokenizer": {"name": self._tokenizer.name, "fingerprint": self._tokenizer.fingerprint},
                "vocabulary": special,
                "requests": [
                    {"length": len(r.tokens), "index": r.index, "settings": r.settings.model_dump()}
                    for r in self._requests
                ],
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )

    def line(self, which: Sequence[int], frame: Frame, rows: Sequence[int] | None = None) -> str:
        """Return the line of a frame.

        Args:
            which: Numbers of the requests that it shows.
            frame: The frame; it may have rows of others, too.
            rows: The row of each of ``which``; ``None``: they are its rows, in order.
        """
        entries, strings = [], dict[str, str | list[int]]()
        for request, row in zip(which, range(len(which)) if rows is None else rows, strict=True):
            entry = self._entry(request, frame, row)
            entries.append(entry)
            shown = {token for _, token, _ in entry["set"]} - {self._vocabulary.mask}
            shown |= {token for _, given in entry.get("candidates", ()) for token, _ in given}
            for token in sorted(shown - self._told):
                strings[str(token)] = _readable(self._tokenizer.decode_bytes([token]))
            self._told |= shown
        self._frames += 1
        return _json({"rows": entries, "strings": strings} if strings else {"rows": entries})

    def end(self) -> str:
        """Return the last line, which says that the trace is whole."""
        return _json({"end": self._frames})

    def _entry(self, request: int, frame: Frame, row: int) -> dict[str, Any]:
        last, opened = self._last[request], self._open[request]
        tokens, confidence = frame.tokens[row].tolist(), frame.confidence[row].tolist()
        length = int(frame.valid[row].sum())
        if self._doubtful:
            shown = ~frame.committed[row] & frame.valid[row] & (frame.tokens[row] != self._vocabulary.mask)
            self._open[request] = set(shown.nonzero()[:, 0].tolist())
        closed = opened - self._open[request]  # their words may stay, and be believed otherwise in the end
        changed = [p for p in range(min(length, len(last))) if tokens[p] != last[p] or p in closed]
        for p in changed:
            last[p] = tokens[p]
        sets = [[p, last[p], round(confidence[p], 5)] for p in changed]
        entry: dict[str, Any] = {"request": request, "step": int(frame.step[row]), "set": sets, "length": length}
        if frame.forwards is not None:
            entry["calls"] = int(frame.forwards[row])
        if self._doubtful:
            entry["open"] = sorted(self._open[request])
        if frame.candidates is not None:
            entry["candidates"] = _listed(frame.candidates, row)
        if frame.block is not None:
            entry["block"] = frame.block[row].tolist()
        if frame.verdict is not None:
            entry["verdict"] = spans(frame.verdict[row].tolist())
        return entry


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


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
