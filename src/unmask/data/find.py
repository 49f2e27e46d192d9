"""The files that a name stands for: itself, those of a folder or of a glob; none is left out unsaid."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from unmask.data import readers
from unmask.data.json_file import read_object
from unmask.errors import Error, nearest
from unmask.lines import counted, excerpt

EMBEDDED = {"pydocs": "unmask.data.pydocs", "box-stories": "unmask.data.box_stories"}
"""Sources that come with unmask, and their modules; each has ``identity`` and ``documents``."""

_MADE = ("run.json", "index.json")
"""Manifests of a run and of an index."""


def find_binary(name: str) -> list[Path]:
    """Return the files of any kind that a file name, folder or glob stands for, sorted; those without bytes left out.

    Raises:
        Error: there are none, or a folder that may not be read.
    """
    path = place(name)
    if path.is_file():
        return [path]
    found = _inside(path) if path.is_dir() else _matches(path)
    chosen = [one for one in found if one.is_file() and one.stat().st_size]
    if not chosen:
        raise Error(f"no file with bytes in it in {name!r}. Name a file, a folder or a (quoted) glob that has some.")
    return chosen


def find_files(name: str) -> tuple[list[Path], tuple[str, ...]]:
    """Return the text files that a file name, folder or glob stands for, sorted, and what to know about the choice.

    A folder's files are those of ``readers.SUFFIXES``. One without any is read for files that are text by themselves
    (``readers.TEXTS``: notes, papers, code), but for hidden ones. What unmask has made in it, a run or an index, is no
    text of it: left out, and told. A file or glob of any name is read as it is asked.
    What is empty, no file, or a link to nothing is left out of a folder or glob, and told.

    Raises:
        Error: there are none, or a folder that may not be read.
    """
    path = place(name)
    if path.is_dir():
        inside, made = _apart([found for found in _inside(path) if not found.is_dir()], path)
        made = [found for found in made if readers.file_format(found) or readers.is_text(found)]
        left = _left_out(name, made, "in a run or an index of unmask; name that folder itself, to read them.")
        corpora = [found for found in inside if readers.file_format(found)]
        texts = [found for found in inside if readers.is_text(found) and not _hidden(found.relative_to(path))]
        if corpora or texts:
            notes = _left_out(name, texts, "name them too, to read them.") if corpora else ()
            return _usable(name, corpora or texts, (*notes, *left))
        kinds = ", ".join(sorted({found.suffix or found.name for found in inside})[:5]) or "nothing"
        readable = ", ".join(readers.SUFFIXES)
        raise Error(f"the folder {path} holds no {readable} or other text (it holds {kinds}). Name another folder.")
    if path.is_file():
        readers.check_readable(path)
        return [path], ()
    if path.exists():
        raise Error(f"{path} is neither a file nor a folder. Name a file with text in it.")
    if path.is_symlink():
        raise Error(f"{path} is a link to {path.readlink()}, and no file lies there. Name the file itself.")
    if any(mark in name for mark in "*?["):
        files = [one for one in _matches(path) if not one.is_dir()]
        chosen = [one for one in files if readers.file_format(one) or readers.is_text(one)]
        if not chosen:
            kinds = ", ".join(sorted({one.suffix or one.name for one in files})[:5])
            found = f" (it finds {kinds})" if kinds else ""
            raise Error(f"no text file matches {name!r}{found}. Quote the pattern, and check it with ls.")
        return _usable(name, chosen, ())
    raise Error(
        f"no data source {name!r}.{_beside(path)} Name {', '.join(EMBEDDED)}, an existing file, folder or glob, "
        "or hf:owner/name."
    )


def _apart(files: list[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Part files of a folder from those of runs and indexes that were made in it."""
    made = {file.parent for file in files if file.name in _MADE and file.parent != folder and _is_ours(file)}
    parted: tuple[list[Path], list[Path]] = ([], [])
    for file in files:
        parted[not made.isdisjoint(file.parents)].append(file)
    return parted


def _is_ours(manifest: Path) -> bool:
    try:
        return "format" in read_object(manifest, "")
    except Error:
        return False


def _usable(name: str, chosen: list[Path], notes: tuple[str, ...]) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files that hold something, and the notes with one on each kind of those that do not.

    Raises:
        Error: none does.
    """
    files = [path for path in chosen if path.is_file()]
    full = [path for path in files if path.stat().st_size]
    if not full:
        raise Error(f"{(files or chosen)[0]} is {'empty' if files else 'no file'}. Give a file with text in it.")
    empty = [path for path in files if not path.stat().st_size]
    odd = [path for path in chosen if not path.is_file()]
    return full, (*notes, *_left_out(name, empty, "empty."), *_left_out(name, odd, "no files, or links to nothing."))


def _left_out(name: str, paths: list[Path], why: str) -> tuple[str, ...]:
    kinds = ", ".join(sorted({f"*{path.suffix.lower()}" for path in paths}))
    return (f"{counted(len(paths), 'file')} of {name} left out ({kinds}): {why}",) if paths else ()


def place(name: str) -> Path:
    """Return the path of a name, with ``~`` written out where no file has that very name.

    Raises:
        Error: a home that is not known, or a name that is none.
    """
    path = Path(name)
    try:
        if path.parts[:1] != ("~",) and path.exists():
            return path
        path = path.expanduser()
        path.exists()
    except RuntimeError as error:
        raise Error(f"{name} begins with ~, and where that home lies is not known. Write the path out.") from error
    except OSError as error:
        raise Error(f"no data source {excerpt(name)!r} ({error.strerror}). Name a file, a folder or a glob.") from error
    return path


def _inside(folder: Path) -> list[Path]:
    found = [folder, *sorted(folder.rglob("*"))]
    _refuse_unread(found)
    return found[1:]


def _matches(pattern: Path) -> list[Path]:
    if pattern.parent.is_dir():  # its signs are its name's
        pattern = Path(glob.escape(str(pattern.parent))) / pattern.name
    _refuse_unread(_glob(pattern.parent))
    return sorted(_glob(pattern))


def _glob(pattern: Path) -> Iterator[Path]:
    """Yield what a pattern finds. ``**`` goes into no links, as with folders: they may lead round, many ways."""
    if "**" not in pattern.parts:
        yield from map(Path, glob.glob(str(pattern)))
        return
    at = pattern.parts.index("**")
    below = Path(*pattern.parts[at:])
    for root in map(Path, glob.glob(str(Path(*pattern.parts[:at]))) if at else ["."]):
        for found in root.glob(str(below)):
            if not _hidden(found.relative_to(root)) or _hidden(below):
                yield found


def _refuse_unread(paths: Iterable[Path]) -> None:
    """Refuse folders that may not be listed: what lies in them would be left out without a word."""
    for path in paths:
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            raise Error(f"the folder {path} may not be read (permission denied). Change its permissions.")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _beside(path: Path) -> str:
    """Name the nearest thing that lies where something was looked for."""
    try:
        beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    except OSError:
        beside = []
    return nearest(path.name, [*(entry.name for entry in beside), *EMBEDDED])
