"""``unmask serve``: answer over HTTP, as OpenAI's API does, with runs."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note
from unmask.errors import Error
from unmask.lines import shell
from unmask.progress_line import ProgressLine
from unmask.serving.options import LOCAL, ServeOptions
from unmask.training.find_run import BOX, known_runs

KEYS = "UNMASK_API_KEYS"
"""Environment: API keys, with commas between them."""
_MIB = 1 << 20
_DEFAULT: dict[str, Any] = {field.name: field.default for field in fields(ServeOptions)}


def _refuse(given: Parameters) -> None:
    if not given["runs"] and (there := known_runs()):
        count = f"there {'is' if len(there) == 1 else 'are'} {len(there)}"
        other = f"or the model in the box: unmask serve {BOX}"
        raise Error(f"name a run: unmask serve {shell(there[0])} ({count}), {other}")
    for name in ("host", "port"):
        if isinstance(given[name], str) and not given[name].strip():
            raise Error(f"--{name} is empty; leave it out.")
    if not 0 <= given["port"] <= 65535:
        raise Error(f"--port is {given['port']}; ports are 0 to 65535 (0: any that is free).")
    if given["on"] not in ("local", "ray"):
        raise Error(f"--on is {given['on']!r}; choose local or ray.")
    if given["on"] == "local" and (given["replicas"] != 1 or given["address"] is not None):
        raise Error("--replicas and --address are of Ray; add --on ray (on this machine alone: --workers).")
    if given["on"] == "ray" and given["workers"] != 1:
        raise Error("--workers are of this machine; with --on ray say --replicas.")
    ones = dict.fromkeys(("workers", "replicas", "rows", "queue", "max_tokens", "texts", "connections"), 1)
    for name, value in {**ones, "body": 1024}.items():
        if given[name] < value:
            raise Error(f"--{name.replace('_', '-')} is {given[name]}; it must be at least {value}.")
    for name in ("deadline", "patience"):
        if not given[name] > 0:
            raise Error(f"--{name} is {given[name]:g}; it must be above 0 seconds.")
    if given["drain"] < 0 or given["cache"] < 0:
        raise Error("--drain and --cache must be 0 or more.")
    if given["memory"] is not None and given["memory"] < 1:
        raise Error(f"--memory is {given['memory']}; it must be at least 1 (MB).")
    _indexes(given["named_indexes"] or ())
    if find_spec("fastapi") is None or find_spec("uvicorn") is None or find_spec("prometheus_client") is None:
        raise Error("unmask serve needs FastAPI and uvicorn; install them with: pip install 'unmask[serve]'")


def _indexes(given: Any) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for text in given:
        name, sign, folder = text.partition("=")
        if not sign or not name or not folder:
            raise Error(f"--index {text!r} must be NAME=FOLDER; requests name the index by NAME.")
        if name in found:
            raise Error(f"--index {name} is given twice; choose another name.")
        from unmask.roots.manifest import read_manifest

        read_manifest(Path(folder))
        found[name] = folder
    return tuple(found.items())


def _keys(path: Path | None) -> tuple[str, ...]:
    """Return the API keys of a file, one a line, and of the environment."""
    lines = os.environ.get(KEYS, "").split(",")
    if path is not None:
        try:
            lines += path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise Error(f"{path} is not UTF-8; it holds one API key a line.") from error
    keys = tuple(dict.fromkeys(key for line in lines if (key := line.strip()) and not key.startswith("#")))
    if not keys and (path is not None or os.environ.get(KEYS)):
        raise Error(f"{path or KEYS} holds no API key; it has one a line." if path else f"{KEYS} holds no API key.")
    short = [key for key in keys if len(key) < 8]
    if short:
        raise Error("an API key has fewer than 8 characters; make a longer one, such as: openssl rand -hex 16")
    return keys


@refused_by(_refuse)
def serve(
    *,
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Run folders, runs/NAME by their names, or Hub names; none: the model in the box."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all.")] = _DEFAULT["host"],
    port: Annotated[int, typer.Option(help="Port; 0: any that is free.")] = _DEFAULT["port"],
    api_key_file: Annotated[
        Path | None,
        typer.Option(help=f"File of API keys, one a line; so is {KEYS}, with commas. None: all are answered."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name that this server is called by (Host header); repeatable.")
    ] = None,
    named_indexes: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME=FOLDER", help="An index that requests may name; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port, each with its own weights.")] = 1,
    on: Annotated[
        str, typer.Option("--on", help="local, or ray: replicas of Ray Serve, pip install 'unmask[ray,serve]'.")
    ] = _DEFAULT["on"],
    replicas: Annotated[int, typer.Option(help="With --on ray: replicas, each with its own weights.")] = _DEFAULT[
        "replicas"
    ],
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster, such as auto; default a Ray on this machine.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where the weights go; default: a GPU if there is one.")] = None,
    rows: Annotated[int, typer.Option(help="Most texts written together.")] = _DEFAULT["rows"],
    queue: Annotated[int, typer.Option(help="Most texts that wait; beyond: 429.")] = _DEFAULT["queue"],
    memory: Annotated[
        int | None, typer.Option(help="MB that texts being written may take; default: half of what is free.")
    ] = None,
    deadline: Annotated[float, typer.Option(help="Seconds until a text is given up.")] = _DEFAULT["deadline"],
    max_tokens: Annotated[int, typer.Option(help="Most tokens to write in one text.")] = _DEFAULT["max_tokens"],
    texts: Annotated[int, typer.Option(help="Most texts of one request.")] = _DEFAULT["texts"],
    body: Annotated[int, typer.Option(help="Most bytes of a request; beyond: 413.")] = _DEFAULT["body"],
    patience: Annotated[float, typer.Option(help="Seconds for a request to come whole.")] = _DEFAULT["patience"],
    connections: Annotated[int, typer.Option(help="Most open connections.")] = _DEFAULT["connections"],
    drain: Annotated[float, typer.Option(help="Seconds to finish in after SIGTERM.")] = _DEFAULT["drain"],
    cache: Annotated[int, typer.Option(help="MB of finished texts kept for each run; 0: none.")] = 0,
    reload: Annotated[bool, typer.Option("--reload", help="Load a run again when its folder changes.")] = False,
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="Log what requests hold.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings and errors alone.")] = False,
) -> None:
    """Serve runs over HTTP, as OpenAI's API does, with a page to watch them write."""
    from unmask.serving.server import serve as run

    options = ServeOptions(
        runs=tuple(runs or (BOX,)),
        indexes=_indexes(named_indexes or ()),
        host=host,
        port=port,
        workers=workers,
        on=on,
        replicas=replicas,
        address=address,
        keys=_keys(api_key_file),
        hosts=tuple(allow_host or ()),
        device=device,
        rows=rows,
        queue=queue,
        memory=None if memory is None else memory * _MIB,
        deadline=deadline,
        max_tokens=max_tokens,
        texts=texts,
        body=body,
        patience=patience,
        connections=connections,
        drain=drain,
        cache=cache * _MIB,
        reload=reload,
        log_prompts=log_prompts,
        log=not quiet,
    )
    if host not in LOCAL and not options.keys:
        note("warning: whoever reaches this address is answered; give API keys with --api-key-file.")

    def tell(address: str) -> None:
        loading.close()
        note(f"serving {', '.join(options.runs)} at {address} (Ctrl-C stops)")

    with ExitStack() as loading:
        loading.enter_context(ProgressLine(f"loading {', '.join(options.runs)}"))
        run(options, tell)
