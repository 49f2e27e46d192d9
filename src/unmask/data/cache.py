"""The cache folder, and building a folder in it so that an interrupted build leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unmask.errors import Error
from unmask.lines import tell

_STALE_SECONDS = 24 * 3600
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}
_WHOLE = ".whole.json"
"""In a finished folder: bytes, times and checksum of each file."""


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

    What the system refuses elsewhere meanwhile, a source that may not be read, is told of that place.

    Args:
        folder: Where is being written, for the message.
        fix: What helps.

    Raises:
        Error: no space left, or no permission.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL | _REFUSED:
            raise
        named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        apart = [path for path in named if not _goes_together(path, folder)]
        if apart and len(apart) == len(named):
            if error.errno in _FULL:
                raise Error(f"no disk space left while writing to {apart[0].parent}. Free some space.") from error
            raise Error(f"{apart[0]}: {error.strerror}. Check the path and its permissions.") from error
        if error.errno in _FULL:
            raise Error(f"no disk space left while writing to {folder}. Free some space, or {fix}.") from error
        raise Error(f"cannot write to {folder} ({error.strerror}). {fix[:1].upper()}{fix[1:]}.") from error


def _goes_together(path: Path, folder: Path) -> bool:
    """Tell whether one lies in the other: a file in the folder, or what stands in the way of making the folder."""
    one, other = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return one.is_relative_to(other) or other.is_relative_to(one)


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


def to_disk(folder: Path) -> None:
    """Hand all files of a folder to the disk, so that the power may fail once it has its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
    return crc


def built(folder: Path, build: Callable[[Path], None], say: Callable[[str], None] = tell) -> Path:
    """Return ``folder``, calling ``build`` on an empty folder beside it first when it does not exist yet.

    The new folder is renamed into place when ``build`` returned; when it raises, whatever it wrote is removed. One that
    was damaged since (a file is missing, cut short or overwritten) is told and built again.

    Args:
        folder: Where the finished result lies; its name says what it is made of, so whoever made it made the same.
        build: Writes the result into the folder that it is given.
        say: Called with a line if it was damaged.

    Raises:
        Error: the disk is full or not writable.
    """
    wrong = _damage(folder)
    if folder.is_dir() and wrong is None:
        return folder
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder.parent)
        place = aside(folder)
        try:
            if wrong is not None:
                say(f"note: {folder} is damaged ({wrong}); making it again.")
                with suppress(FileNotFoundError):  # another process has just taken it away
                    folder.rename(place / "damaged")
                shutil.rmtree(place / "damaged", ignore_errors=True)
            build(place)
            _seal(by_umask(place))
            to_disk(place)
            try:
                place.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process finished the same work first
                    raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return folder


def _seal(folder: Path) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _WHOLE]
    told = {path.relative_to(folder).as_posix(): [*_stamp(path), checksum(path)] for path in files}
    (folder / _WHOLE).write_text(json.dumps(told), "utf-8")


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _damage(folder: Path) -> str | None:
    """Return what is wrong with a finished folder; a file whose size and times are as they were is not read.

    A folder of an older version does not say what it held, and is taken as it is.
    """
    if not (folder / _WHOLE).is_file():
        return None
    touched = False
    try:
        told = json.loads((folder / _WHOLE).read_text("utf-8"))
        for name, (*stamp, crc) in told.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            found = _stamp(path)
            if found[0] != stamp[0]:
                return f"{name} has {found[0]:,} of {stamp[0]:,} bytes"
            if found != stamp:
                touched = True
                if checksum(path) != crc:
                    return f"{name} was overwritten"
    except (ValueError, TypeError, AttributeError, IndexError):
        return f"{_WHOLE} cannot be read"
    if touched:
        with suppress(OSError):  # a cache that was copied, maybe one that is only to be read
            _seal(folder)
    return None


def _remove_stale(parent: Path) -> None:
    """Remove what killed processes left; a day is longer than any build."""
    for left in parent.glob(".building-*"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue
