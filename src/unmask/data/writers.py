"""Documents to files: the formats that readers.py reads, written aside and renamed, so that a file is whole or absent.

A .jsonl, .jsonl.gz or .parquet keeps document borders; a .txt or .npy (1-D uint8) joins documents with a blank line.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unmask.data.cache import writing
from unmask.data.readers import SUFFIXES, file_format
from unmask.errors import Error

_BORDER = "\n\n"
_BATCH = 1024


def write_documents(texts: Iterable[str], path: Path, force: bool = True) -> int:
    """Write documents in the format that the name of ``path`` ends with, and return their number.

    Args:
        texts: The documents.
        path: The file.
        force: Take the place of a file that lies there once all is written.

    Raises:
        Error: unknown suffix, nothing to write, a file that came there meanwhile, or the disk is full or not writable.
    """
    form = check_target(path)
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        for text in texts:
            count += 1
            yield text

    with _aside(path, force) as part:
        if form == ".parquet":
            _write_parquet(counted(), part)
        elif form in (".txt", ".npy"):
            _write_bytes((f"{_BORDER if i else ''}{text}".encode() for i, text in enumerate(counted())), part, form)
        else:
            _write_json_lines(counted(), part, form)
        if not count:
            raise Error(f"there is no document to write to {path}. Check the source.")
    return count


def write_raw(chunks: Iterable[bytes], path: Path, force: bool = True) -> None:
    """Write bytes as they are: as a 1-D uint8 array to a .npy, else as a plain file; ``force`` as above."""
    with _aside(path, force) as part:
        _write_bytes(chunks, part, file_format(path))


def check_target(path: Path) -> str:
    """Return the format of a file to write.

    Raises:
        Error: a suffix that unmask does not write.
    """
    form = file_format(path)
    if form is None:
        raise Error(f"unmask does not write {path.suffix or path.name!r} files. Use one of {', '.join(SUFFIXES)}.")
    return form


def _put(part: Path, path: Path, force: bool) -> None:
    """Give a file its name; without ``force`` not in the place of one that came there meanwhile."""
    if not force:
        try:
            os.link(part, path)
            return
        except FileExistsError as error:
            there = f"{path} was written by another process meanwhile"
            raise Error(f"{there}. Name another file, or add --force to replace it.") from error
        except OSError:  # a file system without a second name for a file
            pass
    part.replace(path)


@contextmanager
def _aside(path: Path, force: bool) -> Iterator[Path]:
    with writing(path.parent, "name a file elsewhere"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            yield part
            _put(part, path, force)
        finally:
            part.unlink(missing_ok=True)


def _write_json_lines(texts: Iterable[str], path: Path, form: str) -> None:
    with path.open("wb") as file:
        if form == ".jsonl":
            _write_lines(texts, file)
        else:
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:  # no name, no time: same text, same file
                _write_lines(texts, packed)


def _write_lines(texts: Iterable[str], file: IO[bytes] | gzip.GzipFile) -> None:
    for text in texts:
        file.write(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n")


def _write_parquet(texts: Iterable[str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.large_string())])
    with pq.ParquetWriter(path, schema) as writer:
        held: list[str] = []
        for text in texts:
            held.append(text)
            if len(held) == _BATCH:
                writer.write_table(pa.table({"text": held}, schema=schema))
                held = []
        writer.write_table(pa.table({"text": held}, schema=schema))


def _write_bytes(chunks: Iterable[bytes], path: Path, form: str | None) -> None:
    if form != ".npy":
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        return
    import numpy as np

    with tempfile.TemporaryFile(dir=path.parent) as body, path.open("wb") as file:
        for chunk in chunks:
            body.write(chunk)
        header = {"descr": np.dtype(np.uint8).str, "fortran_order": False, "shape": (body.tell(),)}
        np.lib.format.write_array_header_1_0(file, header)
        body.seek(0)
        shutil.copyfileobj(body, file)
