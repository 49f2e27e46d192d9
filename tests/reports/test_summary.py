"""The answer comes first and says no more than was measured; the table of the terminal fits it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from unmask.api.compare import compare
from unmask.reports.answer import answer
from unmask.reports.decide import Evidence
from unmask.reports.rows import CompareResult
from unmask.reports.summary import print_summary, summary_table


@pytest.fixture(scope="module")
def result(make_run, tmp_path_factory: pytest.TempPathFactory) -> CompareResult:
    small: dict[str, Any] = {"documents": 6, "draws": 1, "samples": 2, "holes": 0, "steps": (2,), "length": 12}
    runs = [make_run("left"), make_run("hidden", "masked"), make_run("hidden-s1", "masked", seed=1)]
    return compare(runs, tmp_path_factory.mktemp("report"), quick=True, **small)


def printed(result: CompareResult, width: int) -> list[str]:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=width))
    return out.getvalue().splitlines()


def test_the_terminal_gets_the_answer_first_and_a_table_that_fits(result: CompareResult) -> None:
    long = "a-run-whose-name-is-longer-than-any-column-would-be-and-then-some"
    rows = [replace(result.rows[0], name=long), replace(result.rows[1], bits_per_byte=12.345)]
    for width in (80, 60):
        lines = printed(replace(result, rows=rows), width)
        text = "\n".join(lines)
        assert " ".join(text.split()).startswith(" ".join(result.answer.split()[:4]))
        assert max(map(len, lines)) <= width and "…" not in text
        table = summary_table(replace(result, rows=rows))
        assert 4 <= len(table.columns) <= 5
        for row in table.rows[:2]:
            for cell in row[1:]:
                whole = cell in text if width == 80 else all(word in text for word in cell.split())
                assert whole, f"{cell} was cut at {width} columns"


def told(result: CompareResult, bits: dict[str, float], bounds: dict[str, str], noise: float = 0.0) -> str:
    """The answer on rows of these bits per byte, alike in every document but for noise."""
    sizes = np.full(40, 100.0)
    wobble = np.random.default_rng(0).normal(0, noise, (len(bits), 40))
    rows = [replace(result.rows[0], name=name, bits_per_byte=value, bound=bounds[name]) for name, value in bits.items()]
    nats = {name: ((value + wobble[i]) * sizes * np.log(2))[None] for i, (name, value) in enumerate(bits.items())}
    return answer(rows, [], Evidence(nats, sizes, None))


def test_the_answer_says_what_was_shown_and_no_more(result: CompareResult) -> None:
    exact = {"a": "exact", "b": "exact"}
    assert told(result, {"a": 2.0, "b": 1.5}, exact, 0.01).startswith("b is ahead: b needs 1.500 bits")
    assert told(result, {"a": 2.0, "b": 2.001}, exact, 0.3).startswith("No difference shown: a")
    behind = told(result, {"a": 1.5, "b": 2.0}, {"a": "exact", "b": "upper bound"}, 0.01)
    assert behind.startswith("a is ahead by what can be shown") and "b may need less" in behind
    ahead = told(result, {"a": 2.0, "b": 1.5}, {"a": "exact", "b": "upper bound"}, 0.01)
    assert ahead.startswith("b is ahead: b needs at most 1.500 bits"), "a bound below an exact number decides"
    both = told(result, {"a": 1.5, "b": 2.0}, {"a": "upper bound", "b": "upper bound"}, 0.01)
    assert "either may need less" in both
    three = told(result, {"a": 2.0, "b": 1.5, "c": 3.0}, {**exact, "c": "exact"}, 0.01)
    assert "c 3.000 bits" in three and three.count(".\n") == 0 and three.endswith(".")


def test_a_model_that_counting_beats_is_told_so(result: CompareResult) -> None:
    assert "an order-5 n-gram needs" in result.answer and "less than any" in result.answer
