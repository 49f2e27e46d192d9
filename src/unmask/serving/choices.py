"""``POST /v1/choices``: which of several options belongs in a place of a text, with probabilities that sum to one."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from unmask.api.choose import MOST_OPTIONS, ChooseResult, choose
from unmask.serving.schema import SEED, Strict
from unmask.serving.service import service_of, unless_gone

router = APIRouter()


class ChoicesRequest(Strict):
    """A request to ``/v1/choices``."""

    model: str | None = Field(None, max_length=512, description="id of a loaded run; may be left out if it is alone")
    prompt: str = Field(description="text before the options, or around them: a run of four or more underscores")
    options: list[str] = Field(min_length=2, max_length=MOST_OPTIONS, description="the options, none twice")
    by: Literal["auto", "exact", "one-call"] = Field(
        "auto", description="of a run that sees both sides: exact, or all words of an option in one call"
    )
    normalise: Literal["none", "tokens", "bytes"] = Field("none", description="what nats are divided by")
    calibrated: bool | None = Field(None, description="whether the run's calibration counts; null: where it can")
    hole: str | None = Field(None, max_length=64, description="another sign for the place")
    orders: int = Field(4, ge=1, le=64, description="random orders that lengths of options are weighed in")
    draws: int = Field(8, ge=1, le=256, description="network calls behind a bound")
    seed: int = Field(0, ge=-SEED, lt=SEED, description="of orders and draws")
    user: str | None = Field(None, max_length=512, description="yours to tell users apart; it is logged")


@router.post("/v1/choices")
async def choices(request: Request, body: ChoicesRequest) -> dict[str, Any]:
    """Weigh options."""
    service = service_of(request)
    served = service.shelf.find(body.model)
    request.state.told = {"model": served.id, "texts": len(body.options), "user": body.user}
    given = body.model_dump(exclude={"model", "prompt", "options", "user"})
    work = partial(choose, served.run, body.prompt, body.options, **given)
    found: ChooseResult = await unless_gone(request, service.laid(work, asks=True))
    return answer(served.id, found)


def answer(model: str, found: ChooseResult) -> dict[str, Any]:
    """Return what a client is told: the options in their order."""
    each = zip(found.options, found.probabilities, found.nats, found.tokens, strict=True)
    return {
        "object": "choices",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {"index": index, "option": option, "probability": probability, "logprob": -nats, "tokens": tokens}
            for index, (option, probability, nats, tokens) in enumerate(each)
        ],
        "choice": found.choice,
        "kind": found.kind,
        "calibrated": found.calibrated,
        "normalise": found.normalise,
        "prompt_seen": found.prompt_seen,
        "usage": {
            "prompt_tokens": found.prompt_tokens,
            "completion_tokens": sum(found.tokens),
            "total_tokens": found.prompt_tokens + sum(found.tokens),
            "calls": found.calls,
        },
    }
