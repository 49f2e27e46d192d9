"""Checkpoints that are whole or not there: written aside, listed in a manifest, renamed.

A checkpoint counts only if every file in its manifest exists with its size and checksum. One that does not is
reported, and the one before it is used.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path

from unmask.data.cache import by_umask
from unmask.errors import Error

MANIFEST = "complete.json"
PARTIAL = ".partial"


def _checksum(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
    return crc


def seal(partial: Path, final: Path) -> None:
    """Write the manifest of a folder, flush it all to disk and rename it into place."""
    listing = {
        str(p.relative_to(partial)): {"bytes": p.stat().st_size, "crc32": _checksum(p)}
        for p in sorted(partial.rglob("*"))
        if p.is_file()
    }
    (partial / MANIFEST).write_text(json.dumps(listing, indent=1))
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if final.exists():
        shutil.rmtree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    by_umask(partial).rename(final)


def fault(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or ``None`` if it is whole."""
    try:
        listing = json.loads((checkpoint / MANIFEST).read_text())
    except (OSError, ValueError):
        return "its manifest is missing or unreadable"
    for name, entry in listing.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{name} is truncated ({path.stat().st_size} of {entry['bytes']} bytes)"
        if _checksum(path) != entry["crc32"]:
            return f"{name} is damaged (its checksum is wrong)"
    return None


def listing(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest whole checkpoint (or ``None``) and a line for each newer one that is not whole.

    Raises:
        Error: there are checkpoints, but none is whole.
    """
    problems: list[str] = []
    for checkpoint in listing(folder):
        wrong = fault(checkpoint)
        if wrong is None:
            return checkpoint, problems
        problems.append(f"{checkpoint.name} cannot be used: {wrong}")
    if problems:
        why = "; ".join(problems)
        raise Error(f"no usable checkpoint in {folder} ({why}); start again in another --output, or remove the folder.")
    return None, problems


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and leftovers of interrupted writes."""
    for old in listing(folder)[keep:]:
        shutil.rmtree(old)
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
