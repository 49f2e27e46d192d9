"""Vectors with known groups, for the tests of partitions and routers."""

from __future__ import annotations

import numpy as np


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def groups(count, of, width=16, spread=0.3, seed=0):
    """Return ``count * of`` vectors of length 1 around ``count`` far directions, mixed, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.standard_normal((width, width)))[0][:count]
    label = rng.permutation(np.repeat(np.arange(count), of))
    noise = rng.standard_normal((len(label), width)) / np.sqrt(width)
    return unit(centres[label] + spread * noise), label


def cloud(count, width=8, seed=0):
    """Return vectors of any length without groups."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, width)) * np.linspace(1.5, 0.3, width) + 0.3).astype(np.float32)


def elongated(shelves=12, of=40, width=24, seed=0):
    """Return a world where a shelf's mean does not tell where its best vectors are: vectors, shelves, queries.

    Each shelf stretches along two directions of its own, and queries lie near single vectors.
    """
    rng = np.random.default_rng(seed)
    mean = unit(rng.standard_normal((shelves, width)) + 1.5)
    axes = rng.standard_normal((shelves, 2, width)) / np.sqrt(width)
    label = np.repeat(np.arange(shelves), of)
    along = rng.standard_normal((len(label), 2))
    vectors = mean[label] + np.einsum("nr,nrd->nd", along, axes[label]) * 0.8
    vectors = unit(vectors + 0.1 * rng.standard_normal(vectors.shape))
    near = rng.permutation(len(vectors))
    return vectors, label, unit(vectors[near] + 0.5 * rng.standard_normal(vectors.shape) / np.sqrt(width))
