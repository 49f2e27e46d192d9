"""A small server with the part of the public API that the page uses, for as long as ``unmask serve`` is not there."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

import unmask
from unmask.api.samplers import samplers
from unmask.api.writing import vocabulary_of
from unmask.errors import Error
from unmask.sampling import SAMPLERS, fill_request
from unmask.sampling.infill import hole_requests, parse_holes
from unmask.sampling.loop import collect, ticks
from unmask.sampling.request import Request as Asked
from unmask.sampling.trace_lines import TraceLines

PAGE = Path(__file__).parents[2] / "src" / "unmask" / "serving" / "page"


def create(paths: list[str], delay: float = 0.0) -> FastAPI:
    runs = {Path(p).name: unmask.load(p) for p in paths}
    app = FastAPI()

    @app.get("/v1/unmask")
    def offers() -> dict[str, Any]:
        models = []
        for name, run in runs.items():
            own = [s for s in samplers() if run.recipe.process.name in s.processes]
            models.append(
                {
                    "id": name,
                    "process": run.recipe.process.name,
                    "visibility": own[0].visibility,
                    "sampler": run.recipe.sampler_settings(None).name,
                    "samplers": [s.to_dict() for s in own],
                    "context": run.network.config.max_position_embeddings,
                    "thoughts": False,
                    "settings": run.recipe.sampler_settings(None).model_dump(),
                    "tokenizer": run.tokenizer.name,
                    "fingerprint": run.tokenizer.fingerprint,
                }
            )
        return {"models": models, "indexes": []}

    @app.post("/v1/completions")
    async def completions(request: Request) -> Any:
        body = await request.json()
        more, run = body["unmask"], runs[body["model"]]
        words = vocabulary_of(run.tokenizer, run.network)
        name = more.get("sampler") or run.recipe.sampler_settings(None).name
        try:
            values = {**more.get("settings", {}), "seed": body.get("seed", 0)}
            values |= {"temperature": body["temperature"]} if "temperature" in body else {}
            values |= {"steps": more["steps"]} if "steps" in more else {}
            settings = (
                SAMPLERS.facts(name).make(values)
                if hasattr(SAMPLERS.facts(name), "make")
                else SAMPLERS.facts(name)(**values)
            )
            if "canvas" in more:
                asked = Asked((words.bos, *(words.mask if t is None else t for t in more["canvas"])), settings)
            elif more.get("infill"):
                pieces = parse_holes(body["prompt"], None)
                (one,) = hole_requests(pieces, [(3,) * (len(pieces) - 1)], run.tokenizer, words, settings)
                asked = one.request
            else:
                asked = fill_request(run.tokenizer.encode(body["prompt"]), body["max_tokens"], words, settings)
            sampler = SAMPLERS.get(name)()
            steps = ticks(run.network, sampler, [asked], words, process=run.process)
            first = next(steps)
        except Error as error:
            return JSONResponse({"error": {"message": str(error)}}, 400)

        def told() -> Iterator[str]:
            lines, done = TraceLines(name, [asked], run.tokenizer, words, body["model"]), {}
            yield f"event: canvas\ndata: {lines.header()}\n\n"
            with torch.no_grad():
                for tick in [first]:
                    yield f"event: canvas\ndata: {lines.line(tick.which, tick.frame)}\n\n"
                for tick in steps:
                    collect(tick, done)
                    time.sleep(delay)
                    yield f"event: canvas\ndata: {lines.line(tick.which, tick.frame)}\n\n"
            yield f"event: canvas\ndata: {lines.end()}\n\n"
            text = run.tokenizer.decode(done[0].tokens) if done else ""
            answer = {"choices": [{"index": 0, "text": text, "finish_reason": "length", "unmask": {"sampler": name}}]}
            yield f"data: {json.dumps(answer)}\n\ndata: [DONE]\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    app.mount("/", StaticFiles(directory=PAGE, html=True))

    @app.middleware("http")
    async def policy(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return app


if __name__ == "__main__":
    torch.set_num_threads(1)
    uvicorn.run(create(sys.argv[2:]), port=int(sys.argv[1]), log_level="warning")
