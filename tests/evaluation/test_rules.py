"""A rule says what it means, and is met, broken or undecided by the interval as a whole."""

import pytest

from unmask.errors import Error
from unmask.evaluation.rules import judge_rule, parse_rule, verdict


def test_a_rule_is_read_into_measure_place_sign_and_bound():
    rule = parse_rule("tokens_per_second at batch=8, steps=64 >= 1.5x")
    assert (rule.measure, rule.where, rule.sign) == ("tokens_per_second", (("batch", "8"), ("steps", "64")), ">=")
    assert (rule.bound, rule.reference) == (1.5, "baseline")
    assert parse_rule("repeated_4 <= 1.3 of real").reference == "real"
    assert parse_rule("peak_memory < 2e9").bound == 2e9 and parse_rule("bits_per_byte<=1.02x").bound == 1.02
    assert parse_rule("entropy at sampler=ancestral > 7.5").where == (("sampler", "ancestral"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bits_per_bite <= 1", "Did you mean 'bits_per_byte'"),
        ("bits_per_byte is low", "cannot be read"),
        ("latency at speed=3 <= 1", "says no place"),
        ("latency <= fast", "cannot be read"),
        ("latency <= 1.2.3", "no number"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_fix(text, words):
    with pytest.raises(Error, match=words):
        parse_rule(text)


def test_the_whole_interval_decides():
    rule = parse_rule("bits_per_byte <= 1.02x")
    assert judge_rule(rule, 1.00, (0.99, 1.01)).met is True
    assert judge_rule(rule, 1.05, (1.03, 1.07)).met is False
    assert judge_rule(rule, 1.01, (0.99, 1.03)).met is None
    assert judge_rule(rule, 1.01, None).met is True and "no interval" in judge_rule(rule, 1.01, None).why
    assert judge_rule(rule, None, None, "not timed").met is None
    assert judge_rule(parse_rule("latency < 1"), 1.0, None).met is False, "strict is strict"


def test_one_broken_rule_drops_and_only_all_met_keeps():
    rule = parse_rule("parameters <= 1x")
    met, broken, open_ = (judge_rule(rule, *x) for x in ((1.0, None), (2.0, None), (None, None)))
    assert verdict([met, met]) == "keep"
    assert verdict([met, open_]) == "undecided" and verdict([]) == "undecided"
    assert verdict([met, open_, broken]) == "drop"
