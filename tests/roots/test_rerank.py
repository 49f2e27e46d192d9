"""Candidates of a search in a new order: that of brute force over them, with both scores told."""

from __future__ import annotations

import math
from collections import Counter

import bm25s
import numpy as np
import pytest

from benchmarks.studies.byte_energy.measured_context import byte_context
from roots.small_corpus import lines, write
from unmask.api.index import build_index, link_indexes, merge_indexes
from unmask.api.index_search import search_index
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.errors import Error
from unmask.roots.index import open_index
from unmask.roots.rerank import rerank as module
from unmask.roots.rerank.byte_energy import ByteAwareEnergy
from unmask.roots.rerank.learned import learned
from unmask.roots.rerank.rerank import bm25, rerank, sample, surprisal
from unmask.roots.search.budget import RERANKS

QUERY = "the captain dropped an anchor beside the island word0x40"


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNMASK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def units(values):
    values = np.array(values)
    return (values - values.mean()) / values.std()


def given(query, text, model):
    """Return bits a byte of a query given a text, byte by byte from the definition."""
    after = Counter(text[i : i + 5] for i in range(len(text) - 4))
    nats = model.nats(query)[:-1].tolist()
    for t in range(4, len(query)):
        seen = {gram: n for gram, n in after.items() if gram[:4] == query[t - 4 : t]}
        if seen:
            mixed = seen.get(query[t - 4 : t + 1], 0) + len(seen) * math.exp(-nats[t])
            nats[t] = -math.log(mixed / (sum(seen.values()) + len(seen)))
    return sum(nats) / len(query) / math.log(2)


def terms(index, hits, name):
    """Return the term of each hit, one at a time, from what the parts' own functions say."""
    texts = [hit.text.encode() for hit in hits]
    others = sample(index, [hit.id for hit in hits])
    model = ByteNgram(5).fit(others)
    if name == "surprisal":
        return [given(QUERY.encode(), text, model) for text in texts]
    if name == "energy":
        return [float(ByteAwareEnergy(model, *learned(sample(index)))([text])[0]) for text in texts]
    words = [module._words(hit.text) for hit in hits]
    peer = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    peer.index(words, show_progress=False)
    return peer.get_scores(module._words(QUERY)).tolist()


@pytest.mark.parametrize("name", RERANKS)
def test_the_order_is_that_of_brute_force_over_the_candidates(built, name):
    index = open_index(built)
    plain = search_index(index, QUERY, k=30)
    found = search_index(index, QUERY, k=5, rerank=name, rerank_of=30)
    term = np.array(terms(index, plain.results, name))
    score = units([hit.score for hit in plain.results]) + units(term if name == "bm25" else -term)
    best = np.argsort(-score, kind="stable")[:5]
    assert [hit.id for hit in found.results] == [plain.results[i].id for i in best]
    assert [hit.score for hit in found.results] == [plain.results[i].score for i in best]
    assert np.allclose([hit.rerank for hit in found.results], score[best], atol=1e-5)
    assert np.allclose([hit.term for hit in found.results], term[best], rtol=1e-5)
    assert (found.rerank, found.candidates, found.k) == (name, 30, 5)


def test_the_new_order_is_another_one_and_the_default_is_fifty_or_five_k(built):
    plain = [hit.id for hit in search_index(built, QUERY, k=50).results]
    found = search_index(built, QUERY, k=3, rerank="surprisal")
    assert found.candidates == 50 and [hit.id for hit in found.results] != plain[:3]
    assert "word0x40" in found.results[0].text and {hit.id for hit in found.results} < set(plain)
    assert search_index(built, QUERY, k=12, rerank="bm25").candidates == 60
    usual = search_index(built, QUERY, k=3)
    assert (usual.rerank, usual.candidates, usual.results[0].rerank, usual.results[0].term) == (None,) * 4


@pytest.mark.parametrize("name", ["surprisal", "bm25"])
def test_fewer_candidates_than_results_are_all_returned(tmp_path, name):
    build_index(str(write(tmp_path / "a.jsonl", lines(7))), tmp_path / "i", shelves=2, embedder="wordllama-64")
    found = search_index(tmp_path / "i", "ship and anchor", k=10, rerank=name)
    assert len({hit.id for hit in found.results}) == found.candidates == 7 and "holds 7 texts" in found.note
    assert [hit.rerank for hit in found.results] == sorted((hit.rerank for hit in found.results), reverse=True)
    none = search_index(tmp_path / "i", "ship and anchor", k=10, rerank=name, least=0.9999)
    assert none.results == [] and none.candidates == 0


def test_equal_candidates_stay_in_the_order_of_the_cosine(built):
    cosine = np.array([0.5, 0.4, 0.3])
    index = open_index(built)
    assert rerank(index, "x", np.array([4, 4, 4]), cosine, "surprisal").order.tolist() == [0, 1, 2]
    assert rerank(index, "zebra", np.array([4, 5, 6]), cosine[[0, 0, 0]], "bm25").order.tolist() == [0, 1, 2]


def test_a_linked_index_gives_the_order_of_the_merged_one(corpus, tmp_path):
    build_index(str(corpus), tmp_path / "a", shelves=3, embedder="wordllama-64", part="1/2")
    build_index(str(corpus), tmp_path / "b", like=tmp_path / "a", part="2/2")
    link_indexes([tmp_path / "a", tmp_path / "b"], tmp_path / "linked")
    merge_indexes([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")
    for name in ("surprisal", "bm25"):
        one, other = (search_index(tmp_path / folder, QUERY, rerank=name) for folder in ("linked", "merged"))
        assert [hit.text for hit in one.results] == [hit.text for hit in other.results]
        assert one.candidates == other.candidates == 50


def test_the_surprisal_is_that_of_the_context_and_knows_no_byte_without_other_texts():
    texts = [line.encode() for line in lines(40)]
    model = ByteNgram(5).fit(texts[10:])
    query = texts[3][:30]
    told = [byte_context(text, NgramEntropy(model)).given(query, model).mean() / math.log(2) for text in texts[:10]]
    assert np.allclose(surprisal(query, texts[:10], texts[10:]), told) and int(np.argmin(told)) == 3
    assert np.allclose(surprisal(b"zzzzzz", texts[:2], []), math.log2(257))


def test_bytes_that_are_no_text_have_a_place_too(built, monkeypatch):
    monkeypatch.setattr(module, "_text", lambda index, member: bytes([255 - member % 3, 200]) * 9)
    index, members = open_index(built), np.arange(3)
    for name in ("surprisal", "bm25"):
        assert np.isfinite(rerank(index, "ship", members, np.array([0.3, 0.2, 0.1]), name).score).all()


def test_bm25_counts_whole_words_of_any_script_and_needs_one():
    texts = ["जहाज़ की कप्तान", "जहाज की", "कप्तानी!"]
    assert np.argmax(bm25("कप्तान", texts)) == 0 and np.count_nonzero(bm25("कप्तान", texts)) == 1
    assert not bm25("absent", texts).any() and len(bm25("word", [])) == 0
    with pytest.raises(Error, match="has none; use rerank surprisal"):
        bm25("?! ...", texts)


def test_the_model_counts_other_texts_alone_and_no_more_than_a_megabyte(built, monkeypatch):
    index = open_index(built)
    texts = [index.text(member).encode() for member in range(len(index))]
    assert sample(index) == texts and sample(index, [0, 5]) == texts[1:5] + texts[6:]
    monkeypatch.setattr(module, "_SAMPLE", index.manifest.bytes // 4)
    assert sample(index) == texts[::5]


def test_an_energy_is_learned_once_from_the_same_texts(built, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    first = search_index(built, QUERY, rerank="energy")
    assert "learning what is usual" in capsys.readouterr().err
    assert search_index(built, QUERY, rerank="energy") == first and capsys.readouterr().err == ""
    assert len(list((tmp_path / "energy").iterdir())) == 1


def test_too_little_text_teaches_no_energy(tmp_path):
    build_index(str(write(tmp_path / "a.jsonl", lines(52))), tmp_path / "i", shelves=2, embedder="wordllama-64")
    with pytest.raises(Error, match="all texts of .* are candidates"):
        search_index(tmp_path / "i", "ship", k=20, rerank="energy")
    with pytest.raises(Error, match="too little text"):
        learned([b"one"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"rerank": "surprisl"}, "unknown rerank 'surprisl'. Did you mean 'surprisal'? Available: bm25, energy, surp"),
        ({"rerank": "bm25", "exact": True}, "leave one of them out"),
        ({"rerank_of": 20}, "needs rerank surprisal | energy | bm25"),
        ({"rerank": "bm25", "rerank_of": 9}, "fewer than the k = 10 texts"),
        ({"rerank": "bm25", "k": 0}, "k is 0"),
    ],
)
def test_what_cannot_be_ordered_is_one_line(built, asked, told):
    with pytest.raises(Error) as error:
        search_index(built, "ship", **asked)
    assert told in str(error.value) and "\n" not in str(error.value)
