"""A student is a run like any other: it resumes bit for bit, says who taught it, has a bound. Others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unmask.api.distill import distill, student
from unmask.api.evaluate import evaluate
from unmask.api.infill import infill
from unmask.api.sample import sample
from unmask.errors import Error
from unmask.training import monitor
from unmask.training.recipe import Recipe
from unmask.training.run import Run
from unmask.training.train import train

Tiny = Callable[..., Recipe]
FEW = ["steps=2", "teacher_steps=8", "training.max_steps=8", "training.logging_steps=1", "training.save_steps=4"]


@pytest.fixture(scope="module")
def teachers(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("teachers")
    own = {"eco": ["backbone.match=null"]}
    names = ("masked", "block", "eco")
    return {name: train(tiny(f"nano-{name}", *own.get(name, [])), folder / name) for name in names}


def weights(run: Run, part: str = ".") -> dict[str, torch.Tensor]:
    return load_file(run.path / part / "model.safetensors")


class StopAt(monitor.Interrupt):
    """What Ctrl-C does, in the middle of the second round."""

    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == 6
        super().on_step_end(args, state, control, **kwargs)


@pytest.mark.parametrize("name", ["masked", "block"])
@pytest.mark.parametrize("more", [[], ["process.random_mask=4", "vectors=2"]], ids=["one mask", "random mask"])
def test_an_interrupted_student_ends_with_the_weights_of_an_uninterrupted_one(
    teachers: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: list[str]
) -> None:
    whole = distill(teachers[name], [*FEW, *more], output=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        stopped = distill(teachers[name], [*FEW, *more], output=tmp_path / "halves")
    assert (stopped.manifest["status"], stopped.manifest["steps"]) == ("interrupted", 6)
    resumed = distill(teachers[name], [*FEW, *more], output=tmp_path / "halves", resume=True)
    assert resumed.manifest["status"] == whole.manifest["status"] == "finished"
    for part in (".", "raw"):
        one, other = weights(whole, part), weights(resumed, part)
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["masked", "block", "eco"])
def test_a_student_says_who_taught_it_writes_in_few_steps_and_has_a_bound(
    teachers: dict[str, Run], tmp_path: Path, name: str
) -> None:
    run = distill(teachers[name], [*FEW, "process.random_mask=4", "vectors=2"], output=tmp_path / "student")
    told = run.manifest["init"]
    assert (told["process"], Path(told["at"])) == (teachers[name].recipe.process.name, teachers[name].path)
    assert told["total_tokens_seen"] == teachers[name].manifest["tokens_seen"]
    assert run.manifest["training_flops"] > teachers[name].manifest["training_flops"]
    assert run.recipe.sampler_settings().steps == 2
    again = Run.open(run.path)
    assert again.process.likelihoods == (("default", "causal") if name == "block" else ("default",))
    assert sample(again, "a", max_tokens=6).texts
    assert evaluate(again, documents=1, draws=1).bound == "upper bound"
    if name != "block":
        assert infill(again, "a ____ b").texts


def test_the_first_teacher_is_the_run_itself_and_later_ones_are_the_student(
    teachers: dict[str, Run], tmp_path: Path
) -> None:
    run = distill(teachers["masked"], FEW, output=tmp_path / "student")
    first, second = (load_file(run.path / "checkpoints" / f"checkpoint-{n}" / "teacher.safetensors") for n in (4, 8))
    average = load_file(run.path / "checkpoints" / "checkpoint-4" / "ema.safetensors")
    own = teachers["masked"].model("cpu").state_dict()
    assert all(torch.equal(first[key], own[key]) for key in first)
    assert all(torch.equal(second[key], average[key]) for key in second)


REFUSED = {
    ("masked", "steps=3", "teacher_steps=8"): "must be steps 3 doubled some times, such as 24",
    ("masked", "divergence=sideways"): "distill.divergence",
    ("masked", "stepz=4"): "stepz",
    ("masked", "process.causal_warmup=0.3"): "leave process.causal_warmup out",
    ("masked", "backbone.random_mask=4"): "leave the first out",
    ("masked", "process=uniform", "backbone.time_input=true"): "process uniform writes otherwise",
}


@pytest.mark.parametrize("given", REFUSED, ids=" ".join)
def test_what_cannot_be_taught_is_refused_by_name(teachers: dict[str, Run], given: tuple[str, ...]) -> None:
    with pytest.raises(Error, match=REFUSED[given]):
        student(teachers[given[0]], given[1:])


def test_a_causal_run_teaches_nobody(tiny_run: Path) -> None:
    with pytest.raises(Error, match="process causal writes otherwise: give a run of process masked or block"):
        student(tiny_run)


def test_a_block_student_halves_within_a_block(teachers: dict[str, Run]) -> None:
    block = teachers["block"].recipe.process_options().sizes[-1]
    recipe = student(teachers["block"])
    assert recipe.distill is not None
    assert block // 2 < recipe.distill.teacher_steps <= max(block, 2 * recipe.distill.steps)
    assert student(teachers["block"], ["teacher_steps=32"]).distill.teacher_steps == 32  # type: ignore[union-attr]


def test_a_student_is_refused_without_torch(teachers: dict[str, Run], python: Callable[..., object]) -> None:
    source = (
        "import sys; from unmask.cli.app import run; "
        f"status = run(['distill', {str(teachers['masked'].path)!r}, '-o', 'steps=0', '--output', 'x']); "
        "assert status == 2 and 'torch' not in sys.modules, (status, 'torch' in sys.modules)"
    )
    ran = python(source)
    assert ran.status == 0, ran.err  # type: ignore[attr-defined]
    assert "distill.steps" in ran.err  # type: ignore[attr-defined]
