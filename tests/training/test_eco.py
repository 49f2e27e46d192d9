"""Promises of training with the eco network: what it asks for and tells reaches the run; its banks learn as told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unmask.errors import Error
from unmask.training.network import make_model
from unmask.training.plan import plan
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import Run
from unmask.training.train import train
from unmask.training.trainer import ProcessTrainer

Tiny = Callable[..., Recipe]
BACKBONE = "backbone={name: eco, hidden_size: 32, num_hidden_layers: 3, num_attention_heads: 2, intermediate_size: 64}"


@pytest.fixture
def eco(tiny: Tiny) -> Tiny:
    """``eco("backbone.route_top_k=2")``: a masked recipe with a tiny eco network."""
    return lambda *more: tiny("nano-masked", "process.causal_warmup=0", BACKBONE, *more)


def test_a_run_trains_resumes_nothing_and_comes_back_through_its_folder(eco: Tiny, tmp_path: Path) -> None:
    run = train(eco("backbone.input_slots=true", "backbone.window_every=2", "backbone.window=4"), tmp_path / "run")
    assert run.manifest["status"] == "finished"
    model = Run.open(tmp_path / "run").model("cpu")
    assert type(model).__name__ == "Eco" and model.config.window == 4 and model.config.input_slots


def test_balance_and_the_use_of_slots_stand_in_the_metrics(eco: Tiny, tmp_path: Path) -> None:
    given = ("backbone.route_top_k=1", "backbone.memory_slots=4", "backbone.balance_weight=0.5")
    rows = [row for row in train(eco(*given), tmp_path / "run").metrics() if "loss" in row]
    assert len(rows) == 8
    for row in rows:
        assert row["loss"] == pytest.approx(row["loss.process"] + row["loss.balance"], abs=2e-3)
        assert row["loss.balance"] == pytest.approx(0.5 * row["network.slot_balance"], abs=1e-5)
        assert sum(row[f"network.slot_share.{slot}"] for slot in range(4)) == pytest.approx(1, abs=1e-4)
        assert 0 <= row["network.slot_entropy"] <= 1
    plain = train(eco(), tmp_path / "plain").metrics()
    assert not any(key.startswith(("network.", "loss.")) for row in plain for key in row)


def test_accumulated_batches_of_routed_slots_equal_one_large_batch(eco: Tiny, tmp_path: Path) -> None:
    given = ["backbone.route_top_k=1", "backbone.balance_weight=1.0", "backbone.dropout=0", "training.optim=sgd"]
    train(eco("training.per_device_train_batch_size=8", *given), tmp_path / "whole")
    parts = ["training.per_device_train_batch_size=2", "training.gradient_accumulation_steps=4", *given]
    train(eco(*parts), tmp_path / "parts")
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-6)


def test_the_slow_bank_is_trained_at_its_own_rate(eco: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def spy(self: ProcessTrainer, *args: object) -> torch.optim.Optimizer:
        optimizer = make(self, *args)
        names = {id(p): n for n, p in self.model.named_parameters()}
        seen.update({names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]})
        seen["decay"] = {names[id(p)]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
        return optimizer

    make = ProcessTrainer.create_optimizer
    monkeypatch.setattr(ProcessTrainer, "create_optimizer", spy)
    given = ("backbone.slow_slots=2", "backbone.slow_every=2", "training.learning_rate=0.01")
    train(eco(*given, "backbone.slow_learning_rate_scale=0.0", "training.weight_decay=0.3"), tmp_path / "run")
    decay = seen.pop("decay")
    slow = {name for name in seen if "slow" in name}
    assert "slow_slots" in slow and any(name.startswith("blocks.1.slow_update.write") for name in slow)
    assert {seen[name] for name in slow} == {0.0} and {seen[name] for name in seen.keys() - slow} == {0.01}
    assert decay["blocks.1.slow_update.norm.weight"] == 0.0 and decay["slow_slots"] == 0.3
    stored = load_file(tmp_path / "run" / "raw" / "model.safetensors")
    fresh = make_model(Run.open(tmp_path / "run").recipe, stored["embed.weight"].shape[0]).state_dict()
    assert all(torch.equal(stored[name], fresh[name]) == (name in slow) for name in ("slow_slots", "slots"))


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        (
            "nano-eco",
            "process.causal_warmup=0.4",
            "cannot hide what is to the right; set causal_warmup=0",
        ),
        ("nano-eco", "process=causal", "process causal needs a backbone that can hide what is to the right"),
        ("nano-eco", "backbone.num_key_value_heads=2", "unknown recipe key backbone.num_key_value_heads"),
        ("nano-eco", "backbone.candidate_input=full", "set backbone.candidate_input=pooled"),
    ],
)
def test_what_a_network_that_sees_both_sides_cannot_do_is_refused(recipe: str, override: str, message: str) -> None:
    with pytest.raises(Error) as error:
        plan(load_recipe(recipe, [override]))
    assert message in str(error.value)


def test_the_sparse_process_gives_it_pooled_candidates() -> None:
    recipe = load_recipe("nano-eco", ["process={name: sparse, candidates: 3}"])
    config = make_model(recipe, 300).config
    assert (config.candidate_input, config.candidates) == ("pooled", 3)
    assert plan(recipe).parameters == pytest.approx(plan(load_recipe("nano-sparse")).parameters, rel=0.02)


def test_arias_recipes_have_arias_sizes() -> None:
    shared = {"hidden_size": 512, "num_hidden_layers": 10, "num_attention_heads": 8}
    base, eco, low = (load_recipe(name) for name in ("aria-baseline", "aria-eco", "aria-eco-low"))
    assert (
        shared.items() <= base.backbone.model_extra.items() and base.backbone.model_extra["intermediate_size"] == 1536
    )
    assert {**shared, "memory_slots": 16, "conv_kernel": 7}.items() <= eco.backbone.model_extra.items()
    sizes = {"hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 8, "memory_slots": 8, "conv_kernel": 7}
    assert sizes.items() <= low.backbone.model_extra.items() and low.data.length == 384
    for recipe in (base, eco, low):
        assert (recipe.data.vocab_size, recipe.sampler.model_extra["steps"]) == (32000, 12)
        assert recipe.process.model_extra == {"schedule": "raised_cosine"}
    assert plan(low).memory_bytes < plan(eco).memory_bytes / 2
    assert eco.decide is not None and eco.decide.against == "aria-baseline" and low.decide is None
