"""A segment: texts with their vectors on disk, shelf by shelf, never changed once written.

    members.safetensors   values [N, D], scales [N] (int8 only), prominence [N], document [N], piece [N],
                          digest [N], offsets [N + 1] of the texts, starts [K + 1] of the shelves
    texts.bin             the texts in the same order, UTF-8, one behind the other

An index is its resident core and one segment or more: adding texts writes a new segment, merging writes one of all.
What arrives is spilled to raw files in the order of arrival; once every text has its shelf, one pass over the spilled
files moves each text to its place (a counting sort on disk: K sequential streams), so memory does not bound the size.

Letters: N texts, D dimensions, K shelves.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt64

from unmask.retrieval import tensors
from unmask.retrieval.vectors import KINDS, Vectors

MEMBERS = "members.safetensors"
TEXTS = "texts.bin"
_ROWS = 8192
_FIELDS = {"prominence": np.float32, "document": np.int32, "piece": np.int32, "digest": np.uint64, "length": np.int64}


@dataclass(frozen=True)
class Segment:
    """Texts on shelves.

    Attributes:
        vectors: As they are kept.
        prominence: Of each text.
        document: Number of the document that each text is a piece of, from 0 in this segment.
        piece: Which piece of its document a text is, from 0.
        digest: Of each text but for white space at its ends: equal texts have equal ones.
        offsets: Where each text begins in ``texts``, and where the last ends.
        starts: Where each shelf begins, and where the last ends.
        texts: UTF-8.
    """

    vectors: Vectors
    prominence: Float32[np.ndarray, " N"]
    document: Int32[np.ndarray, " N"]
    piece: Int32[np.ndarray, " N"]
    digest: UInt64[np.ndarray, " N"]
    offsets: Int64[np.ndarray, " N+1"]
    starts: Int64[np.ndarray, " K+1"]
    texts: mmap.mmap | bytes

    def __len__(self) -> int:
        return len(self.prominence)

    def text(self, row: int) -> bytes:
        """Return one text."""
        return self.texts[int(self.offsets[row]) : int(self.offsets[row + 1])]

    def shelf(self, shelf: int) -> slice:
        """Return the rows of one shelf."""
        return slice(int(self.starts[shelf]), int(self.starts[shelf + 1]))

    def labels(self) -> Int64[np.ndarray, " N"]:
        """Return the shelf of each text."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def batches(self) -> Iterator[tuple[slice, list[bytes]]]:
        """Yield the segment in parts: rows and their texts."""
        for first in range(0, len(self), _ROWS):
            rows = slice(first, min(first + _ROWS, len(self)))
            yield rows, [self.text(row) for row in range(rows.start, rows.stop)]


def bare(text: bytes) -> bytes:
    """Return a text without the white space at its ends, Unicode's: what says whether two texts are equal."""
    return text.decode(errors="surrogateescape").strip().encode(errors="surrogateescape")


def digest(text: bytes) -> int:
    """Return a 64-bit hash of a text without the white space at its ends."""
    return int.from_bytes(hashlib.blake2b(bare(text), digest_size=8).digest(), "little")


def open_segment(folder: Path, again: str) -> Segment:
    """Open a segment, mapped: nothing is read yet.

    Raises:
        Error: a file is missing or damaged; ``again`` says what to do.
    """
    arrays = tensors.read(folder / MEMBERS, again)
    return _segment(arrays, tensors.read_bytes(folder / TEXTS, again))


def _segment(arrays: dict[str, np.ndarray], texts: mmap.mmap | bytes) -> Segment:
    scales = arrays.get("scales")
    values = arrays["values"]
    vectors = Vectors(values, np.ones(len(values), np.float32) if scales is None else scales)
    prominence, document, piece = arrays["prominence"], arrays["document"], arrays["piece"]
    return Segment(vectors, prominence, document, piece, arrays["digest"], arrays["offsets"], arrays["starts"], texts)


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
        self._types = {"values": KINDS[storage], "scales": np.float32, **_FIELDS}
        self._files = {name: (folder / name).open("wb") for name in (*self._types, "texts")}
        self.count = 0
        self.bytes = 0

    def add(
        self,
        vectors: Vectors,
        prominence: Float32[np.ndarray, " n"],
        document: Sequence[int],
        piece: Sequence[int],
        texts: Sequence[bytes],
    ) -> UInt64[np.ndarray, " n"]:
        """Take some texts, and return their digests."""
        digests = np.fromiter(map(digest, texts), np.uint64, len(texts))
        columns = {
            "values": vectors.values,
            "scales": vectors.scales,
            "prominence": prominence,
            "document": np.asarray(document),
            "piece": np.asarray(piece),
            "digest": digests,
            "length": np.fromiter(map(len, texts), np.int64, len(texts)),
        }
        for name, column in columns.items():
            self._files[name].write(np.ascontiguousarray(column, self._types[name]).data)
        self._files["texts"].write(b"".join(texts))
        self.count += len(texts)
        self.bytes += sum(map(len, texts))
        return digests

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
        return _segment(arrays, tensors.read_bytes(self._folder / "texts", ""))

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()


class Part(NamedTuple):
    """A segment on its way into a larger one.

    Attributes:
        segment: The texts.
        labels: The shelf of each; -1: it is left out.
        document: The new number of each one's document.
    """

    segment: Segment
    labels: Int64[np.ndarray, " n"]
    document: Int32[np.ndarray, " n"]


def group(parts: Sequence[Part], shelves: int, storage: str, folder: Path) -> None:
    """Write segments as one, shelf by shelf; within a shelf the order of arrival stays.

    Args:
        parts: Segments in order.
        shelves: K.
        storage: How vectors are kept, in all parts.
        folder: Where to; it is made.

    Raises:
        OSError: the disk is full or not writable.
    """
    counts = np.zeros(shelves, np.int64)
    for part in parts:
        counts += np.bincount(part.labels[part.labels >= 0], minlength=shelves)
    total, width = int(counts.sum()), parts[0].segment.vectors.values.shape[1]
    folder.mkdir()
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "values": (KINDS[storage], (total, width)),
        "prominence": (np.float32, (total,)),
        "document": (np.int32, (total,)),
        "piece": (np.int32, (total,)),
        "digest": (np.uint64, (total,)),
        "offsets": (np.int64, (total + 1,)),
        "starts": (np.int64, (shelves + 1,)),
    }
    if storage == "int8":
        shapes["scales"] = (np.float32, (total,))
    out = tensors.create(folder / MEMBERS, shapes)
    out["starts"][1:] = np.cumsum(counts)
    cursor = out["starts"][:-1].copy()
    places = [_places(part.labels, cursor) for part in parts]
    for part, place in zip(parts, places, strict=True):
        out["offsets"][1:][place[place >= 0]] = np.diff(part.segment.offsets)[place >= 0]
    np.cumsum(out["offsets"], out=out["offsets"])
    texts = tensors.create_bytes(folder / TEXTS, int(out["offsets"][-1]))
    for part, place in zip(parts, places, strict=True):
        for rows, held in part.segment.batches():
            used = place[rows] >= 0
            source, to = np.arange(rows.start, rows.stop)[used], place[rows][used]
            out["values"][to] = part.segment.vectors.values[source]
            if storage == "int8":
                out["scales"][to] = part.segment.vectors.scales[source]
            out["prominence"][to] = part.segment.prominence[source]
            out["document"][to] = part.document[source]
            out["piece"][to] = part.segment.piece[source]
            out["digest"][to] = part.segment.digest[source]
            for at, row in zip(out["offsets"][to].tolist(), (source - rows.start).tolist(), strict=True):
                texts[at : at + len(held[row])] = held[row]
    texts.flush()
    texts.close()
    for array in out.values():
        tensors.flush(array)


def _places(labels: Int64[np.ndarray, " n"], cursor: Int64[np.ndarray, " K"]) -> Int64[np.ndarray, " n"]:
    """Return where each text goes (-1: nowhere), and move the shelves' cursors behind them."""
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    counts = np.bincount(labels[order], minlength=len(cursor))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full(len(labels), -1, np.int64)
    found[order] = np.repeat(cursor, counts) + rank
    cursor += counts
    return found
