"""A checkpoint from somebody else: what is not as ours are is one line before the first step, and never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from unmask.errors import Error
from unmask.training import checkpoints
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run
from unmask.training.train import train

pytestmark = pytest.mark.strangers

Tiny = Callable[..., Recipe]


@pytest.fixture(scope="module")
def begun(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything a checkpoint can hold, interrupted at step 2 of 4."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    train(tiny("nano-causal", "training.max_steps=2", "qcontroller=mended"), folder)
    edit(folder / "run.json", lambda manifest: manifest | {"status": "interrupted"})
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("max_steps: 2", "max_steps: 4"))
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def sealed(checkpoint: Path) -> None:
    """List the files of a checkpoint as they are now, as its maker can."""
    (checkpoint / checkpoints.MANIFEST).unlink()
    checkpoints.seal(checkpoint, checkpoint.with_name("sealed"))
    checkpoint.with_name("sealed").rename(checkpoint)


def resume(run: Path) -> Run:
    return train(load_recipe("nano-causal"), run, resume=True)


def test_a_checkpoint_that_is_ours_is_resumed(run: Path) -> None:
    assert resume(run).manifest["steps"] == 4


def put(*keys: Any, value: Any) -> Callable[[Any], Any]:
    def change(tree: Any) -> Any:
        place = tree
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return tree

    return change


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("trainer_state.json", lambda _: []),
        ("trainer_state.json", put("global_step", value=10**9)),
        ("trainer_state.json", put("global_step", value=-1)),
        ("trainer_state.json", put("logging_steps", value=0)),
        ("trainer_state.json", put("save_steps", value="x")),
        ("trainer_state.json", put("log_history", value={})),
        ("trainer_state.json", put("total_flos", value=None)),
        ("trainer_state.json", put("nobody", value=1)),
        ("clock.json", put("steps", value=float("inf"))),
        ("clock.json", put("seconds", value="x")),
        ("gradients.json", put("run", "steps", value="x")),
        ("gradients.json", put("row", value=None)),
        ("qcontroller.json", lambda _: {}),
        ("qcontroller.json", put("steps", value="x")),
        ("qcontroller.json", put("table", "choices", value=-1)),
        ("qcontroller.json", put("table", "entries", value=[[[0], [[0.0]], 1, 1]])),
        ("qcontroller.json", put("last", value=[[0], [99]])),
        ("config.json", lambda _: []),
    ],
)
def test_a_value_of_another_kind_is_told_before_the_first_step(file: str, change: Any, run: Path) -> None:
    checkpoint = run / "checkpoints" / "checkpoint-2"
    edit(checkpoint / file, change)
    sealed(checkpoint)
    with pytest.raises(Error, match=r"checkpoint-2 cannot be resumed from \(.*\); remove it") as told:
        resume(run)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
@pytest.mark.parametrize(
    "content", [{}, [], {"state": {0: torch.zeros(1)}, "param_groups": []}, {"last_epoch": 2, "step": 3}]
)
def test_a_pickle_of_other_things_is_told(file: str, content: Any, run: Path) -> None:
    checkpoint = run / "checkpoints" / "checkpoint-2"
    torch.save(content, checkpoint / file)
    sealed(checkpoint)
    with pytest.raises(Error, match="cannot be resumed from"):
        resume(run)


@pytest.mark.parametrize("file", ["model.safetensors", "ema.safetensors"])
@pytest.mark.parametrize("kind", ["a tensor less", "another shape", "one number for many"])
def test_weights_of_another_network_are_told(file: str, kind: str, run: Path) -> None:
    checkpoint = run / "checkpoints" / "checkpoint-2"
    weights = load_file(checkpoint / file)
    name = next(name for name, value in weights.items() if value.ndim == 2)
    held = weights.pop(name)
    if kind != "a tensor less":
        weights[name] = held[:-1] if kind == "another shape" else torch.zeros(1)
    save_file(weights, checkpoint / file)
    sealed(checkpoint)
    with pytest.raises(Error, match="cannot be resumed from"):
        resume(run)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "../../../etc/hostname", "model.safetensors/x"])
def test_a_list_of_files_that_are_none_is_a_checkpoint_that_is_not_used(name: str, run: Path) -> None:
    checkpoint = run / "checkpoints" / "checkpoint-2"
    (checkpoint / checkpoints.MANIFEST).write_text(json.dumps({name: {"bytes": 0, "crc32": 0}}))
    with pytest.raises(Error, match="no usable checkpoint"):
        resume(run)


def test_a_folder_whose_number_is_none_is_no_checkpoint(run: Path) -> None:
    (run / "checkpoints" / "checkpoint-²").mkdir()
    assert resume(run).manifest["steps"] == 4


def test_a_link_within_the_checkpoints_is_not_written_through(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "checkpoints" / "checkpoint-2", tmp_path / "elsewhere")
    (run / "checkpoints" / "checkpoint-2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Error, match="checkpoint-2 is a link to"):
        resume(run)
    assert (tmp_path / "elsewhere" / "optimizer.pt").is_file()
