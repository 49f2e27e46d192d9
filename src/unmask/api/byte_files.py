"""Files of any bytes, to go on from and to write to."""

from __future__ import annotations

from pathlib import Path

from unmask.errors import Error


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file.

    Raises:
        Error: it cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Error(f"cannot write {path} ({error.strerror}). Name another file in --output.") from error


def read_prompt(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        Error: there is none, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Error(f"cannot read the prompt file {path} ({error.strerror}). Check the path.") from error
