"""How long holes are: drawn from the posterior given the text around them, in worlds where it can be enumerated."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from guards.parts import network
from unmask.certificates.worlds import HMM, WORLDS
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling import Confidence, Vocabulary, generate
from unmask.sampling.infill import HoleRequest
from unmask.sampling.lengths import NEAR, around_nats, chosen, posterior
from unmask.sampling.request import Request, canvas

SETTINGS = Confidence.Settings(steps=16)


def asked(world: HMM, pieces: list[list[int]], layout: tuple[int, ...], index: int = 0) -> HoleRequest:
    """Return the request for words with holes between them."""
    given = [[world.first + word for word in piece] for piece in pieces]
    tokens, _ = canvas(given, layout, world.vocabulary)
    spans, start = [], 1
    for piece, length in zip(given, layout, strict=False):
        spans.append((start + len(piece), start + len(piece) + length))
        start = spans[-1][1]
    return HoleRequest(Request(tokens, SETTINGS, index), tuple(spans))


def joint(world: HMM, pieces: list[list[int]], layouts: list[tuple[int, ...]]) -> dict[tuple, float]:
    """Return p(lengths, words in the holes | words around them) by enumeration, all lengths being alike beforehand."""
    mass = {}
    for layout in layouts:
        for fill in itertools.product(range(world.words), repeat=sum(layout)):
            rest, words = list(fill), list(pieces[0])
            for length, piece in zip(layout, pieces[1:], strict=True):
                words += rest[:length] + piece
                rest = rest[length:]
            mass[layout, fill] = math.exp(-float(world.nats(torch.tensor([words]))))
    total = sum(mass.values())
    return {key: value / total for key, value in mass.items()}


def of_lengths(law: dict[tuple, float]) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}
    for (layout, _), p in law.items():
        found[layout] = found.get(layout, 0.0) + p
    return found


def distance(a: dict, b: dict) -> float:
    return 0.5 * sum(abs(a.get(key, 0.0) - b.get(key, 0.0)) for key in a.keys() | b.keys())


ONE = ([[0, 1], [0, 2]], [(n,) for n in range(1, 5)])
TWO = ([[2], [0, 1], []], [(a, b) for a in (1, 2, 3) for b in (1, 2)])


@pytest.mark.parametrize("name", list(WORLDS))
@pytest.mark.parametrize("case", [ONE, TWO], ids=["one", "two"])
def test_the_posterior_over_lengths_is_the_enumerated_one_in_every_order(name, case):
    world, (pieces, layouts) = WORLDS.get(name)(), case
    nats = around_nats(world, [asked(world, pieces, own) for own in layouts], world.vocabulary, orders=3, batch_size=5)
    law = of_lengths(joint(world, pieces, layouts))
    for order in nats:
        assert posterior(order[None]) == pytest.approx([law[own] for own in layouts], abs=1e-9)


def rule(world, pieces, layouts, count, by):
    """Return how often each (lengths, words) is written."""
    nats = around_nats(world, [asked(world, pieces, own) for own in layouts], world.vocabulary, orders=1)
    if by == "posterior":
        p = posterior(nats)
        numbers = [chosen(p, "draw", 0, i) for i in range(count)]
        requests = [asked(world, pieces, layouts[number], i) for i, number in enumerate(numbers)]
        samples = generate(world, Confidence(), [r.request for r in requests], world.vocabulary, batch_size=1000)
    else:  # the rules before: fill all, keep the text with the lowest score (all words have one byte)
        requests, samples = [], []
        every = [[asked(world, pieces, own, i) for own in layouts] for i in range(count)]
        flat = generate(world, Confidence(), [r.request for e in every for r in e], world.vocabulary, batch_size=1000)
        for i, each in enumerate(every):
            own = flat[i * len(layouts) : (i + 1) * len(layouts)]
            words = [torch.tensor([s.tokens[1:]]) - world.first for s in own]
            size = (lambda w: w.shape[1]) if by == "bits per byte" else (lambda w: 1)
            best = min(range(len(own)), key=lambda k: float(world.nats(words[k])) / size(words[k]))
            requests.append(each[best])
            samples.append(own[best])
    counts: dict[tuple, float] = {}
    for request, sample in zip(requests, samples, strict=True):
        layout = tuple(end - start for start, end in request.spans)
        fill = tuple(sample.tokens[p] - world.first for start, end in request.spans for p in range(start, end))
        counts[layout, fill] = counts.get((layout, fill), 0.0) + 1 / count
    return counts


def test_lengths_and_words_come_from_their_joint_posterior_and_not_from_the_best_score():
    """Within 0.035 in length: 4 lengths and 2,000 texts are off by 0.011 on average, and never by 0.035 in 10,000."""
    world, (pieces, layouts) = WORLDS.get("markov")(), ONE
    law = joint(world, pieces, layouts)
    found = rule(world, pieces, layouts, 2000, "posterior")
    assert distance(of_lengths(found), of_lengths(law)) < 0.035
    assert distance(found, law) < 0.12  # 120 fillings: 0.07 on average
    for by in ("bits per byte", "whole text"):
        old = of_lengths(rule(world, pieces, layouts, 60, by))
        assert distance(old, of_lengths(law)) > 0.4
    assert max(old, key=old.get) == (1,), "the most probable text is the shortest"


def test_the_likeliest_lengths_are_the_same_for_every_text_and_drawn_ones_are_not():
    p = [0.2, 0.5, 0.3]
    assert {chosen(p, "likeliest", 0, i) for i in range(50)} == {1}
    drawn = [chosen(p, "draw", 0, i) for i in range(4000)]
    assert [drawn.count(k) / 4000 for k in range(3)] == pytest.approx(p, abs=0.03)  # 4 standard deviations
    assert drawn[:50] == [chosen(p, "draw", 0, i) for i in range(50)] != [chosen(p, "draw", 1, i) for i in range(50)]


def test_a_hole_that_was_handed_a_space_counts_that_it_begins_with_one():
    world = WORLDS.get("markov")()
    spaced = torch.zeros(world.first + world.words, dtype=torch.bool)
    spaced[world.first] = True
    vocabulary = replace(world.vocabulary, spaced=spaced)
    pieces, layouts = ONE
    each = [asked(world, pieces, own) for own in layouts]
    each = [replace(own, request=replace(own.request, lead=frozenset({own.spans[0][0]}))) for own in each]
    found = posterior(around_nats(world, each, vocabulary, orders=1))
    law = {key: p for key, p in joint(world, pieces, layouts).items() if key[1][0] == 0}
    total = sum(law.values())
    assert found == pytest.approx([of_lengths(law)[own] / total for own in layouts], abs=1e-9)


CARRYING = {
    "plain": {},
    "told the noise": {"time_input": True},
    "candidates": {"candidates": 3, "candidate_input": "pooled"},
    "thoughts": {"thought": ThoughtOptions(shape=(2, 3, 4), passage=24, latent=0.5).model_dump(mode="json")},
}


@pytest.mark.parametrize("name", CARRYING)
def test_lengths_do_not_depend_on_batch_mates_whatever_is_carried(name):
    model, world = network("transformer", **CARRYING[name]), WORLDS.get("markov")()
    pieces, layouts = TWO
    each = [asked(world, pieces, own) for own in layouts]
    together, alone = (around_nats(model, each, Vocabulary(), orders=2, batch_size=size) for size in (12, 1))
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert float((together[:, 1:] - together[:, :1]).abs().min()) > 1e-3, "other lengths, other probabilities"


def test_words_far_from_the_holes_are_given_and_a_text_without_words_says_nothing():
    calls = []
    world = WORLDS.get("markov")()

    def spy(state, at=None):
        calls.append(int(at.sum()))
        return world(state, at=at)

    pieces = [[0] * 40, [1] * 3]
    around_nats(spy, [asked(world, pieces, (n,)) for n in (1, 2)], world.vocabulary, orders=1)
    assert len(calls) == NEAR + 3
    empty = around_nats(spy, [asked(world, [[], []], (n,)) for n in (1, 2)], world.vocabulary, orders=1)
    assert posterior(empty) == [0.5, 0.5]


def test_what_cannot_be_compared_is_refused():
    world = WORLDS.get("markov")()
    with pytest.raises(Error, match="orders is 0"):
        around_nats(world, [asked(world, *ONE[:1], (1,))], world.vocabulary, orders=0)
    short = network("transformer", thought=ThoughtOptions(passage=5).model_dump(mode="json"))
    with pytest.raises(Error, match="within one passage of 5 tokens, and the text has 9"):
        around_nats(short, [asked(world, ONE[0], (n,)) for n in (1, 4)], world.vocabulary)


def test_bits_of_what_was_written_alone_favour_no_length_where_the_likelihood_favours_the_shortest():
    """The best of four texts of any length (what ``parallel`` keeps): quarters of the lengths are within 0.05 of 1/4.

    Of 2,000 choices a quarter's share has a standard deviation of 0.01.
    """
    world, count, kept, longest = WORLDS.get("hmm")(), 2000, 4, 24
    words = world.sample(count * kept, longest, seed=1)
    size = torch.randint(1, longest + 1, (count * kept,), generator=torch.Generator().manual_seed(0))
    every = torch.stack([world.nats(words[:, :n]) for n in range(1, longest + 1)], 1)
    nats, size = every[torch.arange(len(size)), size - 1].view(count, kept), size.view(count, kept)
    for score, even in ((nats / size, True), (nats, False)):
        best = size.gather(1, score.argmin(1, keepdim=True))[:, 0]
        shares = torch.bincount((best - 1) // 6, minlength=4) / count
        assert bool(((shares - 0.25).abs() < 0.05).all()) == even, shares


def test_lengths_that_scored_nan_are_never_chosen_and_impossible_ones_have_no_share():
    for scores in ([[math.nan, 1.0]], [[math.inf, math.inf]]):
        with pytest.raises(Error, match="not numbers"):
            posterior(torch.tensor(scores))
    assert posterior(torch.tensor([[math.inf, 1.0]])) == [0.0, 1.0]
