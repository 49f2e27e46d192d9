"""What an index costs, in the three places where it does: memory, each query, the disk.

The ratio of the *core* to the vectors is no compression (docs/origins.md): the core answers no query alone, it says
where to look. So the report has (a) what stays in memory, (b) what a query reads besides, (c) what must lie somewhere
all the same, and the ratio of (a) to the vectors both as float32 and as they are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unmask.roots.index import DIAL, ROUTER, Index
from unmask.roots.search.budget import by_default
from unmask.roots.shelves.dial import NEAREST
from unmask.roots.shelves.segment import MEMBERS

_PARTS = {
    "centroids": ("centroids", "centroids_scales", "mean", "mean_scales"),
    "sketch": ("sketch", "sketch_scales"),
    "ranges_and_moments": ("count", "trace", "cosine", "norm", "prominence", "offsets"),
    "bytes": ("shares", "presence"),
}


def account(index: Index) -> dict[str, dict[str, Any]]:
    """Return the report, as sections of named numbers.

    Args:
        index: The index.
    """
    manifest, arrays = index.manifest, index.arrays
    sizes = {part: sum(arrays[name].nbytes for name in names if name in arrays) for part, names in _PARTS.items()}
    learned = sum(array.nbytes for name, array in arrays.items() if name.startswith((ROUTER, DIAL)) or name == "probes")
    core = sum(sizes.values()) + learned
    as_float32 = 4 * manifest.texts * manifest.width
    kept = manifest.texts * index.row_bytes
    files = {name: size for name, size in manifest.files.items() if name.endswith(MEMBERS)}
    read = by_default(manifest.texts, NEAREST)
    signs = index.signs
    return {
        "holds": {
            "texts": manifest.texts,
            "documents": manifest.documents,
            "bytes": manifest.bytes,
            "shelves": manifest.shelves,
            "largest_shelf_over_mean": float(index.sizes.max() / max(index.sizes.mean(), 1e-9)),
            "segments": len(index.segments),
            "embedder": manifest.embedder,
            "partition": manifest.partition,
            "router": manifest.router,
            "storage": manifest.storage,
            "core": manifest.core,
            "passage": manifest.passage,
            "fingerprint": manifest.fingerprint,
            "sources": manifest.sources,
        },
        "resident": {
            **sizes,
            "dial_and_router": learned,
            "core": core,
            "core_a_shelf": core / manifest.shelves,
            "router_in_memory": int(index.router().nbytes),
            "vectors_as_float32_over_core": as_float32 / core,
            "vectors_as_kept_over_core": kept / core,
        },
        "query": {
            "share_of_texts": read / manifest.texts,
            "texts_read": read,
            "bytes_read": read * index.row_bytes,
            "expected_recall": index.dial.recall_at(read),
            "expected_shelves": index.dial.shelves_at(read),
        },
        "elsewhere": {
            "vectors": kept,
            "texts": manifest.bytes,
            "ids_and_offsets": sum(files.values()) - kept,
            "exact_statistics": manifest.files[manifest.name("statistics")],
        },
        "grep": {
            "n": manifest.grams,
            "byte_counts": signs.most.nbytes,
            "bitmaps": 0 if signs.bitmaps is None else signs.bitmaps.nbytes,
            "bits_set": None if signs.bitmaps is None else float(np.unpackbits(signs.bitmaps).mean()),
        },
    }
