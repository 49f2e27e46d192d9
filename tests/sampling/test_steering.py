"""Steering: the thought is turned towards a property, by as much as is said, in any sampler, row by row."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from guards.parts import VOCABULARY, network
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Thought, ThoughtOptions
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Settings, fill_request, generate
from unmask.sampling.properties import keywords, towards
from unmask.sampling.steering import Steered, weight

MASK = VOCABULARY.mask
OPTIONS = ThoughtOptions(shape=(2, 3, 4), passage=10, stack=2)
FACTS = {name: SAMPLERS.facts(name) for name in SAMPLERS}
SHOWN = [n for n, f in FACTS.items() if f.shows in ("nothing", "mask")]
WAYS = [name for name in SHOWN if name not in ("block", "speculative")]  # no thoughts there
DIRECTION = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
PROPERTIES = {
    "towards": towards(DIRECTION),
    "keywords": keywords([[5, 6], [7]], MASK),
    "own": lambda state, answer: answer.thought.square().mean((1, 2)),
}


@pytest.fixture(scope="module")
def model():
    return network("transformer", thought=OPTIONS.model_dump(mode="json"))


@pytest.fixture
def state():
    """Three rows of which two have open positions in other places, with thoughts of their own."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.tensor([[1, 8, 3, 3, 9, 3], [1, 3, 3, 3, 3, 3], [1, 4, 3, 6, 8, 3]])
    cells = torch.randn(3, 6, 4, generator=draw)
    thought = Thought(cells, torch.full((3, 6), 0.6), torch.zeros(3, 2, 3, 4), torch.zeros(3, 2, dtype=torch.bool))
    return State(tokens, t=(tokens == MASK).float().mean(1), thought=thought)


class Spy(nn.Module):
    """A network whose last state is kept."""

    def __init__(self, model):
        super().__init__()
        self.model, self.thoughts, self.seen = model, model.thoughts, None

    def forward(self, state, at=None):
        self.seen = state
        return self.model(state, at=at)


def size(cells):
    return cells.square().mean((1, 2)).sqrt()


def valued(model, score, state):
    with torch.no_grad():
        return score(state, model(state, at=state.tokens == MASK))


def canvases(way, count=4):
    settings = SAMPLERS.facts(way)(seed=2, steps=4) if "steps" in SAMPLERS.facts(way).model_fields else Settings(seed=2)
    return [fill_request([5, 8][: i % 3], 4 + i % 2, VOCABULARY, settings, index=i) for i in range(count)]


def texts(network, name, requests, **batch):
    return [s.tokens for s in generate(network, SAMPLERS.get(name)(), requests, VOCABULARY, **batch)]


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_small_push_of_the_cells_raises_the_property_of_every_row(model, state, name):
    spy = Spy(model)
    before = valued(model, PROPERTIES[name], state)
    Steered(spy, PROPERTIES[name], 0.02, MASK, where="cells")(state, at=state.tokens == MASK)
    assert (valued(model, PROPERTIES[name], spy.seen) > before).all()
    Steered(spy, lambda s, a: -PROPERTIES[name](s, a), 0.02, MASK, where="cells")(state, at=state.tokens == MASK)
    assert (valued(model, PROPERTIES[name], spy.seen) < before).all()


@pytest.mark.parametrize("where", ["cells", "belief", "both"])
@pytest.mark.parametrize("name", [*PROPERTIES, None])
def test_no_strength_is_the_network_itself_and_some_is_not(model, state, name, where):
    score, at = PROPERTIES.get(name), state.tokens == MASK
    with torch.no_grad():
        plain = model(state, at=at)
        same = Steered(model, score, 0.0, MASK, where=where)(state, at=at)
        other = Steered(model, score, 1.0, MASK, where=where)(state, at=at)
    assert torch.equal(same.logits, plain.logits) and torch.equal(same.thought, plain.thought)
    assert torch.equal(other.logits, plain.logits) == (where == "belief")
    assert not torch.allclose(other.thought, plain.thought)


@pytest.mark.parametrize("name", [*PROPERTIES, None])
def test_a_push_is_as_long_as_it_says_and_a_thought_keeps_its_length(model, state, name):
    spy = Spy(model)
    cells = state.thought.cells
    for strength in (0.3, 2.0):
        Steered(spy, PROPERTIES.get(name), strength, MASK, where="cells")(state)
        seen = spy.seen.thought.cells
        torch.testing.assert_close(size(seen), size(cells))
        # cells + push = c seen for one c a row, and the push has the root mean square that was asked for
        along = (seen * cells).mean((1, 2)) / size(cells) ** 2
        turned = (1 - along**2).clamp(min=0).sqrt()
        assert (turned <= strength + 1e-4).all() and (turned > 0.05).all()
        if name is None:
            push = Steered(spy, None, strength, MASK).blind * strength * size(cells)[:, None, None]
            whole = cells + push
            torch.testing.assert_close(size(push), strength * size(cells))
            torch.testing.assert_close(seen, whole * (size(cells) / size(whole))[:, None, None])


def test_the_scale_of_a_property_does_not_matter(model, state):
    at = state.tokens == MASK
    one = Steered(model, PROPERTIES["own"], 0.5, MASK)(state, at=at)
    other = Steered(model, lambda s, a: 1e4 * PROPERTIES["own"](s, a), 0.5, MASK)(state, at=at)
    torch.testing.assert_close(one.thought, other.thought)


def test_a_steered_belief_is_never_longer_than_a_thought(model, state):
    answer = Steered(model, PROPERTIES["towards"], 5.0, MASK, where="belief")(state)
    plain = model(state)
    assert (size(answer.thought) <= torch.maximum(size(plain.thought), size(state.thought.cells)) + 1e-4).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*PROPERTIES, None])
def test_any_sampler_can_be_steered_and_no_text_depends_on_its_batch_mates(model, way, name):
    steered = Steered(model, PROPERTIES.get(name), 1.0, MASK)
    requests = canvases(way)
    if name == "keywords" and SAMPLERS.facts(way).visibility == "causal":
        with pytest.raises(Error, match="knows the next alone"):
            texts(steered, way, requests)
        return
    together = texts(steered, way, requests)
    assert together == [texts(steered, way, [r])[0] for r in requests]
    assert together == texts(steered, way, requests[::-1])[::-1]
    assert all(MASK not in text and text[: 1 + i % 3] == (1, 5, 8)[: 1 + i % 3] for i, text in enumerate(together))
    assert together != texts(model, way, requests)


def test_texts_of_several_passages_can_be_steered(model):
    request = fill_request([5], 24, VOCABULARY, Settings(seed=1, ignore_eos=True))
    sampler = SAMPLERS.get("ancestral")()
    plain, steered = (
        generate(net, sampler, [request], VOCABULARY)[0].tokens
        for net in (model, Steered(model, PROPERTIES["towards"], 1.0, MASK))
    )
    assert len(plain) == len(steered) == 26 and MASK not in steered and plain[11:] != steered[11:]


class Talker(nn.Module):
    """A network whose thought alone says which of its words it writes: it believes what it sees."""

    def __init__(self, words=20):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(words, 6, 4, generator=draw))
        self.thoughts = type("Thoughts", (), {"options": OPTIONS})
        self.leaves_notes = False
        self.config = type("Config", (), {"thought": OPTIONS.model_dump(mode="json")})

    def forward(self, state, at=None):
        at = torch.ones_like(state.tokens, dtype=torch.bool) if at is None else at
        logits = torch.einsum("bce,vce->bv", state.thought.cells, self.table)
        return Prediction(logits[at.nonzero()[:, 0]], thought=state.thought.cells * 1.0)


@pytest.mark.parametrize("score", ["direction", "keyword"])
@pytest.mark.parametrize("where", ["cells", "belief", "both"])
def test_a_property_that_thoughts_decide_is_reached_and_by_a_random_push_it_is_not(score, where):
    talker = Talker()
    aim = towards(talker.table[9].detach()) if score == "direction" else keywords([[9]], MASK)
    requests = [
        fill_request([], 9, VOCABULARY, SAMPLERS.facts("ancestral")(steps=9, ignore_eos=True), index=i)
        for i in range(24)
    ]

    def share(network):
        written = texts(network, "ancestral", requests, batch_size=24)
        if score == "keyword":  # one is enough
            return sum(9 in text for text in written) / len(written)
        return sum(text.count(9) for text in written) / (9 * len(written))

    plain, steered = share(talker), share(Steered(talker, aim, 2.0, MASK, where=where))
    blind = sum(share(Steered(talker, None, 2.0, MASK, where=where, seed=seed)) for seed in range(4)) / 4
    assert steered > (0.3 if where == "belief" else 0.9) and steered > 2 * max(plain, blind), (plain, blind, steered)


def test_schedules_hand_out_the_same_strength_at_other_times():
    noise = torch.linspace(0, 1, 101)
    for name in ("constant", "early", "late"):
        assert weight(name, noise).mean() == pytest.approx(1)
    assert weight("early", noise)[0] == 0 and weight("early", noise)[-1] == 2
    assert weight("late", noise)[0] == 2 and weight("late", noise)[-1] == 0


def test_an_early_push_leaves_a_clear_thought_alone(model, state):
    clear = replace(state, thought=replace(state.thought, level=torch.zeros(3, 6)))
    at = state.tokens == MASK
    early = Steered(model, PROPERTIES["own"], 1.0, MASK, schedule="early")
    torch.testing.assert_close(early(clear, at=at).logits, model(clear, at=at).logits)
    assert not torch.allclose(early(state, at=at).logits, model(state, at=at).logits)


def test_keywords_count_how_often_a_word_is_expected():
    words, vocabulary = [[4, 5], [6]], 7
    tokens = torch.tensor([[1, 3, 3, 5, 3]])
    logits = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(0))
    logits[:, MASK] = 40.0  # the mask is never drawn, whatever the network says
    p = logits.index_fill(1, torch.tensor([MASK]), -torch.inf).softmax(-1)
    expected = 0.0
    for drawn in product(range(vocabulary), repeat=3):
        text = [1, drawn[0], drawn[1], 5, drawn[2]]
        chance = float(p[0, drawn[0]] * p[1, drawn[1]] * p[2, drawn[2]])
        expected += chance * sum(text[i : i + len(w)] == w for w in words for i in range(5))
    found = keywords(words, MASK)(State(tokens), Prediction(logits))
    assert float(found.exp()) == pytest.approx(expected, rel=1e-4)


def test_a_text_that_says_the_word_is_left_alone(model, state):
    at = state.tokens == MASK
    steered = Steered(model, keywords([[6, 8]], MASK), 1.0, MASK)(state, at=at)
    row = at.nonzero()[:, 0]
    plain = model(state, at=at)
    torch.testing.assert_close(steered.logits[row == 2], plain.logits[row == 2])
    assert not torch.allclose(steered.logits[row == 0], plain.logits[row == 0])


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda m: Steered(network("transformer"), None, 1.0, MASK), "no thoughts to steer"),
        (lambda m: Steered(m, None, -1.0, MASK), "strength is -1.0"),
        (lambda m: Steered(m, None, 1.0, MASK, schedule="soon"), "constant, early, late"),
        (lambda m: Steered(m, None, 1.0, MASK, where="words"), "both, cells, belief"),
        (lambda m: keywords([], MASK), "no keywords"),
        (lambda m: towards(torch.zeros(6, 4)), "same thought"),
    ],
)
def test_what_cannot_steer_is_refused_in_one_line(model, make, why):
    with pytest.raises(Error, match=why) as refused:
        make(model)
    assert "\n" not in str(refused.value)


def test_a_property_is_one_number_a_row_that_hangs_on_the_thought(model, state):
    with pytest.raises(Error, match=r"one number a row, \[3\], not \[\]"):
        Steered(model, lambda s, a: a.thought.mean(), 1.0, MASK)(state)
    with pytest.raises(Error, match="does not hang on the thought"):
        Steered(model, lambda s, a: s.tokens.float().mean(1), 1.0, MASK)(state)
