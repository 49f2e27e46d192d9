"""Byte-aware energies: contexts, the residual energy, the tree of a text, codes that do not collapse, reranking."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.studies.byte_energy.measured_context import byte_context, merge
from benchmarks.studies.byte_energy.weighted import TERMS, Reranker, choose_weights, ranks
from roots.small_corpus import TOPICS, lines
from unmask.data.ngram import END, ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.errors import Error
from unmask.roots.rerank.byte_bags import bags
from unmask.roots.rerank.byte_context import pack
from unmask.roots.rerank.byte_energy import ByteAwareEnergy, surprisal
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.nce import learn_correction, nce_loss
from unmask.roots.rerank.text_tree import text_tree, tree_distance
from unmask.roots.rerank.tree_coherence import TreeCoder, coherence_loss, incoherence, learn_coder, small

TEXTS = [line.encode() for line in lines(200)]
MODEL = ByteNgram(4).fit(TEXTS)
SOURCE = NgramEntropy(MODEL)
FEW = st.lists(st.sampled_from(b"abc"), max_size=40).map(bytes)
ANY = st.binary(max_size=60)


def story(topic, seed, sections=3, sentences=3):
    rng = np.random.default_rng(seed)
    words = [" ".join(rng.choice(TOPICS[topic], 6)).capitalize() + "." for _ in range(sections * sentences)]
    return "\n\n".join(" ".join(words[i : i + sentences]) for i in range(0, len(words), sentences)).encode()


STORIES = [story(topic, seed) for seed in range(12) for topic in TOPICS]
HELD_OUT = [story(topic, seed) for seed in range(90, 94) for topic in TOPICS]


def codes_of(coder, documents):
    """Return codes, and the distance in the tree, of all sentences."""
    trees = [(text, text_tree(text)) for text in documents]
    codes = coder.of([part for text, tree in trees for part in tree.texts(text)])
    document = torch.arange(len(trees)).repeat_interleave(torch.tensor([len(tree.section) for _, tree in trees]))
    return codes, tree_distance(document, torch.tensor([s for _, tree in trees for s in tree.section]))


@settings(max_examples=30)
@given(FEW, FEW, ANY)
def test_a_merged_context_is_that_of_both_texts(a, b, c):
    whole = reduce(merge, (byte_context(text, SOURCE, order=3) for text in (a, b, c)))
    grams = Counter(text[i : i + 3] for text in (a, b, c) for i in range(len(text) - 2))
    counted = {int(g).to_bytes(3, "big"): n for g, n in zip(whole.grams, whole.counts.tolist(), strict=True)}
    assert counted == grams and (whole.texts, whole.size) == (3, len(a + b + c))
    assert whole.histogram.tolist() == [(a + b + c).count(byte) for byte in range(256)]
    assert whole.nats == pytest.approx(sum(MODEL.nats(text)[:-1].sum() for text in (a, b, c)))
    assert whole.entropy == pytest.approx(sum(SOURCE.entropy(text).sum() for text in (a, b, c)))


@settings(max_examples=10)
@given(FEW, FEW)
@example(b"abaabbabc", b"cab")
def test_the_next_symbol_given_a_context_has_probabilities_that_sum_to_one(known, before):
    context = byte_context(known, SOURCE, order=3)
    bytes_ = sum(np.exp(-context.given(before + bytes([x]), MODEL)[-1]) for x in range(256))
    head = before[-2:]
    followers = [known[i + 2] for i in range(len(known) - 2) if known[i : i + 2] == head and len(before) > 1]
    total, kinds = len(followers), len(set(followers))
    end = MODEL.distribution(before)[END] * (kinds / (total + kinds) if followers else 1)
    assert bytes_ + end == pytest.approx(1, abs=1e-9)


def test_a_context_makes_its_own_bytes_less_surprising_and_others_no_less():
    text, other = b"zanzibar zebra zigzag", b"quick brown fox"
    context = byte_context(text, SOURCE)
    assert context.given(text, MODEL).mean() < 0.5 * MODEL.nats(text)[:-1].mean()
    np.testing.assert_allclose(context.given(other, MODEL), MODEL.nats(other)[:-1])
    np.testing.assert_allclose(byte_context(b"", SOURCE).given(text, MODEL), MODEL.nats(text)[:-1])


def test_surprisal_knows_which_byte_came_and_entropy_does_not():
    usual, odd = byte_context(b"the ship", SOURCE), byte_context(b"the shiq", SOURCE)
    assert usual.entropy == odd.entropy and usual.nats < odd.nats and usual.excess < odd.excess


def test_a_texts_own_bytes_have_less_energy_than_the_same_bytes_shuffled():
    energy = ByteAwareEnergy(MODEL, Correction("linear"), TreeCoder())
    rng, held_out = np.random.default_rng(0), [line.encode() for line in lines(40, seed=5)]
    shuffled = [bytes(rng.permutation(np.frombuffer(text, np.uint8))) for text in held_out]
    assert (energy(held_out) < energy(shuffled)).all()


def test_the_energy_is_the_weighted_sum_of_its_terms_each_of_its_own_text():
    energy = ByteAwareEnergy(MODEL, Correction("mlp"), TreeCoder(), 0.5, 2.0)
    texts = [STORIES[0], TEXTS[0], b""]
    terms = energy.terms(texts)
    np.testing.assert_allclose(energy(texts), terms.surprisal + 0.5 * terms.correction + 2.0 * terms.incoherence)
    np.testing.assert_allclose(energy(texts[::-1])[::-1], energy(texts), rtol=1e-5)
    assert energy(texts)[2] == 0 and terms.incoherence[0] > 0
    assert surprisal(MODEL, TEXTS[:1])[0] == pytest.approx(MODEL.nats(TEXTS[0])[:-1].mean())


@given(st.lists(ANY, min_size=1, max_size=5), st.randoms())
def test_a_bag_depends_on_its_own_text_alone(texts, random):
    chosen = [random.randrange(len(texts)) for _ in range(3)]
    taken, alone = bags(texts).take(torch.tensor(chosen)), bags([texts[i] for i in chosen])
    assert torch.equal(taken.rows, alone.rows) and torch.equal(taken.starts, alone.starts)
    assert torch.equal(taken.sizes, alone.sizes)


def test_noise_contrast_recovers_a_known_log_ratio():
    """Texts of two of three letters: p ~ q exp(-f) with q uniform. The tolerance is four errors of 20,000 draws."""
    rng = np.random.default_rng(1)
    world = [bytes(pair) for pair in itertools.product(b"abc", repeat=2)]
    p = rng.dirichlet(np.full(9, 3.0))
    real, sample = rng.choice(9, 20_000, p=p), rng.choice(9, 20_000)
    correction = Correction("linear", orders=(1, 2), rows=512)
    learn_correction(correction, [world[i] for i in real], [world[i] for i in sample], steps=250, batch=256, rate=3e-2)
    found = -(correction.of(world) + correction.log_z.detach()).numpy()
    assert np.abs(found - np.log(9 * p)).max() < 4 * np.sqrt((1 / p.min() + 9) / 20_000)
    assert np.exp(found).mean() == pytest.approx(1, abs=0.03)


def test_knowing_nothing_costs_ln_4_and_a_shift_of_f_is_taken_by_the_constant():
    zero, f = torch.zeros(5), torch.randn(5, generator=torch.Generator().manual_seed(0))
    assert float(nce_loss(zero, zero, torch.tensor(0.0))) == pytest.approx(np.log(4))
    assert float(nce_loss(f + 2, f + 2, torch.tensor(-2.0))) == pytest.approx(float(nce_loss(f, f, torch.tensor(0.0))))


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_correction_tells_texts_from_samples_of_a_weak_model(kind):
    weak = ByteNgram(2).fit(TEXTS)
    real = [text[:40] for text in TEXTS]
    sample = [text for text in weak.sample(900, 40, seed=3) if len(text) == 40]
    correction = Correction(kind, rows=1 << 12)
    looks = learn_correction(correction, real[:150], sample[:150], steps=40, batch=64)
    assert looks[-1] < np.log(4)
    assert np.median(correction.of(real[150:])) < np.median(correction.of(sample[150:])) - 1


@given(ANY | st.text(alphabet="aB .!?\n#=-\u0964 ", max_size=60).map(str.encode))
def test_the_sentences_of_a_tree_are_the_text(text):
    tree = text_tree(text)
    assert b"".join(tree.texts(text)) == text and all(tree.texts(text))
    assert len(tree.section) == len(tree.sentences)
    assert tree.section == sorted(tree.section) and set(tree.section) == set(range(len(set(tree.section))))


def test_sections_and_sentences_are_found():
    text = "# One\nIt rains, e.g. here. It stops!\n\nAnew. Two\n===\nन गया। आया।\n".encode()
    tree = text_tree(text)
    assert [part.decode().strip() for part in tree.texts(text)] == [
        "# One\nIt rains, e.g. here.", "It stops!", "Anew.", "Two\n===\nन गया।", "आया।",
    ]  # fmt: skip
    assert tree.section == [0, 0, 1, 1, 1]
    assert text_tree(b"Intro here.\nTwo\n---\nBody.").section == [0, 1]


def test_distance_in_the_tree_is_a_third_of_the_levels_climbed():
    d = tree_distance(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 0]))
    assert torch.allclose(d[0], torch.tensor([0, 1 / 3, 2 / 3, 1])) and torch.equal(d, d.T)


def test_without_repulsion_a_constant_is_the_optimum_and_with_it_it_is_not():
    distance = tree_distance(torch.tensor([0, 0, 1, 1]), torch.zeros(4, dtype=torch.int64))
    constant = torch.ones(4, 3)
    apart = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    assert float(coherence_loss(constant, distance, repulsion=0)) == 0
    assert float(coherence_loss(constant, distance, repulsion=3)) == pytest.approx(3, rel=1e-4)
    assert float(coherence_loss(apart, distance, repulsion=3)) == pytest.approx(0, abs=1e-6)


def test_the_pull_falls_with_distance_in_the_tree_and_the_push_is_of_other_documents_alone():
    codes = torch.tensor([[0.0], [0.3], [0.6], [0.2]])
    distance = tree_distance(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 0]))
    pull = (2 / 3 * 0.3**2 + 1 / 3 * 0.6**2 + 1 / 3 * 0.3**2) / 3
    push = (0.8**2 + 0.9**2 + 0.6**2) / 3
    assert float(coherence_loss(codes, distance, repulsion=2)) == pytest.approx(pull + 2 * push, rel=1e-4)


@pytest.fixture(scope="module")
def coders():
    """Codes learned with and without repulsion, from the same beginning."""
    found = {}
    for repulsion in (3.0, 0.0):
        found[repulsion] = TreeCoder(8, rows=1 << 11)
        learn_coder(found[repulsion], STORIES, steps=150, batch=16, repulsion=repulsion)
    return found


def test_repulsion_keeps_documents_apart_and_without_it_codes_collapse(coders):
    def apart(coder):
        codes, distance = codes_of(coder, STORIES)
        return float(torch.cdist(codes, codes)[distance == 1].mean()), len(small(codes).unique(dim=0)) / len(codes)

    (before, distinct), (kept, still), (collapsed, left) = map(
        apart, (TreeCoder(8, rows=1 << 11), coders[3.0], coders[0.0])
    )
    assert kept > 0.6 and still > 0.9
    assert collapsed < 0.5 * before and left < 0.3 < 0.9 < distinct


def test_codes_near_in_the_tree_are_near_in_unseen_documents(coders):
    codes, distance = codes_of(coders[3.0], HELD_OUT)
    between = torch.cdist(codes, codes)
    assert between[(distance > 0) & (distance < 1)].mean() < 0.8 * between[distance == 1].mean()


def test_sentences_of_one_document_cohere_more_than_those_of_several(coders):
    tree = text_tree(b"A. B. C. D. ")
    parts = [text_tree(text).texts(text) for text in HELD_OUT]
    own = [incoherence(coders[3.0].of(part[:4]), tree) for part in parts]
    splices = [[parts[(i + k) % len(parts)][k] for k in range(4)] for i in range(len(parts))]
    mixed = [incoherence(coders[3.0].of(splice), tree) for splice in splices]
    assert np.mean(own) < 0.7 * np.mean(mixed)


def test_the_same_seed_learns_the_same():
    def once():
        coder, correction = TreeCoder(4, rows=256), Correction("mlp", rows=256)
        learn_coder(coder, STORIES, steps=5)
        learn_correction(correction, TEXTS[:50], TEXTS[50:100], steps=5)
        return coder.of(TEXTS[:3]), correction.of(TEXTS[:3])

    assert all(map(torch.equal, once(), once()))


def test_weights_of_zero_keep_the_order_of_the_cosine():
    reranker = Reranker(SOURCE, Correction("linear"), TreeCoder())
    kept = reranker.candidates(TEXTS[:6])
    cosine = np.array([0.1, 0.5, 0.5, 0.9, 0.2, 0.5])
    assert reranker.rerank(b"ship", kept, cosine).tolist() == [3, 1, 2, 5, 4, 0]
    with pytest.raises(Error, match="as many cosines"):
        reranker.rerank(b"ship", kept, cosine[:5])


def test_a_candidate_with_the_querys_bytes_comes_first_once_that_counts():
    texts = [b"nothing of it", b"all about zanzibar spices", b"something else"]
    weights = tuple(float(term == "given") for term in TERMS)
    reranker = Reranker(SOURCE, Correction("linear"), TreeCoder(), weights)
    order = reranker.rerank(b"zanzibar spices", reranker.candidates(texts), np.array([0.3, 0.1, 0.2]))
    assert order[0] == 1


def test_chosen_weights_use_what_helps_and_never_harm_the_queries_that_chose():
    rng = np.random.default_rng(0)
    cosine, answer = rng.standard_normal((300, 20)), rng.integers(0, 20, 300)
    energies = rng.standard_normal((300, 20, 2))
    energies[np.arange(300), answer, 1] -= 3
    weights = choose_weights(cosine, energies, answer)
    before, after = (np.mean(1 / ranks(cosine, energies, w, answer)) for w in ((0, 0), weights))
    assert weights[1] > 0 and after > before + 0.3
    assert choose_weights(cosine, energies, answer, use=[0])[1] == 0
    noise = choose_weights(cosine, energies[:, :, :1], answer)
    assert np.mean(1 / ranks(cosine, energies[:, :, :1], noise, answer)) >= before


def test_an_answer_that_is_no_candidate_has_no_place_and_ties_count_half():
    cosine, energies = np.array([[0.5, 0.5, 0.1], [0.3, 0.2, 0.1]]), np.zeros((2, 3, 1))
    assert ranks(cosine, energies, [1.0], np.array([0, -1])).tolist() == [1.5, np.inf]


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(Error, match="use 2 to 8"):
        pack(b"abc", 9)
    with pytest.raises(Error, match="one order"):
        merge(byte_context(b"abc", SOURCE, order=3), byte_context(b"abc", SOURCE, order=4))
    with pytest.raises(Error, match="unit 'byte'"):
        byte_context(b"abc", NgramEntropy(MODEL, "character"))
    with pytest.raises(Error, match="give more of both"):
        learn_correction(Correction("linear"), [], TEXTS)
    with pytest.raises(Error, match="two documents"):
        learn_coder(TreeCoder(), STORIES[:1])
    with pytest.raises(Error, match="there are none"):
        choose_weights(np.zeros((0, 3)), np.zeros((0, 3, 1)), np.zeros(0, np.int64))
