"""Changing an index: texts added to the shelves it has, or several indexes with the same shelves made one.

Adding writes a new segment and adds its statistics to those of the shelves: what is there is not read again, but for
the digests by which repeated documents are told. The dial stays what it was, over shares of the texts. Merging writes
one segment of all texts, measures it, and sets the dial anew; counts, ranges and bitmaps are those of an index that was
built of all texts on these shelves.

Letters: N texts, K shelves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from unmask.data.origin import Document
from unmask.errors import Error
from unmask.progress import Tell
from unmask.roots.building import measure
from unmask.roots.building.arrivals import Spill
from unmask.roots.building.build import RANK, finish, write_core
from unmask.roots.building.intake import Taken, present, take
from unmask.roots.building.publish import aside, changing, published, sweep
from unmask.roots.embed.embedders import Reader
from unmask.roots.index import DIAL, ROUTER, Index, open_index
from unmask.roots.manifest import SegmentEntry, add_fingerprints, write_manifest
from unmask.roots.shelves.core import to_arrays
from unmask.roots.shelves.segment import Part, Segment, group, open_segment

_SAME = ("embedder", "width", "storage", "core", "grams", "passage", "partition", "shelves")


def add(
    index: Index,
    given: Iterable[Document | str],
    told: dict[str, Any],
    reader: Reader,
    *,
    max_texts: int | None = None,
    progress: Tell = lambda told: None,
) -> Taken:
    """Add documents to an index in its place; those that it holds already are left out.

    Args:
        index: The index, as it was opened at any time; it is not changed, open it again.
        given: Documents, with their places where these are known.
        told: What they are (source, split), for the manifest.
        reader: The index's embedder.
        max_texts: Stop at so many new texts; ``None``: at the end.
        progress: Called with where it stands.

    Raises:
        Error: another process changes the index, or the disk is full or not writable.
    """
    folder = index.path
    _refuse_linked(index)
    with changing(folder):
        index = open_index(folder)  # as it is now: another process may have added to it since
        _refuse_linked(index)
        manifest = index.manifest
        sweep(folder)
        try:
            with aside(folder) as place:
                known = np.sort(np.concatenate([segment.digest for segment in index.segments]))
                with Spill(place / "spill", reader.width, manifest.storage) as spill:
                    taken = take(
                        given,
                        reader,
                        spill,
                        passage=manifest.passage,
                        max_texts=max_texts,
                        storage=manifest.storage,
                        known=known,
                        progress=progress,
                    )
                    if not spill.count:
                        return taken
                    arrived = spill.done()
                taken.texts = len(arrived)
                labels = np.concatenate(
                    [index.assign(arrived.vectors.floats(slice(f, f + 8192))) for f in range(0, len(arrived), 8192)]
                )
                after = replace(
                    manifest,
                    generation=manifest.generation + 1,
                    fingerprint=add_fingerprints(manifest.fingerprint, taken.fingerprint),
                    sources=[*manifest.sources, {**told, "documents": taken.documents, "texts": len(arrived)}],
                )
                name = f"segment-{after.generation}"
                group([Part(arrived, labels, arrived.document)], manifest.shelves, manifest.storage, place / name)
                entry = SegmentEntry(name, len(arrived), taken.documents, int(arrived.offsets[-1]))
                exact = index.exact()
                fresh = measure.measure(
                    [open_segment(place / name, "")], exact.statistics.centroids, manifest.grams, RANK
                )
                found = measure.merge(measure.Measured(*exact, index.signs.bitmaps), fresh)
                kept = {
                    k: np.array(a) for k, a in index.arrays.items() if k.startswith((DIAL, ROUTER)) or k == "probes"
                }
                core = to_arrays(found.statistics, index.core.offsets, found.held, manifest.core)
                os.rename(place / name, folder / name)
            write_core(folder, after, found, core | kept)
            write_manifest(folder, replace(after, segments=[*manifest.segments, entry]))
            return taken
        finally:
            sweep(folder)


def _refuse_linked(index: Index) -> None:
    if index.manifest.linked:
        raise Error(f"{index.path} is linked to other indexes; add to one of them, and link them again.")


def merge(
    indexes: Sequence[Index],
    output: Path,
    reader: Reader,
    *,
    force: bool = False,
    progress: Tell = lambda told: None,
) -> int:
    """Write indexes as one, and return how many documents were left out because an earlier index has them.

    Args:
        indexes: One or more.
        output: The new index's folder; not one of theirs.
        reader: Their embedder.
        force: Replace an index at ``output``.
        progress: Called with where it stands.

    Raises:
        Error: they differ in shelves or settings, or ``output`` cannot be written.
    """
    check_alike(indexes)
    first = indexes[0]
    repeated = 0

    def make(folder: Path) -> None:
        nonlocal repeated
        opened = [open_index(index.path) for index in indexes]  # one may lie at the output, and have been added to
        check_alike(opened)
        parts: list[Part] = []
        known = np.zeros(0, np.uint64)
        documents = 0
        for index in opened:
            fresh = np.zeros(0, np.uint64)
            for segment in index.segments:
                kept = _fresh(segment, known)
                stays = np.zeros(int(segment.document.max()) + 1, bool)
                stays[segment.document[kept]] = True
                repeated += len(np.unique(segment.document)) - int(stays.sum())
                numbers = documents + np.cumsum(stays) - 1
                parts.append(
                    Part(segment, np.where(kept, segment.labels(), -1), numbers[segment.document].astype(np.int32))
                )
                documents += int(stays.sum())
                fresh = np.concatenate([fresh, segment.digest[kept]])
            known = np.sort(np.concatenate([known, fresh]))
        group(parts, first.manifest.shelves, first.manifest.storage, folder / "segment-1")
        whole = open_segment(folder / "segment-1", "")
        total = int(whole.digest.sum(dtype=np.uint64)) & ((1 << 64) - 1)
        manifest = replace(
            first.manifest,
            generation=1,
            fingerprint=f"{total:016x}",
            sources=[source for index in opened for source in index.manifest.sources],
            segments=[SegmentEntry("segment-1", len(whole), documents, int(whole.offsets[-1]))],
        )
        statistics = first.core.statistics
        finish(folder, manifest, statistics.centroids, first.core.offsets, reader, progress=progress)

    published(output, make, force)
    return repeated


def check_alike(indexes: Sequence[Index]) -> None:
    """Refuse indexes whose texts cannot lie on the same shelves.

    Raises:
        Error: none, or they differ; the message names in what.
    """
    if not indexes:
        raise Error("there is nothing to merge. Name at least one index.")
    first = indexes[0]
    for other in indexes[1:]:
        how = f"build one of them like {first.path}"
        for name in _SAME:
            ours, theirs = getattr(first.manifest, name), getattr(other.manifest, name)
            if ours != theirs:
                raise Error(f"{first.path} has {name} {ours} and {other.path} has {theirs}; {how}")
        ours, theirs = first.core, other.core
        alike = np.array_equal(ours.statistics.centroids, theirs.statistics.centroids)
        if not alike or not np.array_equal(ours.offsets, theirs.offsets):
            raise Error(f"{first.path} and {other.path} have other shelves; {how}")


def _fresh(segment: Segment, known: np.ndarray) -> Bool[np.ndarray, " N"]:
    """Return which texts belong to documents that are not wholly known."""
    new = ~present(known, segment.digest)
    some = np.zeros(int(segment.document.max()) + 1, bool)
    some[segment.document[new]] = True
    found: Bool[np.ndarray, " N"] = some[segment.document]
    return found
