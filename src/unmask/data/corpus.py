"""A corpus: documents de-duplicated, split by content, and kept on disk as memory-mapped Arrow files.

The split of a document depends on nothing but its text: with u the first 8 bytes of a hash, as a number in [0, 1),
the document is in ``judge`` for u < judge_fraction, in ``valid`` for the next valid_fraction, else in ``train``.
``judge`` is for models that judge generated text: it is neither trained on nor evaluated on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unmask.data.binary import raw
from unmask.data.cache import built, cache_folder
from unmask.data.keep import Least, kept
from unmask.data.sources import Source, open_source
from unmask.errors import Error, nearest
from unmask.lines import counted
from unmask.progress_line import shown

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT = 1
SPLITS = ("train", "valid", "judge")
VALID_FRACTION = 0.05
JUDGE_FRACTION = 0.05
_ROWS = 1024  # documents held in memory before they are written
_BYTES = 8 << 20  # ... and their size


@dataclass(frozen=True)
class Corpus:
    """Documents on disk in three splits.

    Attributes:
        source: What the documents were read from, as the user wrote it.
        fingerprint: 12 hex digits over all texts in order, their splits and the options. Shown beside every number.
        folder: Where the Arrow files lie.
    """

    source: str
    fingerprint: str
    folder: Path
    _stats: dict[str, Any]
    binary: bool = False
    """Whether its texts are bytes, a character each (see :mod:`unmask.data.binary`)."""
    notes: tuple[str, ...] = ()
    """What to know about the choice of its files."""

    def raw(self, text: str) -> bytes:
        """Return the bytes that one of its texts stands for."""
        return raw(text, self.binary)

    def split(self, name: str) -> Dataset:
        """Return a split as a memory-mapped dataset with the column "text".

        Args:
            name: "train", "valid" or "judge".

        Raises:
            Error: no such split, or it is empty.
        """
        if name not in SPLITS:
            raise Error(f"unknown split {name!r}.{nearest(name, SPLITS)} Available: {', '.join(SPLITS)}.")
        if not self._stats["splits"][name]["documents"]:
            raise _no_documents(name, self.source, self._stats["documents"])
        import datasets
        from datasets.table import MemoryMappedTable

        table = MemoryMappedTable.from_file(str(self.folder / f"{name}.arrow"))
        return datasets.Dataset(table, split=datasets.NamedSplit(name), fingerprint=f"{self.fingerprint}-{name}")

    def stats(self) -> dict[str, Any]:
        """Return counts: documents, bytes (text: UTF-8) and characters per split and in all, and what was dropped."""
        return copy.deepcopy({"source": self.source, "fingerprint": self.fingerprint, **self._stats})


def load_corpus(
    source: str | Path,
    *,
    valid: str | Path | None = None,
    valid_fraction: float = VALID_FRACTION,
    judge_fraction: float = JUDGE_FRACTION,
    normalize: Literal["NFC"] | None = None,
    text_field: str = "text",
    binary: bool = False,
    keep: Least | None = None,
    chat: bool = False,
) -> Corpus:
    """Read a source into a corpus, or open the cached one.

    Args:
        source: See :mod:`unmask.data.sources`.
        valid: A source that is the valid split as a whole; its documents are dropped from the other splits.
        valid_fraction: Share of documents held out for evaluation; not used when ``valid`` is given.
        judge_fraction: Share of documents of ``source`` held out for judge models.
        normalize: "NFC" composes characters (Unicode annex 15); None leaves the text as it is.
        text_field: Field or column that holds the text.
        binary: Read files of any kind as bytes (see :mod:`unmask.data.binary`).
        keep: Least shares of a document of ``source`` (see :mod:`unmask.data.keep`); ``None``: all are kept.
        chat: Read talks (see :mod:`unmask.data.talks`); what the corpus keeps of each is a line of JSON.

    Raises:
        Error: unusable options or source, or no documents.
    """
    if normalize not in (None, "NFC"):
        raise Error(f"normalize is {normalize!r}. Use NFC, or null to leave the text as it is.")
    if binary and normalize:
        raise Error(f"normalize {normalize} is for text, and data.binary models bytes as they are. Leave one out.")
    if not (0 <= valid_fraction < 1 and 0 <= judge_fraction < 1 and valid_fraction + judge_fraction < 1):
        raise Error(
            f"valid_fraction {valid_fraction} and judge_fraction {judge_fraction} must be at least 0, in all below 1."
        )
    train_source = open_source(source, text_field, binary, chat)
    valid_source = None if valid is None else open_source(valid, text_field, binary, chat)
    options = {
        "format": FORMAT,
        "valid": valid_source is not None,
        "valid_fraction": 0 if valid_source else valid_fraction,
        "judge_fraction": judge_fraction,
        "normalize": normalize,
    } | ({"binary": True} if binary else {})
    options |= {"keep": dict(keep)} if keep else {}
    options |= {"chat": True} if chat else {}
    identity = [options, train_source.identity, valid_source.identity if valid_source else None]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
    build = partial(_build, source=train_source, valid=valid_source, options=options)
    notes = train_source.notes + (valid_source.notes if valid_source else ())
    return replace(_open(built(cache_folder() / "corpora" / key, build), str(source)), notes=notes)


def build_corpus(folder: Path, source: Source, valid: Source | None = None) -> Corpus:
    """Build a corpus with the default options in an empty folder of the caller's, outside the cache.

    Raises:
        Error: as :func:`load_corpus`.
    """
    options = {"format": FORMAT, "valid": valid is not None, "valid_fraction": 0 if valid else VALID_FRACTION}
    _build(folder, source=source, valid=valid, options={**options, "judge_fraction": JUDGE_FRACTION, "normalize": None})
    return _open(folder, source.name)


def _open(folder: Path, source: str) -> Corpus:
    stored = json.loads((folder / "corpus.json").read_text("utf-8"))
    return Corpus(source, stored["fingerprint"], folder, stored["stats"], stored["options"].get("binary", False))


def documents(split: Dataset) -> Iterator[str]:
    """Yield the texts of a split without holding it in memory."""
    for batch in split.select_columns("text").with_format("arrow").iter(batch_size=256):
        yield from batch.column("text").to_pylist()


def normalized(text: str, form: Literal["NFC"] | None) -> str:
    """Return a text in the form that ``data.normalize`` names; ``None`` leaves it as it is."""
    return text if form is None else unicodedata.normalize(form, text)


def _build(folder: Path, *, source: Source, valid: Source | None, options: dict[str, Any]) -> None:
    normalize: Literal["NFC"] | None = options["normalize"]
    binary: bool = options.get("binary", False)
    valid_share, judge_share = options["valid_fraction"], options["judge_fraction"]
    writers = {name: _SplitWriter(folder / f"{name}.arrow") for name in SPLITS}
    content = hashlib.sha256(json.dumps(options).encode())
    seen: set[bytes] = set()
    dropped = {"duplicates": 0, "empty": 0} | ({"left out": 0} if (least := options.get("keep")) else {})
    try:
        for origin in (valid, source):
            if origin is None:
                continue
            for text in shown(origin.documents(), "reading", unit="documents", what=origin.name):
                if least and origin is source and not kept(text, least):
                    dropped["left out"] += 1
                    continue
                text = normalized(text, normalize)
                data = raw(text, binary)
                stripped = data if binary else text.strip().encode()
                if not stripped:
                    dropped["empty"] += 1
                    continue
                digest = hashlib.blake2b(stripped, digest_size=16).digest()
                if digest in seen:
                    dropped["duplicates"] += 1
                    continue
                seen.add(digest)
                place = int.from_bytes(digest[:8], "big") / 2**64
                if origin is valid:
                    name = "valid"
                elif place < judge_share:
                    name = "judge"
                else:
                    name = "valid" if place < judge_share + valid_share else "train"
                content.update(f"{name} {len(data)}\n".encode())
                content.update(data)
                writers[name].add(text, len(data))
    finally:
        for writer in writers.values():
            writer.close()
    splits = {name: writer.stats() for name, writer in writers.items()}
    if not seen:
        raise Error(f"{source.name} holds no documents. Give a source with text in it.")
    total = {unit: sum(split[unit] for split in splits.values()) for unit in ("documents", "bytes", "characters")}
    stats = {**total, "mean_document_bytes": total["bytes"] / total["documents"], "dropped": dropped, "splits": splits}
    stored = {"format": FORMAT, "fingerprint": content.hexdigest()[:12], "options": options, "stats": stats}
    (folder / "corpus.json").write_text(json.dumps(stored, indent=2) + "\n", "utf-8")


def _no_documents(name: str, source: str, total: int) -> Error:
    fix = {
        "train": "Give more documents, or lower data.valid_fraction and data.judge_fraction.",
        "valid": "Give more documents, raise data.valid_fraction, name a source in data.valid, or train without one: "
        "training.valid_blocks=0.",
        "judge": "Give more documents, or raise data.judge_fraction.",
    }[name]
    return Error(f"the {name} split of {source} is empty (of {counted(total, 'document')}). {fix}")


class _SplitWriter:
    """Writes one split as an Arrow stream, a few megabytes at a time."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._schema = pa.schema([("text", pa.large_string())])
        self._file = pa.OSFile(str(path), "wb")
        self._stream = pa.ipc.new_stream(self._file, self._schema)
        self._held: list[str] = []
        self._held_bytes = 0
        self.documents = self.bytes = self.characters = 0

    def add(self, text: str, size: int) -> None:
        self.documents += 1
        self.bytes += size
        self.characters += len(text)
        self._held.append(text)
        self._held_bytes += size
        if len(self._held) >= _ROWS or self._held_bytes >= _BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._stream.write_batch(pa.record_batch([pa.array(self._held, pa.large_string())], schema=self._schema))
        self._held, self._held_bytes = [], 0

    def close(self) -> None:
        self._flush()
        self._stream.close()
        self._file.close()

    def stats(self) -> dict[str, int]:
        return {"documents": self.documents, "bytes": self.bytes, "characters": self.characters}
