"""A segment: texts with their vectors on disk, shelf by shelf, never changed once written.

    members.safetensors   values [N, D], scales [N] (int8 only), prominence [N], document [N], piece [N],
                          digest [N], offsets [N + 1] of the texts, starts [K + 1] of the shelves;
                          source [N], line [N], names [bytes], where it is known (unmask.roots.shelves.origins)
    texts.bin             the texts in the same order, UTF-8, one behind the other

An index is its resident core and one segment or more: adding texts writes a new segment, merging writes one of all.
Once every text that has arrived (:mod:`unmask.roots.building.arrivals`) has its shelf, one pass over the spilled files
moves each to its place (a counting sort on disk: K sequential streams), so memory does not bound the size.

Letters: N texts, D dimensions, K shelves.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt64

from unmask.roots.shelves import tensors
from unmask.roots.shelves.origins import ARRAYS, Origins, joined
from unmask.roots.shelves.vectors import KINDS, Vectors

MEMBERS = "members.safetensors"
TEXTS = "texts.bin"
_ROWS = 8192


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
        origins: Where each text was read; ``None``: not known.
    """

    vectors: Vectors
    prominence: Float32[np.ndarray, " N"]
    document: Int32[np.ndarray, " N"]
    piece: Int32[np.ndarray, " N"]
    digest: UInt64[np.ndarray, " N"]
    offsets: Int64[np.ndarray, " N+1"]
    starts: Int64[np.ndarray, " K+1"]
    texts: mmap.mmap | bytes
    origins: Origins | None = None

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
    return as_segment(arrays, tensors.read_bytes(folder / TEXTS, again))


def as_segment(arrays: dict[str, np.ndarray], texts: mmap.mmap | bytes) -> Segment:
    """Return what a segment's file holds, by its names."""
    scales = arrays.get("scales")
    values = arrays["values"]
    vectors = Vectors(values, np.ones(len(values), np.float32) if scales is None else scales)
    prominence, document, piece = arrays["prominence"], arrays["document"], arrays["piece"]
    origins = Origins(*(arrays[name] for name in ARRAYS)) if ARRAYS[0] in arrays else None
    return Segment(
        vectors, prominence, document, piece, arrays["digest"], arrays["offsets"], arrays["starts"], texts, origins
    )


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
    places_of = joined([part.segment.origins for part in parts])
    if places_of is not None:
        shapes |= {
            "source": (np.int32, (total,)),
            "line": (np.int32, (total,)),
            "names": (np.uint8, places_of[0].shape),
        }
    out = tensors.create(folder / MEMBERS, shapes)
    if places_of is not None:
        out["names"][:] = places_of[0]
        out["source"][:] = -1
    out["starts"][1:] = np.cumsum(counts)
    cursor = out["starts"][:-1].copy()
    places = [_places(part.labels, cursor) for part in parts]
    for part, place in zip(parts, places, strict=True):
        out["offsets"][1:][place[place >= 0]] = np.diff(part.segment.offsets)[place >= 0]
    np.cumsum(out["offsets"], out=out["offsets"])
    texts = tensors.create_bytes(folder / TEXTS, int(out["offsets"][-1]))
    for number, (part, place) in enumerate(zip(parts, places, strict=True)):
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
            if places_of is not None and (origins := part.segment.origins) is not None:
                out["source"][to] = places_of[1][number][origins.source[source]]
                out["line"][to] = origins.line[source]
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
