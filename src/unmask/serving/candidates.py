"""``unmask.candidates``: what could stand at the open places of a canvas, by one network call; nothing is written."""

from __future__ import annotations

from typing import Any

from unmask.data.tokenizers import Tokenizer
from unmask.sampling.likeliest import likeliest
from unmask.serving import asked
from unmask.serving.answers import Head, usage
from unmask.serving.problems import Problem, unsupported
from unmask.serving.schema import CompletionRequest
from unmask.serving.served import Shelf


def candidates(shelf: Shelf, body: CompletionRequest) -> dict[str, Any]:
    """Return the answer: under ``unmask.candidates`` the likeliest tokens of each open place, with probabilities.

    Raises:
        Problem: there is no canvas, or what is asked besides means nothing here.
        Error: what the run cannot do.
    """
    extra = body.unmask
    if extra.canvas is None:
        raise Problem(400, "candidates are those of a canvas's open places; give unmask.canvas.", "unmask.candidates")
    for name in ("stream", "n", "echo", "logprobs"):
        if getattr(body, name) not in (None, False) and (name, body.n) != ("n", 1):
            raise unsupported(name, "unmask.candidates answers what could stand in a canvas, and writes nothing.")
    if extra.verifier is not None:
        raise unsupported("unmask.verifier", "candidates are those of the run itself.")
    asked.check_goes_together(body, body.prompt, body.suffix)
    way = asked.how(shelf, body)
    (canvas,) = asked.canvases(way, body, extra.canvas)
    run = way.served.run
    found = likeliest(run.network, run.process, canvas.request, way.served.vocabulary, extra.candidates or 1)
    told = [
        {"place": place, "likeliest": [_told(run.tokenizer, token, share) for token, share in pairs]}
        for place, pairs in found.items()
    ]
    choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop", "unmask": {"candidates": told}}
    return Head.of("cmpl", way.served).answer("text_completion", [choice], usage=usage(canvas.given, 0))


def _told(tokenizer: Tokenizer, token: int, share: float) -> dict[str, Any]:
    """Return a token with its text: empty at the end of a text, ``None`` where its bytes are no text by themselves."""
    data = b"" if token == tokenizer.eos_id else tokenizer.decode_bytes([token])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"token": token, "text": text, "probability": round(share, 6)}
