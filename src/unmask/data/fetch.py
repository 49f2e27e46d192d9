"""Bring a corpus into a folder: train.jsonl.gz, valid.jsonl.gz and a manifest that says where every byte came from."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from unmask.data.cache import writing
from unmask.data.corpus import JUDGE_FRACTION, VALID_FRACTION, build_corpus, documents
from unmask.data.find import EMBEDDED
from unmask.data.lock import only_one
from unmask.data.named import NAMED, NamedCorpus
from unmask.data.origin import Document
from unmask.data.readers import read_documents
from unmask.data.sources import Source, open_source
from unmask.data.writers import write_documents
from unmask.errors import Error, nearest
from unmask.progress_line import shown

FORMAT = 1
MANIFEST = "manifest.json"
FILES = ("train.jsonl.gz", "valid.jsonl.gz", MANIFEST)
"""What is written, the manifest last."""
_ELSEWHERE = "name another --output"
_ASIDE = ".fetch-"
_SECONDS = 30
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Origin:
    """The source that was fetched, and what the manifest says about it."""

    train: Source
    valid: Source | None
    facts: dict[str, Any]


def fetch(name: str, output: Path, force: bool = False) -> dict[str, Any]:
    """Write a corpus as train.jsonl.gz, valid.jsonl.gz and manifest.json, and return the manifest.

    Documents are de-duplicated and, unless the publishers keep their own validation split, split by their content, so
    that everybody gets the same two files. The judge split that :func:`unmask.data.corpus.load_corpus` takes from
    train.jsonl.gz later stays disjoint from valid.jsonl.gz. All is made aside, and moved in when it is whole.

    Args:
        name: A name in :data:`unmask.data.named.NAMED`, or any source.
        output: Folder to write to; made where needed.
        force: Replace files of these names that lie there.

    Raises:
        Error: unknown name, no network, wrong checksum, unusable documents, files in the way, or a full disk.
    """
    check_place(output, force)
    busy = f"another process is writing a corpus to {output}"
    with writing(output, _ELSEWHERE), only_one(output, "fetching", busy, f"wait for it, or {_ELSEWHERE}", make=True):
        check_place(output, force)
        for left in output.glob(f"{_ASIDE}*"):  # of a fetch that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=output) as aside:
            origin = _open(name, Path(aside))
            folder = Path(aside) / "corpus"
            folder.mkdir()
            corpus = build_corpus(folder, origin.train, origin.valid)
            stats = corpus.stats()["splits"]
            judge = corpus.split("judge") if stats["judge"]["documents"] else None
            parts = {
                "train": chain(documents(corpus.split("train")), documents(judge) if judge is not None else ()),
                "valid": documents(corpus.split("valid")),
            }
            files = {}
            for part, texts in parts.items():
                path = Path(aside) / f"{part}.jsonl.gz"
                count = write_documents(texts, path)
                files[path.name] = {"documents": count, **_digests(path)}
            rule = "the publishers' own"
            if origin.valid is None:
                rule = (
                    "by content: u = first 8 bytes of BLAKE2b-128 of the stripped text as a number in [0, 1); valid "
                    f"for {JUDGE_FRACTION} <= u < {JUDGE_FRACTION + VALID_FRACTION}, else train"
                )
            manifest = {"format": FORMAT, "name": name, **origin.facts, "fingerprint": corpus.fingerprint}
            manifest |= {"split": rule, "files": files}
            told = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
            (Path(aside) / MANIFEST).write_text(told, "utf-8", "backslashreplace")
            for made in FILES:
                (Path(aside) / made).replace(output / made)
    return manifest


def check_place(folder: Path, force: bool) -> None:
    """Refuse a folder that holds a file that would be replaced.

    Raises:
        Error: it is a file, or which one is in the way.
    """
    if folder.is_file():
        raise Error(f"{folder} is a file. Name a folder in --output.")
    if not force and (folder / MANIFEST).exists():
        raise Error(f"{folder} holds a corpus already. Name another --output, or add --force to replace it.")
    for name in FILES:
        if not force and (folder / name).exists():
            raise Error(f"{folder / name} exists. Name another --output, or add --force to replace it.")


def _open(name: str, aside: Path) -> _Origin:
    named = NAMED.get(name)
    if named is None:
        try:
            source = open_source(name)
        except Error as error:
            if hint := nearest(name, NAMED):
                raise Error(f"{error}{hint} Named corpora: {', '.join(NAMED)}.") from error
            raise
        return _Origin(source, None, {"source": name, "identity": _revision(source)})
    facts: dict[str, Any] = {"about": named.about, "licence": named.licence, "source": named.train}
    if not named.train.startswith("https:"):
        train = open_source(named.train)
        valid = open_source(named.valid) if named.valid else None
        return _Origin(train, valid, {**facts, "valid": named.valid, "identity": _revision(train)})
    path = aside / "download"
    found = _download(named.train, path)
    if named.sha256 not in (None, found):
        raise Error(
            f"{named.train} has SHA-256 {found}, not {named.sha256}: the file has changed. Report it to unmask."
        )
    facts["sha256"] = found
    if named.members is not None:
        return _Origin(Source(name, [found], lambda: map(Document, _archive_documents(path, named))), None, facts)
    text = path.rename(aside / "download.txt")
    return _Origin(Source(name, [found], lambda: map(Document, read_documents(text))), None, facts)


def _revision(source: Source) -> object:
    """Keep what a source says of its versions, but no path of this machine."""
    return source.identity if source.name in EMBEDDED or source.name.startswith("hf:") else None


def _download(address: str, path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer, path.open("wb") as file:
            size = answer.headers.get("Content-Length", "")
            total = -(-int(size) // _CHUNK) if size.isdecimal() else None
            chunks = iter(lambda: answer.read(_CHUNK), b"")
            for chunk in shown(chunks, "downloading", unit="MiB", what=address, total=total):
                digest.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Error(f"cannot download {address} ({reason}). Check the network, or use local files.") from error
    return digest.hexdigest()


def _archive_documents(path: Path, named: NamedCorpus) -> Iterator[str]:
    if named.members is None or named.document is None:
        raise ValueError(f"{named.train} is no archive")
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            if named.members.fullmatch(member):
                for found in named.document.finditer(archive.read(member).decode("utf-8")):
                    yield found[1].strip()


def _digests(path: Path) -> dict[str, str]:
    """Return the hash of a file and of its contents: compressors differ between versions, the text does not."""
    packed, text = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            packed.update(chunk)
    with gzip.open(path, "rb") as lines:
        while chunk := lines.read(_CHUNK):
            text.update(chunk)
    return {"sha256": packed.hexdigest(), "sha256_uncompressed": text.hexdigest()}
