"""A fitted byte n-gram model as a file: the counts of its longest grams, in safetensors (no pickle).

All else follows from them. What is read is checked: a file that this program cannot have written is refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from unmask.data.cache import by_umask, writing
from unmask.data.ngram import BITS, BOS, END, ByteNgram
from unmask.errors import Error

FORMAT = 1
_KIND = "unmask byte n-gram, Witten-Bell"


def save_ngram(model: ByteNgram, path: str | Path) -> None:
    """Write a fitted model, aside and renamed.

    Raises:
        Error: the disk is full or not writable.
    """
    path = Path(path)
    longest = model.levels[-1]
    small = longest.counts.max() < 1 << 32
    tensors = {"grams": longest.grams, "counts": longest.counts.astype(np.uint32 if small else np.uint64)}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path.parent, "name a file elsewhere"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(tensors, part, {"format": str(FORMAT), "kind": _KIND, "order": str(model.order)})
            by_umask(part).replace(path)
        finally:
            part.unlink(missing_ok=True)


def load_ngram(path: str | Path) -> ByteNgram:
    """Read a model that :func:`save_ngram` wrote.

    Raises:
        Error: no such file, another kind of file, a damaged one, or one of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise Error(f"no n-gram model {path}. Check the path.")
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise Error(f"{path} is no n-gram model ({error}). Fit it again.") from error
    if about.get("kind") != _KIND:
        raise Error(f"{path} holds {about.get('kind', 'something else')}, not a byte n-gram model. Name another file.")
    if about.get("format") != str(FORMAT):
        raise Error(f"{path} has format {about.get('format')}, this unmask reads {FORMAT}. Upgrade unmask.")
    order = about.get("order", "")
    if order not in {str(k) for k in range(1, 8)} or set(tensors) != {"grams", "counts"}:
        raise _damaged(path, "its parts are not those of an n-gram model")
    grams, counts = tensors["grams"], tensors["counts"]
    if reason := _wrong(grams, counts, int(order)):
        raise _damaged(path, reason)
    return ByteNgram(int(order)).count(grams, counts.astype(np.int64))


def _wrong(grams: NDArray[Any], counts: NDArray[Any], order: int) -> str | None:
    """Return why these cannot be the counts of an n-gram model, or None."""
    if grams.dtype != np.uint64 or counts.dtype not in (np.uint32, np.uint64):
        return f"types {grams.dtype} and {counts.dtype}"
    if grams.ndim != 1 or grams.shape != counts.shape or not len(grams):
        return f"shapes {grams.shape} and {counts.shape}"
    if (grams[1:] <= grams[:-1]).any():
        return "its grams are not sorted"
    if counts.min() < 1 or float(counts.sum(dtype=np.float64)) >= 2.0**62:
        return "its counts are not numbers of bytes"
    if order * BITS < 64 and (grams >> np.uint64(order * BITS)).any():
        return f"its grams are longer than {order}"
    newest, *older = ((grams >> np.uint64(BITS * back)) & np.uint64((1 << BITS) - 1) for back in range(order))
    if (newest > END).any():
        return "its symbols are not bytes"
    begun = np.zeros(len(grams), bool)  # before the first BOS, going back, there is nothing but BOS
    for symbol in older:
        bos = symbol == BOS
        if (begun & ~bos | (symbol >= END) & ~bos).any():
            return "its contexts are not bytes"
        begun = bos
    return None


def _damaged(path: Path, reason: str) -> Error:
    return Error(f"the n-gram model {path} is damaged ({reason}). Fit it again.")
