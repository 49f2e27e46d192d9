"""What a file is that is no text as it stands, by its first bytes: said in place of the offset of an odd byte."""

from __future__ import annotations

import codecs
from pathlib import Path
from shlex import quote

from unmask.errors import Error

HEAD = 4096
"""Bytes of a file's beginning that tell its kind."""
_UNPACK = "Unpack it first"
_TEXT = "Take its text out, into a .txt or .jsonl file"
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "is compressed by gzip", f"{_UNPACK} (gzip -d), or name it .jsonl.gz if it holds JSON lines"),
    (b"BZh", "is compressed by bzip2", f"{_UNPACK} (bzip2 -d)"),
    (b"\xfd7zXZ\0", "is compressed by xz", f"{_UNPACK} (xz -d)"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", f"{_UNPACK} (zstd -d)"),
    (b"\x04\x22\x4d\x18", "is compressed by lz4", f"{_UNPACK} (lz4 -d)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "is a RAR archive", _UNPACK),
    (b"%PDF-", "is a PDF", f"{_TEXT} (pdftotext)"),
    (b"{\\rtf", "is a rich text file (RTF)", _TEXT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Office document of the old kind", _TEXT),
    (b"SQLite format 3\0", "is an SQLite database", _TEXT),
    (b"ARROW1", "is an Arrow (Feather) file", "Write it as Parquet or as JSON lines"),
    (b"PAR1", "is a Parquet file", "Name it .parquet"),
    (b"\x93NUMPY", "is a NumPy array", "Name it .npy"),
    (b"\x89PNG\r\n", "is a picture (PNG)", "Give a file of text"),
    (b"\xff\xd8\xff", "is a picture (JPEG)", "Give a file of text"),
    (b"GIF8", "is a picture (GIF)", "Give a file of text"),
    (b"version https://git-lfs", "is a pointer of Git LFS and not yet the file", "Fetch it: git lfs pull"),
)
_IN_ZIP = {b"word/": "a Word document", b"xl/": "an Excel table", b"ppt/": "a presentation", b"epub": "an e-book"}
_BYTES = "To model it as bytes: data.binary=true and data.tokenizer=bytes."


def check_head(head: bytes, path: Path) -> None:
    """Refuse a file whose first bytes say that it is no UTF-8 text.

    Args:
        head: Up to ``HEAD`` of them.
        path: For the message.

    Raises:
        Error: what it is, and what to do.
    """
    for beginning, what, fix in _BEGINNINGS:
        if head.startswith(beginning):
            raise Error(f"{path} {what}. {fix}. {_BYTES}")
    if head.startswith(b"PK\x03\x04"):
        inside = next((what for mark, what in _IN_ZIP.items() if mark in head), None)
        what, fix = (inside, _TEXT) if inside else ("a zip archive", _UNPACK)
        raise Error(f"{path} is {what}. {fix}. {_BYTES}")
    if head[257:262] == b"ustar":
        raise Error(f"{path} is a tar archive. {_UNPACK} (tar -xf). {_BYTES}")
    if wide := _wide(head):
        raise Error(f"{path} is {wide[:6]}. Convert it: iconv -f {wide} -t UTF-8 {quote(path.name)}.")


def _wide(head: bytes) -> str | None:
    """Return the encoding of a text whose characters have two or four bytes each."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    first = head[: len(head) // 4 * 4]
    if first and not any(first[1::2]) and all(first[::2]):
        return "UTF-16LE"  # no mark, and letters of one byte each
    return "UTF-16BE" if first and not any(first[::2]) and all(first[1::2]) else None
