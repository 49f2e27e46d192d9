"""Answers in OpenAI's shapes: choices, log-probabilities, usage, and under ``unmask`` what OpenAI has no word for."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unmask import __version__
from unmask.data.tokenizers import Tokenizer
from unmask.evaluation.token_scores import TokenScores
from unmask.result import plain
from unmask.sampling.infill import HoleRequest, hole_texts
from unmask.serving.asked import Canvas, How
from unmask.serving.served import Served
from unmask.serving.writing import Done


@dataclass(frozen=True)
class Head:
    """What all parts of one answer begin with.

    Attributes:
        kind: Prefix of the id.
        served: The run.
        id: The answer's.
        created: When it was asked for, in seconds.
    """

    kind: str
    served: Served
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(cls, kind: str, served: Served) -> Head:
        """Return the head of a new answer."""
        return cls(kind, served, f"{kind}-{secrets.token_hex(12)}")

    def answer(self, name: str, choices: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return an answer, or a part of one.

        Args:
            name: Kind of the object.
            choices: Its choices.
            more: Further keys.
        """
        return {
            "id": self.id,
            "object": name,
            "created": self.created,
            "model": self.served.id,
            "system_fingerprint": f"unmask-{__version__}-{self.served.run.manifest.get('weights_fingerprint')}",
            "choices": list(choices),
            **more,
        }


def usage(given: int, written: int) -> dict[str, int]:
    """Return what an answer cost, in tokens."""
    return {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}


def told(way: How, canvas: Canvas, done: Done, *, confidence: bool = False) -> dict[str, Any]:
    """Return the extension object of a choice.

    Args:
        way: How it was written.
        canvas: What was asked.
        done: What was written.
        confidence: Whether the confidence of each token is wanted.
    """
    said: dict[str, Any] = {**way.said(), "number": canvas.request.index}
    said |= {"steps": done.steps, "forwards": done.forwards}
    if (own := canvas.request.constraint) is not None:
        start = canvas.request.tokens.index(way.writer.vocabulary.mask)
        said["satisfied"] = own.fits(done.whole, start, way.writer.vocabulary.eos)
    if canvas.seen is not None:
        said["prompt_seen"] = canvas.seen
    if canvas.evidence is not None:
        said["evidence"] = plain(canvas.evidence)
    if canvas.spans:
        asked = HoleRequest(canvas.request, canvas.spans)
        said["fills"] = list(hole_texts(done.whole, asked, way.writer.run.tokenizer))
        said["lengths"] = [behind - first for first, behind in canvas.spans]
    if canvas.spans is not None:
        said["canvas_ids"] = list(done.whole[1:])
    if confidence:
        said["confidence"] = [round(value, 5) for value in done.sure]
        said["decided"] = list(done.decided)
    if way.plan is not None and done.checked is not None:
        said["checked"] = plain(way.plan.told(done.checked, done.whole))
    return said


def word(tokenizer: Tokenizer, token: int) -> str:
    """Return a token as text; bytes that are no text by themselves as ``bytes:`` and their escapes."""
    if token == tokenizer.eos_id:
        return "<eos>"
    data = tokenizer.decode_bytes([token])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def logprobs(
    tokenizer: Tokenizer, tokens: Sequence[int], scores: TokenScores, most: int, first: bool, offset: int = 0
) -> dict[str, Any]:
    """Return the log-probabilities of a completion.

    Args:
        tokenizer: The run's.
        tokens: Those that are told.
        scores: Of each, or of each but the first.
        most: How many of the likeliest are told.
        first: Whether the first token was given without being scored (BOS).
        offset: Characters before the first token.
    """
    none: list[Any] = [None] if first else []
    words = [word(tokenizer, token) for token in tokens]
    best = [_best(tokenizer, own, most) for own in scores.likeliest] if most else None
    offsets, data = [], b""
    for token in tokens:
        offsets.append(offset + len(data.decode("utf-8", "ignore")))
        data += tokenizer.decode_bytes([token])
    return {
        "tokens": words,
        "token_logprobs": none + scores.logprobs,
        "top_logprobs": None if best is None else none + best,
        "text_offset": offsets,
    }


def _best(tokenizer: Tokenizer, likeliest: Sequence[tuple[int, float]], most: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for token, value in likeliest[:most]:
        found.setdefault(word(tokenizer, token), value)
    return found


def chat_logprobs(tokenizer: Tokenizer, tokens: Sequence[int], scores: TokenScores, most: int) -> dict[str, Any]:
    """Return the log-probabilities of a message. Arguments: as of :func:`logprobs`."""

    def one(token: int, value: float) -> dict[str, Any]:
        return {
            "token": word(tokenizer, token),
            "logprob": value,
            "bytes": list(tokenizer.decode_bytes([token])),
        }

    content = []
    for place, (token, value) in enumerate(zip(tokens, scores.logprobs, strict=True)):
        best = [one(*pair) for pair in scores.likeliest[place][:most]] if most else []
        content.append({**one(token, value), "top_logprobs": best})
    return {"content": content, "refusal": None}


def chosen_scores(done: Done) -> TokenScores:
    """Return the log-probabilities of written tokens as they were when each was chosen."""
    return TokenScores([math.log(max(value, 1e-45)) for value in done.sure], [])
