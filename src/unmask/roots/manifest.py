"""``index.json``: what an index is made of, and whether all of it is there.

    {"format": 1, "kind": "unmask-index", "generation": 2, "embedder", "width", "partition", "shelves", "seed",
     "router", "storage", "core", "passage", "grams", "sources", "fingerprint", "texts", "documents", "bytes",
     "segments": [{"folder", "texts", "documents", "bytes"}], "files": {"name": bytes}}

It is written last, aside and renamed, and it alone says which files belong to the index. So whatever happens while an
index is built, added to or merged, a reader finds the index before or the index after, whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from unmask.errors import Error

FORMAT = 1
KIND = "unmask-index"
FILE = "index.json"
PARTS = ("core", "statistics", "grep")
"""What the core's files are called."""
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class SegmentEntry:
    """A segment in the manifest.

    Attributes:
        folder: Its name; its absolute path, where it is another index's.
        texts: N.
        documents: Documents that its texts are pieces of.
        bytes: Of its texts.
    """

    folder: str
    texts: int
    documents: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What an index is made of.

    Attributes:
        embedder: Name of the embedder.
        width: D.
        partition: Name of the partitioner.
        shelves: K.
        seed: Of the partition.
        router: Name of the router that the dial was set with.
        storage: How members' vectors are kept.
        core: How the resident vectors are kept.
        passage: Bytes of a text at most; 0: whole documents.
        grams: n of the n-gram bitmaps; 0: none.
        sources: What was read: source, split, documents, texts.
        fingerprint: 16 hex digits over all texts, in any order: the sum of their digests.
        segments: Segments in order.
        files: Bytes of every file, by its path in the folder.
        generation: 1, and one more with each change; names the files of the core.
    """

    embedder: str
    width: int
    partition: str
    shelves: int
    seed: int
    router: str
    storage: str
    core: str
    passage: int
    grams: int
    sources: list[dict[str, Any]]
    fingerprint: str
    segments: list[SegmentEntry]
    files: dict[str, int] = field(default_factory=dict)
    generation: int = 1

    @property
    def texts(self) -> int:
        """Texts of all segments."""
        return sum(segment.texts for segment in self.segments)

    @property
    def documents(self) -> int:
        """Documents of all segments."""
        return sum(segment.documents for segment in self.segments)

    @property
    def bytes(self) -> int:
        """Bytes of all texts."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def firsts(self) -> list[int]:
        """Number of the first document of each segment."""
        return [sum(segment.documents for segment in self.segments[:place]) for place in range(len(self.segments))]

    @property
    def linked(self) -> bool:
        """Whether the segments are those of other indexes."""
        return any(Path(segment.folder).is_absolute() for segment in self.segments)

    def name(self, part: str) -> str:
        """Return the name of a core file of this generation ("core", "grep", "statistics")."""
        return f"{part}-{self.generation}.safetensors"


def add_fingerprints(*prints: str) -> str:
    """Return the fingerprint of several sets of texts together."""
    return f"{sum(int(one, 16) for one in prints) & _MASK:016x}"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``index.json`` with the sizes of all files that belong to it, aside and renamed."""
    names = [manifest.name(part) for part in PARTS]
    paths = [folder / name for name in names if (folder / name).is_file()]
    for segment in manifest.segments:
        paths += sorted((folder / segment.folder).iterdir())
    names = [(path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix() for path in paths]
    sizes = {name: path.stat().st_size for name, path in zip(names, paths, strict=True)}
    told = {"format": FORMAT, "kind": KIND, **asdict(manifest), "files": sizes}
    part = folder / f".{FILE}.part"
    with part.open("w", encoding="utf-8", errors="backslashreplace") as file:  # a file's name need not be UTF-8
        file.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / FILE)


def read_manifest(folder: Path) -> Manifest:
    """Read ``index.json`` and check that every file is there, whole.

    Raises:
        Error: no folder, no index, of another format, or with a file missing or cut short.
    """
    if not folder.is_dir():
        raise Error(f"there is no index {folder}. Make one with: unmask index build SOURCE --output {folder}")
    try:
        told = json.loads((folder / FILE).read_text("utf-8"))
        if told["kind"] != KIND or not isinstance(told["format"], int):
            raise ValueError("another kind of file")
    except FileNotFoundError as error:
        raise Error(
            f"{folder} is not an index (no {FILE}). Make one with: unmask index build SOURCE --output DIR"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Error(f"{folder / FILE} is damaged ({error}). {again(folder)}") from error
    if told["format"] != FORMAT:
        raise Error(
            f"the index {folder} has format {told['format']}, this version reads {FORMAT}; "
            "upgrade with: pip install -U unmask"
        )
    manifest = _parsed(folder, told)
    fix = "Link its parts again: unmask index link DIR... --force --output" if manifest.linked else None
    fix = again(folder) if fix is None else f"{fix} {folder}"
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Error(f"the index {folder} is incomplete ({name} is missing). {fix}")
        if path.stat().st_size != size:
            raise Error(f"the index {folder} is damaged ({name} has {path.stat().st_size:,} of {size:,} bytes). {fix}")
    return manifest


def again(folder: Path) -> str:
    """Return what to do about a damaged index."""
    return f"Copy it again, or build it again: unmask index build SOURCE --output {folder} --force"


def _parsed(folder: Path, told: Mapping[str, Any]) -> Manifest:
    try:
        given = {one.name: told[one.name] for one in fields(Manifest)}
        segments = [SegmentEntry(**segment) for segment in given.pop("segments")]
        manifest = Manifest(segments=segments, **given)
        _check_kinds(manifest)
        int(manifest.fingerprint, 16)
        if not segments or not manifest.files:
            raise ValueError("it names no files of its own")
        _check_places(manifest)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Error(f"{folder / FILE} is damaged ({error!r}). {again(folder)}") from error
    return manifest


def _check_places(manifest: Manifest) -> None:
    """Refuse names that lead out of the folder; a link's segments are those of other indexes, by absolute paths."""
    others = [Path(segment.folder) for segment in manifest.segments if Path(segment.folder).is_absolute()]
    for name in (*manifest.files, *(segment.folder for segment in manifest.segments)):
        path = Path(name)
        inside = not path.is_absolute() and len(path.parts) in (1, 2)
        if ".." in path.parts or not (inside or path in others or path.parent in others):
            raise ValueError(f"{name!r} is no file of its own")


def _check_kinds(manifest: Manifest) -> None:
    """Refuse values that are not what they are for."""
    kinds: dict[str, Any] = {"int": int, "str": str}
    for part in (manifest, *manifest.segments):
        for one in fields(part):
            value = getattr(part, one.name)
            if one.type in kinds and (not isinstance(value, kinds[one.type]) or isinstance(value, bool)):
                raise ValueError(f"{one.name} is {str(value)[:40]!r}")
    if not all(isinstance(size, int) for size in manifest.files.values()):
        raise ValueError("the size of a file is no number")
    if not all(isinstance(source, dict) for source in manifest.sources):
        raise ValueError("its sources are none")
