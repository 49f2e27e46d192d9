"""``unmask data``: figures about a corpus, bringing one into a folder, and changing its format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unmask.data import readers, sources, writers
from unmask.data.corpus import documents, load_corpus
from unmask.data.fetch import fetch
from unmask.data.script_stats import fertility, script_stats
from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.lines import counted
from unmask.result import Result


@dataclass(frozen=True, repr=False)
class DataStatsResult(Result):
    """Figures about a corpus and, where one was asked for, a tokenizer on its validation split.

    Attributes:
        corpus: What :meth:`unmask.data.corpus.Corpus.stats` returns.
        tokenizer: Name, fingerprint, vocab_size, and tokens, bytes_per_token and ``fertility`` by script (see
            :func:`unmask.data.script_stats.fertility`) on ``split``: the validation split, or, where that is empty,
            another.
        notes: What to know about the choice of files, and whether there is enough text to train on.
        scripts: What :func:`unmask.data.script_stats.script_stats` returns of the train split, or, where that is empty,
            of another; ``None`` of bytes that are no text.
    """

    corpus: dict[str, Any]
    tokenizer: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    scripts: dict[str, Any] | None = None

    def _facts(self) -> tuple[str, ...]:
        found = self.corpus
        sizes = counted(found["documents"], "document"), counted(found["bytes"], "byte")
        return (str(found["source"]), *sizes, f"fingerprint {found['fingerprint']}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**self.corpus, "scripts": self.scripts, "tokenizer": self.tokenizer, "notes": list(self.notes)}


@dataclass(frozen=True, repr=False)
class DataFetchResult(Result):
    """A corpus that was brought into a folder.

    Attributes:
        folder: Holds train.jsonl.gz, valid.jsonl.gz and manifest.json.
        manifest: What manifest.json says.
    """

    folder: Path
    manifest: dict[str, Any]

    def _facts(self) -> tuple[str, ...]:
        return (str(self.folder), *(str(name) for name in self.manifest.get("files", ())))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"folder": str(self.folder), **self.manifest}


@dataclass(frozen=True, repr=False)
class DataConvertResult(Result):
    """A file that was written.

    Attributes:
        output: The file.
        documents: Number of documents; 1 for text or bytes copied as they are.
        bytes: Size of the file.
    """

    output: Path
    documents: int
    bytes: int

    def _facts(self) -> tuple[str, ...]:
        return (str(self.output), counted(self.documents, "document"), counted(self.bytes, "byte"))


def data_stats(
    source: str | Path,
    *,
    tokenizer: str | None = None,
    vocab_size: int = 4096,
    balance: bool = False,
    valid: str | Path | None = None,
    normalize: Literal["NFC"] | None = None,
    text_field: str = "text",
    binary: bool = False,
) -> DataStatsResult:
    """Read a corpus and count it.

    Args:
        source: See :mod:`unmask.data.sources`.
        tokenizer: "bytes", "bpe" (trained on the train split), "hf:owner/name", a folder or a run.
        vocab_size: Vocabulary for "bpe".
        balance: "bpe" counts the words of each script as often as those of every other.
        valid: A source that is the validation split.
        normalize: "NFC" or None.
        text_field: Field that holds the text.
        binary: Read files of any kind as bytes.

    Raises:
        Error: as :func:`unmask.data.corpus.load_corpus` and :func:`unmask.data.tokenizers.make_tokenizer`.
    """
    corpus = load_corpus(source, valid=valid, normalize=normalize, text_field=text_field, binary=binary)
    stats = corpus.stats()
    filled = [name for name, held in stats["splits"].items() if held["documents"]]
    empty = [name for name in ("train", "valid") if name not in filled]
    notes = (*corpus.notes, *(f"the {name} split is empty; to train, give more documents." for name in empty))
    learned, measured = (next(name for name in (wish, *filled) if name in filled) for wish in ("train", "valid"))
    scripts = None if binary else script_stats(documents(corpus.split(learned)))
    if tokenizer is None:
        return DataStatsResult(stats, None, notes, scripts)
    chosen = make_tokenizer(tokenizer, documents(corpus.split(learned)), vocab_size, binary, balance)
    tokens = sum(len(chosen.encode(text)) for text in documents(corpus.split(measured)))
    size = stats["splits"][measured]["bytes"]
    figures = {"name": chosen.name, "fingerprint": chosen.fingerprint, "vocab_size": chosen.vocab_size}
    figures |= {"split": measured, "tokens": tokens, "bytes_per_token": size / tokens}
    if not binary:
        figures["fertility"] = fertility(documents(corpus.split(measured)), chosen)
    return DataStatsResult(stats, figures, (*notes, *chosen.notes), scripts)


def data_fetch(name: str, output: str | Path, *, force: bool = False) -> DataFetchResult:
    """Bring a named public corpus, or any source, into a folder with a manifest.

    Args:
        name: See :data:`unmask.data.named.NAMED`, or a source.
        output: The folder.
        force: Replace files of a corpus that lie there.

    Raises:
        Error: as :func:`unmask.data.fetch.fetch`.
    """
    return DataFetchResult(Path(output), fetch(name, Path(output), force))


def data_convert(
    source: str | Path, output: str | Path, *, text_field: str = "text", binary: bool = False, force: bool = False
) -> DataConvertResult:
    """Write a source as one .txt, .jsonl, .jsonl.gz, .parquet or .npy (1-D uint8) file.

    A single .npy or plain text goes to .txt or .npy byte for byte, if it is text. Otherwise documents are written one a
    line or row, or, to .txt and .npy, with a blank line between them.

    Args:
        source: See :mod:`unmask.data.sources`.
        output: The file; its suffix decides the format.
        text_field: Field that holds the text in the source.
        binary: Copy the bytes of one file of any kind to a .npy, or those of a .npy to a file of any name, unread.
        force: Replace a file that lies there.

    Raises:
        Error: unusable source, unknown suffix, or the file exists.
    """
    path = Path(output)
    form = readers.file_format(path) if binary else writers.check_target(path)
    if path.is_dir():
        raise Error(f"{path} is a folder. Name a file.")
    if path.exists() and not force:
        raise Error(f"{path} exists. Name another file, or add --force to replace it.")
    if binary:
        return _convert_bytes(Path(source), path, force)
    if (
        form in (".txt", ".npy")
        and readers.file_format(Path(source)) in (".txt", ".npy", None)
        and Path(source).is_file()
    ):
        readers.check_readable(Path(source))
        writers.write_raw((text.encode() for text in readers.read_raw(Path(source))), path, force)
        return DataConvertResult(path, 1, path.stat().st_size)
    count = writers.write_documents(_not_blank(sources.open_source(source, text_field).documents()), path, force)
    return DataConvertResult(path, count, path.stat().st_size)


def _convert_bytes(source: Path, output: Path, force: bool) -> DataConvertResult:
    if not source.is_file():
        raise Error(f"no file {source}. Name one file; --binary copies its bytes.")
    if (readers.file_format(source) == ".npy") == (readers.file_format(output) == ".npy"):
        raise Error(f"--binary converts to or from .npy, one of the two: not {source.name} to {output.name}.")
    if source.stat().st_size == 0:
        raise Error(f"{source} is empty. Give a file with bytes in it.")
    writers.write_raw(readers.read_bytes(source), output, force)
    return DataConvertResult(output, 1, output.stat().st_size)


def _not_blank(texts: Iterator[str]) -> Iterator[str]:
    return (text for text in texts if text.strip())
