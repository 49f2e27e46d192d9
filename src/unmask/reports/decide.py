"""Decision rules held against a comparison's rows: keep, drop or undecided.

A relative rule is decided on the ratio to the baseline. Its interval is, for bits per byte, the paired one over
documents and seeds; for other measures Welch's t over seeds, and for times over the logarithms of the repeats
(see ``evaluation.intervals``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from unmask.data.yaml_text import load_yaml
from unmask.errors import Error, nearest
from unmask.evaluation.intervals import Interval, Source, added, half_width, over_seeds, paired_ratio
from unmask.evaluation.latency import Latency
from unmask.evaluation.rules import Rule, judge_rule, parse_rule, verdict, why_no_ratio
from unmask.reports.rows import Decision, Row, TextRow
from unmask.reports.yardstick import numbers, real_numbers

Reals = NDArray[np.float64]
_MOST = 300.0  # e to it is still a number


@dataclass(frozen=True)
class Question:
    """What is to be decided.

    Attributes:
        keep: Row (or recipe) that has to earn its place.
        against: Row (or recipe) that it is held against; empty: the first.
        rules: The rules.
    """

    keep: str
    against: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Evidence:
    """What intervals of bits per byte need, and rows do not hold.

    Attributes:
        nats: Row name -> nats of each seed and document [S, N].
        sizes: Bytes of each document [N].
        judge: Name of the judge that rules call ``judge``; ``None`` without judges.
    """

    nats: Mapping[str, Reals]
    sizes: Reals
    judge: str | None


def read_rules(path: Path) -> Question:
    """Read a rules file: ``keep``, ``against`` and a list ``rules``.

    Raises:
        Error: no such file, unknown keys, or a rule that cannot be read.
    """
    try:
        tree = load_yaml(path.read_text(encoding="utf-8-sig"), lambda keys: True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Error(f"rules file {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise Error(f"rules file {path} must hold the keys keep, against and rules.")
    for key in tree:
        if key not in ("keep", "against", "rules"):
            raise Error(f"rules file {path}: unknown key {key!r}.{nearest(str(key), ('keep', 'against', 'rules'))}")
    return question(tree.get("keep"), tree.get("against"), tree.get("rules"), f"rules file {path}")


def question(keep: Any, against: Any, rules: Any, place: str) -> Question:
    """Return a validated question; ``place`` says where it stands, for errors."""
    if not isinstance(keep, str) or not keep:
        raise Error(f"{place} must name the row to keep, such as keep: nano-masked.")
    if not isinstance(rules, list) or not rules or not all(isinstance(rule, str) for rule in rules):
        raise Error(f"{place} needs a list of rules, such as 'bits_per_byte <= 1.02x'.")
    return Question(keep, str(against or ""), tuple(parse_rule(rule) for rule in rules))


def decide(asked: Question, rows: Sequence[Row], evidence: Evidence) -> Decision:
    """Hold the rules against the rows.

    Raises:
        Error: a row that is not in the comparison.
    """
    candidate = _find(asked.keep, rows)
    baseline = _find(asked.against, rows) if asked.against else rows[0]
    if candidate is baseline:
        raise Error(f"the rules hold {candidate.name} against itself; name another row in against:.")
    outcomes = []
    for rule in asked.rules:
        value, interval, why = _measured(rule, candidate, baseline, evidence)
        outcomes.append(judge_rule(rule, value, interval, why))
    return Decision(candidate.name, baseline.name, verdict(outcomes), outcomes)


def _find(name: str, rows: Sequence[Row]) -> Row:
    for row in rows:
        if name == row.name:
            return row
    found = [row for row in rows if row.recipe == name]
    if len(found) == 1:
        return found[0]
    known = [row.name for row in rows]
    raise Error(
        f"the rules speak of {name!r}, which is not a row here.{nearest(name, known)} Rows: {', '.join(known)}."
    )


Measured = tuple[float | None, Interval | None, str]


@dataclass(frozen=True)
class _Estimate:
    """A measure of a row, and how far off it may be.

    Attributes:
        value: The measure.
        source: Its variance with degrees of freedom; ``None`` where nothing is known of it.
        log: Whether that is the variance of its logarithm, as for times.
    """

    value: float
    source: Source | None = None
    log: bool = False

    @property
    def interval(self) -> Interval | None:
        if self.source is None:
            return None
        half = half_width(self.source)
        if not self.log:
            return self.value - half, self.value + half
        factor = math.exp(min(half, _MOST))
        return self.value / factor, self.value * factor

    def over(self, other: _Estimate) -> _Estimate:
        """Return the ratio to another one that is above zero, variances to the first order."""
        ratio = self.value / other.value
        slopes = (1.0, 1.0) if self.log else (1 / other.value, ratio / other.value)
        pairs = zip((self.source, other.source), slopes, strict=True)
        known = [(source[0] * slope * slope, source[1]) for source, slope in pairs if source]
        return _Estimate(ratio, added(known) if known else None, self.log)


def _measured(rule: Rule, row: Row, baseline: Row, evidence: Evidence) -> Measured:
    """Return the value that a rule decides on, its interval, and why there is none."""
    if rule.measure == "bits_per_byte":
        if rule.reference == "real":
            return None, None, "real text has no bits per byte of its own here"
        if rule.reference == "number":
            return row.bits_per_byte, row.interval, ""
        if why := why_no_ratio(baseline.bits_per_byte, None, f"{baseline.name}'s own value"):
            return None, None, why
        if not math.isfinite(row.bits_per_byte):
            return row.bits_per_byte, None, ""
        return (
            row.bits_per_byte / baseline.bits_per_byte,
            paired_ratio(evidence.nats[row.name], evidence.nats[baseline.name]),
            "",
        )
    own = _estimate(rule, row, evidence)
    if isinstance(own, str):
        return None, None, f"{row.name}: {own}"
    if rule.reference == "number":
        return own.value, own.interval, ""
    if rule.reference == "real":
        text = _way(rule, row)
        figure = None if text is None else real_numbers(text).get(_key(rule, evidence))
        base: _Estimate | str = "real text has no such figure" if figure is None else _Estimate(figure, log=own.log)
        whose = "real text's own value"
    else:
        base, whose = _estimate(rule, baseline, evidence), f"{baseline.name}'s own value"
        base = f"{baseline.name}: {base}" if isinstance(base, str) else base
    if isinstance(base, str):
        return None, None, base
    if why := why_no_ratio(base.value, base.interval, whose):
        return None, None, why
    found = own.over(base)
    return found.value, found.interval, ""


def _estimate(rule: Rule, row: Row, evidence: Evidence) -> _Estimate | str:
    """Return a measure of a row, or why there is none."""
    if rule.measure in ("parameters", "tokens_seen", "training_flops", "train_seconds", "train_tokens_per_second"):
        value = getattr(row, rule.measure)
        return "not known for this run" if value is None else _Estimate(float(value))
    if rule.measure in row.measures:
        value = row.measures[rule.measure]
        chance = row.measure_chance.get(rule.measure)
        return (
            "does not apply" if value is None else _over_seeds(value, row.measure_spread.get(rule.measure), row, chance)
        )
    text = _way(rule, row)
    if text is None:
        return "it was not sampled in that way"
    if rule.measure in ("tokens_per_second", "latency", "latency_p90", "peak_memory"):
        if not text.latency:
            return "timing was off"
        cell = _cell(rule, text)
        return "it was not timed at that batch" if cell is None else _timed(rule.measure, cell)
    key = _key(rule, evidence)
    value = numbers(text).get(key)
    return "not measured" if value is None else _over_seeds(float(value), text.spread.get(key), row)


def _over_seeds(value: float, spread: float | None, row: Row, chance: Source | None = None) -> _Estimate:
    """Return a mean over seeds; of a single one nothing is known beside its value, and the chance of its prompts."""
    count = len(row.seeds)
    known = [] if chance is None else [chance]
    if spread is not None and count > 1 and math.isfinite(spread):
        known.append((spread**2 / count, count - 1.0))
    return _Estimate(value, added(known) if known else None)


def _timed(measure: str, cell: Latency) -> _Estimate | str:
    """Return a measure of the repeats; the median of R logarithms varies by about pi / 2 times what their mean does."""
    if measure == "peak_memory":
        return "not measured" if cell.memory is None else _Estimate(float(cell.memory.above))
    if cell.contended:
        return "timed under load: other programs took the processor"
    if measure == "latency_p90":
        return _Estimate(cell.p90)
    source: Source | None = None
    if len(cell.times) > 1:
        variance, degrees = over_seeds(np.log(cell.times))
        source = math.pi / 2 * variance, degrees
    return _Estimate(cell.median if measure == "latency" else cell.tokens_per_second, source, log=True)


def _key(rule: Rule, evidence: Evidence) -> str:
    return (evidence.judge or "") if rule.measure == "judge" else rule.measure


def _way(rule: Rule, row: Row) -> TextRow | None:
    """Return how the row was sampled: as the rule says, else by its own sampler at the most steps."""
    where = dict(rule.where)
    own = row.generation[0].sampler if row.generation else ""
    fit = [text for text in row.generation if text.sampler == where.get("sampler", own)]
    if "steps" in where:
        fit = [text for text in fit if str(text.steps) == where["steps"]]
    return fit[-1] if fit else None


def _cell(rule: Rule, text: TextRow) -> Latency | None:
    wanted = dict(rule.where).get("batch")
    fit = [cell for cell in text.latency if wanted is None or str(cell.batch) == wanted]
    return fit[0] if fit else None
