"""How a folder changes so that nobody ever sees half of it: made aside and renamed, or one file replaced at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unmask.data.cache import aside, built, writing
from unmask.errors import Error
from unmask.retrieval.manifest import FILE, Manifest

_FIX = "name another --output"


def published(folder: Path, build: Callable[[Path], None], force: bool) -> None:
    """Build a folder aside and rename it into place.

    Args:
        folder: Where to.
        build: Writes into the empty folder that it is given; when it raises, all of that is removed.
        force: Replace an index that lies there, once the new one is whole; nothing else is ever replaced.

    Raises:
        Error: something lies there, or the disk is full or not writable.
    """
    if folder.is_file():
        raise Error(f"--output {folder} is a file; give a folder.")
    there = folder.is_dir() and any(folder.iterdir())
    if there and not (folder / FILE).is_file():
        raise Error(f"{folder} is not empty and holds no index; choose another --output.")
    if there and not force:
        raise Error(f"{folder} already holds an index; add --force to replace it, or use: unmask index add {folder}")
    with writing(folder.parent, _FIX):
        if not there:
            if folder.is_dir():
                folder.rmdir()
            built(folder, build)
            return
        place = aside(folder)
        try:
            built(place / "new", build)
            folder.rename(place / "old")
            try:
                (place / "new").rename(folder)
            except BaseException:
                (place / "old").rename(folder)
                raise
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold an index for a change; others may read it meanwhile.

    Raises:
        Error: another process is changing it, or the disk is full or not writable.
    """
    with writing(folder, "make it writable"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Error(f"another process is changing the index {folder}; try again when it is done.") from error
            yield
        finally:
            os.close(handle)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Remove what an index no longer names: the core of an earlier generation, leftovers of a killed change."""
    kept = {FILE, *(name.partition("/")[0] for name in manifest.files)}
    for path in folder.iterdir():
        ours = path.name.startswith(("segment-", "core-", "statistics-", "grep-", ".adding", f".{FILE}"))
        if ours and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
