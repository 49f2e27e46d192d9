"""Texts and questions for what searches: docstrings, abstracts, paragraphs in two scripts.

pydocs needs nothing. Cranfield and XQuAD are read from a folder in the layout of BEIR: ``cranfield/corpus.jsonl.gz``,
``queries.jsonl.gz``, ``qrels.tsv``; ``xquad/corpus.en.jsonl.gz``, ``queries.en.jsonl.gz`` and the same with ``hi``.

Letters: Q questions, N texts, D dimensions.
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unmask.data.pydocs import pydocs_pairs
from unmask.roots.embed.embedders import Reader, read_texts
from unmask.roots.route.router import true_nearest

TOP = 10
ASKED = 1000  # questions of pydocs
ENGLISH, ANY_SCRIPT = r"(?u)\b\w\w+\b", r"[\w\u0900-\u0963\u0966-\u097f]+"  # vowel signs are no \w


@dataclass(frozen=True)
class Questions:
    """Questions about a corpus.

    Attributes:
        name: How tables call them.
        texts: Words.
        vectors: Of length 1, [Q, D].
        truth: The true nearest ten of each, by cosine, [Q, 10].
        gains: What each text is worth to each question, [Q, N].
        measure: ``hit@10`` or ``nDCG@10``.
    """

    name: str
    texts: list[str]
    vectors: np.ndarray
    truth: np.ndarray
    gains: np.ndarray
    measure: str

    def recall(self, found: np.ndarray) -> np.ndarray:
        """Return the share of the true nearest ten that was found, for each question."""
        return (self.truth[:, :, None] == found[:, None, :]).any(2).mean(1)

    def task(self, found: np.ndarray) -> np.ndarray:
        """Return the task's own measure for each question; -1 is no text."""
        own = np.where(found >= 0, np.take_along_axis(self.gains, np.maximum(found, 0), 1), 0)
        if self.measure == "hit@10":
            return (own > 0).any(1).astype(float)
        weight = 1 / np.log2(np.arange(TOP) + 2)
        best = -np.sort(-self.gains, axis=1)[:, :TOP]
        return (own * weight).sum(1) / np.maximum((best * weight).sum(1), 1e-9)


@dataclass(frozen=True)
class Corpus:
    """Texts, their vectors, and one set of questions or two.

    Attributes:
        name: How tables call it.
        texts: Words.
        vectors: Of length 1, [N, D].
        questions: About it.
        token: What BM25 takes for a word.
    """

    name: str
    texts: list[str]
    vectors: np.ndarray
    questions: list[Questions]
    token: str = ENGLISH


def corpora(data: Path | None, reader: Reader, quick: bool) -> list[Corpus]:
    """Return all corpora; without a folder only the first."""
    found = [pydocs(reader, quick)]
    if data is not None:
        found += [cranfield(data / "cranfield", reader), *xquad(data / "xquad", reader)]
    return found


def asked(
    name: str, texts: list[str], vectors: np.ndarray, gains: np.ndarray, measure: str, reader: Reader
) -> Questions:
    """Return questions with their vectors and their true nearest."""
    queries = read_texts(reader, texts).vectors
    return Questions(name, texts, queries, true_nearest(queries, vectors, TOP), gains, measure)


def pydocs(reader: Reader, quick: bool) -> Corpus:
    pairs = pydocs_pairs()[: 300 if quick else None]
    texts = [text for _, text in pairs]
    vectors = read_texts(reader, texts).vectors
    rows = np.random.default_rng(17).permutation(len(pairs))[: 60 if quick else ASKED]
    gains = np.zeros((len(rows), len(texts)), np.float32)
    gains[np.arange(len(rows)), rows] = 1
    questions = asked("pydocs", [pairs[row][0] for row in rows], vectors, gains, "hit@10", reader)
    return Corpus("pydocs", texts, vectors, [questions])


def cranfield(folder: Path, reader: Reader) -> Corpus:
    texts, wanted, gains = cranfield_judgements(folder)
    vectors = read_texts(reader, texts).vectors
    return Corpus("cranfield", texts, vectors, [asked("cranfield", wanted, vectors, gains, "nDCG@10", reader)])


def cranfield_judgements(folder: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Return texts, questions, and what each text is worth to each question."""
    documents = [document for document in lines(folder / "corpus.jsonl.gz") if document["text"].strip()]
    place = {document["_id"]: row for row, document in enumerate(documents)}
    questions = lines(folder / "queries.jsonl.gz")
    row_of = {question["_id"]: row for row, question in enumerate(questions)}
    gains = np.zeros((len(questions), len(documents)), np.float32)
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        for entry in csv.DictReader(file, delimiter="\t"):
            if entry["corpus-id"] in place:
                gains[row_of[entry["query-id"]], place[entry["corpus-id"]]] = max(0.0, float(entry["score"]))
    return [document["text"] for document in documents], [question["text"] for question in questions], gains


def xquad(folder: Path, reader: Reader) -> list[Corpus]:
    found = []
    for own, other, token in (("en", "hi", ENGLISH), ("hi", "en", ANY_SCRIPT)):
        documents = lines(folder / f"corpus.{own}.jsonl.gz")
        place = {document["_id"]: row for row, document in enumerate(documents)}
        texts = [document["text"] for document in documents]
        vectors = read_texts(reader, texts).vectors
        sets = []
        for language in (own, other):
            questions = lines(folder / f"queries.{language}.jsonl.gz")
            gains = np.zeros((len(questions), len(texts)), np.float32)
            gains[np.arange(len(questions)), [place[question["doc"]] for question in questions]] = 1
            words = [question["text"] for question in questions]
            sets.append(asked(f"xquad {language} in {own}", words, vectors, gains, "hit@10", reader))
        found.append(Corpus(f"xquad {own}", texts, vectors, sets, token))
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a gzipped file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
