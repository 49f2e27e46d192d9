"""Safetensors files that are larger than memory: made at full size and filled in place, read as memory maps.

The layout is safetensors' own (8 bytes of header length, a JSON header, the arrays one behind the other), so any
safetensors library opens the file. The room is reserved first: a full disk is an error then, and not a signal that
ends the process when a page cannot be written.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from unmask.errors import Error

_NAMES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_TYPES = {np.dtype(kind): name for name, kind in _NAMES.items()}

Shapes = Mapping[str, tuple[type, tuple[int, ...]]]


def create(path: Path, shapes: Shapes) -> dict[str, np.ndarray]:
    """Make a file of zeros and return its arrays, mapped for writing; call ``flush`` on each in the end.

    Args:
        path: The file.
        shapes: Type and shape of each array.

    Raises:
        OSError: the disk is full or not writable.
    """
    header: dict[str, object] = {}
    at = 0
    for name, (kind, shape) in sorted(shapes.items(), key=lambda item: -np.dtype(item[1][0]).itemsize):
        size = prod(shape) * np.dtype(kind).itemsize
        header[name] = {"dtype": _TYPES[np.dtype(kind)], "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    _reserve(path, 8 + len(head) + at, len(head).to_bytes(8, "little") + head)
    return _mapped(path, "r+")


def create_bytes(path: Path, size: int) -> mmap.mmap:
    """Make a file of ``size`` zero bytes, at least one, and return it mapped for writing; flush and close it.

    Raises:
        OSError: the disk is full or not writable.
    """
    _reserve(path, size, b"")
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), size)


def read_bytes(path: Path, again: str) -> mmap.mmap:
    """Return a file's bytes, at least one, mapped read-only.

    Raises:
        Error: no such file, or it is empty.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise Error(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}). {again}") from error


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays that are in memory.

    Raises:
        OSError: the disk is full or not writable.
    """
    for name, array in create(path, {k: (v.dtype.type, v.shape) for k, v in arrays.items()}).items():
        array[...] = arrays[name]
        flush(array)


def flush(array: np.ndarray) -> None:
    """Hand what was written to a mapped array to the disk."""
    if isinstance(array, np.memmap):
        array.flush()


def read(path: Path, again: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file, mapped read-only.

    Args:
        path: The file.
        again: What to do when it is damaged, for the message.

    Raises:
        Error: no such file, or it is cut short or no safetensors file.
    """
    try:
        with safe_open(path, framework="numpy"):  # checks the header against the file's size
            pass
        return {name: np.asarray(array) for name, array in _mapped(path, "r").items()}  # a memmap's slices are slow
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        why = getattr(error, "strerror", None) or error
        raise Error(f"{path} cannot be read ({why}). {again}") from error


def _reserve(path: Path, size: int, begin: bytes) -> None:
    """Make a file of ``size`` bytes that begins with ``begin``; all its room is taken."""
    with path.open("wb") as file:
        file.write(begin)
        if hasattr(os, "posix_fallocate"):
            file.flush()
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for _ in range(len(begin), size, 1 << 20):
                file.write(bytes(1 << 20))
            file.truncate(size)


def _mapped(path: Path, mode: str) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays: dict[str, np.ndarray] = {}
    for name, about in header.items():
        if name == "__metadata__":
            continue
        kind, shape = np.dtype(_NAMES[about["dtype"]]), tuple(about["shape"])
        if not prod(shape):  # nothing can be mapped
            arrays[name] = np.zeros(shape, kind)
            continue
        at = 8 + length + about["data_offsets"][0]
        arrays[name] = np.memmap(path, kind, mode, at, shape)  # type: ignore[call-overload]
    return arrays
