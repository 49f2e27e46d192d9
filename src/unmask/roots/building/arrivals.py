"""Texts with their vectors as they arrive: raw files on disk in that order, until each text has its shelf.

Letters: n texts at once, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float32, UInt64

from unmask.roots.shelves import tensors
from unmask.roots.shelves.origins import pack
from unmask.roots.shelves.segment import Segment, as_segment, digest
from unmask.roots.shelves.vectors import KINDS, Vectors

_FIELDS = {"prominence": np.float32, "document": np.int32, "piece": np.int32, "digest": np.uint64, "length": np.int64}
_PLACES = {"source": np.int32, "line": np.int32}


class Spill:
    """Files that take texts in the order in which they arrive.

    Args:
        folder: Where the files lie until :meth:`done` and :func:`group` have been called; it is the caller's.
        width: D.
        storage: How vectors are kept.
    """

    def __init__(self, folder: Path, width: int, storage: str) -> None:
        self._folder, self._width, self._storage = folder, width, storage
        folder.mkdir()
        self._types = {"values": KINDS[storage], "scales": np.float32, **_FIELDS, **_PLACES}
        self._files = {name: (folder / name).open("wb") for name in (*self._types, "texts")}
        self._names: dict[str, int] = {}
        self.count = 0
        self.bytes = 0

    def add(
        self,
        vectors: Vectors,
        prominence: Float32[np.ndarray, " n"],
        document: Sequence[int],
        piece: Sequence[int],
        texts: Sequence[bytes],
        sources: Sequence[str] | None = None,
        lines: Sequence[int] | None = None,
    ) -> UInt64[np.ndarray, " n"]:
        """Take some texts, and return their digests; without ``sources`` it is not known where they were read."""
        digests = np.fromiter(map(digest, texts), np.uint64, len(texts))
        columns = {
            "values": vectors.values,
            "scales": vectors.scales,
            "prominence": prominence,
            "document": np.asarray(document),
            "piece": np.asarray(piece),
            "digest": digests,
            "length": np.fromiter(map(len, texts), np.int64, len(texts)),
            "source": np.array([self._number(source) for source in sources or [""] * len(texts)]),
            "line": np.zeros(len(texts), np.int32) if lines is None else np.asarray(lines),
        }
        for name, column in columns.items():
            self._files[name].write(np.ascontiguousarray(column, self._types[name]).data)
        self._files["texts"].write(b"".join(texts))
        self.count += len(texts)
        self.bytes += sum(map(len, texts))
        return digests

    def _number(self, source: str) -> int:
        return self._names.setdefault(source, len(self._names)) if source else -1

    def done(self) -> Segment:
        """Return all of it as a segment of one shelf, mapped."""
        self.__exit__(None, None, None)
        shapes = {"values": (self.count, self._width)}
        arrays: dict[str, np.ndarray] = {
            name: np.memmap(self._folder / name, kind, "r", 0, shapes.get(name, (self.count,)))
            for name, kind in self._types.items()
        }
        arrays["offsets"] = np.concatenate([[0], np.cumsum(arrays.pop("length"))])
        arrays["starts"] = np.array([0, self.count])
        arrays["names"] = pack(self._names)
        return as_segment(arrays, tensors.read_bytes(self._folder / "texts", ""))

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
