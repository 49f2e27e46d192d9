"""Promises of training: it learns, it resumes bit for bit, and no failure loses what was saved."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import load_file

from unmask.errors import Error
from unmask.training import checkpoints, monitor
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, Run, write_json
from unmask.training.train import train
from unmask.training.trainer import ProcessTrainer

Tiny = Callable[..., Recipe]


def weights(run: Path, part: str = ".") -> dict[str, torch.Tensor]:
    return load_file(run / part / "model.safetensors")


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


class StopAt(monitor.Interrupt):
    """What Ctrl-C does, at a known step."""

    step = 5

    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == self.step
        super().on_step_end(args, state, control, **kwargs)


@pytest.mark.parametrize("name", ["nano-causal", "nano-masked"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, accumulation: int
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("unmask.training.monitor.time.perf_counter", lambda: float(next(ticks)))
    recipe = tiny(name, f"training.gradient_accumulation_steps={accumulation}")
    train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        stopped = train(recipe, tmp_path / "halves")
    assert stopped.manifest["status"] == "interrupted"
    assert stopped.manifest["steps"] == StopAt.step
    resumed = train(recipe, tmp_path / "halves", resume=True)
    assert resumed.manifest["status"] == "finished"
    whole, halves = (Run.open(tmp_path / run).manifest for run in ("whole", "halves"))
    assert whole["train_seconds"] == halves["train_seconds"] > stopped.manifest["train_seconds"]  # a tick a step
    assert whole["tok_per_s"] == halves["tok_per_s"]
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "halves"))  # the moving average
    assert_same(weights(tmp_path / "whole", "raw"), weights(tmp_path / "halves", "raw"))

    def steps(run: str) -> list[tuple[int, float]]:
        return [(r["step"], r["loss"]) for r in Run.open(tmp_path / run).metrics() if "loss" in r]

    assert steps("whole") == steps("halves")


def test_accumulated_batches_equal_one_large_batch(tiny: Tiny, tmp_path: Path) -> None:
    whole = ["training.per_device_train_batch_size=8", "backbone.dropout=0", "training.optim=sgd"]
    parts = ["training.per_device_train_batch_size=2", "training.gradient_accumulation_steps=4", *whole[1:]]
    train(tiny("nano-masked", *whole), tmp_path / "whole")
    train(tiny("nano-masked", *parts), tmp_path / "parts")
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-6)


def test_truncated_newest_checkpoint_is_reported_and_the_one_before_used(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    whole = train(tiny("nano-masked"), run)
    before = weights(run)
    write_json(run / MANIFEST, {**whole.manifest, "status": "interrupted"})
    newest = whole.path / "checkpoints" / "checkpoint-8" / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    train(tiny("nano-masked"), run, resume=True)
    assert "checkpoint-8 cannot be used: model.safetensors is truncated" in capsys.readouterr().err
    assert_same(before, weights(run))


def test_damaged_byte_in_a_checkpoint_is_found(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("nano-causal"), tmp_path / "run")
    target = run.path / "checkpoints" / "checkpoint-8" / "optimizer.pt"
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))
    chosen, problems = checkpoints.newest(run.path / "checkpoints")
    assert chosen is not None and chosen.name == "checkpoint-4"
    assert problems == ["checkpoint-8 cannot be used: optimizer.pt is damaged (its checksum is wrong)"]


def test_no_usable_checkpoint_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    with pytest.raises(Error, match="checkpoint-3 cannot be used: its manifest is missing"):
        checkpoints.newest(tmp_path)


def test_weights_are_the_moving_average_and_raw_ones_lie_beside(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("nano-causal"), tmp_path / "run")
    average = load_file(run.path / "checkpoints" / "checkpoint-8" / "ema.safetensors")
    assert torch.equal(weights(run.path)["embed.weight"], average["embed.weight"])
    assert not torch.equal(weights(run.path, "raw")["embed.weight"], average["embed.weight"])


def test_run_without_average_keeps_its_weights(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("nano-causal", "training.ema=null"), tmp_path / "run")
    stored = load_file(run.path / "checkpoints" / "checkpoint-8" / "model.safetensors")
    assert_same(weights(run.path), stored)
    assert not (run.path / "raw").exists()


def test_training_learns_the_text(tiny: Tiny, tmp_path: Path) -> None:
    recipe = tiny("nano-causal", "training.max_steps=60", "training.learning_rate=0.01", "training.save_steps=60")
    rows = [r["loss"] for r in train(recipe, tmp_path / "run").metrics() if "loss" in r]
    assert rows[-1] < 0.6 * rows[0]


def test_no_pickled_arguments_in_a_run(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("nano-causal"), tmp_path / "run")
    assert not list(run.path.rglob("training_args.bin"))
    assert not (run.path / "checkpoints" / checkpoints.PARTIAL).exists()


def test_existing_run_is_never_overwritten(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny("nano-causal"), tmp_path / "run")
    with pytest.raises(Error, match="already holds a run; continue it with --resume"):
        train(tiny("nano-causal"), tmp_path / "run")


def test_folder_with_other_files_is_refused_and_untouched(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Error, match="is not empty and holds no run"):
        train(tiny("nano-causal"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_failed_start_leaves_no_folder(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(Error):
        train(tiny("nano-causal", f"data.source={tmp_path / 'nowhere.txt'}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_losses_that_are_not_numbers_stop_with_the_fix_after_ten_in_a_row(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unmask.diffusion.causal import Causal

    real = Causal.loss
    monkeypatch.setattr(Causal, "loss", lambda *a: {"loss": real(*a)["loss"] * (float("nan") if a[4] >= 0.5 else 1)})
    with pytest.raises(
        Error, match="the loss is nan .* at step 20, the 10th step in a row.*lower training.learning_rate"
    ):
        train(tiny("nano-causal", "training.max_steps=20"), tmp_path / "run")
    assert checkpoints.newest(tmp_path / "run" / "checkpoints")[0] is not None


SCRIPT = """
import sys
from pathlib import Path
from unmask.training.recipe import load_recipe
from unmask.training.train import train
run = train(load_recipe(sys.argv[1]), Path(sys.argv[2]), resume=sys.argv[3] == "resume")
print(run.manifest["status"])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_real_interrupt_and_kill_lose_nothing_that_was_saved(tiny: Tiny, tmp_path: Path, how: signal.Signals) -> None:
    recipe = tiny("nano-causal", "training.max_steps=100000", "training.save_steps=10", "training.valid_blocks=0")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "recipe.yaml"), str(tmp_path / "run"), "new"],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run" / "checkpoints").glob("checkpoint-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(how)
    out, err = process.communicate(timeout=120)
    saved, problems = checkpoints.newest(tmp_path / "run" / "checkpoints")
    assert saved is not None and not problems
    if how == signal.SIGINT:
        assert out.strip() == "interrupted", err
        assert saved.name == f"checkpoint-{Run.open(tmp_path / 'run').manifest['steps']}"
    else:
        with pytest.raises(Error, match="--resume"):
            Run.open(tmp_path / "run")


@pytest.mark.slow
def test_two_ranks_equal_one(tiny: Tiny, tmp_path: Path) -> None:
    whole = [
        "training.per_device_train_batch_size=8",
        "backbone.dropout=0",
        "training.optim=sgd",
        "training.max_steps=4",
        "training.valid_blocks=7",  # neither the ranks nor the batches divide it
        "training.eval_steps=2",
    ]
    train(tiny("nano-masked", *whole), tmp_path / "one")
    tree = tiny("nano-masked", "training.per_device_train_batch_size=4", *whole[1:]).model_dump(mode="json")
    tree["training"] |= {"ddp_backend": "gloo", "ddp_timeout": 60, "ddp_bucket_cap_mb": 1}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, tmp_path / "script.py", tmp_path / "recipe.yaml", tmp_path / "two", "new"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Run.open(tmp_path / "two").manifest["world_size"] == 2
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-6)
    seen = [_valid(tmp_path / name) for name in ("one", "two")]
    assert len(seen[0]) == 2 and seen[0] == pytest.approx(seen[1], rel=1e-5)


def _valid(run: Path) -> list[float]:
    rows = monitor.read_metrics(run / "metrics.jsonl")
    return [row["valid_nats_per_token"] for row in rows if "valid_nats_per_token" in row]


@pytest.mark.parametrize("name", ["nano-masked", "nano-causal"])
def test_held_out_nats_are_the_same_for_any_batches_and_ranks(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def sums(self: ProcessTrainer, network: torch.nn.Module, ranks: int, rows: int) -> list[float]:
        """What each rank adds up, as if it were alone, and the sum of all."""
        told: list[torch.Tensor] = []
        fake = SimpleNamespace(num_processes=ranks, reduce=lambda x, how: told.append(x) or torch.ones(2))
        self.accelerator, own = fake, self.accelerator
        self.args.per_device_eval_batch_size = rows
        for fake.process_index in range(ranks):
            found = ProcessTrainer._held_out(self, network)
        self.accelerator = own
        return (
            [found] if ranks == 1 else (torch.stack(told).sum(0)[0] / torch.stack(told).sum(0)[1]).reshape(1).tolist()
        )

    found = []
    plain = ProcessTrainer._held_out

    def watched(self: ProcessTrainer, network: torch.nn.Module) -> float:
        monkeypatch.setattr(ProcessTrainer, "_held_out", plain)
        found.extend(sums(self, network, ranks, rows)[0] for ranks, rows in ((1, 7), (1, 3), (2, 4), (3, 1), (9, 2)))
        return found[0]

    monkeypatch.setattr(ProcessTrainer, "_held_out", watched)
    options = ["training.max_steps=1", "training.eval_steps=1", "training.valid_blocks=7"]
    train(tiny(name, *options), tmp_path / "run")
    assert found == pytest.approx([found[0]] * 5, rel=1e-5)


def test_a_section_that_only_one_of_two_recipes_has_is_named_as_a_difference() -> None:
    from unmask.training.folder import differences
    from unmask.training.recipe import load_recipe

    plain, steered = load_recipe("nano-causal"), load_recipe("nano-causal", ["qcontroller=mended"])
    assert differences(steered, plain) == differences(plain, steered) == "qcontroller"
