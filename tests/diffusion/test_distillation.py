"""What a student is taught: its teacher's words along two steps, and with a random mask which words go together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.studies.few_steps import coin
from guards.parts import VOCABULARY, Pair, make_batch, make_process
from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.distillation import Distilled, divergence
from unmask.diffusion.state import Prediction
from unmask.sampling import Ancestral, fill_request, generate

PAIRS = [
    Pair("masked", (), "transformer", ()),
    Pair("masked", (("random_mask", 3),), "transformer", ()),
    Pair("masked", (("random_mask", 3), ("random_mask_words", 5)), "eco", ()),
    Pair("block", (("block_size", 4), ("random_mask", 3)), "transformer", ()),
]
OPTIONS = DistillOptions(steps=2, teacher_steps=8)


class Deaf:
    """A teacher that says the same of every text, and remembers what it was shown."""

    def __init__(self):
        self.seen = []
        self.logits = torch.randn(VOCABULARY.size, generator=torch.Generator().manual_seed(0))

    def __call__(self, state, at=None):
        self.seen.append((state, at))
        return Prediction(self.logits.expand(int(at.sum()), -1))


def shaken(network):
    """Return a network whose random vectors mean something: they begin at 0."""
    if network.mask_vector is not None:
        torch.nn.init.normal_(network.mask_vector.weight)
    return network


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_teacher_is_asked_twice_and_nothing_it_decided_is_still_asked(pair):
    teacher = Deaf()
    Distilled(pair.process, OPTIONS, teacher).loss(pair.network(), make_batch(ragged=True), seed=0, progress=0.9)
    (first, before), (then, after) = teacher.seen
    decided = before & ~after
    assert bool(decided.any()) and bool(after.any()) and not bool((after & ~before).any())
    assert not bool((then.tokens[decided] == VOCABULARY.mask).any())
    assert torch.equal(first.tokens[~decided], then.tokens[~decided])
    assert bool((then.tokens[after] == VOCABULARY.mask).all())


def test_a_teacher_is_told_the_level_of_each_document_where_scripts_decide_what_is_hidden():
    teacher, batch = Deaf(), make_batch(8, 12, ragged=True)
    process = make_process("masked", scripts={"devanagari": "polynomial:1.5"})
    Distilled(process, OPTIONS, teacher).loss(PAIRS[0].network(), batch, seed=0, progress=0.9)
    for state, at in teacher.seen:
        assert state.t.shape == batch.tokens.shape
        torch.testing.assert_close(state.t, process.level(at, batch))


def test_later_rounds_take_larger_steps():
    def share(progress):
        teacher = Deaf()
        many = make_batch(rows=256)
        Distilled(make_process("masked"), OPTIONS, teacher).loss(PAIRS[0].network(), many, 0, progress)
        (_, before), (_, after) = teacher.seen
        return float((before & ~after).sum() / before.numel())

    assert [share(p) for p in (0.0, 0.6)] == pytest.approx([1 / 8, 1 / 4], abs=0.05)


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_who_says_what_the_teacher_says_has_nothing_to_learn_and_others_have(kind):
    teacher = Deaf()
    distilled = Distilled(make_process("masked"), replace_options(divergence=kind), teacher)
    assert float(distilled.loss(teacher, make_batch(), 0)["loss"]) == pytest.approx(0, abs=1e-6)
    assert float(distilled.loss(PAIRS[0].network(), make_batch(), 0)["loss"]) > 0.1


def replace_options(**keys):
    return DistillOptions(**{**OPTIONS.model_dump(), **keys})


def test_the_divergence_has_the_direction_of_its_name():
    one, other = (torch.tensor([row]).log() for row in ([0.5, 0.5], [0.9, 0.1]))
    forward = torch.nn.functional.kl_div(other, one, log_target=True, reduction="sum")
    assert float(divergence(one, other, "forward")) == pytest.approx(float(forward))
    assert float(divergence(other, one, "reverse")) == pytest.approx(float(forward))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_parameter_of_a_student_learns_and_the_same_seed_gives_the_same_loss(pair):
    model, teacher = shaken(pair.network()), shaken(pair.network(seed=1))
    distilled = Distilled(pair.process, OPTIONS, teacher)
    loss = distilled.loss(model, make_batch(), 0, 0.5)["loss"]
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert float(loss) == float(distilled.loss(model, make_batch(), 0, 0.5)["loss"])
    assert float(loss) != float(distilled.loss(model, make_batch(), 1, 0.5)["loss"])


def test_a_network_begins_as_its_teacher_whatever_its_mask_shows():
    pair = PAIRS[1]
    plain, random = PAIRS[0].network(), pair.network()
    random.load_state_dict(plain.state_dict(), strict=False)
    shown = pair.process.corrupt(make_batch(), 0).state
    assert shown.random_mask is not None
    assert torch.equal(random(shown).logits, plain(shown).logits)
    assert not torch.equal(shaken(random)(shown).logits, plain(shown).logits)


@pytest.mark.parametrize("pair", PAIRS[1:], ids=str)
def test_words_that_are_shown_see_no_random_vector(pair):
    """What is decided is embedded as ever: keys and values of it may be kept."""
    model = shaken(pair.network())
    shown = pair.process.corrupt(make_batch(), 0).state
    plain = replace(shown, random_mask=None)
    masks = shown.tokens == VOCABULARY.mask
    difference = (model._embedded(shown) - model._embedded(plain)).abs().sum(-1) > 0
    assert torch.equal(difference, masks)


def test_a_random_vector_stays_until_a_word_is_decided_and_is_another_for_every_text():
    pair = PAIRS[1]

    def keys(index):
        seen = {}

        class Watching:
            config = pair.network().config

            def __call__(self, state, at=None):
                given = state.random_mask
                seen.setdefault(int(given.at.sum()), set()).add(int(given.key))
                return Prediction(torch.zeros(int(at.sum()), VOCABULARY.size))

        asked = fill_request([], 8, VOCABULARY, Ancestral.Settings(steps=64, ignore_eos=True), index=index)
        generate(Watching(), Ancestral(skip=False), [asked], VOCABULARY)
        assert len(seen) > 4 and all(len(own) == 1 for own in seen.values())
        return set.union(*seen.values()), len(seen)

    (one, counts), (other, _) = keys(0), keys(1)
    assert len(one) == counts and not one & other


@pytest.mark.slow
def test_one_call_with_a_random_mask_writes_words_that_go_together_and_with_one_mask_none_can():
    """A text of eight equal words, one of four: a product with the right single words writes 4 in 4^8 of them."""
    found = coin.rows(400)
    assert found["teacher, 32 steps"] > 0.6 and found["teacher, 1 step"] < 0.02
    assert found["student with one mask, 1 step"] < 0.02
    assert found["student with a random mask, 1 step"] > 0.2
