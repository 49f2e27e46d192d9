"""Each rule accepts what it says, at least one position a step, and what a position cost is told.

Models of one word are sure, or unsure, of the same in every answer, so that it can be counted which look is enough.
"""

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks.studies.sampling.ordered_law import ordered_law
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import WORLDS
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.pictures.timeline import timelines
from unmask.sampling import SAMPLERS, Confidence, Vocabulary, fill_request, generate, ticks
from unmask.sampling.block import Blocks
from unmask.sampling.spent import Ledger
from unmask.sampling.trace import TraceWriter, read_trace
from unmask.sampling.uniform import UniformReverse

VOCABULARY = Vocabulary(size=12)
FORBIDDEN = [VOCABULARY.pad, VOCABULARY.bos, VOCABULARY.eos, VOCABULARY.mask]
RULES = [
    {"accept": "count"},
    {"accept": "entropy", "entropy_budget": 3.0},
    {"accept": "threshold", "sure_above": 0.15},
    {"accept": "profile", "doubt_budget": 6.0},
    {"accept": "stable", "sure_above": 0.1, "stable_nats": 0.5, "stable_looks": 1},
]


class OneWord:
    """Says the same word with the same doubt at every position, or another one in every second call.

    Args:
        likely: Its probability.
        turns: Whether it changes its mind.
    """

    def __init__(self, likely: float = 0.95, turns: bool = False) -> None:
        self.config, self.likely, self.turns, self.calls = SimpleNamespace(vocab_size=12), likely, turns, 0

    def __call__(self, state, at=None):
        self.calls += 1
        p = torch.full((int(at.sum()), 12), (1 - self.likely) / 7)
        p[:, 5 + (self.turns and self.calls % 2)] = self.likely
        p[:, FORBIDDEN] = 0.0
        return Prediction(p.log())


def written(model, sampler, hole=8, **settings):
    request = fill_request([], hole, VOCABULARY, sampler.Settings(ignore_eos=True, **settings))
    return generate(model, sampler, [request], VOCABULARY)[0]


@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["accept"])
def test_every_step_decides_at_least_what_the_schedule_asks_for_and_a_text_takes_at_most_its_steps(tiny, rule, steps):
    model, open_before = tiny(), 13
    settings = Confidence.Settings(steps=steps, ignore_eos=True, **rule)
    request = fill_request([5], 12, VOCABULARY, settings)
    for tick in ticks(model, Confidence(), [request], VOCABULARY):
        still = int(tick.state.open.sum())
        assert still < open_before
        open_before = still
    number = int(tick.state.step)
    assert still == 0 and number <= min(steps, 12)
    plain = generate(model, Confidence(), [fill_request([5], 12, VOCABULARY, settings.but(accept="count"))], VOCABULARY)
    assert number <= plain[0].steps


@pytest.mark.parametrize("rule", RULES[2:4], ids=lambda rule: rule["accept"])
def test_threshold_and_profile_accept_what_their_confidences_allow(tiny, rule):
    model, sizes, before = tiny(), [], None
    settings = Confidence.Settings(steps=99, ignore_eos=True, **rule)
    for tick in ticks(model, Confidence(), [fill_request([5], 12, VOCABULARY, settings)], VOCABULARY):
        if before is not None:
            places = before.open[0].nonzero()[:, 0].tolist()
            logits = model(State(before.tokens), at=before.open).logits.double()
            peaks = logits.index_fill(1, torch.tensor(FORBIDDEN), -torch.inf).softmax(-1).amax(1).tolist()
            order = sorted(range(len(places)), key=lambda i: -peaks[i])
            doubts = [1 - peaks[i] for i in order]
            if rule["accept"] == "threshold":
                count = sum(peak >= rule["sure_above"] for peak in peaks)
            else:
                fit = [sum(doubts[: n + 1]) + doubts[n] <= rule["doubt_budget"] for n in range(len(doubts))]
                count = sum(fit)
                assert fit == sorted(fit, reverse=True), "the sum never falls along the prefix"
            assert tick.frame.changed[0].nonzero()[:, 0].tolist() == sorted(places[i] for i in order[: max(1, count)])
            sizes.append(count)
        before = tick.state
    assert max(sizes) > 1


def test_a_profile_of_equal_confidences_is_the_factor_of_the_least_one():
    for likely, budget in ((0.9, 1.0), (0.8, 1.0), (0.8, 0.5), (0.5, 0.2)):
        settings = {"accept": "profile", "doubt_budget": budget, "steps": 99}
        first = next(step for step in written(OneWord(likely), Confidence(), **settings).decided[1:] if step)
        together = written(OneWord(likely), Confidence(), **settings).decided.count(first)
        most = max((n for n in range(1, 9) if (n + 1) * (1 - likely) <= budget + 1e-6), default=1)
        assert together == most, (likely, budget)


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_what_is_stable_for_k_answers_is_decided_at_look_k_plus_one(looks):
    settings = {"accept": "stable", "sure_above": 0.9, "stable_nats": 0.0, "stable_looks": looks, "steps": 99}
    sample = written(OneWord(), Confidence(), **settings)
    # One position a step, as the schedule asks, until there have been looks enough for all the others.
    assert sorted(sample.decided[1:]) == [*range(1, looks + 1), *[looks + 1] * (8 - looks)]
    assert sample.looks[1:] == sample.decided[1:] and sample.forwards == looks + 1
    assert written(OneWord(0.5), Confidence(), **settings).forwards == 8, "stable, and not sure"
    assert written(OneWord(turns=True), Confidence(), **settings).forwards == 8, "sure, and not stable"


def test_a_new_block_begins_without_a_look():
    settings = {"accept": "stable", "stable_nats": 0.0, "stable_looks": 1, "rule": "confidence", "block_size": 4}
    sample = written(OneWord(), Blocks(use_cache=False), steps=9, **settings)
    assert sorted(sample.decided[1:]) == [1, 2, 2, 2, 3, 4, 4, 4]
    assert sample.looks[1:5] == sample.decided[1:5], "a position is looked at in its own block"
    assert sorted(sample.looks[5:]) == [1, 2, 2, 2]


@pytest.mark.parametrize("after", [1, 2, 5])
def test_k_answers_without_a_change_are_k_plus_one_equal_canvases(after):
    sure = written(OneWord(1.0), UniformReverse(), steps=20, stop_after=after)
    assert sure.steps == sure.forwards == after + 1 and set(sure.tokens[1:]) == {5}
    assert sure.confidence == (1.0,) * 9 and set(sure.decided[1:]) == set(sure.looks[1:]) == {after + 1}
    only = Vocabulary(size=5)  # of one word, so the noise of the opening is what the model says: it is no answer

    def says_it(state, at=None):
        return Prediction(torch.tensor([[-torch.inf] * 4 + [0.0]]).expand(int(at.sum()), -1))

    asked = [fill_request([], 4, only, UniformReverse.Settings(steps=20, stop_after=after, ignore_eos=True))]
    assert generate(says_it, UniformReverse(), asked, only)[0].steps == after + 1


def test_words_that_change_in_every_answer_are_never_stopped_early_and_no_stop_is_the_usual_text():
    assert written(OneWord(turns=True), UniformReverse(), steps=6, stop_after=2).steps == 6
    late, never = (written(OneWord(0.5), UniformReverse(), steps=6, **own) for own in ({"stop_after": 6}, {}))
    assert late == never


@pytest.mark.parametrize("name", list(WORLDS))
@pytest.mark.parametrize(
    ("rule", "level"), [("threshold", 0.6), ("threshold", 0.8), ("profile", 0.4), ("profile", 0.8), ("stable", 0.6)]
)
def test_a_perfect_network_errs_by_no_more_than_the_doubt_that_was_accepted(name, rule, level):
    ground = Ground(name, WORLDS.get(name)(), 4)
    given = {"doubt_budget": level} if rule == "profile" else {"sure_above": level}
    given |= {"stable_nats": 0.5, "stable_looks": 1} if rule == "stable" else {}
    found = ordered_law(Confidence(), Confidence.Settings(accept=rule, steps=99, **given), ground)
    steps = float(found.law @ found.steps.double())
    most = 2 * level * steps if rule == "profile" else 2 * (4 - steps) * (1 - level)
    assert float(found.law.sum()) == pytest.approx(1)
    assert ground.from_truth(found.law) <= most + 1e-12
    assert Confidence().promise(Confidence.Settings(accept=rule, **given)) == "none"


def test_a_trace_tells_what_each_position_cost_and_an_older_one_does_not(tiny, tmp_path):
    model, settings = tiny(), Confidence.Settings(accept="threshold", sure_above=0.3, steps=99)
    requests = [fill_request([5], n, VOCABULARY, settings, index=n) for n in (12, 5)]
    words = SimpleNamespace(name="x", fingerprint="0", decode_bytes=lambda ids: b" w")
    finished = generate(model, Confidence(), requests, VOCABULARY)
    with TraceWriter(tmp_path / "t.jsonl", "confidence", requests, words, VOCABULARY) as writer:
        for tick in ticks(model, Confidence(), requests, VOCABULARY):
            writer.write(tick.which, tick.frame)
    ledger, told = Ledger(), {}
    for which, frame in read_trace(tmp_path / "t.jsonl").frames:
        spent = ledger.add(which, frame)
        told |= {n: (spent.decided[row].tolist(), spent.looks[row].tolist()) for row, n in enumerate(which)}
    for number, sample in enumerate(finished):
        length = len(sample.tokens)
        assert told[number][0][:length] == list(sample.decided) and told[number][1][:length] == list(sample.looks)
        assert max(sample.looks) <= sample.forwards and sample.decided[:2] == (0, 0)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    for line in lines[1:-1]:
        line["rows"] = [{key: value for key, value in row.items() if key != "calls"} for row in line["rows"]]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    new, old = (timelines(read_trace(tmp_path / f"{name}.jsonl")) for name in ("t", "old"))
    assert all(place.calls is None for text in old for place in text.places)
    assert max(place.calls for text in new for place in text.places) == max(max(s.looks) for s in finished)


def test_a_setting_of_another_rule_is_refused_and_left_behind_when_the_rule_changes():
    with pytest.raises(
        Error, match="^the 'confidence' sampler with accept 'count' does not use sure_above; leave it out"
    ):
        Confidence.Settings(sure_above=0.5)
    with pytest.raises(Error, match="doubt_budget is a setting of accept profile"):
        Blocks.Settings(rule="confidence", accept="threshold", doubt_budget=0.5)
    with pytest.raises(Error, match="with rule 'remasking' does not use accept"):
        Blocks.Settings(rule="remasking", accept="threshold")
    own = Confidence.Settings(accept="threshold", sure_above=0.5, steps=7)
    assert own.but(accept="profile").model_dump(exclude_unset=True) == {"accept": "profile", "steps": 7}
    in_blocks = Blocks.Settings(rule="confidence", accept="threshold", sure_above=0.5, steps=7)
    assert in_blocks.but(rule="ancestral").model_dump(exclude_unset=True) == {"rule": "ancestral", "steps": 7}
    for name in ("confidence", "block"):  # what they are laid over may say the rule
        SAMPLERS.facts(name).check({"sure_above": 0.5, "steps": 7})
        with pytest.raises(Error, match="^sure_above is 2"):
            SAMPLERS.facts(name).check({"sure_above": 2.0})
        with pytest.raises(Error):
            SAMPLERS.facts(name).check({"sure_above": 0.5, "doubt_budget": 1.0})
