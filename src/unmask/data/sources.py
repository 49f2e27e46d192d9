"""What a recipe's ``data.source`` may name, and the stream of documents behind it.

A source is ``pydocs`` or ``box-stories``, which come with unmask; a file, folder or glob of .txt, .jsonl, .jsonl.gz,
.parquet or .npy, or of notes, papers and code (.md, .tex, .rst, .py, ...); ``hf:owner/name[:config][@split]``; or
several of these joined with commas. Read as binary, files of any kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from unmask.data import readers
from unmask.data.find import EMBEDDED, find_binary, find_files, place
from unmask.data.origin import Document
from unmask.errors import Error


@dataclass(frozen=True)
class Source:
    """A stream of documents that can be read again.

    Attributes:
        name: As the user wrote it.
        identity: Changes whenever the documents may have changed (paths, sizes, times, inodes; versions; revision).
        located: Starts a new pass over the documents, each with its place.
        notes: What to know about the choice of files.
    """

    name: str
    identity: list[object]
    located: Callable[[], Iterator[Document]]
    notes: tuple[str, ...] = ()

    def documents(self) -> Iterator[str]:
        """Start a new pass over the documents."""
        return (document.text for document in self.located())


_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HUB = re.compile(r"https?://huggingface\.co/datasets/([^/?#]+/[^/?#]+)")


def open_source(spec: str | Path, text_field: str = "text", binary: bool = False, chat: bool = False) -> Source:
    """Resolve ``spec``; nothing is read yet besides file names.

    Args:
        spec: What the user wrote.
        text_field: Field or column that holds the text.
        binary: Any file is a source, and its documents are bytes (see :mod:`unmask.data.binary`).
        chat: Its documents are talks (see :mod:`unmask.data.talks`).

    Raises:
        Error: nothing lies there (the message names the nearest thing), or no file where bytes are wanted.
    """
    spec = str(spec)
    parts = [_open_one(name, text_field, binary, chat) for name in _names(spec)]
    if len(parts) == 1:
        return parts[0]

    def located() -> Iterator[Document]:
        for part in parts:
            yield from part.located()

    notes = tuple(note for part in parts for note in part.notes)
    return Source(spec, [part.identity for part in parts], located, notes)


def parts_of(spec: str) -> list[str]:
    """Return the names that commas separate in a source; one that exists as a whole is one name."""
    if spec.strip() and (_URL.match(spec) or _exists(spec)):
        return [spec]
    return [part.strip() for part in spec.split(",") if part.strip()]


def absolute(spec: str) -> str:
    """Return a source with the places of its files and globs written out, so that it is found from any folder."""
    return ",".join(name if _is_named(name) else str(place(name).absolute()) for name in parts_of(spec))


def _exists(name: str) -> bool:
    try:
        return place(name).exists()
    except Error:  # as a list of files it may still be
        return False


def _is_named(name: str) -> bool:
    return name in EMBEDDED or name.startswith("hf:")


def check_source(spec: str | Path, binary: bool = False) -> None:
    """Refuse a source of files that are not there, or hold nothing; what has to be fetched is not looked for.

    Raises:
        Error: as :func:`open_source`.
    """
    for name in _names(spec):
        _check_name(name, binary)
        if not _is_named(name):
            files = find_binary(name) if binary else find_files(name)[0]
            for path in filter(Path.is_file, files):
                readers.refuse_empty(path, "bytes" if binary else "text")


def _names(spec: str | Path) -> list[str]:
    names = parts_of(str(spec))
    if not names:
        raise Error("the data source is empty. Name pydocs, box-stories, a file, a folder, a glob, or hf:owner/name.")
    return names


def _check_name(name: str, binary: bool) -> None:
    """Refuse bytes of what is text, and addresses."""
    if binary and _is_named(name):
        raise Error(f"{name} is text, and data.binary reads files. Name a file, folder or glob in data.source.")
    if url := _URL.match(name):
        raise Error(f"{name} is an address, and unmask reads files. {_instead_of(name, url[1])}")


def _open_one(name: str, text_field: str, binary: bool, chat: bool) -> Source:
    _check_name(name, binary)
    if chat and _is_named(name):
        raise Error(f"{name} holds texts, and data.format=chat reads .jsonl files of talks. Name one in data.source.")
    if name in EMBEDDED:
        kept = import_module(EMBEDDED[name])
        return Source(name, kept.identity(), lambda: (Document(text, name) for text in kept.documents()))
    if name.startswith("hf:"):
        from unmask.data import hub

        revision = hub.dataset_revision(name)
        return Source(name, [name, revision, text_field], partial(_rows, name, revision, text_field))
    return _open_files(name, text_field, binary, chat)


def _rows(name: str, revision: str, text_field: str) -> Iterator[Document]:
    from unmask.data import hub

    for row, text in enumerate(hub.dataset_documents(name, revision, text_field), 1):
        yield Document(text, name, row)


def _instead_of(address: str, scheme: str) -> str:
    """Say what to give in place of an address."""
    if scheme == "file":
        return f"Give the path alone: {address.removeprefix('file://')}"
    if found := _HUB.match(address):
        return f"A data set of the Hub is named hf:{found[1]}."
    return f"Download it, and name the file: curl -LO {address}"


def _open_files(name: str, text_field: str, binary: bool, chat: bool) -> Source:
    paths, notes = (find_binary(name), ()) if binary else find_files(name)
    identity: list[object] = ["binary" if binary else "chat" if chat else text_field]
    for path in paths:
        status = path.stat()
        # a program may set the time of the content back, but not that of the last change
        identity.append([str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino])

    def located() -> Iterator[Document]:
        for path in paths:
            if binary:
                yield from (Document(text, str(path)) for text in readers.read_binary(path))
            else:
                found = readers.read_located(path, text_field, chat)
                yield from (Document(text, str(path), line) for text, line in found)

    return Source(name, identity, located, notes)
