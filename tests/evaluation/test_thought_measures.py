"""Measures of thoughts have known answers on made thoughts, and their controls are what nothing would give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.errors import Error
from unmask.evaluation.ridge import explained, of_others, told
from unmask.evaluation.thought_alignment import alignment, probe_alignment
from unmask.evaluation.thought_measures import collapse_check, compression, diversity
from unmask.evaluation.thought_stability import stability

PASSAGES, EACH = 120, 4
DOCUMENT = np.repeat(np.arange(PASSAGES // EACH), EACH)


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_a_linear_map_is_told_whole_on_documents_it_was_not_fitted_on():
    known = gaussian(PASSAGES, 12)
    wanted = known @ gaussian(12, 7, seed=1) + 3.0
    answer = told(known, wanted, DOCUMENT)
    value, (low, high) = explained(wanted, answer.predicted, answer.mean, DOCUMENT)
    assert value == pytest.approx(1, abs=1e-6) and low == pytest.approx(high, abs=1e-6)


def test_noise_tells_nothing_even_where_there_are_more_numbers_than_rows():
    answer = told(gaussian(PASSAGES, 300), gaussian(PASSAGES, 5, seed=1), DOCUMENT)
    value, _ = explained(gaussian(PASSAGES, 5, seed=1), answer.predicted, answer.mean, DOCUMENT)
    assert -0.1 < value < 0.05


def test_a_probe_never_sees_the_document_it_is_asked_about():
    label = gaussian(PASSAGES // EACH, 3)[DOCUMENT]  # the same for all passages of a document, new for each
    mark = np.eye(PASSAGES // EACH)[DOCUMENT]  # tells the document and nothing else
    answer = told(mark, label, DOCUMENT)
    value, _ = explained(label, answer.predicted, answer.mean, DOCUMENT)
    assert value < 0.05, "with the document among those fitted it would be 1"


def test_one_document_is_refused():
    with pytest.raises(Error, match="two documents"):
        told(gaussian(8, 2), gaussian(8, 2), np.zeros(8, int))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(0, 2**31))
def test_a_shuffled_pair_is_of_two_documents_and_uses_each_row_once(sizes, seed):
    document = np.repeat(np.arange(len(sizes)), sizes)
    other = of_others(document, np.random.default_rng(seed))
    assert sorted(other) == list(range(len(document)))
    if 2 * max(sizes) <= len(document):
        assert (document[other] != document).all()


def test_compression_is_whole_where_thoughts_lie_in_what_is_kept_and_nothing_where_they_do_not():
    inside = gaussian(PASSAGES, 4)
    full = inside @ gaussian(4, 32, seed=1)
    kept = compression(full, inside, full, DOCUMENT)
    assert kept.own == pytest.approx(1) and kept.probe == pytest.approx(1, abs=1e-6)
    assert kept.kept == 1 / 8 and kept.ratio(kept.probe) == pytest.approx(8, abs=1e-4)
    assert kept.probe_random == pytest.approx(1, abs=1e-6), "the control says that this was no feat"
    assert kept.probe_shuffled < 0.05 and kept.own_shuffled < -0.5
    lost = compression(full, gaussian(PASSAGES, 4, seed=2), gaussian(PASSAGES, 32, seed=3), DOCUMENT)
    assert lost.probe < 0.05 and lost.own < 0


def test_a_reduction_that_keeps_what_matters_beats_a_random_one():
    strong, weak = gaussian(PASSAGES, 4) * 10, gaussian(PASSAGES, 28, seed=1)
    full = np.concatenate([strong, weak], 1)
    found = compression(full, strong, np.concatenate([strong, 0 * weak], 1), DOCUMENT)
    best = 4 * 100 / (4 * 100 + 28)
    assert found.own == pytest.approx(best, abs=0.03) and found.probe == pytest.approx(best, abs=0.03)
    assert found.probe_random < found.probe - 0.02


def test_thoughts_that_do_not_vary_have_no_compression_at_all():
    same = np.ones((PASSAGES, 8))
    found = compression(same, gaussian(PASSAGES, 2), same, DOCUMENT)
    assert found.own is None and found.probe is None and found.ratio(found.own) is None


def test_gaussian_thoughts_have_not_collapsed_and_are_their_own_control():
    found = diversity(gaussian(PASSAGES, 48, seed=5), DOCUMENT)
    # participation of n Gaussians in f dimensions: n f / (n + f + 1), n = 119 after centring
    assert found.participation == pytest.approx(119 * 48 / (119 + 48 + 1), rel=0.05)
    assert found.participation == pytest.approx(found.gaussian_participation, rel=0.1)
    assert found.rank == pytest.approx(found.gaussian_rank, rel=0.05) and abs(found.cosine) < 0.02
    assert not collapse_check(found).collapsed


def test_identical_thoughts_have_collapsed():
    found = diversity(np.tile(gaussian(48), (PASSAGES, 1)), DOCUMENT)
    assert found.participation == found.rank == 0 and found.cosine == pytest.approx(1)
    verdict = collapse_check(found)
    assert verdict.collapsed and "0.0%" in verdict.why


def test_one_thought_with_a_little_noise_has_collapsed_though_its_rank_is_full():
    found = diversity(gaussian(48) + 1e-3 * gaussian(PASSAGES, 48, seed=1), DOCUMENT)
    assert found.participation > 0.9 * found.gaussian_participation
    assert collapse_check(found).collapsed


def test_thoughts_on_a_line_have_collapsed_though_they_differ():
    found = diversity(gaussian(PASSAGES, 1) * gaussian(48, seed=1), DOCUMENT)
    assert found.participation == pytest.approx(1) and found.rank == pytest.approx(1, abs=1e-6)
    assert abs(found.cosine) < 0.3 and collapse_check(found).collapsed


def test_passages_of_one_document_do_not_count_as_alike():
    own = gaussian(PASSAGES // EACH, 48)[DOCUMENT]
    assert abs(diversity(own, DOCUMENT).cosine) < 0.05
    assert diversity(own, np.zeros(PASSAGES, int)).cosine is None


def test_alignment_is_perfect_for_own_words_and_chance_for_shuffled_or_constant_ones():
    words = gaussian(PASSAGES, 24)
    found = alignment(words + 0.1 * gaussian(PASSAGES, 24, seed=1), words, DOCUMENT, among=10)
    assert found.accuracy == 1 and found.chance == 0.1 and found.passages == PASSAGES
    assert found.shuffled == pytest.approx(0.1, abs=0.09)  # three standard deviations of 120 draws
    nothing = alignment(np.ones((PASSAGES, 24)), words, DOCUMENT, among=10)
    assert nothing.accuracy == pytest.approx(0.1)


def test_shuffled_pairs_find_chance_in_the_mean_even_with_one_group():
    words = gaussian(6, 24)
    found = [alignment(words, words, np.arange(6), among=6, seed=seed).shuffled for seed in range(200)]
    assert np.mean(found) == pytest.approx(1 / 6, abs=0.035)  # 3 / sqrt(200) of a deviation of 1/6


def test_a_probe_aligns_thoughts_with_the_static_embeddings_of_their_passages():
    subjects = ["ship sail harbour wave anchor", "bread oven flour butter cake", "teacher pupil lesson exam desk"]
    extra = "red blue green small large old new fast slow warm cold north south east west loud".split()
    texts = [f"{subjects[i % 3]} {extra[i % 16]} {extra[i * 7 % 16]}" for i in range(PASSAGES)]
    words = WordLlamaEmbedder(64).embed(texts)
    linear = words @ gaussian(64, 40) + 2.0
    found = probe_alignment(linear, words, DOCUMENT, among=8)
    assert found.accuracy > 0.6 and found.shuffled < 0.3
    assert probe_alignment(gaussian(PASSAGES, 40), words, DOCUMENT, among=8).accuracy < 0.3


def test_steady_thoughts_are_told_from_thoughts_that_are_the_same_for_every_text():
    steps = np.arange(1, 9)
    own = gaussian(5, 64)
    steady = [(steps, text + 0.1 * gaussian(8, 64, seed=i)) for i, text in enumerate(own)]
    found = stability(steady)
    assert found.mean > 0.95 and found.above == 1 and found.first_last > 0.95
    assert abs(found.other_mean) < 0.2 and found.other_above == 0 and abs(found.other_first_last) < 0.2
    assert (found.texts, found.pairs) == (5, 35)
    alike = stability([(steps, own[0] + 0.1 * gaussian(8, 64, seed=i)) for i in range(5)])
    assert alike.mean == pytest.approx(alike.other_mean, abs=0.01), "stable, and nobody's own"


def test_wandering_thoughts_are_not_stable():
    found = stability([(np.arange(1, 9), gaussian(8, 64, seed=i)) for i in range(4)])
    assert abs(found.mean) < 0.1 and found.above == 0 and abs(found.first_last) < 0.25


def test_the_other_text_is_taken_at_the_same_step_not_at_the_same_answer():
    turn = np.eye(3)
    early = (np.array([1, 2, 3]), turn[[0, 1, 2]])
    late = (np.array([2, 3]), turn[[0, 1]])  # asked a step later
    # of early: steps 2, 3 of the other hold 0, 1; beliefs before are 0, 1. Of late: step 3 of the other holds 2.
    assert stability([early, late]).other_mean == pytest.approx((1 + 1 + 0) / 3)


def test_a_single_answer_has_no_stability():
    with pytest.raises(Error, match="at least 2 steps"):
        stability([(np.array([1]), gaussian(1, 4))])
