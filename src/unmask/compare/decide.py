"""Decision rules held against a comparison's rows: keep, drop or undecided.

A relative rule is decided on the ratio to the baseline. Its interval is, for bits per byte, that of the paired
resampling of documents and seeds; for other measures Student's t over seeds, and for times the spread of the repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.special import stdtrit

from unmask.compare.rows import Decision, Row, TextRow
from unmask.compare.yardstick import numbers, real_numbers
from unmask.errors import Error, nearest
from unmask.evaluation.bootstrap import paired_ratio
from unmask.evaluation.latency import Latency
from unmask.evaluation.rules import Interval, Rule, judge_rule, parse_rule, verdict

Reals = NDArray[np.float64]
_RESAMPLES = 4000


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
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
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


def _measured(rule: Rule, row: Row, baseline: Row, evidence: Evidence) -> Measured:
    """Return the value that a rule decides on, its interval, and why there is none."""
    if rule.measure == "bits_per_byte":
        if rule.reference == "real":
            return None, None, "real text has no bits per byte of its own here"
        if rule.reference == "number":
            return row.bits_per_byte, row.interval, ""
        span = paired_ratio(evidence.nats[row.name], evidence.nats[baseline.name], evidence.sizes)
        return row.bits_per_byte / baseline.bits_per_byte, span, ""
    own = _draws(rule, row, evidence)
    if isinstance(own, str):
        return None, None, f"{row.name}: {own}"
    if rule.reference == "number":
        return _summary(*own)
    if rule.reference == "real":
        text = _way(rule, row)
        other: float | None = None if text is None else real_numbers(text).get(_key(rule, evidence))
        if not other:
            return None, None, "real text has no such figure, or it is 0"
        return _summary(own[0] / other, None if own[1] is None else own[1] / other)
    base = _draws(rule, baseline, evidence)
    if isinstance(base, str):
        return None, None, f"{baseline.name}: {base}"
    if not base[0]:
        return None, None, f"{baseline.name} has 0 of it"
    spread = None
    if own[1] is not None or base[1] is not None:
        top = np.full(_RESAMPLES, own[0]) if own[1] is None else own[1]
        bottom = np.full(_RESAMPLES, base[0]) if base[1] is None else base[1][::-1]
        spread = top / np.where(bottom == 0, np.nan, bottom)
    return _summary(own[0] / base[0], spread)


def _summary(value: float, spread: Reals | None) -> Measured:
    if spread is None:
        return value, None, ""
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return value, (float(low), float(high)), ""


def _draws(rule: Rule, row: Row, evidence: Evidence) -> tuple[float, Reals | None] | str:
    """Return a measure of a row and draws of where it may truly lie, or why there is none."""
    if rule.measure in ("parameters", "tokens_seen", "training_flops", "train_seconds", "train_tokens_per_second"):
        value = getattr(row, rule.measure)
        return "not known for this run" if value is None else (float(value), None)
    if rule.measure in row.measures:
        value = row.measures[rule.measure]
        return (
            "does not apply" if value is None else (value, _student(value, row.measure_spread.get(rule.measure), row))
        )
    text = _way(rule, row)
    if text is None:
        return "it was not sampled in that way"
    if rule.measure in ("tokens_per_second", "latency", "latency_p90", "peak_memory"):
        cell = _cell(rule, text)
        return "it was not timed at that batch" if cell is None else _timed(rule.measure, cell)
    key = _key(rule, evidence)
    value = numbers(text).get(key)
    return "not measured" if value is None else (float(value), _student(value, text.spread.get(key), row))


def _student(value: float, spread: float | None, row: Row) -> Reals | None:
    """Return the mean's t distribution over seeds, at evenly spaced probabilities; ``None`` for a single seed."""
    count = len(row.seeds)
    if spread is None or count < 2:
        return None
    p = (np.random.default_rng(0).permutation(_RESAMPLES) + 0.5) / _RESAMPLES
    return value + np.asarray(stdtrit(count - 1, p)) * spread / np.sqrt(count)


def _timed(measure: str, cell: Latency) -> tuple[float, Reals | None] | str:
    if measure == "peak_memory":
        return "not measured" if cell.memory is None else (float(cell.memory.above), None)
    if measure == "latency_p90":
        return cell.p90, None
    times = np.asarray(cell.times, dtype=np.float64)
    draws: Reals | None = None
    if len(times) > 2:
        picks = np.random.default_rng(0).integers(0, len(times), (_RESAMPLES, len(times)))
        draws = np.median(times[picks], axis=1)
    if measure == "latency":
        return cell.median, draws
    return cell.tokens_per_second, None if draws is None else cell.tokens / draws


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
