"""What a server says of itself: its models, what each can do, how it is, what it counts."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from unmask import __version__
from unmask.api.samplers import samplers
from unmask.api.settings import preset_of
from unmask.errors import Error
from unmask.evaluation.token_scores import reads_left_to_right
from unmask.result import plain
from unmask.sampling.registry import SAMPLERS, drives
from unmask.sampling.thought_steps import options_of, passages_of
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem
from unmask.serving.served import Served
from unmask.serving.service import service_of

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """Tell that the process lives."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Tell whether requests are taken."""
    if service_of(request).draining:
        return Problem(503, "the server stops and takes no more requests.", code="closed").response()
    return JSONResponse({"status": "ready"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return what is counted."""
    text = await asyncio.to_thread(service_of(request).metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4")


def model_of(served: Served) -> dict[str, Any]:
    """Return a model in OpenAI's shape."""
    return {"id": served.id, "object": "model", "created": served.created, "owned_by": "unmask"}


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """List the models."""
    return {"object": "list", "data": [model_of(one) for one in service_of(request).shelf]}


@router.get("/v1/models/{name}")
async def model(request: Request, name: str) -> dict[str, Any]:
    """Return one model."""
    return model_of(service_of(request).shelf.find(name))


@router.get("/v1/unmask")
async def unmask(request: Request) -> dict[str, Any]:
    """Tell what requests may ask for: samplers and settings of each model, indexes, limits."""
    service = service_of(request)
    return {
        "version": __version__,
        "models": [await asyncio.to_thread(told, one) for one in service.shelf],
        "indexes": [
            {"name": name, "texts": len(index), "embedder": index.manifest.embedder}
            for name, index in service.shelf.indexes.items()
        ],
        "limits": limits(service.options),
    }


def told(served: Served) -> dict[str, Any]:
    """Return what a model can do."""
    run, process = served.run, served.run.process
    try:
        tuned = preset_of(run, None, True)
        settings = run.recipe.sampler_settings(None) if tuned is None else tuned.settings
        preset = None if tuned is None else str(tuned)
    except Error:  # a damaged preset: a request that names a sampler is answered all the same
        settings, preset = run.recipe.sampler_settings(None), None
    driving = [name for name in SAMPLERS if drives(SAMPLERS.facts(name), process)]
    network, thoughts, passages = run.network, options_of(run.network), passages_of(run.network)
    return {
        **model_of(served),
        "process": process.name,
        "visibility": process.visibility,
        "shows": process.shows,
        "sampler": settings.name,
        "settings": settings.model_dump(),
        "preset": preset,
        "samplers": [plain(samplers(name)[0]) for name in driving],
        "context": served.context,
        "vocabulary": {name: getattr(served.vocabulary, name) for name in ("size", "pad", "bos", "eos", "mask")},
        "tokenizer": run.tokenizer.name,
        "fingerprint": run.tokenizer.fingerprint,
        "binary": run.tokenizer.binary,
        "parameters": run.manifest.get("parameters"),
        "infills": settings.visibility != "causal",
        "logprobs": "exact" if reads_left_to_right(process) else None,
        "verifies": reads_left_to_right(process),
        "thoughts": None if thoughts is None else {"shape": thoughts.shape, "passage": thoughts.passage},
        "passage": None if passages is None else passages.passage,
        "evidence": int(getattr(network.config, "memory_width", 0)) > 0,
        "scripts": run.recipe.process_options().model_dump().get("scripts"),
    }


def limits(options: ServeOptions) -> dict[str, Any]:
    """Return what a request may ask for at most."""
    return {
        "max_tokens": options.max_tokens,
        "texts": options.texts,
        "body": options.body,
        "deadline": options.deadline,
        "rows": options.rows,
        "queue": options.queue,
    }
