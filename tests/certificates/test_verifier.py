"""Lossless is exact in the oracle worlds, whoever drafts; a verifier that accepts by another rule is found out.

Tolerance: as in test_certify.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from unmask.certificates.certify import certify
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import HMM, WORLDS
from unmask.sampling import Ancestral, speculative
from unmask.sampling.categorical import picked
from unmask.sampling.decide import believed_words
from unmask.sampling.drafters import Copies, Draft, Drawn
from unmask.sampling.repair import Repair
from unmask.sampling.speculative import Speculative
from unmask.sampling.verifier_settings import RepairSettings, SpeculativeSettings

SIZE = {"samples": 10_000, "tolerance": 0.055}
GROUNDS = {name: Ground(name, WORLDS.get(name)(), 4) for name in WORLDS}
OTHERS = {name: HMM.random(ground.world.words, seed=4) for name, ground in GROUNDS.items()}
DRAFTERS = {
    "copies": lambda other: Copies(),
    "own blocks": lambda other: Drawn(None, "block"),
    "blocks": lambda other: Drawn(other, "block"),
    "masks": lambda other: Drawn(other, "bidirectional"),
    "words": lambda other: Drawn(other, "causal"),
}
"""Each is given another world of the same words: what a drafter may know of the text."""


def drafted(ground: Ground, drafter: str) -> Speculative:
    return Speculative(DRAFTERS[drafter](OTHERS[ground.name]))


@pytest.fixture(params=list(GROUNDS))
def ground(request) -> Ground:
    return GROUNDS[request.param]


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("span", [2, 4])
def test_the_texts_are_the_verifiers_own_whoever_drafts(ground, drafter, span):
    found = certify(drafted(ground, drafter), SpeculativeSettings(span=span), ground, **SIZE)
    assert found.verdict == "exact"


def test_a_verifier_that_accepts_by_probability_above_one_half_fails(ground, monkeypatch):
    monkeypatch.setattr(speculative, "accepted", lambda p, q, luck: p > 0.5)
    found = certify(drafted(ground, "blocks"), SpeculativeSettings(span=4), ground, **SIZE)
    assert found.promise == "exact" and found.failed and found.verdict.startswith("FAILS")


class BackToFront(Drawn):
    """Draws its last word first, each other one given those behind it, and tells these laws as if they were it all."""

    def __call__(self, model, state, first, room, cache):
        tokens, most = state.tokens, int(room.max())
        law = torch.zeros(len(first), most, 7, dtype=torch.float64)
        for back in range(1, most + 1):
            rows = (room >= back).nonzero()[:, 0]
            at = torch.zeros_like(state.open)
            at[rows, (first + room - back)[rows]] = True
            logits, _ = self._asked(self.network, replace(state, tokens=tokens), at, first, room, None)
            law[rows, room[rows] - back] = drawn = believed_words(state, at, logits)
            tokens = tokens.masked_scatter(at, picked(drawn, state.noise.uniform("draft", at.shape[1])[at]))
        place = (first[:, None] + torch.arange(most)).clamp(max=tokens.shape[1] - 1)
        return Draft(tokens.gather(1, place), law, room, room)


def test_words_drafted_in_another_order_have_another_law_than_the_one_they_were_drawn_from():
    ground = GROUNDS["markov"]
    sampler = Speculative(BackToFront(ground.world, "bidirectional"))
    assert certify(sampler, SpeculativeSettings(span=4), ground, **SIZE).failed


def test_a_perfect_drafter_of_one_word_is_always_accepted(ground):
    state = (sampler := Speculative(Drawn(ground.world, "causal"))).start(
        [speculative.Request((1, 3, 3, 3), SpeculativeSettings(span=2, ignore_eos=True), i) for i in range(50)],
        ground.world.vocabulary,
    )
    state, _ = sampler.step(ground.world, state)
    assert bool(state.done.all()), "two words that hold, and one more"


def test_repair_promises_nothing_and_says_what_it_trades(ground):
    found = certify(
        Repair(Ancestral(), ground.world, RepairSettings(suspect=1.0, span=2)),
        Ancestral.Settings(),
        ground,
        steps=(4,),
        **SIZE,
    )
    assert found.verdict.startswith("trades")
