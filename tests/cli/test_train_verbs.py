"""``unmask train`` and ``unmask recipes`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

SMALL = [
    "-o data.tokenizer=bytes",
    "-o data.length=32",
    "-o backbone.hidden_size=16",
    "-o backbone.num_hidden_layers=1",
    "-o backbone.num_attention_heads=2",
    "-o training.max_steps=2",
    "-o training.valid_blocks=0",
]


def options() -> list[str]:
    return " ".join(SMALL).split()


def test_dry_run_prints_the_resolved_recipe_and_trains_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = cli("train", "nano-masked", "-o", "training.lr=3e-4", "--dry-run")
    recipe = yaml.safe_load(ran.out.split("parameters  ")[0])
    assert recipe["training"]["learning_rate"] == 3e-4
    assert "1,016,960" in ran.out and "FLOPs" in ran.out and "MiB" in ran.out
    assert not list(tmp_path.iterdir())
    as_json = json.loads(cli("train", "nano-masked", "--dry-run", "--json").out)
    assert as_json["parameters"] == 1016960


def test_trained_run_has_weights_where_scripts_expect_them(cli, tmp_path):
    text = tmp_path / "text.jsonl"
    text.write_text("".join(json.dumps({"text": f"line {i} of a small text " * 5}) + "\n" for i in range(50)))
    ran = cli("train", "nano-causal", "-o", f"data.source={text}", *options(), "--output", tmp_path / "run", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["status"] == "finished"
    assert (tmp_path / "run" / "model.safetensors").is_file()
    again = cli("train", "nano-causal", "-o", f"data.source={text}", *options(), "--output", tmp_path / "run")
    assert again.status == 2
    assert "already holds a run" in again.err


def test_recipes_are_listed_shown_and_copied(cli, tmp_path):
    assert "nano-masked" in cli("recipes").out
    names = [line["name"] for line in json.loads(cli("recipes", "--json").out)["recipes"]]
    assert {"nano-causal", "stories-small-masked", "tinystories-masked"} <= set(names)
    shown = yaml.safe_load(cli("recipes", "nano-masked").out)
    assert shown["process"]["name"] == "masked"
    target = Path(tmp_path / "mine.yaml")
    assert cli("recipes", "nano-masked", "--copy", target).status == 0
    assert yaml.safe_load(target.read_text()) == shown
    refused = cli("recipes", "nano-masked", "--copy", target)
    assert refused.status == 2 and "exists" in refused.err


def test_an_old_name_in_a_recipe_is_read_and_told_once(cli):
    ran = cli("train", "nano-causal", "-o", "qcontroller=seed", "--dry-run")
    assert ran.status == 0 and "name: original" in ran.out
    assert ran.err.count("warning: qcontroller: seed is now called qcontroller: original") == 1
