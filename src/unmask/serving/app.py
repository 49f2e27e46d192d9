"""The app: routes, what guards them, and what lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import torch
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from unmask import __version__
from unmask.serving import about, chat, choices, completions
from unmask.serving.engine import Engine
from unmask.serving.limits import Limits
from unmask.serving.metrics import Metrics
from unmask.serving.options import ServeOptions
from unmask.serving.problems import told_as_problems
from unmask.serving.safety import Guard
from unmask.serving.served import Shelf, stamp_of
from unmask.serving.service import Service

PAGE = Path(__file__).parent / "page"
"""The page's files."""
LOOKS = 2.0
"""Seconds between looks at the folders of runs."""


def create_app(shelf: Shelf, options: ServeOptions) -> FastAPI:
    """Return the app.

    Args:
        shelf: What is loaded.
        options: How it is to run.
    """
    metrics = Metrics()
    limits = Limits(options.rows, options.queue, options.memory or _free() // 2, options.deadline)
    service = Service(options, shelf, Engine(limits, metrics), metrics)

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        watching = asyncio.create_task(_renewed(service)) if options.reload else None
        try:
            yield
        finally:
            service.draining = True
            if watching is not None:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
            await asyncio.to_thread(service.engine.close, 0.0)
            service.aside.close()

    app = FastAPI(title="unmask", version=__version__, lifespan=living, docs_url=None, redoc_url=None)
    app.state.service = service
    app.add_middleware(Guard, options=options, metrics=metrics)
    told_as_problems(app)
    for part in (about, completions, chat, choices):
        app.include_router(part.router)
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True), "page")
    return app


def _free() -> int:
    """Return the bytes of memory that are free."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


async def _renewed(service: Service) -> None:
    """Load runs again whose folders changed, once they have stopped changing."""
    seen: dict[str, object] = {}
    failed: dict[str, object] = {}
    while True:
        await asyncio.sleep(LOOKS)
        for name in service.shelf.changed():
            stamp = stamp_of(service.shelf.models[name].run.path)
            if seen.get(name) == stamp and failed.get(name) != stamp:
                if not await asyncio.to_thread(service.shelf.renew, name):
                    failed[name] = stamp
            seen[name] = stamp
