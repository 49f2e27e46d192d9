"""The first line of a trace file: is it one, and may another one be written in its place? Read without torch."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from unmask.errors import Error
from unmask.lines import shell

FORMAT = 2
KIND = "unmask-trace"
_MOST = 1 << 26
"""Characters of a first line, which lists the requests."""


def open_trace(path: Path, mode: str) -> TextIO:
    """Open a trace file as text; one whose name ends in .gz is compressed."""
    raw = gzip.GzipFile(path, mode + "b") if path.suffix == ".gz" else path.open(mode + "b")
    return TextIOWrapper(cast(BinaryIO, raw), encoding="utf-8" if mode == "w" else "utf-8-sig")


def missing(path: str | Path) -> Error:
    """Say that there is no such trace."""
    return Error(f"there is no trace {path}; make one with: unmask sample RUN --trace {shell(path)}")


def not_a_trace(path: str | Path) -> Error:
    """Say that a file is something else."""
    return Error(f"{path} is not a trace; make one with: unmask sample RUN --trace FILE")


def check_header(header: Mapping[str, Any], path: str | Path) -> None:
    """Raise Error unless a first line is that of a trace of our format."""
    if header.get("kind") != KIND:
        raise not_a_trace(path)
    if header.get("format") not in range(1, FORMAT + 1):
        raise Error(
            f"trace {path} has format {header.get('format')}, this version reads up to {FORMAT}; "
            "upgrade with: pip install -U unmask"
        )


def check_trace(path: Path) -> None:
    """Raise Error unless a file begins as a trace; what follows is checked when it is read."""
    try:
        with open_trace(path, "r") as file:
            header = json.loads(file.readline(_MOST))
    except FileNotFoundError as error:
        raise missing(path) from error
    except (ValueError, EOFError, RecursionError, gzip.BadGzipFile) as error:
        raise not_a_trace(path) from error
    except OSError as error:
        raise Error(f"the trace {path} cannot be read: {error.strerror or error}; give a file of --trace.") from error
    if not isinstance(header, dict):
        raise not_a_trace(path)
    check_header(header, path)


def refuse_other(path: Path) -> None:
    """Refuse to write over a file that is neither empty nor a trace: it may be a corpus, or weights."""
    if path.is_dir():
        raise Error(f"the trace {path} cannot be written: Is a directory; choose another place.")
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with open_trace(path, "r") as file:
            known = f'"kind":"{KIND}"' in file.readline(1 << 16)
    except (OSError, EOFError, ValueError):
        known = False
    if not known:
        raise Error(f"{path} exists and is no trace; name another file for --trace.")
