"""Words are taken back and written again, as often as the schedule says, and nothing that is final ever is."""

import io
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from unmask.certificates.ground import Ground
from unmask.certificates.worlds import WORLDS
from unmask.cli.canvas import Canvas
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.noise import Noise
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import (
    Ancestral,
    Remasking,
    Request,
    Vocabulary,
    canvas,
    fill_request,
    frames,
    generate,
    lock,
    rows,
    ticks,
)
from unmask.sampling.ancestral import decided
from unmask.sampling.trace import TraceWriter, read_trace
from unmask.sampling.until import generate_until

VOCABULARY = Vocabulary()
LOOP = {"remask_start": 0.6, "remask_stop": 0.2, "remask_hold": 0.7}
WAYS = [
    {"remask_strength": 0.2},
    {"remask_strength": 1.0},
    {"remask": "rescale", "remask_strength": 0.5},
    {"remask": "rescale", "remask_strength": 1.0, "remask_start": 0.5},
    {"remask": "conf", "remask_strength": 0.3},
    {"remask": "conf", "remask_strength": 1.0},
    {"remask_strength": 0.3, **LOOP},
    {"remask": "conf", "remask_strength": 1.0, **LOOP},
]


class Even:
    """Finds ten words equally likely and EOS as likely as it is told."""

    config = None

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def __call__(self, state, at=None):
        logits = torch.full((int(at.sum()), 14), math.log((1 - self.end) / 10))
        logits[:, : VOCABULARY.eos] = logits[:, VOCABULARY.mask] = -torch.inf
        logits[:, VOCABULARY.eos] = math.log(self.end) if self.end else -torch.inf
        return Prediction(logits)


class Uneven(Even):
    """Sure of a word at some places, of none at others: confidences differ, and depend on nothing else."""

    def __call__(self, state, at=None):
        logits = super().__call__(state, at).logits
        logits[:, 4] += (at.nonzero()[:, 1] % 4).float() * 2
        return Prediction(logits)


def asked(count, length=8, **settings):
    return [fill_request([], length, VOCABULARY, Remasking.Settings(**settings), index=i) for i in range(count)]


def many(sampler, count, length, **settings):
    """The opening state of as many texts, quickly."""
    one = sampler.start(asked(1, length, **settings), VOCABULARY)
    return replace(rows(one, [0] * count), key=Noise(0, torch.arange(count)).keys)


@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_without_strength_it_is_ancestral_token_for_token_and_call_for_call(tiny, steps):
    for model in (tiny(), tiny(candidates=3)):
        for more in ({}, {"temperature": 0.7, "top_k": 5}, {"ignore_eos": True}):
            given = [
                fill_request(
                    [5] * i, 9 + i, VOCABULARY, Remasking.Settings(steps=steps, seed=i, **more), suffix=[7] * (i % 2)
                )
                for i in range(6)
            ]
            plain = [t.state for t in ticks(model, Ancestral(), given, VOCABULARY)]
            for strategy in ("cap", "rescale", "conf"):
                off = [
                    replace(r, settings=r.settings.but(remask=strategy, remask_strength=0.0, remask_start=0.5))
                    for r in given
                ]
                own = [t.state for t in ticks(model, Remasking(), off, VOCABULARY)]
                assert len(own) == len(plain)
                for a, b in zip(own, plain, strict=True):
                    for name in ("tokens", "open", "valid", "confidence", "step", "forwards"):
                        assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("settings", WAYS, ids=str)
@pytest.mark.parametrize("steps", [1, 2, 5, 33, 256])
def test_the_schedule_is_that_of_the_paper(settings, steps):
    own = Remasking.Settings(steps=steps, **settings)
    grid = Remasking().grid(own)
    assert len(grid.alpha) == steps + 1 and len(grid.sigma) == steps
    assert float(grid.alpha[0]) == 0 and float(grid.alpha[-1]) == 1 and bool((grid.alpha.diff() >= 0).all())
    for step, sigma in enumerate(grid.sigma.tolist()):
        t, s = (steps - step) / steps, (steps - step - 1) / steps
        at, then = alpha(own, t), alpha(own, s)
        assert float(grid.alpha[step]) == pytest.approx(at) and float(grid.alpha[step + 1]) == pytest.approx(then)
        most = min(1.0, (1 - then) / at) if at else 0.0
        wanted = min(own.remask_strength, most) if own.remask == "cap" else own.remask_strength * most
        wanted = min(wanted, 1 / math.e) if own.remask == "conf" else wanted
        assert sigma == pytest.approx(wanted if own.remask_stop < t <= own.remask_start else 0.0, abs=1e-12)
        assert -1e-12 <= (then - (1 - sigma) * at) / (1 - at) <= 1 + 1e-12


def alpha(settings, t):
    """Share of decided positions at time t."""
    hold = settings.remask_hold
    if hold is None:
        return 1 - t
    if t >= settings.remask_start:
        return (1 - t) / (1 - settings.remask_start) * hold
    return hold if t > settings.remask_stop else 1 - (1 - hold) * t / settings.remask_stop


def open_shares(sampler, settings, count=2500, length=8, model=None):
    """The share of open positions after each step, and how many were reopened in it."""
    state = many(sampler, count, length, ignore_eos=True, **settings)
    shares, reopened = [], []
    for _ in range(settings["steps"]):
        after, _ = sampler.step(model or Even(), state)
        reopened.append(int((after.open & ~state.open).sum()))
        shares.append(float(after.open.sum()) / (count * length))
        state = after
    assert bool(state.done.all())
    return torch.tensor(shares), reopened


@pytest.mark.parametrize("settings", WAYS, ids=str)
@pytest.mark.parametrize("model", [Even(), Uneven()], ids=["even", "uneven"])
def test_the_share_of_open_positions_is_that_of_the_schedule_however_much_is_reopened(settings, model):
    settings = {"steps": 12, **settings}
    shares, reopened = open_shares(Remasking(), settings, model=model)
    wanted = 1 - Remasking().grid(Remasking.Settings(**settings)).alpha[1:]
    # 20,000 positions: 4 standard errors are 0.014. Under conf those of one text hang together a little.
    assert (shares - wanted).abs().max() < 0.016
    assert sum(reopened) > 1000 and reopened[-1] == 0


class Careless(Remasking):
    """Decides as ancestral does: what was reopened is not made up for."""

    def step(self, model, state):
        after, frame = super().step(model, state)
        taken = after.open & ~state.open
        left = (state.setting("steps") - state.step)[:, None]
        chosen = state.open & (state.noise.uniform("reveal", state.tokens.shape[1]) * left < 1)
        plain = decided(model, state, chosen, chosen.any(1))
        tokens = plain.tokens.masked_fill(taken, VOCABULARY.mask)
        return replace(plain, tokens=tokens, open=plain.open | taken, step=after.step), frame


def test_without_making_up_for_it_the_share_would_drift():
    settings = {"steps": 12, "remask_strength": 0.2}
    shares, _ = open_shares(Careless(), settings)
    assert (shares - (1 - Remasking().grid(Remasking.Settings(**settings)).alpha[1:])).max() > 0.1


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_every_text_ends_after_its_steps_with_nothing_open(tiny, settings):
    model = tiny()
    for steps in (1, 2, 3, 17):
        requests = asked(6, 9, steps=steps, **settings)
        for sample, request in zip(generate(model, Remasking(), requests, VOCABULARY), requests, strict=True):
            last = int(Remasking().start([request], VOCABULARY).settles[0])
            assert VOCABULARY.mask not in sample.tokens and sample.steps <= steps
            assert sample.steps >= last or sample.ended, "it goes on while words may be taken back"


def test_what_was_given_or_locked_and_the_end_of_the_text_is_never_taken_back(tiny):
    model, sampler = tiny(), Remasking()
    tokens, _ = canvas([[5, 6], [7], []], [4, 5], VOCABULARY)
    state = sampler.start(
        [Request(tokens, Remasking.Settings(steps=30, remask_strength=1.0), index=i) for i in range(40)], VOCABULARY
    )
    ended = torch.zeros_like(state.open)
    taken = torch.zeros(len(tokens))
    for step in range(30):
        if step == 15:
            for row in range(0, 40, 2):
                state = lock(state, row, 4, 11)
        before, (state, _) = state, sampler.step(model, state)
        again = state.open & ~before.open
        taken += again.sum(0)
        assert not bool((again & before.fixed).any())
        ended |= state.tokens == VOCABULARY.eos
        assert bool((state.tokens[ended] == VOCABULARY.eos).all())
    assert bool(state.done.all()) and (state.tokens[::2, 4] == 11).all() and bool(ended.any())
    assert torch.equal(taken > 0, torch.tensor([t == VOCABULARY.mask for t in tokens])), "every other position is"


class ForgetsThatItWroteAWord(Remasking):
    """Lets a word that is written again become the end of the text."""

    def step(self, model, state):
        after, frame = super().step(model, state)
        return replace(after, reopened=torch.zeros_like(after.reopened)), frame


def test_texts_end_where_they_would_without_taking_words_back():
    def lengths(sampler, **settings):
        state = many(sampler, 3000, 12, steps=24, **settings)
        while not bool(state.done.all()):
            state, _ = sampler.step(Even(end=0.1), state)
            assert not bool((state.open & ~state.valid).any()), "nothing is taken back behind the end"
        return state.valid.sum(1).double()

    plain, own = lengths(Ancestral()), lengths(Remasking(), remask_strength=0.5)
    error = float((plain.var() / 3000 + own.var() / 3000).sqrt())
    assert abs(float(plain.mean() - own.mean())) < 4 * error
    wrong = lengths(ForgetsThatItWroteAWord(), remask_strength=0.5)
    assert float(plain.mean() - wrong.mean()) > 20 * error, "each new draw would be one more chance to end"


def test_a_word_that_is_written_again_is_drawn_anew():
    words = {}
    same = changed = 0
    for tick in ticks(Even(), Remasking(), asked(60, 10, steps=40, remask_strength=0.5), VOCABULARY, batch_size=60):
        for row, place in (tick.frame.changed & tick.frame.committed).nonzero().tolist():
            word, key = int(tick.state.tokens[row, place]), (tick.which[row], place)
            same += words.get(key) == word
            changed += key in words and words[key] != word
            words[key] = word
    assert same + changed > 2000
    share = same / (same + changed)
    assert abs(share - 0.1) < 4 * math.sqrt(0.09 / (same + changed)), "ten words, equally likely"


def test_doubtful_words_are_taken_back_more_often_by_confidence_alone():
    def ratio(strategy):
        taken, stood = torch.zeros(2), torch.zeros(2)
        state = many(Remasking(), 1500, 8, steps=16, ignore_eos=True, remask=strategy, remask_strength=0.5)
        for _ in range(15):
            before, (state, _) = state, Remasking().step(Uneven(), state)
            for number, sure in enumerate((before.confidence < 0.5, before.confidence >= 0.5)):
                taken[number] += (state.open & ~before.open & sure).sum()
                stood[number] += (before.loose & sure).sum()
        return float((taken[0] / stood[0]) / (taken[1] / stood[1]))

    # Surest and least sure words of Uneven: 0.98 and 0.1 or less, so exp(0.9) = 2.4 in a single step.
    assert ratio("conf") > 1.5 and abs(ratio("rescale") - 1) < 0.15


def test_a_word_taken_back_has_no_confidence_and_no_candidates_until_the_model_answers_again(tiny):
    model, seen = tiny(candidates=3), 0
    requests = asked(8, 8, steps=16, remask_strength=0.5, ignore_eos=True)
    before = None
    for tick in ticks(model, Remasking(), requests, VOCABULARY):
        state = tick.state
        if before is not None:
            again = state.open & ~before.open
            assert (state.confidence[state.open] == 0).all() and (state.confidence[~state.open & state.valid] > 0).all()
            if state.candidates is not None:
                assert (state.candidates.mass[again] == 0).all()
                seen += int(again.sum())
        before = state if len(state.tokens) == 8 else None
    assert seen > 20


def test_the_network_is_asked_only_when_something_is_decided_and_the_text_is_the_same(tiny):
    model = tiny()
    requests = [
        fill_request([5] * i, 6, VOCABULARY, Remasking.Settings(steps=60, seed=i, remask_strength=0.05))
        for i in range(4)
    ]
    few, many = (generate(model, Remasking(skip), requests, VOCABULARY) for skip in (True, False))
    assert [s.tokens for s in few] == [s.tokens for s in many]
    assert all(a.forwards < b.forwards == b.steps for a, b in zip(few, many, strict=True))


def test_a_word_written_again_still_begins_with_a_space(tiny):
    spaced = torch.zeros(24, dtype=torch.bool)
    spaced[[11, 13, 17]] = True
    vocabulary = Vocabulary(spaced=spaced)
    tokens, lead = canvas([[5], [6]], [4], vocabulary, lead=[0])
    settings = Remasking.Settings(steps=20, remask_strength=1.0)
    for index in range(5):
        (sample,) = generate(tiny(), Remasking(), [Request(tokens, settings, index, lead)], vocabulary)
        assert sample.tokens[2] in (11, 13, 17)


def test_no_row_leaves_at_a_stop_string_that_may_still_be_taken_back():
    def decode(ids):
        return "".join(chr(ord("a") + i - 4) for i in ids if i > 3)

    requests = asked(40, 6, steps=24, remask_strength=0.5, ignore_eos=True)
    whole = [decode(s.written) for s in generate(Even(), Remasking(), requests, VOCABULARY)]
    found = generate_until(Even(), Remasking(), requests, [["a", "bc"]] * 40, VOCABULARY, decode)
    assert found == [min((text.split(stop)[0] for stop in ("a", "bc")), key=len) for text in whole]


def test_a_trace_and_the_terminal_show_what_was_taken_back(tmp_path, tiny):
    tokenizer = make_tokenizer("bytes", [], 0)
    requests = asked(2, 8, steps=12, remask_strength=0.5)
    seen = []
    with TraceWriter(tmp_path / "t", "remasking", requests, tokenizer, VOCABULARY) as writer:
        for which, frame in frames(tiny(vocab_size=260), Remasking(), requests, VOCABULARY):
            writer.write(which, frame)
            seen.append((which, frame))
    again = [(which, f) for which, f in seen if bool((f.changed & f.valid & ~f.committed).any())]
    assert again
    for (which, frame), (was_which, was) in zip(read_trace(tmp_path / "t").frames, seen, strict=True):
        assert which == was_which
        for name in ("step", "tokens", "committed", "changed", "valid"):
            assert torch.equal(getattr(frame, name), getattr(was, name)), name
    which, frame = again[0]
    out = io.StringIO()
    with Canvas(Console(file=out, width=200, force_terminal=True), lambda token: f"<{token}>".encode()) as shown:
        shown.show(which, frame)
    assert "\x1b[2;4m\u2591" in out.getvalue(), "a block that was a word a moment ago is underlined"


@pytest.mark.parametrize("name", ["markov", "hmm"])
def test_with_a_perfect_network_texts_go_to_the_truth_unless_reopening_stops_before_the_end(name):
    ground = Ground(name, WORLDS.get(name)(), 4)

    def off(steps, **settings):
        return ground.from_truth(ground.remasked.law(Remasking().grid(Remasking.Settings(steps=steps, **settings))))

    for settings in (
        {},
        {"remask_strength": 1.0},
        {"remask": "rescale", "remask_strength": 0.3},
        {"remask_strength": 0.5, "remask_start": 0.2},
    ):
        assert Remasking().promise(Remasking.Settings(**settings)) == "reverse"
        assert off(1024, **settings) < 0.011 and off(1024, **settings) < off(64, **settings) < off(8, **settings)
    loop = {"remask_start": 0.55, "remask_stop": 0.05, "remask_hold": 0.9, "remask_strength": 0.3}
    for settings in (loop, {"remask_stop": 0.3, "remask_strength": 0.5}):
        assert Remasking().promise(Remasking.Settings(**settings)) == "process"
        assert off(1024, **settings) > 0.9 * off(256, **settings) > 0.008
    assert Remasking().promise(Remasking.Settings(**{**loop, "remask_strength": 0.0})) == "reverse"
    assert (
        Remasking().promise(Remasking.Settings(remask="conf"))
        == Remasking().promise(Remasking.Settings(temperature=0.9))
        == "none"
    )
    # At few steps a little of it helps a little, and much of it harms: what is taken back is drawn beside other words.
    plain = ground.from_truth(ground.reverse.law(8))
    assert plain * 0.95 < off(8, remask_strength=0.05) < plain < off(8, remask_strength=0.5)


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_law_that_samplers_are_held_to_is_that_of_ancestral_where_nothing_is_reopened(name):
    ground = Ground(name, WORLDS.get(name)(), 4)
    for steps in (1, 2, 5, 16):
        grid = Remasking().grid(Remasking.Settings(steps=steps, remask_strength=0.0))
        assert torch.allclose(ground.remasked.law(grid), ground.reverse.law(steps), atol=1e-12)
    for settings in WAYS:
        grid = Remasking().grid(Remasking.Settings(steps=9, **settings))
        for cut in range(10):
            part = replace(grid, alpha=grid.alpha[: cut + 1], sigma=grid.sigma[:cut])
            law = ground.remasked.states(part)
            held = torch.cartesian_prod(*[torch.arange(ground.world.words + 1)] * 4)
            assert float(law @ (held == ground.world.words).double().mean(1)) == pytest.approx(
                1 - float(grid.alpha[cut])
            )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"remask": "swap"}, "remask is 'swap'"),
        ({"remask_strength": 1.1}, "remask_strength is"),
        ({"remask_start": 0.0}, "remask_start is"),
        ({"remask_start": 0.5, "remask_stop": 0.5}, "remask_stop is"),
        ({"remask_hold": 1.0, "remask_start": 0.5, "remask_stop": 0.1}, "remask_hold is"),
        ({"remask_hold": 0.9}, "remask_hold is 0.9; it needs a remask_start"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_by_name(given, says):
    with pytest.raises(Error, match=f"^{says}"):
        Remasking.Settings(**given)
