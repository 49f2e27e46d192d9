"""What is shown of a run elsewhere has names, and no folders of the machine that it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unmask.api.export import export
from unmask.api.public import public_manifest, public_name, public_recipe
from unmask.training.recipe import parse_recipe

pytestmark = pytest.mark.strangers


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/home/ada/texts/a.jsonl", "a.jsonl"),
        ("../../ada/a.jsonl", "a.jsonl"),
        ("~/texts/*.txt", "*.txt"),
        ("hf:owner/name:config@split", "hf:owner/name:config@split"),
        ("hf:owner/name,/home/ada/b.jsonl, ~/c.txt", "hf:owner/name,b.jsonl,c.txt"),
        ("pydocs", "pydocs"),
        ("/", "/"),
    ],
)
def test_a_place_becomes_a_name(place: str, name: str) -> None:
    assert public_name(place) == name


def test_a_recipe_and_a_manifest_keep_everything_but_places_and_keys_to_services() -> None:
    recipe = parse_recipe(
        {
            "about": "a/b testing, 1/2",
            "data": {"source": "/home/ada/a.jsonl", "valid": "home/valid.txt", "tokenizer": "/home/ada/toks/mine"},
            "process": {"name": "sparse", "candidates": 3},
            "backbone": {"memory_width": 64, "memory_slots": 2, "name": "eco"},
            "evidence": {"index": "/home/ada/index", "query": 8},
            "training": {"hub_token": "hf_secret", "run_name": "/home/ada/x"},
        }
    )
    shown = public_recipe(recipe)
    assert "home" not in shown.to_yaml() and "secret" not in shown.to_yaml()
    assert (shown.data.source, shown.data.valid, shown.data.tokenizer) == ("a.jsonl", "valid.txt", "mine")
    assert shown.about == recipe.about and shown.evidence is not None and shown.evidence.index == "index"
    manifest = {"corpus": "/home/ada/a", "corpus_at": {"source": "/home"}, "training_flops_per_token": 3, "n": ["/a/b"]}
    assert public_manifest(manifest) == {"corpus": "a", "training_flops_per_token": 3, "n": ["b"]}


def test_what_a_tracker_left_in_the_run_folder_is_not_given_away(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    for folder in ("wandb", "mlruns", "logs"):
        (tmp_path / "run" / folder).mkdir()
        (tmp_path / "run" / folder / "args.json").write_text('{"output_dir": "/home/ada"}')
    files = export(tmp_path / "run", tmp_path / "out").files
    assert not [name for name in files if "args.json" in name]
