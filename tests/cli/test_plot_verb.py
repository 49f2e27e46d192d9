"""``unmask plot``: every picture that a run has something for, a reason for the others, one line for a mistake."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from unmask.api.plot import plot
from unmask.api.train import train
from unmask.training.recipe import Recipe, load_recipe

ALL = ["metrics", "levels", "patches", "discs", "spheres", "transitions"]
SMALL = {
    "data.tokenizer": "bytes",
    "data.length": 48,
    "data.valid_fraction": 0.2,
    "backbone.hidden_size": 16,
    "backbone.num_hidden_layers": 1,
    "backbone.num_attention_heads": 2,
    "backbone.decoder_memory_dim": 16,
    "backbone.intermediate_size": 24,
    "backbone.patch_size": 4,
    "backbone.entropy_order": 3,
    "backbone.latent": "wubu",
    "backbone.wubu": "{num_levels: 2, hyperbolic_dims: [8, 2]}",
    "backbone.dropout": 0.1,
    "training.max_steps": 6,
    "training.per_device_train_batch_size": 2,
    "training.valid_blocks": 2,
    "training.eval_steps": 4,
    "training.logging_steps": 2,
    "training.warmup_steps": 0,
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recipe]:
    """A byte network of two nested levels, small enough to train in a second."""
    text = tmp_path_factory.mktemp("text") / "text.jsonl"
    words = ("cat", "dog", "fox", "owl", "hen")
    rows = (f"The {words[i % 5]} number {i} met a {words[i * 3 % 5]} on day {i * i}. " * 3 for i in range(60))
    text.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")

    def make(**more: Any) -> Recipe:
        given = {"data.source": text, **SMALL, **{key.replace("__", "."): value for key, value in more.items()}}
        return load_recipe("nano-bytes", [f"{key}={value}" for key, value in given.items()])

    return make


@pytest.fixture(scope="module")
def nested(recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run that drew itself after step 4."""
    return train(recipe(training__plot_every=4), output=tmp_path_factory.mktemp("nested") / "run").path


@pytest.fixture(scope="module")
def drawn(nested: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What the verb said of that run, and where it drew."""
    from unmask.cli.app import run

    folder, out = tmp_path_factory.mktemp("drawn"), io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["plot", str(nested), "--output", str(folder), "--json"]) == 0
    return json.loads(out.getvalue()), folder


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        picture.load()
        greys = len(picture.convert("L").getcolors())
        return picture.format == "PNG" and min(picture.size) > 150 and greys > 8


def test_a_run_of_nested_levels_has_every_picture(nested, drawn):
    found, folder = drawn
    assert found["missing"] == {} and found["run"] == str(nested) and found["name"] == nested.name
    assert found["files"] == [str(folder / f"{name}.png") for name in ALL]
    assert all(is_picture(folder / f"{name}.png") for name in ALL)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.png" for name in ALL)
    assert found["text"].endswith("text.jsonl, held out")


def test_what_is_drawn_of_curvature_scale_and_spread_is_what_the_network_told(nested):
    from unmask.pictures.metrics import bends
    from unmask.training.run import Run

    run = Run.open(nested)
    rows = [row for row in run.metrics() if "loss" in row]
    assert [row["step"] for row in rows] == [2, 4, 6]
    found = bends(run.metrics())
    assert list(found) == ["curvature", "scale", "spread"]
    for name, levels in found.items():
        assert len(levels) == 2
        for number, level in enumerate(levels):
            assert level.steps.tolist() == [2, 4, 6]
            assert level.values.tolist() == [row[f"network.{name}.{number}"] for row in rows]
            assert len(set(level.values)) > 1, "it learns"
    last = {level: part.c.item() for level, part in enumerate(run.model("cpu").latent_stack.stack.levels)}
    for number, curvature in last.items():
        assert found["curvature"][number].values[-1] == pytest.approx(curvature, abs=0.01)


def test_training_draws_when_asked_and_ends_with_the_same_weights(nested, drawn, recipe, tmp_path):
    assert sorted(path.stem for path in (nested / "plots").iterdir()) == sorted([*ALL, "step-4"])
    assert sorted(path.stem for path in (nested / "plots" / "step-4").iterdir()) == sorted(ALL)
    for name in ALL:  # the last pictures are those that the verb draws, and none depends on chance
        at_the_end = (nested / "plots" / f"{name}.png").read_bytes()
        assert at_the_end == (drawn[1] / f"{name}.png").read_bytes(), name
        assert at_the_end != (nested / "plots" / "step-4" / f"{name}.png").read_bytes() or name == "patches"
    train(recipe(), output=tmp_path / "plain")
    assert not (tmp_path / "plain" / "plots").exists()
    assert "plot_every" not in (tmp_path / "plain" / "recipe.yaml").read_text()
    with_pictures, plain = (load_file(folder / "model.safetensors") for folder in (nested, tmp_path / "plain"))
    assert all(bool((with_pictures[name] == plain[name]).all()) for name in plain)


def test_pictures_that_cannot_be_drawn_stop_no_training(recipe, tmp_path, monkeypatch, capsys):
    from unmask.errors import Error

    module = importlib.import_module("unmask.pictures.run")

    def full(*given: Any) -> None:
        raise Error("the disk is full.")

    monkeypatch.setattr(module, "draw_run", full)
    run = train(recipe(training__plot_every=2, training__max_steps=4), output=tmp_path / "run")
    assert run.manifest["status"] == "finished"
    said = capsys.readouterr().err
    assert said.count("no pictures in") == 2 and "the disk is full." in said


def test_a_run_of_another_backbone_has_its_metrics_and_hears_of_no_picture_that_it_cannot_have(cli, tiny_run, tmp_path):
    ran = cli("plot", tiny_run, "--output", tmp_path)
    assert (
        ran.status == 0 and ran.out.split() == [str(tmp_path / "metrics.png")] and is_picture(tmp_path / "metrics.png")
    )
    assert not any(word in ran.err for word in ("levels", "patches", "discs", "spheres", "transitions"))


def test_patches_are_drawn_whatever_stands_between_them(cli, recipe, tmp_path):
    given = {"backbone__latent": "none", "backbone__patcher": "whitespace", "training__max_steps": 2}
    run = train(recipe(**given), output=tmp_path / "run")
    (tmp_path / "mine.txt").write_text("One line of text, नमस्ते.", encoding="utf-8")
    ran = cli("plot", run.path, "--text", tmp_path / "mine.txt")
    assert ran.status == 0 and [Path(line).stem for line in ran.out.split()] == ["metrics", "patches"]
    assert Path(ran.out.split()[0]).parent == run.path / "plots" and is_picture(run.path / "plots" / "patches.png")
    assert "discs" not in ran.err and "mine.txt" in ran.err
    from_file = (run.path / "plots" / "patches.png").read_bytes()
    assert plot(run.path, text="One line of text, नमस्ते.").text == "the text given"
    assert (run.path / "plots" / "patches.png").read_bytes() == from_file


def test_a_run_without_weights_has_the_pictures_of_its_metrics(cli, nested, tmp_path):
    shutil.copytree(nested, tmp_path / "run", ignore=shutil.ignore_patterns("*.safetensors", "plots", "checkpoints"))
    ran = cli("plot", tmp_path / "run")
    assert ran.status == 0 and [Path(line).stem for line in ran.out.split()] == ["metrics", "levels"]
    assert "no patches, discs, spheres, transitions: there are no weights yet." in ran.err


def test_where_the_corpus_is_gone_a_built_in_text_is_drawn(nested, tmp_path):
    from unmask.pictures.run import BUILT_IN, shown_texts
    from unmask.training.run import Run

    shutil.copytree(nested, tmp_path / "run", ignore=shutil.ignore_patterns("plots", "checkpoints"))
    for told in ("recipe.yaml", "run.json"):  # the name of the text, and the place that it stood for
        file = tmp_path / "run" / told
        file.write_text(file.read_text().replace("text.jsonl", "gone.jsonl"))
    texts, source = shown_texts(Run.open(tmp_path / "run"))
    assert texts == [BUILT_IN] and "a built-in one" in source and "gone.jsonl" in source


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["NOWHERE"], "there is no run folder"),
        (["EMPTY"], "is not a run folder"),
        (["RUN", "--text", ""], "the text given is empty"),
        (["RUN", "--text", "BLANK"], "is empty; give one with letters in it."),
        (["RUN", "--text", "LATIN"], "is not UTF-8"),
        (["RUN", "--text", "\udc80"], "is not UTF-8"),
        (["RUN", "--output", "BLANK"], "give another folder with --output."),
        (["RUN", "--output", "BELOW"], "give another folder with --output."),
        (["UNLOGGED"], "has no metrics"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(cli, nested, tmp_path, given, line):
    (tmp_path / "blank.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "empty").mkdir()
    shutil.copytree(
        nested, tmp_path / "unlogged", ignore=shutil.ignore_patterns("metrics.jsonl", "plots", "checkpoints")
    )
    places = {
        "RUN": nested,
        "NOWHERE": tmp_path / "nowhere",
        "EMPTY": tmp_path / "empty",
        "BLANK": tmp_path / "blank.txt",
        "LATIN": tmp_path / "latin.txt",
        "BELOW": tmp_path / "blank.txt" / "below",
        "UNLOGGED": tmp_path / "unlogged",
    }
    ran = cli("plot", *[places.get(part, part) for part in given])
    assert ran.status == 2 and ran.out == ""
    assert ran.err.splitlines()[-1].startswith("error: ") and line in ran.err.splitlines()[-1]
