"""What a recipe's ``data.source`` may name, and the stream of documents behind it.

A source is ``pydocs``; a file, folder or glob of .txt, .jsonl, .jsonl.gz, .parquet or .npy;
``hf:owner/name[:config][@split]``; or several of these joined with commas. Read as binary, files of any kind.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unmask.data import readers
from unmask.errors import Error, nearest


@dataclass(frozen=True)
class Source:
    """A stream of documents that can be read again.

    Attributes:
        name: As the user wrote it.
        identity: Changes whenever the documents may have changed (paths, sizes, times; versions; revision).
        documents: Starts a new pass over the documents.
    """

    name: str
    identity: list[object]
    documents: Callable[[], Iterator[str]]


def open_source(spec: str, text_field: str = "text", binary: bool = False) -> Source:
    """Resolve ``spec``; nothing is read yet besides file names.

    Args:
        spec: What the user wrote.
        text_field: Field or column that holds the text.
        binary: Any file is a source, and its documents are bytes (see :mod:`unmask.data.binary`).

    Raises:
        Error: nothing lies there (the message names the nearest thing), or no file where bytes are wanted.
    """
    whole = spec.strip() and Path(spec).exists()
    names = [spec] if whole else [part.strip() for part in spec.split(",") if part.strip()]
    if not names:
        raise Error("the data source is empty. Name pydocs, a file, a folder, a glob, or hf:owner/name.")
    parts = [_open_one(name, text_field, binary) for name in names]
    if len(parts) == 1:
        return parts[0]

    def documents() -> Iterator[str]:
        for part in parts:
            yield from part.documents()

    return Source(spec, [part.identity for part in parts], documents)


def _open_one(name: str, text_field: str, binary: bool) -> Source:
    if binary and (name == "pydocs" or name.startswith("hf:")):
        raise Error(f"{name} is text, and data.binary reads files. Name a file, folder or glob in data.source.")
    if name == "pydocs":
        from unmask.data import pydocs

        return Source(name, pydocs.identity(), pydocs.documents)
    if name.startswith("hf:"):
        from unmask.data import hub

        revision = hub.dataset_revision(name)
        return Source(name, [name, revision, text_field], lambda: hub.dataset_documents(name, revision, text_field))
    return _open_files(name, text_field, binary)


def _open_files(name: str, text_field: str, binary: bool) -> Source:
    paths = find_binary(name) if binary else find_files(name)
    identity: list[object] = ["binary" if binary else text_field]
    for path in paths:
        status = path.stat()
        identity.append([str(path.resolve()), status.st_size, status.st_mtime_ns])

    def documents() -> Iterator[str]:
        for path in paths:
            yield from readers.read_binary(path) if binary else readers.read_documents(path, text_field)

    return Source(name, identity, documents)


def find_binary(name: str) -> list[Path]:
    """Return the files of any kind that a file name, folder or glob stands for, sorted; those without bytes left out.

    Raises:
        Error: there are none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else (Path(one) for one in glob.glob(str(path), recursive=True))
    chosen = [one for one in sorted(found) if one.is_file() and one.stat().st_size]
    if not chosen:
        raise Error(f"no file with bytes in it in {name!r}. Name a file, a folder or a (quoted) glob that has some.")
    return chosen


def find_files(name: str) -> list[Path]:
    """Return the text files that a file name, folder or glob stands for, sorted.

    Raises:
        Error: there are none.
    """
    readable = ", ".join(readers.SUFFIXES)
    path = Path(name).expanduser()
    if path.is_dir():
        inside = [found for found in sorted(path.rglob("*")) if found.is_file()]
        chosen = [found for found in inside if readers.file_format(found)]
        if not chosen:
            kinds = ", ".join(sorted({found.suffix or found.name for found in inside})[:5]) or "nothing"
            raise Error(f"the folder {path} holds no {readable} file (it holds {kinds}). Name another folder.")
        return chosen
    if path.is_file():
        if readers.file_format(path) is None:
            raise Error(f"{path} is no text file that unmask reads. Use one of {readable}, or set data.binary=true.")
        return [path]
    if any(mark in name for mark in "*?["):
        matches = (Path(found) for found in sorted(glob.glob(str(path), recursive=True)))
        chosen = [found for found in matches if found.is_file() and readers.file_format(found)]
        if not chosen:
            raise Error(f"no {readable} file matches {name!r}. Quote the pattern, and check it with ls.")
        return chosen
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    usable = [entry.name for entry in beside if entry.is_dir() or readers.file_format(entry)]
    hint = nearest(path.name, [*usable, "pydocs"])
    raise Error(f"no data source {name!r}.{hint} Name pydocs, an existing file, folder or glob, or hf:owner/name.")
