"""An index, opened: its core in memory, its members mapped, nothing else read.

Letters: N texts, K shelves, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from unmask.errors import Error
from unmask.roots.embed.embedders import Reader, check_reader, make_embedder
from unmask.roots.manifest import FILE, Manifest, again, read_manifest
from unmask.roots.partition import Partition, make_partitioner
from unmask.roots.route import ROUTERS, make_router
from unmask.roots.shelves import tensors
from unmask.roots.shelves.core import Core, from_arrays
from unmask.roots.shelves.dial import NEAREST, Dial, Dials
from unmask.roots.shelves.grep import Signs
from unmask.roots.shelves.segment import Segment, open_segment
from unmask.roots.shelves.shelf_bytes import ShelfBytes
from unmask.roots.shelves.statistics import ShelfStatistics

ROUTER, DIAL = "router.", "dial."  # what stands before the names of their arrays in the core's file


def dial_arrays(dials: Dials, texts: int) -> dict[str, np.ndarray]:
    """Return what :attr:`Index.dials` reads back: the curve of the ten nearest, then those of other k as float32.

    Args:
        dials: All of one router, over the same points.
        texts: Of the index, as the points are kept as shares of them.
    """
    first = max(k for k in dials.curves if k <= NEAREST)
    curve, others = dials.curves[first], [k for k in sorted(dials.curves) if k != first]
    rows = {"recall": np.zeros((0, 0)), "error": np.zeros((0, 0))}
    if others:
        rows = {name: np.stack([getattr(dials.curves[k], name) for k in others]) for name in rows}
    told = {"shares": curve.points / texts, "recall": curve.recall, "error": curve.error, "shelves": curve.shelves}
    return {
        **{name: np.asarray(array, np.float64) for name, array in told.items()},
        "k": np.array(first),
        "other_k": np.array(others, np.int64),
        **{f"other_{name}": array.astype(np.float32) for name, array in rows.items()},
    }


class Exact(NamedTuple):
    """What adding and merging need: sums before rounding.

    Attributes:
        statistics: Of the vectors.
        held: Of the bytes.
    """

    statistics: ShelfStatistics
    held: ShelfBytes


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        path: Its folder.
        manifest: What it is made of.
        core: The shelves, as a search sees them.
        segments: The members.
        firsts: Number of the first document of each segment.
        probes: Vectors of known texts, by the embedder that it was built with.
        arrays: All arrays of the core's file.
    """

    path: Path
    manifest: Manifest
    core: Core
    segments: list[Segment]
    firsts: list[int]
    probes: Float32[np.ndarray, "P D"]
    arrays: dict[str, np.ndarray] = field(repr=False)

    def __len__(self) -> int:
        return self.manifest.texts

    @property
    def sizes(self) -> Int64[np.ndarray, " K"]:
        """Texts on each shelf."""
        return self.core.statistics.count

    @property
    def row_bytes(self) -> int:
        """Bytes of one member's vector."""
        return self.segments[0].vectors.row_bytes

    @cached_property
    def signs(self) -> Signs:
        """What grep knows of the shelves."""
        arrays = tensors.read(self.path / self.manifest.name("grep"), again(self.path))
        return Signs(arrays["most"], arrays.get("bitmaps"), self.manifest.grams)

    @property
    def dials(self) -> Dials:
        """Recall over vectors read by k, with the index's own router, scaled to the texts that it holds now."""
        told = {name.removeprefix(DIAL): a for name, a in self.arrays.items() if name.startswith(DIAL)}
        points = np.ceil(told["shares"].astype(np.float64) * len(self)).astype(np.int64)
        recall, error, shelves = (told[name].astype(np.float64) for name in ("recall", "error", "shelves"))
        curves = {int(told.get("k", NEAREST)): Dial(points, recall, error, shelves, self.row_bytes)}
        for row, k in enumerate(told.get("other_k", np.zeros(0)).tolist()):
            recall, error = (told[f"other_{name}"][row].astype(np.float64) for name in ("recall", "error"))
            curves[int(k)] = Dial(points, recall, error, shelves, self.row_bytes)
        return Dials(curves)

    @property
    def dial(self) -> Dial:
        """The dial of the ten nearest, or of as many as a small index has one for."""
        curves = self.dials.curves
        return curves[max(k for k in curves if k <= NEAREST)]

    def router(self, name: str | None = None) -> Any:
        """Return a router over the core.

        Args:
            name: Default: the index's own. One that learns must be its own.

        Raises:
            Error: unknown router, or one that has not learned for this index.
        """
        name = name or self.manifest.router
        if not ROUTERS.get(name).learns:
            return make_router(name, self.core.statistics)
        if name != self.manifest.router:
            raise Error(
                f"the router {name!r} learns, and the index {self.path} was built with {self.manifest.router!r}. "
                f"Build it with router {name}."
            )
        learned = {key.removeprefix(ROUTER): a for key, a in self.arrays.items() if key.startswith(ROUTER)}
        return make_router(name, self.core.statistics, arrays={key: np.array(a) for key, a in learned.items()})

    @cached_property
    def kept_exact(self) -> dict[str, np.ndarray]:
        """The arrays behind :meth:`exact`, mapped."""
        return tensors.read(self.path / self.manifest.name("statistics"), again(self.path))

    def exact(self) -> Exact:
        """Return the statistics before rounding.

        Raises:
            Error: their file is damaged.
        """
        arrays = self.kept_exact
        held = {name.removeprefix("bytes."): a for name, a in arrays.items()}
        return Exact(ShelfStatistics.from_arrays(arrays), ShelfBytes.from_arrays(held))

    def assign(self, vectors: Float32[np.ndarray, "N D"]) -> Int64[np.ndarray, " N"]:
        """Return the shelf of vectors that come later."""
        partition = Partition(
            np.zeros(0, np.int64), self.core.statistics.centroids, self.core.offsets, self.manifest.seed
        )
        found: Int64[np.ndarray, " N"] = make_partitioner(self.manifest.partition).assign(partition, vectors)
        return found

    def reader(self, name: str | None = None) -> Reader:
        """Return the embedder that the index was built with.

        Args:
            name: How it is called now, where that has changed (a run that was moved).

        Raises:
            Error: it cannot be loaded, or is another one.
        """
        reader = make_embedder(name or self.manifest.embedder)
        check_reader(reader, self.probes, self.path)
        return reader

    def place(self, member: int) -> tuple[int, int]:
        """Return the segment of a text of the index, and its row there."""
        for number, segment in enumerate(self.segments):
            if member < len(segment):
                return number, member
            member -= len(segment)
        raise Error(f"the index {self.path} has no text {member + len(self)}; it holds {len(self)}.")

    def text(self, member: int) -> str:
        """Return a text."""
        number, row = self.place(member)
        return self.segments[number].text(row).decode(errors="replace")

    def document(self, member: int) -> int:
        """Return the number of a text's document."""
        number, row = self.place(member)
        return self.firsts[number] + int(self.segments[number].document[row])

    def origin(self, member: int) -> tuple[str, int | None] | None:
        """Return the file that a text was read from, and its line or row there; ``None``: not known."""
        number, row = self.place(member)
        origins = self.segments[number].origins
        return None if origins is None else origins.of(row)

    def vectors(self) -> Iterator[Float32[np.ndarray, "n D"]]:
        """Yield all vectors as float32, in the order of the texts, some at a time."""
        for segment in self.segments:
            for first in range(0, len(segment), 8192):
                yield segment.vectors.floats(slice(first, first + 8192))


def open_index(path: str | Path) -> Index:
    """Open an index. It stays what it is, whatever is added to its folder later.

    Raises:
        Error: no folder, no index, of another format, incomplete or damaged.
    """
    path = Path(path)
    while True:
        then = _written(path)
        try:
            index = _opened(path)
            index.signs, index.kept_exact  # noqa: B018 - mapped now: the next change takes the files' names away
            return index
        except Error:
            if _written(path) == then:
                raise  # else it was changed while it was being opened


def _written(path: Path) -> tuple[int, int] | None:
    """Return what tells one manifest from the next, each being another file."""
    try:
        found = (path / FILE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _opened(path: Path) -> Index:
    manifest = read_manifest(path)
    arrays = tensors.read(path / manifest.name("core"), again(path))
    segments = [open_segment(path / entry.folder, again(path)) for entry in manifest.segments]
    try:
        core = from_arrays(arrays)
        probes = np.asarray(arrays["probes"], np.float32)
        widths = {manifest.width, probes.shape[1], *(s.vectors.values.shape[1] for s in segments)}
        if core.statistics.centroids.shape != (manifest.shelves, manifest.width) or len(widths) > 1:
            raise ValueError("its arrays do not go together")
        held = np.sum([np.diff(segment.starts) for segment in segments], axis=0)
        if [len(s) for s in segments] != [e.texts for e in manifest.segments] or (held != core.statistics.count).any():
            raise ValueError("its counts do not go together")
    except (KeyError, ValueError, IndexError) as error:
        raise Error(f"the index {path} is damaged ({error}). {again(path)}") from error
    return Index(path, manifest, core, segments, manifest.firsts, probes, arrays)
