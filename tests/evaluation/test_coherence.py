"""Coherence: subjects show, sense does not, and a generator that repeats itself is found out by the control."""

from __future__ import annotations

import numpy as np
import pytest

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.evaluation.coherence import chunks, coherence, coherence_controls, dealt_chunks

SUBJECTS = {
    "sea": "ship boat sail harbour wave captain anchor tide sailor deck mast rope island storm fish net",
    "kitchen": "bread oven flour butter sugar cake spoon bowl recipe salt soup pan dough honey milk egg",
    "school": "teacher pupil lesson book pencil classroom exam homework desk chalk grammar science page essay read",
    "farm": "cow sheep barn hay tractor field wheat goat hen horse plough fence farmer harvest pig stable",
}


def text_about(subject: str, size: int = 64, seed: int = 0) -> str:
    return " ".join(np.random.default_rng(seed).choice(SUBJECTS[subject].split(), size))


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


REAL = [text_about(subject, seed=seed) for seed in range(5) for subject in SUBJECTS]


def test_texts_that_stay_with_their_subject_have_a_gap_and_dealt_chunks_have_none(embedder: WordLlamaEmbedder) -> None:
    controls = coherence_controls(REAL, embedder)
    assert list(controls) == ["real text", "chunks of other documents", "shuffled words"]
    real, dealt, shuffled = controls.values()
    assert real.gap > 0.2 and real.gap_interval[0] > 0.1
    assert abs(dealt.gap) < 0.1 and dealt.gap_interval[0] < 0 < dealt.gap_interval[1]
    assert dealt.consecutive < real.consecutive - 0.2
    assert shuffled.consecutive == pytest.approx(real.consecutive, abs=0.05), "blind to order, and printed"
    assert real.texts == 20 and real.pairs == 60


def test_a_constant_generator_pleases_the_cosine_and_is_flagged_by_the_gap(embedder: WordLlamaEmbedder) -> None:
    line = "the old dog ran home and sat down by the warm fire to rest its feet "  # 16 words
    constant = coherence([line * 4] * 20, embedder)
    real = coherence(REAL, embedder)
    assert constant.consecutive > 0.95 > real.consecutive, "alone it would look better than real text"
    assert abs(constant.gap) < 0.02 < real.gap


def test_a_generator_that_wanders_is_told_from_one_that_stays(embedder: WordLlamaEmbedder) -> None:
    wandering = [" ".join(text_about(s, 16, seed) for s in SUBJECTS) for seed in range(20)]
    assert coherence(wandering, embedder).consecutive < coherence(REAL, embedder).consecutive - 0.2


def test_chunks_are_of_equal_length() -> None:
    text = " ".join(str(i) for i in range(39))
    assert [len(chunk.split()) for chunk in chunks(text)] == [16, 16]
    assert [len(chunk.split()) for chunk in chunks(text + " 39")] == [16, 16, 8]
    dealt = dealt_chunks([text, text + " x"], seed=1)
    assert sorted(" ".join(dealt).split()) == sorted(" ".join(" ".join(chunks(t)) for t in (text, text + " x")).split())


def test_texts_too_short_to_have_pairs_are_not_measured(embedder: WordLlamaEmbedder) -> None:
    assert coherence(["short", ""], embedder).consecutive is None
    alone = coherence(REAL[:1], embedder)
    assert alone.consecutive is not None and alone.across is None and alone.gap is None
    assert set(alone.to_dict()) >= {"consecutive", "across", "gap", "pairs"}
