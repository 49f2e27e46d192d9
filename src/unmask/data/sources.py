"""What a recipe's ``data.source`` may name, and the stream of documents behind it.

A source is ``pydocs``; a file, folder or glob of .txt, .jsonl, .jsonl.gz, .parquet or .npy, or of notes, papers and
code (.md, .tex, .rst, .py, ...); ``hf:owner/name[:config][@split]``; or several of these joined with commas. Read as
binary, files of any kind.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unmask.data import readers
from unmask.errors import Error, nearest
from unmask.lines import counted, excerpt


@dataclass(frozen=True)
class Source:
    """A stream of documents that can be read again.

    Attributes:
        name: As the user wrote it.
        identity: Changes whenever the documents may have changed (paths, sizes, times, inodes; versions; revision).
        documents: Starts a new pass over the documents.
        notes: What to know about the choice of files.
    """

    name: str
    identity: list[object]
    documents: Callable[[], Iterator[str]]
    notes: tuple[str, ...] = ()


_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HUB = re.compile(r"https?://huggingface\.co/datasets/([^/?#]+/[^/?#]+)")


def open_source(spec: str | Path, text_field: str = "text", binary: bool = False) -> Source:
    """Resolve ``spec``; nothing is read yet besides file names.

    Args:
        spec: What the user wrote.
        text_field: Field or column that holds the text.
        binary: Any file is a source, and its documents are bytes (see :mod:`unmask.data.binary`).

    Raises:
        Error: nothing lies there (the message names the nearest thing), or no file where bytes are wanted.
    """
    spec = str(spec)
    parts = [_open_one(name, text_field, binary) for name in _names(spec)]
    if len(parts) == 1:
        return parts[0]

    def documents() -> Iterator[str]:
        for part in parts:
            yield from part.documents()

    notes = tuple(note for part in parts for note in part.notes)
    return Source(spec, [part.identity for part in parts], documents, notes)


def parts_of(spec: str) -> list[str]:
    """Return the names that commas separate in a source; one that exists as a whole is one name."""
    if spec.strip() and (_URL.match(spec) or _exists(spec)):
        return [spec]
    return [part.strip() for part in spec.split(",") if part.strip()]


def absolute(spec: str) -> str:
    """Return a source with the places of its files and globs written out, so that it is found from any folder."""
    return ",".join(name if _is_named(name) else str(_place(name).absolute()) for name in parts_of(spec))


def _exists(name: str) -> bool:
    try:
        return _place(name).exists()
    except Error:  # as a list of files it may still be
        return False


def _is_named(name: str) -> bool:
    return name == "pydocs" or name.startswith("hf:")


def check_source(spec: str | Path, binary: bool = False) -> None:
    """Refuse a source of files that are not there; what has to be fetched is not looked for.

    Raises:
        Error: as :func:`open_source`.
    """
    for name in _names(spec):
        _check_name(name, binary)
        if not _is_named(name):
            find_binary(name) if binary else find_files(name)


def _names(spec: str | Path) -> list[str]:
    names = parts_of(str(spec))
    if not names:
        raise Error("the data source is empty. Name pydocs, a file, a folder, a glob, or hf:owner/name.")
    return names


def _check_name(name: str, binary: bool) -> None:
    """Refuse bytes of what is text, and addresses."""
    if binary and _is_named(name):
        raise Error(f"{name} is text, and data.binary reads files. Name a file, folder or glob in data.source.")
    if url := _URL.match(name):
        raise Error(f"{name} is an address, and unmask reads files. {_instead_of(name, url[1])}")


def _open_one(name: str, text_field: str, binary: bool) -> Source:
    _check_name(name, binary)
    if name == "pydocs":
        from unmask.data import pydocs

        return Source(name, pydocs.identity(), pydocs.documents)
    if name.startswith("hf:"):
        from unmask.data import hub

        revision = hub.dataset_revision(name)
        return Source(name, [name, revision, text_field], lambda: hub.dataset_documents(name, revision, text_field))
    return _open_files(name, text_field, binary)


def _instead_of(address: str, scheme: str) -> str:
    """Say what to give in place of an address."""
    if scheme == "file":
        return f"Give the path alone: {address.removeprefix('file://')}"
    if found := _HUB.match(address):
        return f"A data set of the Hub is named hf:{found[1]}."
    return f"Download it, and name the file: curl -LO {address}"


def _open_files(name: str, text_field: str, binary: bool) -> Source:
    paths, left_out = (find_binary(name), []) if binary else find_files(name)
    identity: list[object] = ["binary" if binary else text_field]
    for path in paths:
        status = path.stat()
        # a program may set the time of the content back, but not that of the last change
        identity.append([str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino])

    def documents() -> Iterator[str]:
        for path in paths:
            yield from readers.read_binary(path) if binary else readers.read_documents(path, text_field)

    suffixes = ", ".join(sorted({f"*{path.suffix.lower()}" for path in left_out}))
    note = f"{counted(len(left_out), 'file')} of {name} left out ({suffixes}): name them too, to read them."
    return Source(name, identity, documents, (note,) if left_out else ())


def find_binary(name: str) -> list[Path]:
    """Return the files of any kind that a file name, folder or glob stands for, sorted; those without bytes left out.

    Raises:
        Error: there are none, or a folder that may not be read.
    """
    path = _place(name)
    if path.is_file():
        return [path]
    found = _inside(path) if path.is_dir() else _matches(path)
    chosen = [one for one in found if one.is_file() and one.stat().st_size]
    if not chosen:
        raise Error(f"no file with bytes in it in {name!r}. Name a file, a folder or a (quoted) glob that has some.")
    return chosen


def find_files(name: str) -> tuple[list[Path], list[Path]]:
    """Return the text files that a file name, folder or glob stands for, sorted, and those of a folder left out.

    A folder's files are those of ``readers.SUFFIXES``. One without any is read for files that are text by themselves
    (``readers.TEXTS``: notes, papers, code), but for hidden ones. A file or glob of any name is read as it is asked.

    Raises:
        Error: there are none, or a folder that may not be read.
    """
    path = _place(name)
    if path.is_dir():
        inside = [found for found in _inside(path) if found.is_file()]
        corpora = [found for found in inside if readers.file_format(found)]
        texts = [found for found in inside if readers.is_text(found) and not _hidden(found.relative_to(path))]
        if corpora or texts:
            return corpora or texts, texts if corpora else []
        kinds = ", ".join(sorted({found.suffix or found.name for found in inside})[:5]) or "nothing"
        readable = ", ".join(readers.SUFFIXES)
        raise Error(f"the folder {path} holds no {readable} or other text (it holds {kinds}). Name another folder.")
    if path.is_file():
        readers.check_readable(path)
        return [path], []
    if path.exists():
        raise Error(f"{path} is neither a file nor a folder. Name a file with text in it.")
    if any(mark in name for mark in "*?["):
        files = [one for one in _matches(path) if one.is_file()]
        chosen = [one for one in files if readers.file_format(one) or readers.is_text(one)]
        if not chosen:
            kinds = ", ".join(sorted({one.suffix or one.name for one in files})[:5])
            found = f" (it finds {kinds})" if kinds else ""
            raise Error(f"no text file matches {name!r}{found}. Quote the pattern, and check it with ls.")
        return chosen, []
    raise Error(
        f"no data source {name!r}.{_beside(path)} Name pydocs, an existing file, folder or glob, or hf:owner/name."
    )


def _place(name: str) -> Path:
    """Return the path of a name, with ``~`` written out.

    Raises:
        Error: a home that is not known, or a name that is none.
    """
    try:
        path = Path(name).expanduser()
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
    _refuse_unread(Path(found) for found in glob.glob(str(pattern.parent), recursive=True))
    return [Path(found) for found in sorted(glob.glob(str(pattern), recursive=True))]


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
    return nearest(path.name, [*(entry.name for entry in beside), "pydocs"])
