"""Spilling: vectors near a border lie on a second shelf, too, where a query that just misses them finds them.

    second(x) = argmin_(k != first)  |r'|^2 + lambda <r', r>^2 / |r|^2,      r = x - c_first, r' = x - c_k

The second term (SOAR, Sun et al. 2023, arXiv 2404.00774) asks for a residual that is not parallel to the first: a query
for which the first shelf looks bad is not the one for which the second looks bad. lambda = 0 is the second nearest
centroid. Copied are the ``share`` of the vectors whose loss is the least above their first distance. Copies are read
and stored: sizes count them.

Letters: N vectors, K shelves, D dimensions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from unmask.errors import Error
from unmask.roots.partition.partitioner import ROWS, Partition, half_squares


def spill(partition: Partition, vectors: Float32[np.ndarray, "N D"], share: float, parallel: float = 1.0) -> Partition:
    """Return the partition with a second shelf for a share of its vectors.

    Args:
        partition: Of these vectors.
        vectors: In the order of its labels.
        share: Of the vectors, 0 to 1.
        parallel: lambda.

    Raises:
        Error: the share is not from 0 to 1, or there is one shelf.
    """
    if not 0 <= share <= 1:
        raise Error(f"a share of spilled vectors lies between 0 and 1, not {share}.")
    if partition.shelves < 2:
        raise Error("nothing can be spilled from a single shelf; build at least two.")
    centroids, labels = partition.centroids, partition.labels
    second, loss = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    for first in range(0, len(vectors), ROWS):
        part = slice(first, first + ROWS)
        x, own = vectors[part], centroids[labels[part]]
        r = x - own
        length = np.maximum(np.square(r).sum(1), 1e-12)
        scores = x @ centroids.T
        squared = 2 * (half_squares(x)[:, None] - scores + half_squares(centroids))
        along = (r * x).sum(1)[:, None] - r @ centroids.T
        cost = squared + parallel * along**2 / length[:, None]
        np.put_along_axis(cost, labels[part, None], np.inf, 1)
        second[part] = cost.argmin(1)
        loss[part] = cost.min(1) - length
    keep = np.argsort(loss, kind="stable")[: round(share * len(vectors))]
    spilled = np.full(len(vectors), -1)
    spilled[keep] = second[keep]
    return replace(partition, second=spilled)
