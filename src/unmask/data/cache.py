"""The cache folder, and building a folder in it so that an interrupted build leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unmask.errors import Error

_STALE_SECONDS = 24 * 3600


def cache_folder() -> Path:
    """Return the cache folder: ``$UNMASK_CACHE``, else ``$XDG_CACHE_HOME/unmask``, else ``~/.cache/unmask``.

    Raises:
        Error: no home folder is known.
    """
    try:
        if own := os.environ.get("UNMASK_CACHE"):
            return Path(own).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unmask"
    except RuntimeError as error:
        raise Error("there is no home folder to keep a cache in; set UNMASK_CACHE to a folder.") from error


@contextmanager
def writing(folder: Path, fix: str = "set UNMASK_CACHE to another folder") -> Iterator[None]:
    """Turn the operating system's refusals to write into one line with the fix.

    Args:
        folder: Where is being written, for the message.
        fix: What helps.

    Raises:
        Error: no space left, or no permission.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Error(f"no disk space left while writing to {folder}. Free some space, or {fix}.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise Error(f"cannot write to {folder} ({error.strerror}). {fix[:1].upper()}{fix[1:]}.") from error
        raise


def by_umask(path: Path) -> Path:
    """Give a file or a folder with all it holds the permissions that the user's umask says, and return it.

    Libraries make their files private (safetensors 0.8: 0600, ``tempfile``: 0700), so that a colleague could not read
    what the user meant to share.
    """
    masked = os.umask(0o077)  # there is no way to ask without setting; stricter for that moment
    os.umask(masked)
    inside = path.rglob("*") if path.is_dir() else ()
    for one in (path, *inside):
        if not one.is_symlink():
            one.chmod((0o777 if one.is_dir() else 0o666) & ~masked)
    return path


def aside(folder: Path) -> Path:
    """Make an empty folder beside another, to build in; it is swept away after a day."""
    return by_umask(Path(tempfile.mkdtemp(prefix=f".building-{folder.name}-", dir=folder.parent)))


def built(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return ``folder``, calling ``build`` on an empty folder beside it first when it does not exist yet.

    The new folder is renamed into place when ``build`` returned; when it raises, whatever it wrote is removed.

    Args:
        folder: Where the finished result lies.
        build: Writes the result into the folder that it is given.

    Raises:
        Error: the disk is full or not writable.
    """
    if folder.is_dir():
        return folder
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder.parent)
        place = aside(folder)
        try:
            build(place)
            try:
                by_umask(place).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process finished the same work first
                    raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return folder


def _remove_stale(parent: Path) -> None:
    """Remove what killed processes left; a day is longer than any build."""
    for left in parent.glob(".building-*"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue
