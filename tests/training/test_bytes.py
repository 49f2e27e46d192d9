"""Byte networks train as they say: what bends the levels learns slowly, without decay, and a patcher is stored once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from unmask.data.patches.store import FILE
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train
from unmask.training.trainer import ProcessTrainer

TINY = [
    "backbone={hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24, latent: wubu}",
    "backbone.wubu={num_levels: 2, hyperbolic_dims: [8, 4]}",
    "backbone.n_gram_vocab_size=50",
    "data.length=48",
    "training={max_steps: 2, per_device_train_batch_size: 2, valid_blocks: 0, learning_rate: 0.01, weight_decay: 0.3}",
]


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    rng = random.Random(0)
    words = "the old man and a sea of ships sails while its captain waits for wind bread salt harbour morning".split()
    text = tmp_path / "text.jsonl"
    documents = (" ".join(rng.choices(words, k=40)) for _ in range(200))
    text.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents), encoding="utf-8")
    return [*TINY, f"data.source={text}"]


def test_what_bends_the_levels_learns_at_a_tenth_of_the_rate_and_without_decay(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate: dict[str, float] = {}
    decay: dict[str, float] = {}

    def spy(self: ProcessTrainer, *args: Any) -> torch.optim.Optimizer:
        optimizer = make(self, *args)
        names = {id(p): name for name, p in self.model.named_parameters()}
        for group in optimizer.param_groups:
            rate.update({names[id(p)]: group["lr"] for p in group["params"]})
            decay.update({names[id(p)]: group["weight_decay"] for p in group["params"]})
        return optimizer

    make = ProcessTrainer.create_optimizer
    monkeypatch.setattr(ProcessTrainer, "create_optimizer", spy)
    train(load_recipe("nano-bytes", given), tmp_path / "run")
    bent = {name for name in rate if name.endswith(".raw")}
    assert any("curvature" in name for name in bent) and any("scale" in name for name in bent)
    assert [rate[name] for name in bent] == pytest.approx([0.001] * len(bent))
    assert {rate[name] for name in rate if name not in bent} == {0.01}
    spared = bent | {name for name in rate if name.endswith((".boundary", ".descriptor", ".shift", ".step"))}
    assert {decay[name] for name in spared} == {0.0}
    assert decay["embed.weight"] == decay["latent_stack.enter.weight"] == 0.3


def test_a_run_opens_with_the_patcher_that_it_was_trained_with_and_fits_none_again(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unmask.training import patches

    train(load_recipe("nano-bytes", given), tmp_path / "run")
    assert (tmp_path / "run" / FILE).is_file()
    monkeypatch.setattr(patches, "fit_patcher", lambda *args: pytest.fail("fitted again"))
    model = Run.open(tmp_path / "run").model("cpu")
    assert model.patcher.options.theta is not None  # type: ignore[union-attr]
    assert abs(model.patcher.calibration.found - 4.5) < 1.5  # type: ignore[union-attr]
