"""What a public function returns prints as one readable line, whatever it holds."""

from __future__ import annotations

import inspect
import json
import typing
from collections import defaultdict
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union

import pytest

import unmask
from unmask.evaluation.calibration_gain import Measured
from unmask.evaluation.calibrators import Tried
from unmask.lines import MOST, counted, excerpt, line, scored
from unmask.models.config import NetworkConfig
from unmask.reports.rows import CompareResult
from unmask.result import Result
from unmask.sampling.request import Settings
from unmask.sweeps.expand import RowPlan
from unmask.sweeps.expand_ways import WayPlan
from unmask.sweeps.plan import SweepPlan
from unmask.sweeps.results import SweepResult
from unmask.training.plan import Plan

HOMES = {
    "Plan": Plan,
    "CompareResult": CompareResult,
    "SweepResult": SweepResult,
    "RowPlan": RowPlan,
    "WayPlan": WayPlan,
    "Measured": Measured,
    "Tried": Tried,
}
"""Types that modules import for type checkers alone."""


def _returned(name: str) -> type:
    function = inspect.unwrap(getattr(unmask, name))
    holder = type("Holder", (), {"__annotations__": {"return": function.__annotations__["return"]}})
    kind = typing.get_type_hints(holder, {**function.__globals__, **HOMES})["return"]
    return typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind


FUNCTIONS = [name for name in unmask.__all__ if inspect.isfunction(getattr(unmask, name))]
RESULTS = sorted(
    {_returned(name) for name in FUNCTIONS} - {unmask.Model, unmask.Run, unmask.Recipe}, key=lambda kind: kind.__name__
)


def _made(kind: Any) -> Any:
    """Return a large value of a kind, with line ends in every text."""
    simple = {
        str: "many\nwords " * 500,
        int: 10**9,
        float: 0.5,
        bool: True,
        Path: Path("deep/" * 100),
        bytes: b"x" * 999,
    }
    simple |= {Any: "what\never " * 200, NoneType: None, NetworkConfig: None}
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind in simple:
        return simple[kind]
    if kind is unmask.Recipe:
        return unmask.load_recipe("nano-causal")
    if kind is Settings:
        return Settings()
    if kind is SweepPlan:
        return SweepPlan(name="many words " * 50, recipes=["nano-causal"])
    if origin in (Union, UnionType):
        return _made(next(part for part in parts if part is not NoneType))
    if origin is dict:
        return defaultdict(lambda: 7, dict.fromkeys((f"key {i}" for i in range(50)), _made(parts[1])))
    if origin is tuple and parts[-1] is not Ellipsis:
        return tuple(_made(part) for part in parts)
    if origin in (list, tuple):
        return origin([_made(parts[0])] * 40)  # one value many times: as long, and not 40 times the work at each depth
    if not is_dataclass(kind):
        return None
    hints = typing.get_type_hints(kind, {**vars(inspect.getmodule(kind)), **HOMES, **_hidden(kind)})
    return kind(**{field.name: _made(hints[field.name]) for field in fields(kind) if field.init})


def _hidden(kind: type) -> dict[str, Any]:
    """Return stand-ins for types that are imported for type checkers alone."""
    known = {**vars(typing), **vars(inspect.getmodule(kind)), **HOMES, **__builtins__}  # type: ignore[dict-item]
    words = {word for field in fields(kind) for word in str(field.type).replace("[", " ").replace("]", " ").split()}
    return {
        word.strip(",|"): object for word in words if word.strip(",|").isidentifier() and word.strip(",|") not in known
    }


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.__name__)
def test_results_share_their_base_their_name_and_what_a_run_is(kind: type) -> None:
    if kind is Plan or kind.__name__ == "Hit" or kind.__name__.endswith("Line"):
        return  # what is known before training; lines of a list
    assert issubclass(kind, Result) and kind.__name__.endswith("Result")
    known = {field.name: field.type for field in fields(kind)}
    assert known.get("run", "str") == "str" and "runs" not in known, "a run is its folder, as text; a name is a name"
    assert kind.__repr__ is Result.__repr__ and json.dumps(_made(kind).to_dict())


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.__name__)
def test_a_result_prints_as_one_readable_line(kind: type) -> None:
    told = _made(kind)
    for text in (repr(told), str(told)):
        assert text.startswith(f"<{kind.__name__}: ") and len(text) <= MOST and "\n" not in text


def test_runs_and_recipes_print_as_one_line(tiny_run: Path) -> None:
    run = unmask.load_run(tiny_run)
    assert repr(run) == str(run) and repr(run).startswith(f"<Run: {tiny_run}"[:60])
    model = unmask.load(tiny_run)
    assert repr(model) == str(model) and repr(model).startswith(f"<Model: {tiny_run}"[:60])
    assert len(repr(model)) <= MOST
    assert str(run.recipe) == "<Recipe: nano-causal, causal transformer, " + f"data {run.recipe.data.source}, 2 steps>"


def test_a_score_is_read_with_its_kind_and_its_documents(tiny_run: Path) -> None:
    found = unmask.evaluate(tiny_run, documents=2)
    assert repr(found) == f"<EvaluateResult: nano-causal: {found.bits_per_byte:.4f} bits per byte (exact, 2 documents)>"


def test_numbers_have_their_nouns_and_long_text_is_cut() -> None:
    assert (counted(1, "document"), counted(1200, "document"), counted(2, "shelf", "shelves")) == (
        "1 document",
        "1,200 documents",
        "2 shelves",
    )
    assert excerpt("a\n b  c") == "a b c" and excerpt("word " * 99, 12) == "word word..."
    assert scored(1.25, "upper bound", "8 draws") == "at most 1.2500 bits per byte (upper bound, 8 draws)"
    assert line("X", "a", "", "b") == "<X: a, b>"
