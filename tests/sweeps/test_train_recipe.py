"""A recipe with evidence and pictures is trained to the same weights by ``train``, a sweep and the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import unmask
from unmask.api import demo as demo_module
from unmask.api.index import build_index
from unmask.errors import Error
from unmask.sweeps.executors import Rows
from unmask.sweeps.expand import expand
from unmask.sweeps.plan_files import parse_plan
from unmask.sweeps.sweep import train_rows
from unmask.training.recipe import load_recipe
from unmask.training.train import train
from unmask.workers import HERE


class Trained(Exception):
    """The demo has trained, and its text would be read."""


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a small recipe with evidence and pictures."""
    root = tmp_path_factory.mktemp("evidence")
    words = "river stone garden letter window silver morning answer signal number".split()
    rows = (f"The {words[i % 10]} keeps a {words[i * 3 % 10]} near the {words[i * 7 % 10]} of {i}. " for i in range(60))
    (root / "text.jsonl").write_text("".join(f'{{"text": "{row * 3}"}}\n' for row in rows), encoding="utf-8")
    build_index(str(root / "text.jsonl"), root / "index", shelves=2, embedder="wordllama-64")
    return [
        f"data.source={root / 'text.jsonl'}",
        "data.tokenizer=bytes",
        "data.length=64",
        f"evidence={{index: {root / 'index'}, texts: 2, query: 16}}",
        "backbone={hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}",
        "backbone.memory_width=64",
        "training={max_steps: 2, per_device_train_batch_size: 2, valid_blocks: 0, threads: 1, plot_every: 1}",
    ]


def test_train_sweep_and_demo_train_it_the_same(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unmask.train("demo-masked", overrides, output=tmp_path / "run")
    assert run.manifest["evidence"] and (run.path / "plots" / "step-1").is_dir()

    plan = parse_plan({"name": "one", "recipes": ["demo-masked"]})
    rows = expand(plan, overrides)
    train_rows(plan, rows, tmp_path / "sweep", Rows(HERE), print)

    def read(run: object) -> None:
        raise Trained

    monkeypatch.setattr(demo_module, "held_out_sentences", read)
    with pytest.raises(Trained):
        unmask.demo(tmp_path / "demo", overrides=overrides)

    own = load_file(run.path / "model.safetensors")
    for folder in (tmp_path / "sweep" / "rows" / rows[0].id / "run", tmp_path / "demo" / "masked"):
        other = load_file(folder / "model.safetensors")
        assert own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)
        assert unmask.load_run(folder).manifest["evidence"] == run.manifest["evidence"]
        assert {path.name for path in (folder / "plots").rglob("*")} >= {"step-1", "metrics.png"}


def test_training_by_itself_knows_no_index_and_says_who_does(overrides: list[str], tmp_path: Path) -> None:
    with pytest.raises(Error, match="train it with unmask train"):
        train(load_recipe("demo-masked", overrides), tmp_path / "run")
