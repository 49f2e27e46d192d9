"""Indexes over embedded text: build one, add to it, merge several, or link them where they lie."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from unmask.api.index_results import IndexResult
from unmask.errors import Error
from unmask.progress import Progress
from unmask.roots.building import change
from unmask.roots.building.build import BuildOptions, build
from unmask.roots.building.intake import open_documents
from unmask.roots.building.link import link
from unmask.roots.embed.embedders import DEFAULT, make_embedder
from unmask.roots.index import Index, open_index
from unmask.workers import Workers, at_work


def build_index(
    source: str,
    output: str | Path,
    *,
    shelves: int | None = None,
    partition: str = "kmeans",
    router: str = "moments",
    embedder: str | None = None,
    like: str | Path | None = None,
    split: str = "all",
    part: str | None = None,
    max_texts: int | None = None,
    passage: int = 1024,
    storage: str = "int8",
    core: str = "float16",
    grams: int = 4,
    seed: int = 0,
    text_field: str = "text",
    workers: int | Workers | None = None,
    on: str = "processes",
    address: str | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> IndexResult:
    """Read a corpus once, embed it, and put its texts on shelves.

    Args:
        source: What ``data.source`` of a recipe may name.
        output: Folder of the index.
        shelves: K; default: the power of two nearest to the root of the number of texts.
        partition: Name of a partitioner.
        router: Name of the router whose dial is set.
        embedder: ``wordllama-256`` (the default), ``-128``, ``-64``, ``hf:owner/name`` or ``run:DIR``.
        like: Take shelves and settings of this index, so that the two can be merged.
        split: ``all``, or ``train``, ``valid`` or ``judge`` as training splits the source.
        part: ``I/N``: the I-th of N parts that share no document, for indexes to be merged or linked.
        max_texts: Stop at so many texts.
        passage: Bytes of a text at most; longer documents are cut; 0: whole documents.
        storage: How vectors are kept: ``int8``, ``float16`` or ``float32``.
        core: How the resident vectors are kept: ``float16`` or ``int8``.
        grams: n of grep's n-gram bitmaps; 0: none.
        seed: Of the partition.
        text_field: Field that holds the text.
        workers: Who embeds and measures: so many processes or actors, or some that are at work
            (:func:`unmask.workers.at_work`). The index is the same, byte for byte where hardware is.
        on: ``processes`` of this machine, or ``ray``.
        address: Of a Ray cluster; ``None``: a Ray on this machine.
        force: Replace an index that lies there.
        say: Called with a line of news.
        progress: Called with where it stands.

    Raises:
        Error: unusable source, embedder, setting or place, no Ray, or a worker that died.
    """
    began = time.perf_counter()
    options = BuildOptions(shelves, partition, router, storage, core, passage, grams, seed)
    example = None
    if like is not None:
        example = open_index(like)
        options = _like(example, options)
        if embedder not in (None, example.manifest.embedder):
            raise Error(f"--like {like} brings its embedder; leave --embedder out.")
    options.check()
    _check_most(max_texts)
    given = open_documents(source, split, text_field, part, say)
    reader = make_embedder(embedder or DEFAULT) if example is None else example.reader()
    told = {"source": source, "split": split} | ({} if part is None else {"part": part})
    with at_work(workers, on, address) as at:
        repeated = build(
            given,
            told,
            Path(output),
            reader,
            options,
            like=example,
            max_texts=max_texts,
            force=force,
            say=say,
            workers=at,
            progress=progress,
        )
    return _told(open_index(output), None, repeated, began)


def add_texts(
    index: str | Path,
    source: str,
    *,
    split: str = "all",
    max_texts: int | None = None,
    embedder: str | None = None,
    text_field: str = "text",
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> IndexResult:
    """Add the texts of a corpus to an index, on the shelves it has; documents that it holds already are left out.

    Args:
        index: Folder of the index.
        source: What ``data.source`` of a recipe may name.
        split: ``all``, or a split as training makes it.
        max_texts: Stop at so many new texts.
        embedder: How the index's embedder is called now, where that has changed.
        text_field: Field that holds the text.
        say: Called with a line of news.
        progress: Called with where it stands.

    Raises:
        Error: no index, another embedder, or an unusable source.
    """
    began = time.perf_counter()
    _check_most(max_texts)
    opened = open_index(index)
    given = open_documents(source, split, text_field, say=say)
    told = {"source": source, "split": split}
    taken = change.add(opened, given, told, opened.reader(embedder), max_texts=max_texts, progress=progress)
    return _told(open_index(index), taken.texts, taken.repeated, began)


def merge_indexes(
    indexes: Sequence[str | Path],
    output: str | Path,
    *,
    embedder: str | None = None,
    force: bool = False,
    progress: Callable[[Progress], None] = lambda told: None,
) -> IndexResult:
    """Write indexes with the same shelves as one; documents of a later one that an earlier one holds are left out.

    Args:
        indexes: Their folders.
        output: Folder of the new index.
        embedder: How their embedder is called now, where that has changed.
        force: Replace an index that lies there.
        progress: Called with where it stands.

    Raises:
        Error: no indexes, other shelves or settings, or a place that cannot be written to.
    """
    began = time.perf_counter()
    opened = [open_index(path) for path in indexes]
    change.check_alike(opened)
    repeated = change.merge(opened, Path(output), opened[0].reader(embedder), force=force, progress=progress)
    return _told(open_index(output), None, repeated, began)


def link_indexes(
    indexes: Sequence[str | Path],
    output: str | Path,
    *,
    embedder: str | None = None,
    workers: int | Workers | None = None,
    on: str = "processes",
    address: str | None = None,
    force: bool = False,
    progress: Callable[[Progress], None] = lambda told: None,
) -> IndexResult:
    """Make indexes with the same shelves searchable as one, where they lie; they must share no document.

    Args:
        indexes: Their folders.
        output: Folder of the new index, which holds a core alone.
        embedder: How their embedder is called now, where that has changed.
        workers: Who measures.
        on: ``processes`` of this machine, or ``ray``.
        address: Of a Ray cluster; ``None``: a Ray on this machine.
        force: Replace an index that lies there.
        progress: Called with where it stands.

    Raises:
        Error: no indexes, other shelves or settings, a document in two of them, or a place that cannot be written to.
    """
    began = time.perf_counter()
    opened = [open_index(path) for path in indexes]
    change.check_alike(opened)
    with at_work(workers, on, address) as at:
        link(opened, Path(output), opened[0].reader(embedder), force=force, workers=at, progress=progress)
    return _told(open_index(output), None, 0, began)


def _like(example: Index, given: BuildOptions) -> BuildOptions:
    """Return the settings of an index; what was given besides must be the same, or left at its default."""
    usual, told = BuildOptions(), example.manifest
    for one in fields(BuildOptions):
        value, theirs = getattr(given, one.name), getattr(told, one.name)
        if value not in (getattr(usual, one.name), theirs):
            raise Error(f"--like {example.path} brings its {one.name} ({theirs}); leave --{one.name} out.")
    return BuildOptions(**{one.name: getattr(told, one.name) for one in fields(BuildOptions)})


def _check_most(max_texts: int | None) -> None:
    if max_texts is not None and max_texts < 1:
        raise Error(f"--max-texts is {max_texts}; give at least 1.")


def _told(index: Index, added: int | None, repeated: int, began: float) -> IndexResult:
    manifest = index.manifest
    return IndexResult(
        index=str(index.path),
        texts=manifest.texts,
        documents=manifest.documents,
        bytes=manifest.bytes,
        shelves=manifest.shelves,
        added=manifest.texts if added is None else added,
        repeated=repeated,
        fingerprint=manifest.fingerprint,
        embedder=manifest.embedder,
        seconds=round(time.perf_counter() - began, 2),
    )
