"""Runs with untrained networks, and plans whose rows train in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import untrained_runs
from unmask.sweeps.plan import SweepPlan
from unmask.sweeps.plan_files import parse_plan

MakePlan = Callable[..., SweepPlan]

make_run, own_cache, world = untrained_runs.make_run, untrained_runs.own_cache, untrained_runs.world
pytest_runtest_protocol = untrained_runs.pytest_runtest_protocol


@pytest.fixture(scope="session")
def tiny_plan(world: Path, own_cache: None) -> MakePlan:
    """Return a function that makes a plan whose rows train in a moment; ``grid`` is its axes."""

    def make(grid: dict[str, Any], **plan: Any) -> SweepPlan:
        data = {"source": str(world / "text.jsonl"), "tokenizer": "bytes", "length": 32}
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "dropout": 0.1}
        training = {
            "max_steps": 6,
            "per_device_train_batch_size": 2,
            "learning_rate": 0.01,
            "warmup_steps": 0,
            "save_steps": 3,
            "eval_steps": 3,
            "logging_steps": 1,
            "valid_blocks": 2,
            "ema": 0.9,
        }
        fractions = {"valid_fraction": 0.3, "judge_fraction": 0.2}
        return parse_plan(
            {
                "name": "tiny",
                "recipes": ["nano-causal"],
                "set": {"data": {**data, **fractions}, "backbone": sizes, "training": training},
                "grid": grid,
                "evaluate": {"documents": 6, "draws": 2},
                "sample": {"samples": 3, "length": 8, "batches": [1]},
                **plan,
            }
        )

    return make
