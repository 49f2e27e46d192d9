"""Whatever decides meets NaN, infinities, zero and negative references, and never keeps, drops or picks by them.

Numbers of the properties are any floats at all; what is asked for is a reason in words instead of a verdict.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unmask.errors import Error
from unmask.evaluation.latency import Latency
from unmask.evaluation.rules import judge_rule, parse_rule
from unmask.evaluation.text import text_quality
from unmask.reports.decide import Evidence, decide, question
from unmask.reports.rows import Control, Row, TextRow, sharpest
from unmask.sweeps import sweep
from unmask.sweeps.advance import SCORE
from unmask.sweeps.plan import StopEarly
from unmask.sweeps.results import SweepRow
from unmask.sweeps.score import configurations

NAN, INF = math.nan, math.inf
FLOATS = st.floats() | st.sampled_from([NAN, INF, -INF, 0.0, -0.0, -0.02, 1e-320, 1e308])
SIGNS = st.sampled_from(["<=", ">=", "<", ">"])


def text_row(name: str, coherence: float, real: float, seeds: int, spread: float) -> TextRow:
    quality = text_quality(["some words here"])
    cell = Latency(1, 1.0, 1.0, 1.0, 10, 10.0, 10.0, 3, 3, True, times=(0.98, 1.0, 1.02))
    return TextRow(
        name,
        "ancestral",
        4,
        quality,
        quality,
        {},
        {},
        [],
        latency=[cell],
        measures={"coherence": coherence},
        real_measures={"coherence": real},
        spread={"coherence": spread} if seeds > 1 else {},
    )


def row(name: str, coherence: float, *, real: float = 1.0, bits: float = 2.0, seeds: int = 1, spread=0.0) -> Row:
    return Row(
        name=name,
        path="",
        process="masked",
        parameters=10,
        tokens_seen=10,
        bits_per_byte=bits,
        bound="exact",
        perplexity=2.0,
        interval=None,
        difference=None,
        length_nats=0.0,
        draws=1,
        train_tokens_per_second=None,
        tokenizer="bytes",
        corpus_fingerprint="",
        split="train",
        device="cpu",
        seed=0,
        status="finished",
        generation=[text_row(name, coherence, real, seeds, spread)],
        seeds=list(range(seeds)),
    )


def outcome(rule: str, new: Row, base: Row):
    sizes = np.full(5, 10.0)
    nats = {each.name: np.full((1, 5), 10 * each.bits_per_byte * math.log(2)) for each in (new, base)}
    decision = decide(question("new", "base", [rule], "test"), [base, new], Evidence(nats, sizes, None))
    return decision.outcomes[0], decision.verdict


@given(FLOATS, FLOATS, FLOATS, SIGNS)
@example(1.0, NAN, NAN, "<=")
@example(NAN, 0.5, 0.9, ">=")
def test_a_rule_decides_on_numbers_alone(value, low, high, sign):
    found = judge_rule(parse_rule(f"latency {sign} 1"), value, (low, high))
    if not math.isfinite(value) or math.isnan(low) or math.isnan(high) or low > high:
        assert found.met is None and "whole interval" not in found.why
    elif found.met is not None:
        assert {found.met} == {parse_rule(found.rule).kept_by(end, 1.0) for end in (low, high)}
    if not math.isfinite(value):
        assert judge_rule(parse_rule(f"latency {sign} 1"), value, None).met is None


@given(FLOATS, FLOATS, SIGNS, st.sampled_from(["x", " of real"]), st.sampled_from([1, 2]), st.floats(0, 1e3))
@example(-0.02, -0.01, ">=", "x", 1, 0.0)
@example(-0.02, -0.01, ">=", " of real", 1, 0.0)
def test_a_ratio_to_what_is_not_above_zero_is_undecided_with_the_reason(value, reference, sign, of, seeds, spread):
    real = reference if of == " of real" else 1.0
    new = row("new", value, real=real, seeds=seeds, spread=spread)
    base = row("base", reference, seeds=seeds, spread=spread)
    found, verdict = outcome(f"coherence {sign} 1.0{of}", new, base)
    if not (math.isfinite(reference) and reference > 0 and math.isfinite(value)):
        assert found.met is None and verdict == "undecided" and found.why
        assert "says nothing" in found.why or "decides nothing" in found.why
    elif found.met is not None and found.interval is None:
        assert found.met is parse_rule(f"coherence {sign} 1.0").kept_by(value / reference, 1.0)


def test_the_reason_names_the_row_and_what_is_wrong_with_it():
    found, _ = outcome("coherence >= 1.0x", row("new", -0.02), row("base", -0.01))
    assert found.why == "base's own value is negative (-0.01); a ratio to it says nothing"
    found, _ = outcome("coherence >= 1.0x", row("new", 0.02), row("base", 0.0))
    assert found.why == "base's own value is 0; a ratio to it says nothing"
    found, _ = outcome("coherence >= 1 of real", row("new", 0.02, real=-0.1), row("base", 0.1))
    assert found.why == "real text's own value is negative (-0.1); a ratio to it says nothing"
    unsure = {"seeds": 2, "spread": 0.01}
    found, _ = outcome("coherence >= 1.0x", row("new", 0.02, **unsure), row("base", 0.01, **unsure))
    assert found.met is None and "may be 0 or less" in found.why
    found, _ = outcome("coherence <= 1 of real", row("new", -0.02), row("base", 0.1))
    assert found.met is True, "a negative value of a positive reference is a ratio like any other"


@given(FLOATS, FLOATS, SIGNS)
@example(2.0, NAN, "<=")
@example(NAN, 2.0, ">=")
def test_bits_per_byte_that_are_no_numbers_decide_nothing(value, reference, sign):
    new, base = row("new", 1.0, bits=value), row("base", 1.0, bits=reference)
    if not (math.isfinite(value) and math.isfinite(reference) and reference > 0):
        found, verdict = outcome(f"bits_per_byte {sign} 1.02x", new, base)
        assert found.met is None and verdict == "undecided" and "nothing" in found.why


@pytest.mark.parametrize("rule", ["latency <= 1e999", "coherence >= -1x", "entropy >= 0 of real"])
def test_a_rule_whose_bound_means_nothing_is_refused(rule):
    with pytest.raises(Error, match=r"too large|above 0"):
        parse_rule(rule)


def test_speed_is_decided_on_all_repeats_and_few_of_them_say_little():
    new, base = row("new", 1.0), row("base", 1.0)
    text = new.generation[0]

    def timed(*times: float) -> Row:
        median = float(np.median(times))
        cell = replace(text.latency[0], times=times, median=median, tokens_per_second=10 / median)
        return replace(new, generation=[replace(text, latency=[cell])])

    found, _ = outcome("tokens_per_second >= 1.5x", timed(0.5, 0.51, 0.49), base)
    assert found.value == pytest.approx(2.0) and found.interval[0] < 2 < found.interval[1] and found.met is True
    assert outcome("tokens_per_second >= 1.5x", timed(0.5, 0.8, 0.45), base)[0].met is None
    assert outcome("tokens_per_second >= 1.5x", timed(0.5), base)[0].why != "one value, no interval", "base has three"
    held, rng = 0, np.random.default_rng(0)
    for _ in range(1500):  # 95 % give or take four standard errors, or a little more: the median costs some
        a, b = (tuple(np.exp(rng.normal(m, 0.2, 5))) for m in (0.0, 0.3))
        left, right = timed(*a), replace(timed(*b), name="base")
        low, high = outcome("latency <= 1x", left, right)[0].interval
        held += low <= math.exp(-0.3) <= high
    assert 0.927 <= held / 1500 <= 0.99


@given(st.lists(st.tuples(FLOATS, st.sampled_from(["exact", "upper bound"])), min_size=1, max_size=5))
@example([(NAN, "exact"), (2.0, "exact"), (3.0, "exact")])
@example([(NAN, "exact")])
def test_what_is_not_finite_is_never_the_best_of_a_sweep(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("sweep")
    rows = []
    for number, (value, bound) in enumerate(scores):
        place = folder / "rows" / f"r{number}"
        place.mkdir(parents=True)
        nats = [value * 0.9, value * 1.1, value]
        if math.isfinite(value):  # numbers that large stop being numbers when they are squared
            value = float(np.clip(value, -1e100, 1e100))
            nats = [value * 0.9, value * 1.1, value]
        content = {"bits_per_byte": value, "bound": bound, "nats": nats, "sizes": [1.0, 1.0, 1.0]}
        (place / SCORE).write_text(json.dumps(content))
        what = {"values": {}, "numbers": {}, "seed": 0, "status": "finished", "why": "", "path": ""}
        rows.append(SweepRow(place.name, place.name, place.name, **what, bits_per_byte=value, bound=bound))
    for each in configurations(rows, folder):
        alike = [value for value, bound in scores if bound == each.bound and math.isfinite(value)]
        if not math.isfinite(each.bits_per_byte):
            assert each.verdict == "not finite" and each.interval is None and each.difference is None
        elif len(alike) > 1:
            assert (each.verdict == "best") <= (each.bits_per_byte <= np.clip(min(alike), -1e100, 1e100))
        else:
            assert each.verdict == "only one of its kind"


@given(st.lists(FLOATS, min_size=1, max_size=6))
@example([NAN, 2.0, 2.1, 9.0])
@example([NAN])
@example([0.0, 0.0, 1.0])
def test_a_row_that_diverged_stops_and_stops_no_other(values):
    state = {str(i): {"status": "paused", "points": {"0.5": value}} for i, value in enumerate(values)}
    rows = [SimpleNamespace(id=key, label=key, cost=SimpleNamespace(recipe=None)) for key in state]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "read_row", lambda place: state[place.name])
        patch.setattr(sweep, "_kind", lambda recipe: "one")
        rule = StopEarly(after=[0.5], worse_than=1.1)
        stopped = {each.id: why for each, why in sweep.bad_rows(rows, Path("."), 0.5, rule)}
    sound = [value for value in values if math.isfinite(value)]
    for key, value in enumerate(values):
        if not math.isfinite(value):
            assert "not finite" in stopped[str(key)]
        else:
            middle = statistics.median(sound)
            assert (str(key) in stopped) == (len(sound) > 1 and value > 1.1 * middle > 0)
    assert not sound or len(stopped) < len(values), "somebody finite goes on"


@given(st.lists(st.none() | FLOATS, min_size=1, max_size=5))
@example([NAN, 1.0])
@example([0.0, 1.0])
def test_the_sharpest_judge_is_one_that_has_a_number(figures):
    judges = [f"judge {i}" for i in range(len(figures))]
    text = replace(text_row("real text", 0.0, 0.0, 1, 0.0), judges=dict(zip(judges, figures, strict=True)))
    chosen = sharpest([Control("real text", "", text=text)], judges)
    known = [figure for figure in figures if figure is not None and math.isfinite(figure)]
    if known:
        assert figures[judges.index(chosen)] == min(known)
