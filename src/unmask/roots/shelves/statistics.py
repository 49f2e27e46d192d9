"""What is known of each shelf without opening it: sums that add up, ranges that join, and a sketch of its spread.

    mean      mu = sum x / n
    scatter   S  = sum (x - mu)(x - mu)^T  ~  B^T B + (tr S - |B|^2) / (D - R) (I - projection on B's rows)
    ranges    cosine of the angle to the centroid, length: smallest and largest
    prominence  n, sum, sum of squares, largest: mean, deviation and maximum

B holds the R leading directions of S as rows (R = ``rank``), the rest is spread evenly. tr S is exact: sum |x|^2 - n
|mu|^2. Two halves of a shelf make the whole by adding sums and joining ranges, exactly; sketches by

    B = top R of [ B_1; B_2; sqrt(n_1 n_2 / n) (mu_1 - mu_2) ]

which is exact while R is at least the rank, and else loses what is cut off (Frequent Directions without its shrinkage,
Liberty 2013, arXiv 1206.0594: B^T B never exceeds S). Why not a diagonal, which merges exactly: it says nothing here.
On docstrings the deviation from the diagonal, in the data's principal axes or not, finds as much as the trace alone,
one number a shelf; four directions of the shelf's own find four points more (docs/studies/roots-routing.md).

Letters: N vectors, K shelves, D dimensions, R rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from unmask.errors import Error
from unmask.roots.partition.partitioner import ROWS, totals


@dataclass(frozen=True)
class ShelfStatistics:
    """Statistics of K shelves. A shelf without vectors has the ranges (inf, -inf).

    Attributes:
        centroids: What angles are measured to; not part of what adds up.
        count: Vectors.
        total: Their sum.
        squares: Sum of their squared lengths.
        sketch: B.
        cosine: Smallest and largest cosine to the centroid; 0 for a vector or centroid of length 0.
        norm: Smallest and largest length.
        prominence: Sum, sum of squares, largest.
    """

    centroids: Float32[np.ndarray, "K D"]
    count: Int64[np.ndarray, " K"]
    total: Float64[np.ndarray, "K D"]
    squares: Float64[np.ndarray, " K"]
    sketch: Float32[np.ndarray, "K R D"]
    cosine: Float64[np.ndarray, "K 2"]
    norm: Float64[np.ndarray, "K 2"]
    prominence: Float64[np.ndarray, "K 3"]

    @property
    def shelves(self) -> int:
        """K."""
        return len(self.count)

    @property
    def rank(self) -> int:
        """R."""
        return int(self.sketch.shape[1])

    @property
    def mean(self) -> Float32[np.ndarray, "K D"]:
        """Means; zeros where there is nothing."""
        found: Float32[np.ndarray, "K D"] = (self.total / np.maximum(self.count, 1)[:, None]).astype(np.float32)
        return found

    @property
    def trace(self) -> Float64[np.ndarray, " K"]:
        """Tr S: the summed squared distance to the mean."""
        between = np.square(self.total).sum(1) / np.maximum(self.count, 1)
        found: Float64[np.ndarray, " K"] = np.maximum(self.squares - between, 0.0)
        return found

    @property
    def prominence_moments(self) -> Float64[np.ndarray, "K 3"]:
        """Mean, standard deviation and largest; zeros where there is nothing."""
        n = np.maximum(self.count, 1)
        mean = self.prominence[:, 0] / n
        deviation = np.sqrt(np.maximum(self.prominence[:, 1] / n - mean**2, 0))
        return np.where(self.count[:, None] > 0, np.stack([mean, deviation, self.prominence[:, 2]], 1), 0.0)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, as they are here; what a router keeps of them is less (see its ``nbytes``)."""
        return sum(array.nbytes for array in self.to_arrays().values())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fields by name, for a file of tensors."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ShelfStatistics:
        """Return statistics from :meth:`to_arrays`, in the types of this class; other arrays are ignored.

        Raises:
            Error: an array is missing.
        """
        missing = [field.name for field in fields(cls) if field.name not in arrays]
        if missing:
            raise Error(f"statistics of shelves lack {', '.join(missing)}; build the index again.")
        types = {"centroids": np.float32, "sketch": np.float32, "count": np.int64}
        return cls(**{f.name: np.asarray(arrays[f.name], types.get(f.name, np.float64)) for f in fields(cls)})


def measure(
    vectors: Float32[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    centroids: Float32[np.ndarray, "K D"],
    prominence: Float[np.ndarray, " N"] | None = None,
    *,
    rank: int = 4,
) -> ShelfStatistics:
    """Return the statistics of vectors on shelves.

    For a partition with copies give each copy as a vector: ``m = partition.members()``, ``vectors[m.points]``,
    ``np.repeat(np.arange(K), np.diff(m.starts))``.

    Args:
        vectors: Any lengths.
        labels: The shelf of each.
        centroids: As they will be used: if a file rounds them, round them before, else the ranges do not hold.
        prominence: Of each vector; default: its length.
        rank: R, at most D.

    Raises:
        Error: shapes that do not fit, a label that is no shelf, or an impossible rank.
    """
    shelves, width = centroids.shape
    if vectors.ndim != 2 or vectors.shape[1] != width or len(labels) != len(vectors):
        raise Error(f"statistics need vectors [N, {width}] and N labels, not {vectors.shape} and {labels.shape}.")
    if len(labels) and not (0 <= labels.min() and labels.max() < shelves):
        raise Error(f"a label names a shelf outside 0..{shelves - 1}.")
    if not 0 <= rank <= width:
        raise Error(f"a sketch of vectors of width {width} has a rank from 0 to {width}, not {rank}.")
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    weight = length if prominence is None else np.asarray(prominence, np.float64)
    if len(weight) != len(vectors):
        raise Error(f"{len(vectors)} vectors need as many prominences, not {len(weight)}.")
    total = np.zeros((shelves, width))
    cosine = np.empty(len(vectors))
    own = np.linalg.norm(centroids.astype(np.float64), axis=1)
    for first in range(0, len(vectors), ROWS):
        part = slice(first, first + ROWS)
        x, label = vectors[part].astype(np.float64), labels[part]
        total += totals(x, label, shelves)
        cosine[part] = (x * centroids[label]).sum(1) / np.maximum(length[part] * own[label], 1e-300)
    count = np.bincount(labels, minlength=shelves)
    return ShelfStatistics(
        centroids.astype(np.float32),
        count,
        total,
        np.bincount(labels, length**2, shelves),
        _sketches(vectors, labels, count, rank),
        _ranges(cosine, labels, shelves),
        _ranges(length, labels, shelves),
        np.stack(
            [
                np.bincount(labels, weight, shelves),
                np.bincount(labels, weight**2, shelves),
                _ranges(weight, labels, shelves)[:, 1],
            ],
            1,
        ),
    )


def merge(a: ShelfStatistics, b: ShelfStatistics) -> ShelfStatistics:
    """Return the statistics of the shelves that hold what ``a`` and ``b`` hold.

    Raises:
        Error: they are about other centroids or of another rank.
    """
    if a.centroids.shape != b.centroids.shape or not (a.centroids == b.centroids).all():
        raise Error("statistics can be merged only if their angles were measured to the same centroids.")
    if a.rank != b.rank:
        raise Error(f"sketches of rank {a.rank} and {b.rank} cannot be merged; measure both with one rank.")
    count = a.count + b.count
    apart = np.sqrt(a.count * b.count / np.maximum(count, 1))[:, None] * (a.mean.astype(np.float64) - b.mean)
    rows = np.concatenate([a.sketch, b.sketch, apart[:, None].astype(np.float32)], 1)
    return ShelfStatistics(
        a.centroids,
        count,
        a.total + b.total,
        a.squares + b.squares,
        _leading(rows, a.rank),
        np.stack([np.minimum(a.cosine[:, 0], b.cosine[:, 0]), np.maximum(a.cosine[:, 1], b.cosine[:, 1])], 1),
        np.stack([np.minimum(a.norm[:, 0], b.norm[:, 0]), np.maximum(a.norm[:, 1], b.norm[:, 1])], 1),
        np.concatenate(
            [
                a.prominence[:, :2] + b.prominence[:, :2],
                np.maximum(a.prominence[:, 2:], b.prominence[:, 2:]),
            ],
            1,
        ),
    )


def _ranges(
    values: Float64[np.ndarray, " N"], labels: Int64[np.ndarray, " N"], shelves: int
) -> Float64[np.ndarray, "K 2"]:
    found = np.full((shelves, 2), [np.inf, -np.inf])
    np.minimum.at(found[:, 0], labels, values)
    np.maximum.at(found[:, 1], labels, values)
    return found


def _sketches(
    vectors: Float32[np.ndarray, "N D"], labels: Int64[np.ndarray, " N"], count: Int64[np.ndarray, " K"], rank: int
) -> Float32[np.ndarray, "K R D"]:
    found = np.zeros((len(count), rank, vectors.shape[1]), np.float32)
    if rank:
        order = np.argsort(labels, kind="stable")
        for shelf, points in enumerate(np.split(order, count.cumsum()[:-1])):
            if len(points) > 1:
                x = vectors[points]
                found[shelf] = _leading((x - x.mean(0))[None], rank)[0]
    return found


def _leading(rows: Float32[np.ndarray, "K n D"], rank: int) -> Float32[np.ndarray, "K R D"]:
    """Return, for each shelf, the ``rank`` leading directions of the rows' scatter, as long as its singular values."""
    shelves, n, width = rows.shape
    found = np.zeros((shelves, rank, width), np.float32)
    kept = min(rank, n, width)
    if kept and n <= width:
        _, vectors = np.linalg.eigh(rows @ rows.transpose(0, 2, 1))
        found[:, :kept] = vectors[:, :, : -kept - 1 : -1].transpose(0, 2, 1) @ rows
    elif kept:
        values, vectors = np.linalg.eigh(rows.transpose(0, 2, 1) @ rows)
        leading = np.sqrt(np.maximum(values[:, : -kept - 1 : -1], 0))
        found[:, :kept] = leading[:, :, None] * vectors[:, :, : -kept - 1 : -1].transpose(0, 2, 1)
    return found
