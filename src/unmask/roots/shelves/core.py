"""The resident core: all that a search needs before it opens a shelf, rounded to a few kilobytes a shelf.

    centroids [K, D], mean [K, D], sketch [K, R, D]    as float16, or int8 with a scale a row
    count, trace, cosine, norm, prominence, offsets  float32: ranges rounded outwards, so bounds stay true
    shares [K, 256] float16, presence [K, 32]          of bytes

Centroids are rounded *before* anything is measured to them, so the ranges hold for what the file says. The exact sums
lie in another file, which only adding and merging read.

Letters: K shelves, D dimensions, R rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from unmask.errors import Error
from unmask.roots.shelves.shelf_bytes import ShelfBytes
from unmask.roots.shelves.statistics import ShelfStatistics
from unmask.roots.shelves.vectors import Vectors, keep

KINDS = ("float16", "int8")


@dataclass(frozen=True)
class Core:
    """What is known of the shelves, as a search sees it.

    Attributes:
        statistics: Rounded.
        offsets: b in the rule that puts a vector on a shelf.
        shares: Unigram distribution of each shelf's bytes.
        presence: One bit for each byte that occurs.
    """

    statistics: ShelfStatistics
    offsets: Float32[np.ndarray, " K"]
    shares: Float32[np.ndarray, "K 256"]
    presence: UInt8[np.ndarray, "K 32"]


def check_core(storage: str) -> None:
    """Refuse what the core cannot be kept as.

    Raises:
        Error: an unknown storage.
    """
    if storage not in KINDS:
        raise Error(f"core is {storage!r}; choose {' or '.join(KINDS)}.")


def rounded(vectors: Float32[np.ndarray, "K D"], storage: str) -> Float32[np.ndarray, "K D"]:
    """Return vectors as the core will give them back; rounding them again changes nothing."""
    return keep(vectors, storage).floats()


def to_arrays(
    statistics: ShelfStatistics, offsets: Float32[np.ndarray, " K"], held: ShelfBytes, storage: str
) -> dict[str, np.ndarray]:
    """Return the arrays of the core's file.

    Args:
        statistics: Exact ones, measured to centroids that were rounded.
        offsets: b of each shelf.
        held: Byte statistics.
        storage: How vectors are kept.
    """
    shelves, rank, width = statistics.sketch.shape
    found = {
        **_kept("centroids", statistics.centroids, storage),
        **_kept("mean", statistics.mean, storage),
        **_kept("sketch", statistics.sketch.reshape(-1, width), storage),
        "count": statistics.count.astype(np.uint32),
        "trace": statistics.trace.astype(np.float32),
        "cosine": _outwards(statistics.cosine),
        "norm": _outwards(statistics.norm),
        "prominence": statistics.prominence_moments.astype(np.float32),
        "offsets": offsets.astype(np.float32),
        "shares": held.shares.astype(np.float16),
        "presence": held.presence,
    }
    found["sketch"] = found["sketch"].reshape(shelves, rank, width)
    return found


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Core:
    """Return what :func:`to_arrays` gave; sums are those of the rounded means, traces stay.

    Raises:
        KeyError, ValueError: arrays are missing or have shapes that do not go together.
    """
    shelves, rank, width = arrays["sketch"].shape
    count = np.asarray(arrays["count"], np.int64)
    moments = np.asarray(arrays["prominence"], np.float64)
    mean = _floats("mean", arrays)
    total = mean.astype(np.float64) * count[:, None]
    statistics = ShelfStatistics(
        _floats("centroids", arrays),
        count,
        total,
        np.asarray(arrays["trace"], np.float64) + np.square(total).sum(1) / np.maximum(count, 1),
        _floats("sketch", {**arrays, "sketch": arrays["sketch"].reshape(-1, width)}).reshape(shelves, rank, width),
        np.asarray(arrays["cosine"], np.float64),
        np.asarray(arrays["norm"], np.float64),
        np.stack([moments[:, 0] * count, (moments[:, 0] ** 2 + moments[:, 1] ** 2) * count, moments[:, 2]], axis=1),
    )
    if statistics.centroids.shape != mean.shape or mean.shape != (shelves, width) or len(count) != shelves:
        raise ValueError("its arrays do not go together")
    return Core(
        statistics,
        np.asarray(arrays["offsets"], np.float32),
        np.asarray(arrays["shares"], np.float32),
        np.asarray(arrays["presence"]),
    )


def _kept(name: str, vectors: Float32[np.ndarray, "n D"], storage: str) -> dict[str, np.ndarray]:
    found = keep(vectors, storage)
    return {name: found.values} | ({f"{name}_scales": found.scales} if storage == "int8" else {})


def _floats(name: str, arrays: Mapping[str, np.ndarray]) -> Float32[np.ndarray, "n D"]:
    values = arrays[name]
    return Vectors(values, np.asarray(arrays.get(f"{name}_scales", np.ones(len(values), np.float32)))).floats()


def _outwards(ranges: np.ndarray) -> np.ndarray:
    """Return [smallest, largest] as float32 that still contain what the float64 ones do."""
    low, high = (ranges[:, side].astype(np.float32) for side in (0, 1))
    low = np.where(low > ranges[:, 0], np.nextafter(low, np.float32(-np.inf)), low)
    high = np.where(high < ranges[:, 1], np.nextafter(high, np.float32(np.inf)), high)
    return np.stack([low, high], axis=1)
