"""One at a time in a folder: a lock of the operating system, on a file that says who holds it.

The file is ``.lock`` in the folder: ``{"pid", "host", "doing", "since"}``. The lock (flock) ends with its process,
however that ends; the file is removed by its holder. So a file that nobody holds was left by a process that was killed:
it is taken over, and told.

Where there are no locks (an NFS, FUSE or cluster mount that answers ENOLCK or ENOTSUP) the file itself is the lock, as
only one process can make it. Then one that was left by a dead process of this machine is taken over, and one of another
machine cannot be checked: it is refused, with the name of the file to remove.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from unmask.data.cache import writing
from unmask.errors import Error
from unmask.lines import tell

try:
    import fcntl
except ImportError:  # no flock: the file itself is the lock
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES}
_LEFT = "note: going on in {}, which was left by a process that was killed ({})."
_NOT_OURS = "{} is in the way of unmask's lock and not its own; choose another folder, or move the file."
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True)
class Holder:
    """Who holds a folder.

    Attributes:
        pid: Its process.
        host: The machine of that.
        doing: What it does.
        since: Since when, local time.
    """

    pid: int
    host: str
    doing: str
    since: str

    def __str__(self) -> str:
        return f"{self.doing}, process {self.pid} on {self.host}, since {self.since}"

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended: a process of this machine that is no more."""
        import psutil

        return self.host == socket.gethostname() and not psutil.pid_exists(self.pid)


@contextmanager
def only_one(
    folder: Path, doing: str, busy: str, fix: str, *, make: bool = False, say: Callable[[str], None] = tell
) -> Iterator[None]:
    """Hold a folder; every other process that wants to, and every other call in this one, is refused meanwhile.

    Args:
        folder: The folder.
        doing: What is done with it, for those who are refused: "training".
        busy: Begins their message: "another training is at work in runs/x".
        fix: Ends it.
        make: Make the folder if there is none; one that was made and is empty in the end goes again.
        say: Called with a line when a killed process had the lock, or when there are no locks here.

    Raises:
        Error: another process holds it; the message names which. Or the folder is not writable.
    """
    created = make and not folder.exists()
    path = folder / LOCK
    handle = None
    with writing(folder, "make it writable, or name another folder"):
        while handle is None:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            try:
                handle = _taken(path, f"{busy} ({{}}); {fix}.", say)
            except FileNotFoundError:
                if not make:
                    raise  # else whoever had made the folder has just taken it away
    try:
        told = Holder(os.getpid(), socket.gethostname(), doing, time.strftime("%Y-%m-%d %H:%M:%S"))
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(asdict(told)).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)
        if created:
            with suppress(OSError):
                folder.rmdir()


def held_by(folder: Path) -> Holder | None:
    """Return who holds a folder now, or ``None``: nobody does, or it cannot be told."""
    path = folder / LOCK
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        _flock(handle)
        return None
    except OSError as error:
        found = _read(path)
        return None if error.errno not in _HELD | _NO_LOCKS or found is None or found.gone else found
    finally:
        os.close(handle)


def _flock(handle: int) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "no file locks on this system")
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _taken(path: Path, refusal: str, say: Callable[[str], None]) -> int | None:
    """Return the locked file, open; ``None``: it is another file by now, try again."""
    try:
        handle, ours = _opened(path)
    except FileNotFoundError:
        if path.parent.is_dir():
            return None
        raise
    keep = False
    try:
        there = None if ours else _read(path)
        if there is None and os.fstat(handle).st_size:
            raise Error(_NOT_OURS.format(path))
        locks = True
        try:
            _flock(handle)
        except OSError as error:
            if error.errno in _HELD:
                raise Error(refusal.format(there or "it does not say which")) from None
            if error.errno not in _NO_LOCKS:
                raise
            locks = False
        if not (locks or ours):
            if there is None or not there.gone:
                mend = f"if that has ended, remove {path}: this file system has no locks by which to tell"
                raise Error(refusal.format(f"{there or 'it does not say which'}; {mend}"))
            _move_away(path, there, say)
        elif os.path.exists(path) and os.path.samestat(os.fstat(handle), os.stat(path)):
            if not locks:
                say(f"note: {path.parent} lies on a file system without locks; {path} keeps others out.")
            if there is not None:
                say(_LEFT.format(path.parent, there))
            keep = True
    finally:
        if not keep:
            os.close(handle)
    return handle if keep else None


def _opened(path: Path) -> tuple[int, bool]:
    """Open a lock's file without following a link, and tell whether it was made now."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        try:
            return os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)), False
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR):
                raise Error(_NOT_OURS.format(path)) from error
            raise


def _move_away(path: Path, dead: Holder, say: Callable[[str], None]) -> None:
    """Take a dead holder's file away, where the file is the lock; of several who try, one does."""
    aside = path.with_name(f"{LOCK}-{os.getpid()}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if _read(aside) == dead:
            say(_LEFT.format(path.parent, dead))
            aside.unlink()
        else:  # another was faster, and has made its own since
            aside.rename(path)


def _read(path: Path) -> Holder | None:
    try:
        told = json.loads(path.read_bytes())
        return Holder(int(told["pid"]), str(told["host"]), str(told["doing"]), str(told["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
