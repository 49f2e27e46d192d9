"""How an index changes so that nobody ever sees half of it: files made aside, moved in, and named by the manifest last.

A change holds the folder (:mod:`unmask.data.lock`), so there is one writer at a time, and names its files by the next
generation; the manifest that is put in the place of the old one makes them the index. Then what it does not name is
removed: an index that is open has its files mapped, and goes on without their names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from unmask.data.cache import by_umask, writing
from unmask.data.lock import LOCK, only_one
from unmask.errors import Error
from unmask.roots.manifest import FILE, PARTS, Manifest, read_manifest, write_manifest

ASIDE = ".adding"
_OURS = re.compile(r"(?:segment|core|statistics|grep)-(\d+)(?:\.safetensors)?")
_FIX = "name another output"


def published(folder: Path, build: Callable[[Path], None], force: bool) -> None:
    """Build an index aside and make it the one of a folder.

    Args:
        folder: Where to.
        build: Writes into the empty folder that it is given; when it raises, all of that is removed.
        force: Replace an index that lies there, once the new one is whole; nothing else is ever replaced.

    Raises:
        Error: something lies there, another process is at work there, or the disk is full or not writable.
    """
    _check_place(folder, force)
    with writing(folder, _FIX), changing(folder, "building", make=True):
        _check_place(folder, force)  # another may have been faster
        try:
            with aside(folder) as place:
                build(place)
                moved = _moved(by_umask(place), folder, 1 + max(map(_generation, folder.iterdir()), default=0))
            write_manifest(folder, moved)
        finally:
            sweep(folder)


def _check_place(folder: Path, force: bool) -> None:
    if folder.is_file():
        raise Error(f"output {folder} is a file; give a folder.")
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if FILE not in found:
        killed = LOCK in found and all(map(_left, found))  # a build that got no further
        if found - {LOCK} and not killed:
            raise Error(f"{folder} is not empty and holds no index; choose another output.")
    elif not force:
        raise Error(
            f"{folder} already holds an index; choose another output, replace it with force, or use: "
            f"unmask index add {folder}"
        )


def _moved(place: Path, folder: Path, generation: int) -> Manifest:
    """Move a new index in, under the names of a generation, and return its manifest."""
    made = read_manifest(place)
    names = {entry.folder: f"segment-{generation}" for entry in made.segments if not Path(entry.folder).is_absolute()}
    entries = [replace(entry, folder=names.get(entry.folder, entry.folder)) for entry in made.segments]
    after = replace(made, generation=generation, segments=entries)
    names |= {made.name(part): after.name(part) for part in PARTS}
    for old, new in names.items():
        (place / old).rename(folder / new)
    return after


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """Make an empty folder inside another that is held, and remove it in the end."""
    place = folder / ASIDE
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def changing(folder: Path, doing: str = "adding", *, make: bool = False) -> Iterator[None]:
    """Hold an index for a change; others may read it meanwhile.

    Args:
        folder: The index.
        doing: What is done, for others who want to.
        make: Make the folder if there is none.

    Raises:
        Error: another process is changing it, or the disk is full or not writable.
    """
    busy = f"another process is changing the index {folder}"
    with writing(folder, "make it writable"), only_one(folder, doing, busy, "try again when it is done", make=make):
        yield


def sweep(folder: Path) -> None:
    """Remove what an index no longer names: the core of an earlier generation, leftovers of a failed or killed change.

    Of an index whose manifest cannot be read all stays.
    """
    kept = {LOCK, FILE}
    if (folder / FILE).exists():
        try:
            kept |= {name.partition("/")[0] for name in read_manifest(folder).files}
        except Error:
            return
    for path in folder.iterdir():
        if path.name not in kept and _left(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _left(name: str) -> bool:
    """Tell whether a change may have left a file of this name."""
    return name in (LOCK, ASIDE) or name.startswith(f".{FILE}") or _OURS.fullmatch(name) is not None


def _generation(path: Path) -> int:
    found = _OURS.fullmatch(path.name)
    return 0 if found is None else int(found[1])
