"""Building an index: read once, fit shelves on a sample, put every text on its shelf, measure, learn the dial.

    documents -> pieces -> vectors -> spill (disk) -> partition of a sample -> labels -> members by shelf -> statistics

Memory holds one batch, the sample and a few numbers a text, so a corpus may be larger than memory. With ``like`` the
shelves are those of another index: two parts of a corpus built so can be merged.

Letters: N texts, K shelves, D dimensions.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from unmask.data.origin import Document
from unmask.errors import Error, check_seed
from unmask.lines import counted
from unmask.progress import Counter, Tell
from unmask.roots.building.arrivals import Spill
from unmask.roots.building.intake import take
from unmask.roots.building.learn import learn
from unmask.roots.building.measure import Measured, measure
from unmask.roots.building.pieces import check_length
from unmask.roots.building.publish import published
from unmask.roots.embed.embedders import PROBES, Reader, read_texts
from unmask.roots.index import DIAL, ROUTER, Index, dial_arrays
from unmask.roots.manifest import Manifest, SegmentEntry, write_manifest
from unmask.roots.partition import make_partitioner
from unmask.roots.route import ROUTERS
from unmask.roots.shelves import grams, tensors
from unmask.roots.shelves.core import check_core, from_arrays, rounded, to_arrays
from unmask.roots.shelves.segment import Part, Segment, group, open_segment
from unmask.roots.shelves.vectors import check_storage
from unmask.workers import HERE, Workers

RANK = 4
SAMPLE = 65_536


@dataclass(frozen=True)
class BuildOptions:
    """How an index is built.

    Attributes:
        shelves: K; ``None``: the power of two that is nearest to the root of the number of texts.
        partition: Name of a partitioner.
        router: Name of the router whose dial is set.
        storage: How members' vectors are kept.
        core: How the resident vectors are kept.
        passage: Bytes of a text at most; 0: whole documents.
        grams: n of grep's bitmaps; 0: none.
        seed: Of the sample, the partition and the dial's queries.
    """

    shelves: int | None = None
    partition: str = "kmeans"
    router: str = "moments"
    storage: str = "int8"
    core: str = "float16"
    passage: int = 1024
    grams: int = 4
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be built, before anything is read.

        Raises:
            Error: an unknown name, or a number out of range.
        """
        make_partitioner(self.partition)
        ROUTERS.get(self.router)
        check_storage(self.storage)
        check_core(self.core)
        check_length(self.passage)
        if self.grams:
            grams.check_size(self.grams)
        if self.shelves is not None and self.shelves < 1:
            raise Error(f"shelves is {self.shelves}; give at least 1.")
        check_seed(self.seed)


def build(
    given: Iterable[Document],
    told: dict[str, Any],
    output: Path,
    reader: Reader,
    options: BuildOptions,
    *,
    like: Index | None = None,
    max_texts: int | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
    workers: Workers = HERE,
    progress: Tell = lambda told: None,
) -> int:
    """Build an index, and return how many documents were left out because they had come before.

    Args:
        given: Documents.
        told: What they are (source, split), for the manifest.
        output: The index's folder.
        reader: The embedder.
        options: How.
        like: Take the shelves of this index.
        max_texts: Stop at so many texts; ``None``: at the end.
        force: Replace an index at ``output``.
        say: Called with a line of news.
        workers: Who embeds and measures; the index is the same whoever does.
        progress: Called with where it stands.

    Raises:
        Error: nothing to read, fewer texts than shelves, or ``output`` cannot be written.
    """
    repeated = 0

    def make(folder: Path) -> None:
        nonlocal repeated
        with Spill(folder / "spill", reader.width, options.storage) as spill:
            taken = take(
                given,
                reader,
                spill,
                passage=options.passage,
                max_texts=max_texts,
                storage=options.storage,
                progress=progress,
                workers=workers,
            )
            if not spill.count:
                raise Error(f"{told['source']} holds no text. Give a source with text in it.")
            arrived = spill.done()
        repeated = taken.repeated
        labels, centroids, offsets = _fitted(arrived, options, say) if like is None else _assigned(arrived, like)
        group([Part(arrived, labels, arrived.document)], len(centroids), options.storage, folder / "segment-1")
        shutil.rmtree(folder / "spill")
        entry = SegmentEntry("segment-1", len(arrived), taken.documents, int(arrived.offsets[-1]))
        manifest = Manifest(
            embedder=reader.name,
            width=reader.width,
            partition=options.partition,
            shelves=len(centroids),
            seed=options.seed,
            router=options.router,
            storage=options.storage,
            core=options.core,
            passage=options.passage,
            grams=options.grams,
            sources=[{**told, "documents": taken.documents, "texts": len(arrived)}],
            fingerprint=taken.fingerprint,
            segments=[entry],
        )
        say(f"{counted(len(arrived), 'text')} on {counted(len(centroids), 'shelf', 'shelves')}; measuring them")
        finish(folder, manifest, centroids, offsets, reader, workers, progress)

    published(output, make, force)
    return repeated


def finish(
    folder: Path,
    manifest: Manifest,
    centroids: Float32[np.ndarray, "K D"],
    offsets: Float32[np.ndarray, " K"],
    reader: Reader,
    workers: Workers = HERE,
    progress: Tell = lambda told: None,
) -> None:
    """Measure an index, let it learn, and write its core and its manifest."""
    segments = [open_segment(folder / entry.folder, "") for entry in manifest.segments]
    counter = Counter("measuring", progress, unit="shelves", what=reader.name, place=(2, 2))
    found = measure(segments, centroids, manifest.grams, RANK, workers, counter)
    core = to_arrays(found.statistics, offsets, found.held, manifest.core)
    learned, dials = learn(
        segments,
        manifest.firsts,
        from_arrays(core).statistics,
        reader,
        manifest.router,
        ROUTERS.get(manifest.router).learns,
        manifest.seed,
    )
    extra = {f"{ROUTER}{name}": array for name, array in learned.items()}
    extra |= {f"{DIAL}{name}": array for name, array in dial_arrays(dials, manifest.texts).items()}
    extra["probes"] = read_texts(reader, PROBES).vectors
    write_core(folder, manifest, found, core | extra)
    write_manifest(folder, manifest)


def write_core(folder: Path, manifest: Manifest, found: Measured, core: dict[str, np.ndarray]) -> None:
    """Write the three files of a core, under the names of the manifest's generation."""
    signs = {"most": found.held.most} | ({} if found.bitmaps is None else {"bitmaps": found.bitmaps})
    exact = {f"bytes.{name}": array for name, array in found.held.to_arrays().items()}
    tensors.write(folder / manifest.name("core"), core)
    tensors.write(folder / manifest.name("grep"), signs)
    tensors.write(folder / manifest.name("statistics"), exact | found.statistics.to_arrays())


def _fitted(
    arrived: Segment, options: BuildOptions, say: Callable[[str], None]
) -> tuple[Int64[np.ndarray, " N"], Float32[np.ndarray, "K D"], Float32[np.ndarray, " K"]]:
    """Return the shelf of each text, the centroids as the core will keep them, and the offsets."""
    count = len(arrived)
    shelves = options.shelves or 1 << max(0, round(np.log2(np.sqrt(count))))
    most = max(SAMPLE, 64 * shelves)
    partitioner = make_partitioner(options.partition)
    if count <= most:
        partition = partitioner.fit(arrived.vectors.floats(), shelves, options.seed)
        return partition.labels, rounded(partition.centroids, options.core), partition.offsets
    say(f"{counted(count, 'text')} embedded; fitting {counted(shelves, 'shelf', 'shelves')} on {most:,} of them")
    rows = np.sort(np.random.default_rng([options.seed, 3]).choice(count, most, replace=False))
    partition = partitioner.fit(arrived.vectors.floats(rows), shelves, options.seed)
    labels = [
        partitioner.assign(partition, arrived.vectors.floats(slice(first, first + 8192)))
        for first in range(0, count, 8192)
    ]
    return np.concatenate(labels), rounded(partition.centroids, options.core), partition.offsets


def _assigned(
    arrived: Segment, like: Index
) -> tuple[Int64[np.ndarray, " N"], Float32[np.ndarray, "K D"], Float32[np.ndarray, " K"]]:
    labels = [like.assign(arrived.vectors.floats(slice(first, first + 8192))) for first in range(0, len(arrived), 8192)]
    return np.concatenate(labels), like.core.statistics.centroids, like.core.offsets
