"""Evidence for texts: never the text itself, a function of its beginning, as the index would answer without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roots.small_corpus import TOPICS, lines, write
from unmask.api.index import build_index
from unmask.errors import Error
from unmask.roots.embed.embedders import read_texts
from unmask.roots.evidence import find_evidence, look_up, own_documents, vectors_of
from unmask.roots.index import open_index
from unmask.roots.search.copies import Copies, marks
from unmask.training.sections import EvidenceSection

QUERY = 30


def story(number: int, behind: str = "", seed: int = 0) -> str:
    """Return a document of 600 characters or more: its own beginning, and something behind it."""
    topic = list(TOPICS.values())[number % 4]
    rng = np.random.default_rng([seed, number])
    head = " ".join(rng.choice(topic, size=6)) + f" number{seed}x{number}"
    return f"{head} {behind or ' '.join(rng.choice(topic, size=90))}"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [story(number) for number in range(60)]


@pytest.fixture(scope="module")
def folder(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of them, one of which is there twice with one word changed."""
    copy = texts[7].replace(texts[7].split()[40], "another", 1)
    corpus = write(tmp_path_factory.mktemp("stories") / "all.jsonl", [*texts, copy])
    output = tmp_path_factory.mktemp("index") / "built"
    build_index(str(corpus), output, shelves=4, embedder="wordllama-64", passage=256)
    return output


def found(folder: Path, texts: list[str], name: str, texts_each: int = 3):
    wanted = EvidenceSection(index=str(folder), texts=texts_each, query=8)
    return find_evidence(wanted, [text[:QUERY] for text in texts], texts, name)


def test_evidence_is_never_of_the_same_document_or_a_near_copy(folder, texts):
    index = open_index(folder)
    members = found(folder, texts, "own").members
    assert (members >= 0).all()
    for place, row in enumerate(members):
        documents = {index.document(int(member)) for member in row}
        assert place not in documents
        assert not (place == 7 and 60 in documents)
    heads = [text[:QUERY] for text in texts]
    raw, _ = look_up(index, index.reader(), heads, 3, own_documents(index, Copies(index), ["other"] * len(texts)))
    again = [place in {index.document(int(member)) for member in row} for place, row in enumerate(raw)]
    assert sum(again) > 10  # the index would have answered with it


def test_a_copy_is_known_shifted_cut_out_or_changed_here_and_there(folder, texts):
    copies = Copies(open_index(folder))
    words = texts[20].split()
    changed = [word if place % 12 else "other" for place, word in enumerate(words)]
    for text in (
        texts[20],
        "Some words before it. " + texts[20] + " And some behind.",
        "  ".join(words[20:70]).upper(),
        " ".join(changed),
    ):
        assert copies.of(text.encode()) == {20}
    assert copies.of(texts[7].encode()) == {7, 60}
    for text in (story(20, seed=3), " ".join(sorted(words)), "ship", ""):
        assert copies.of(text.encode()) == frozenset()


def test_marks_are_of_words_in_a_row(texts):
    assert len(marks(b"one two three four five")) == 0
    whole = marks(texts[0].encode())
    assert len(whole) > 10 and np.array_equal(whole, marks(texts[0].replace(" ", "\n\t ").encode()))
    assert np.isin(marks(" ".join(texts[0].split()[9:50]).encode()), whole).all()
    assert not np.isin(marks(" ".join(reversed(texts[0].split())).encode()), whole).any()


def test_what_lies_behind_the_query_changes_no_evidence(folder):
    held_out = [story(number, seed=5) for number in range(12)]
    changed = [text[:QUERY] + " ".join(sorted(TOPICS["sea"], key=str) * 9) for text in held_out]
    first, second = found(folder, held_out, "held out"), found(folder, changed, "changed")
    assert np.array_equal(first.members, second.members) and np.array_equal(first.scores, second.scores)
    other = found(folder, [story(number + 1, seed=5) for number in range(12)], "other beginnings")
    assert not np.array_equal(first.members, other.members)


def test_a_text_that_is_held_finds_what_it_would_if_it_were_not(folder, texts, tmp_path):
    rest = [text for place, text in enumerate(texts) if place != 12]
    build_index(
        str(write(tmp_path / "rest.jsonl", rest)), tmp_path / "i", shelves=4, embedder="wordllama-64", passage=256
    )
    without, index = open_index(tmp_path / "i"), open_index(folder)
    a, b = found(folder, texts[12:13], "one"), found(tmp_path / "i", texts[12:13], "one")
    assert [index.text(int(m)) for m in a.members[0]] == [without.text(int(m)) for m in b.members[0]]


def test_vectors_are_those_of_the_index_best_first_and_the_cache_gives_them_back(folder, texts):
    index = open_index(folder)
    one, two = found(folder, texts, "own"), found(folder, texts, "own")
    assert np.array_equal(one.vectors, two.vectors) and one.told == two.told
    assert np.array_equal(one.vectors, vectors_of(index, one.members).astype(np.float16))
    whole = np.concatenate(list(index.vectors()))
    assert np.allclose(one.vectors.astype(np.float32), whole[one.members], atol=1e-3)
    queries = read_texts(index.reader(), [text[:QUERY] for text in texts]).vectors
    assert np.allclose((whole[one.members] * queries[:, None]).sum(-1), one.scores, atol=1e-3)
    assert (np.diff(one.scores, axis=1) <= 0).all()


def test_an_empty_query_and_unknown_words_find_nothing(folder, texts):
    wanted = EvidenceSection(index=str(folder), texts=3, query=8)
    nothing = find_evidence(wanted, ["", "  ", texts[0][:QUERY]], texts[:3], "empty")
    assert (nothing.members[:2] == -1).all() and (nothing.members[2] >= 0).all() and not nothing.vectors[:2].any()


def test_more_texts_than_the_index_holds_are_all_but_the_own(tmp_path):
    few = lines(6)
    build_index(str(write(tmp_path / "few.jsonl", few)), tmp_path / "i", shelves=1, embedder="wordllama-64")
    got = found(tmp_path / "i", few, "few", texts_each=50)
    assert got.members.shape == (6, 6) and ((got.members >= 0).sum(1) == 5).all()


def test_a_missing_index_is_one_line(tmp_path):
    with pytest.raises(Error, match="index"):
        find_evidence(EvidenceSection(index=str(tmp_path / "none")), ["a"], ["a"], "none")
