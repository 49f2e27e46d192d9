"""Decision rules: what has to hold for an idea to be kept, written down before it is measured.

A rule is one line: a measure, where it is taken, a comparison, a bound.

    bits_per_byte <= 1.02x                              at most 1.02 times the baseline's
    tokens_per_second at batch=8, steps=64 >= 1.5x      where it was sampled in that way
    repeated_4 <= 1.3 of real                           against the real text's own figure
    peak_memory <= 2e9                                  against a number

A measured value comes with an interval where one is known. A rule is *met* if the whole interval keeps it, *broken* if
none of it does, else *undecided*; a value without an interval decides by itself, and the outcome says so. All rules
met: keep. One broken: drop. Otherwise undecided.

What is not a finite number decides nothing. "At least 1.5 times" means something of a reference that is above zero:
where it is zero, negative, not finite, or has an interval that reaches zero, the rule is undecided and says why.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from unmask.errors import Error, nearest
from unmask.evaluation.intervals import Interval

Verdict = Literal["keep", "drop", "undecided"]
Reference = Literal["number", "baseline", "real"]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_RULE = re.compile(
    r"(?P<measure>[A-Za-z][\w-]*)"
    r"(?:\s+at\s+(?P<where>[^<>]+?))?"
    r"\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<bound>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*(?P<of>x|of real)?",
    re.IGNORECASE,
)

MEASURES = {
    "bits_per_byte": "bits per byte of held-out text",
    "parameters": "parameters",
    "tokens_seen": "training tokens",
    "training_flops": "training FLOPs",
    "train_seconds": "seconds of training",
    "train_tokens_per_second": "training tokens a second",
    "accuracy": "accuracy on corrupted positions, all noise levels alike",
    "ece": "expected calibration error on corrupted positions",
    "brier": "Brier score of the most probable token there",
    "auroc": "how well confidence tells right answers from wrong ones there",
    "tokens_per_second": "generated tokens a second",
    "latency": "median seconds until a batch of texts is done",
    "latency_p90": "90th percentile of the same",
    "peak_memory": "most bytes that a generation added",
    "judge": "bits per byte of generated text under the sharpest judge",
    "distinct_1": "share of different words",
    "distinct_2": "share of different pairs of words",
    "distinct_3": "share of different triples of words",
    "repeated_4": "share of 4-grams said before in the same text",
    "entropy": "unigram entropy, bits a word",
    "self_bleu": "BLEU of each text against the others",
    "divergence": "closeness to real text in features of the judge network, 1 is equal (like MAUVE)",
    "coherence": "how much more alike neighbouring pieces of a text are than pieces of different texts",
    "infill_bleu": "BLEU of filled holes against the removed text",
    "infill_chrf": "chrF of the same",
    "infill_rouge": "ROUGE-L of the same",
    "script_errors": "share of words with a script error, after prompts (--measures script)",
    "mixed_words": "share of words with two scripts inside",
    "broken_letters": "share of grapheme clusters that cannot be written",
    "broken_utf8": "share of characters that are U+FFFD",
    "script_distance": "distance of script shares to sentences of the prompts' class, 0 to 1",
    "switch_distance": "distance of the rate at which languages switch, to the same",
    "spelt_two_ways": "share of repeated words that a text spells in more than one way",
}
"""What a rule can speak of."""
PLACES = ("sampler", "steps", "batch")
"""Where a measure of generated text can be taken."""


@dataclass(frozen=True)
class Rule:
    """One line, parsed.

    Attributes:
        text: The line.
        measure: A key of :data:`MEASURES`.
        where: Sampler, steps or batch; empty: the row's own sampler at its most steps, at the first batch.
        sign: ``<=``, ``>=``, ``<`` or ``>``.
        bound: The number.
        reference: What the number multiplies: nothing, the baseline's value, or the real text's.
    """

    text: str
    measure: str
    where: tuple[tuple[str, str], ...]
    sign: str
    bound: float
    reference: Reference

    def kept_by(self, value: float, reference: float) -> bool:
        """Tell whether a value keeps the rule, given what its bound multiplies (1 for a plain number)."""
        return _COMPARE[self.sign](value, self.bound * reference)


@dataclass(frozen=True)
class Outcome:
    """What became of a rule.

    Attributes:
        rule: The line.
        met: True, False, or ``None`` for undecided.
        value: The candidate's value; relative to the baseline or the real text where the rule is.
        interval: 95 % interval of ``value``; ``None`` where none is known.
        why: In words.
    """

    rule: str
    met: bool | None
    value: float | None
    interval: Interval | None
    why: str


def parse_rule(text: str) -> Rule:
    """Read one rule.

    Raises:
        Error: it cannot be read, or names what cannot be measured.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise Error(
            f"rule {text!r} cannot be read; write it like 'bits_per_byte <= 1.02x' or "
            "'tokens_per_second at batch=8, steps=64 >= 1.5x'."
        )
    measure = found["measure"]
    if measure not in MEASURES:
        raise Error(f"rule {text!r}: unknown measure {measure!r}.{nearest(measure, MEASURES)}")
    where = []
    for part in filter(None, (p.strip() for p in re.split(r"[,\s]+", found["where"] or ""))):
        key, equals, value = part.partition("=")
        if not equals or key not in PLACES:
            raise Error(f"rule {text!r}: {part!r} says no place; use {', '.join(f'{p}=...' for p in PLACES)}.")
        where.append((key, value))
    try:
        bound = float(found["bound"])
    except ValueError as error:
        raise Error(f"rule {text!r}: {found['bound']!r} is no number.") from error
    reference: Reference = "number"
    if found["of"]:
        reference = "baseline" if found["of"].lower() == "x" else "real"
    if not math.isfinite(bound):
        raise Error(f"rule {text!r}: {found['bound']!r} is too large for a number.")
    if reference != "number" and bound <= 0:
        raise Error(f"rule {text!r}: a multiple of another value must be above 0, such as 1.02x.")
    return Rule(text.strip(), measure, tuple(where), found["sign"], bound, reference)


def judge_rule(rule: Rule, value: float | None, interval: Interval | None, why_not: str = "") -> Outcome:
    """Decide one rule.

    Args:
        rule: The rule.
        value: The candidate's value, already divided by what a relative rule refers to; ``None``: not measured.
        interval: Of ``value``.
        why_not: Why it was not measured.
    """
    if value is None:
        return Outcome(rule.text, None, None, None, why_not or "not measured")
    if not math.isfinite(value):
        return Outcome(rule.text, None, value, interval, f"the value is {value}, which decides nothing")
    if interval is None:
        met = rule.kept_by(value, 1.0)
        return Outcome(rule.text, met, value, None, "one value, no interval")
    if not interval[0] <= interval[1]:
        return Outcome(rule.text, None, value, interval, "the interval's ends are no numbers")
    ends = {rule.kept_by(end, 1.0) for end in interval}
    if len(ends) == 2:
        return Outcome(rule.text, None, value, interval, "the interval holds both")
    return Outcome(rule.text, ends.pop(), value, interval, "the whole interval agrees")


def why_no_ratio(value: float, interval: Interval | None, whose: str) -> str:
    """Say why a ratio to a value says nothing; empty where it does say something.

    Args:
        value: What would be divided by.
        interval: Of it, where one is known.
        whose: What it is, for the sentence.
    """
    if not math.isfinite(value):
        what = f"is {value}"
    elif value <= 0:
        what = f"is negative ({value:.4g})" if value else "is 0"
    elif interval is not None and not interval[0] > 0:
        what = f"may be 0 or less (95 % interval {interval[0]:.4g} to {interval[1]:.4g})"
    else:
        return ""
    return f"{whose} {what}; a ratio to it says nothing"


def verdict(outcomes: Sequence[Outcome]) -> Verdict:
    """Return what the rules together say."""
    if any(outcome.met is False for outcome in outcomes):
        return "drop"
    return "keep" if outcomes and all(outcome.met for outcome in outcomes) else "undecided"
