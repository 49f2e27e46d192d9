"""How a server is to run, as the command line says it: plain values, known without torch and without FastAPI."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""


@dataclass(frozen=True)
class ServeOptions:
    """Everything that a worker of the server is told.

    Attributes:
        runs: Run folders, names or Hub names.
        indexes: Name -> folder of an index that requests may name.
        host: Address to listen at.
        port: Port; 0: any that is free.
        workers: Processes that share the port, each with its own weights.
        on: ``local``, or ``ray``: replicas of Ray Serve behind this process.
        replicas: How many of them, each with its own weights.
        address: Of a Ray cluster; ``None``: a Ray on this machine.
        keys: API keys; with none, whoever reaches the port is answered.
        hosts: Further names that the Host header may have.
        device: Where the weights go; ``None``: a GPU if there is one.
        rows: Most texts that are written together.
        queue: Most texts that wait.
        memory: Bytes that texts being written may take; ``None``: half of what is free.
        deadline: Seconds after which a text that is not finished is given up.
        max_tokens: Most tokens a request may ask for in one text.
        texts: Most texts of one request.
        body: Most bytes of a request's body.
        patience: Seconds that a client has to send a request whole.
        connections: Most open connections.
        drain: Seconds that running texts have to finish after SIGTERM.
        cache: Bytes of finished texts that are kept, a run; 0: none.
        reload: Whether a run is loaded again when its folder changes.
        log_prompts: Whether logs have prompts and texts.
        log: Whether there are logs at all.
    """

    runs: tuple[str, ...]
    indexes: tuple[tuple[str, str], ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    on: str = "local"
    replicas: int = 1
    address: str | None = None
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    device: str | None = None
    rows: int = 32
    queue: int = 256
    memory: int | None = None
    deadline: float = 300.0
    max_tokens: int = 4096
    texts: int = 64
    body: int = 1 << 20
    patience: float = 10.0
    connections: int = 1024
    drain: float = 30.0
    cache: int = 0
    reload: bool = False
    log_prompts: bool = False
    log: bool = True
