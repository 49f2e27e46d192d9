"""Every argument of every public function, given a wrong type: one line that names it, before any work.

The cases follow from ``unmask.__all__`` and the annotations, so a new verb is covered before its author writes a test.
"""

from __future__ import annotations

import inspect
import pickle
import typing
from pathlib import Path
from types import UnionType
from typing import Any, Union

import numpy as np
import pytest
import torch

import unmask
from unmask.arguments import _face, checked

FUNCTIONS = [name for name in unmask.__all__ if inspect.isroutine(getattr(unmask, name))]
METHODS = {"Run": unmask.Run.__init__, "Run.open": unmask.Run.open, "Run.model": unmask.Run.model}
GATES: dict[str, Any] = {name: getattr(unmask, name) for name in FUNCTIONS} | METHODS


class Odd:
    """What no argument is."""


@pytest.mark.strangers
@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "runs/" + "é" * 200], ids=["long", "NUL", "long in bytes"])
@pytest.mark.parametrize("verb", ["load_run", "load_recipe", "plan", "plan_sweep", "index_stats"])
def test_a_name_that_no_file_can_have_is_one_line(verb: str, name: str) -> None:
    with pytest.raises(unmask.Error, match="no file can have that name"):
        getattr(unmask, verb)(name)


WRONG: dict[Any, list[Any]] = {int: ["16", 1.5, True], float: ["a", False], bool: ["yes", 1], str: [7, b"x"]}


def _arms(kind: Any) -> list[Any]:
    return list(typing.get_args(kind)) if typing.get_origin(kind) in (Union, UnionType) else [kind]


def _kinds(name: str) -> dict[str, Any]:
    kinds = _face(inspect.unwrap(getattr(GATES[name], "__func__", GATES[name])))[1]
    return {key: kind for key, kind in kinds.items() if key not in ("self", "cls")}


def _call(name: str, /, **arguments: object) -> object:
    return (unmask.Run if name == "Run" else GATES[name])(**arguments)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in GATES for key in _kinds(name)])
def test_a_wrong_type_is_named_before_any_work(name: str, key: str) -> None:
    arms = _arms(_kinds(name)[key])
    wrong = [Odd(), [Odd()], *([] if type(None) in arms else [None])]
    wrong += [value for value in WRONG.get(arms[0], []) if not any(type(value) is arm for arm in arms)]
    for value in wrong:
        with pytest.raises(unmask.Error) as caught:
            _call(name, **{key: value})
        line = str(caught.value)
        assert line.startswith(f"{name}() argument {key} is ") and f"({type(value).__name__}); it must be " in line
        assert "\n" not in line and "0x" not in line.split("it must be")[1]


@pytest.mark.parametrize("name", GATES)
def test_an_unknown_argument_is_answered_with_the_nearest(name: str) -> None:
    known = next((key for key in reversed(_kinds(name)) if len(key) > 4), None)
    wrong = f"{known}s" if known else "verbose"
    with pytest.raises(unmask.Error) as caught:
        _call(name, **{wrong: 1})
    assert f"{name}() has no argument {wrong!r}." in str(caught.value)
    assert known is None or "Did you mean" in str(caught.value)


def test_the_mistakes_of_a_first_hour_are_each_one_line_that_mends_them(tmp_path: Path, tiny_run: Path) -> None:
    for call, words in {
        lambda: unmask.sample("r", "x", max_token=3): "has no argument 'max_token'. Did you mean 'max_tokens'?",
        lambda: unmask.sample("r", "x", max_tokens="16"): "argument max_tokens is '16' (str); it must be int or None.",
        lambda: unmask.sample("r", "x", seed="a"): "argument seed is 'a' (str)",
        lambda: unmask.sample("r", ["a", "b"]): "it must be str or bytes. It takes one; call it once for each.",
        lambda: unmask.compare("a", "b", "report"): "too many arguments: it takes only runs, output without a name. "
        "Give several runs as one list.",
        lambda: unmask.compare("a", "b", output="report"): "is given output twice",
        lambda: unmask.compare(["a"]): "compare() needs output (str or Path): compare(runs, output).",
        lambda: unmask.compare([tiny_run], tiny_run): "is a run; to compare it too, give the runs as one list",
        lambda: unmask.compare(["a"], "b", budget="token"): "unknown budget 'token'. Did you mean 'tokens'?",
        lambda: unmask.sample("r", "x", max_tokens=torch.zeros(3)): "is of shape (3,) (Tensor)",
        lambda: unmask.train(unmask.load_recipe("nano-causal"), ["seed=1"]): "this recipe is resolved already",
        lambda: unmask.Recipe(seed="a"): "recipe key seed is 'a'",
        lambda: unmask.Recipe(sed=1): "unknown recipe key sed. Did you mean 'seed'?",
    }.items():
        with pytest.raises(unmask.Error) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value)


def _seen(runs: list[str], steps: list[int] = (1,), *, share: float = 0.5, to: Path = Path()) -> Any:  # type: ignore[assignment]
    return runs, steps, share, to


def test_what_can_be_meant_is_taken(tmp_path: Path) -> None:
    call = checked(_seen)
    assert call("one", 8, share=np.float32(0.5), to="x") == (["one"], [8], 0.5, Path("x"))
    assert call(("a", "b"), np.arange(2), share=1) == (["a", "b"], [0, 1], 1, Path())
    assert call([], torch.tensor([3, 4]), share=torch.tensor(0.25)) == ([], [3, 4], 0.25, Path())
    assert [type(one) for one in call([], torch.tensor([3]))[1]] == [int]


def test_an_opened_run_a_path_and_a_name_are_all_runs(tiny_run: Path) -> None:
    opened = unmask.load_run(tiny_run)
    texts = [
        unmask.sample(run, "The", max_tokens=np.int64(4), seed=3).texts for run in (opened, tiny_run, str(tiny_run))
    ]
    assert texts[0] == texts[1] == texts[2]


def test_help_signatures_and_pickles_are_those_of_the_function() -> None:
    from unmask.api.sample import sample

    assert inspect.signature(unmask.sample) == inspect.signature(sample)
    assert unmask.sample.__doc__ == sample.__doc__ and inspect.getsource(unmask.sample) == inspect.getsource(sample)
    assert pickle.loads(pickle.dumps(unmask.sample)) is unmask.sample


def test_dir_shows_the_public_surface_alone() -> None:
    assert dir(unmask) == sorted(unmask.__all__)
