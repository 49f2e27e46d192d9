"""Several indexes with the same shelves searched as one, where they lie: an index whose segments are theirs.

Only the core is written: statistics of all texts together, measured as :func:`unmask.roots.building.change.merge`
measures them, in the same order, and a dial. So a search opens the shelves that a search of the merged index opens,
reads the same texts, and gives the same certificate; only texts with equal scores may change places, and the dial is
set with other sentences. A segment is never changed once written: texts that are added to a part later are not seen
until the parts are linked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unmask.errors import Error
from unmask.lines import counted
from unmask.progress import Tell
from unmask.roots.building.build import finish
from unmask.roots.building.change import check_alike
from unmask.roots.building.intake import present
from unmask.roots.building.publish import published
from unmask.roots.embed.embedders import Reader
from unmask.roots.index import Index
from unmask.roots.manifest import add_fingerprints
from unmask.workers import HERE, Workers


def link(
    indexes: Sequence[Index],
    output: Path,
    reader: Reader,
    *,
    force: bool = False,
    workers: Workers = HERE,
    progress: Tell = lambda told: None,
) -> None:
    """Write an index of indexes.

    Args:
        indexes: One or more. Their folders are named by absolute path, and must stay.
        output: The new index's folder; not one of theirs.
        reader: Their embedder.
        force: Replace an index at ``output``.
        workers: Who measures.
        progress: Called with where it stands.

    Raises:
        Error: they differ in shelves or settings, a document is in two of them, or ``output`` cannot be written.
    """
    check_alike(indexes)
    _check_apart(indexes, output)
    first = indexes[0]
    entries = [
        replace(entry, folder=str((index.path / entry.folder).resolve()))
        for index in indexes
        for entry in index.manifest.segments
    ]

    def make(folder: Path) -> None:
        manifest = replace(
            first.manifest,
            generation=1,
            fingerprint=add_fingerprints(*(index.manifest.fingerprint for index in indexes)),
            sources=[source for index in indexes for source in index.manifest.sources],
            segments=entries,
        )
        finish(folder, manifest, first.core.statistics.centroids, first.core.offsets, reader, workers, progress)

    published(output, make, force)


def _check_apart(indexes: Sequence[Index], output: Path) -> None:
    """Refuse an output that would take a part away, and documents that would be found twice."""
    for index in indexes:
        if output.resolve() == index.path.resolve():
            raise Error(f"output {output} is one of the indexes to be linked, which must stay; name another one.")
    known = np.zeros(0, np.uint64)
    for index in indexes:
        digests = np.concatenate([segment.digest for segment in index.segments])
        there = present(known, digests)
        documents = np.concatenate(
            [segment.document + first for segment, first in zip(index.segments, index.firsts, strict=True)]
        )
        twice = np.setdiff1d(documents, documents[~there])
        if len(twice):
            raise Error(
                f"{counted(len(twice), 'document')} of {index.path} are in an index before it, and would be "
                "found twice; "
                "merge them, or build parts that share none: part I/N"
            )
        known = np.sort(np.concatenate([known, digests]))
