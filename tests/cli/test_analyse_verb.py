"""``unmask thoughts analyse``: one JSON object, a page without outside resources, every number beside a control."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import unmask
from unmask.evaluation.trajectories import Trajectory

QUICK = ["--n", "3", "--steps", "12", "--every", "4", "--documents", "12", "--draws", "1"]


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with thoughts, trained for two steps."""
    from unmask.training.recipe import load_recipe
    from unmask.training.train import train

    folder = tmp_path_factory.mktemp("thinker")
    words = ("cat", "dog", "fox", "owl", "hen")
    rows = (f"The {words[i % 5]} is no {words[i * 3 % 5]}. It ate {i} figs & left at {i * i}." for i in range(120))
    text = folder / "text.jsonl"
    text.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    tiny = {
        "data.source": text,
        "data.tokenizer": "bytes",
        "data.length": 48,
        "data.valid_fraction": 0.2,
        "backbone.hidden_size": 16,
        "backbone.num_hidden_layers": 1,
        "backbone.num_attention_heads": 2,
        "backbone.intermediate_size": 32,
        "backbone.match": "null",
        "thought.shape": "[2,2,4]",
        "thought.passage": 24,
        "thought.stack": 2,
        "training.max_steps": 2,
        "training.per_device_train_batch_size": 4,
        "training.valid_blocks": 0,
        "training.warmup_steps": 0,
    }
    train(load_recipe("nano-thought", [f"{key}={value}" for key, value in tiny.items()]), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def found(thinker: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """What the verb printed, and its folder."""
    import contextlib
    import io

    from unmask.cli.app import run

    folder = tmp_path_factory.mktemp("page")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run(["thoughts", "analyse", str(thinker), *QUICK, "--json", "--output", str(folder)]) == 0
    return json.loads(out.getvalue()), folder


def test_every_measure_of_the_original_is_a_row_beside_a_control(found):
    said, _ = found
    groups = {row["group"] for row in said["measures"]}
    assert groups == {"compression", "stability", "alignment", "diversity", "likelihood", "infilling", "coherence"}
    for row in said["measures"]:
        assert row["controls"] if row["value"] is not None else row["note"], row
    by_name = {row["name"]: row for row in said["measures"]}
    assert set(by_name["bits per byte of later passages"]["controls"]) == {"absent", "zeroed", "shuffled", "random"}
    kept = by_name["R^2, ridge probe"]
    assert kept["value"] <= 1 and kept["controls"]["shuffled"] < kept["value"]
    assert by_name["ratio, ridge probe"]["value"] == pytest.approx(kept["value"] * 2), "half of the numbers are kept"
    assert by_name["BLEU"]["controls"]["removed text"] == pytest.approx(100)
    assert by_name["bits per byte"]["controls"]["uniform bytes"] == 8
    assert {"collapsed", "why"} == set(said["collapse"])
    assert (said["source"], said["split"]) != ("", "") and said["documents"] == 12


def test_trajectories_are_thinned_and_end_with_the_text(found):
    said, _ = found
    assert len(said["texts"]) == 3 and said["settings"]["steps"] == 12
    for text in said["texts"]:
        steps = [moment["step"] for moment in text["moments"]]
        assert all(b - a >= 4 for a, b in zip(steps[:-2], steps[1:-1], strict=True)) and steps[-1] <= 12
        last = text["moments"][-1]
        assert last["open"] == last["level"] == 0 and last["text"] == text["text"]
        assert last["to_end"] == pytest.approx(1) and text["moments"][0]["velocity"] is None


def test_the_page_stands_alone_and_texts_in_it_are_escaped(found):
    said, folder = found
    names = ["thoughts.html", "thoughts.json", "text-1.svg", "text-2.svg", "text-3.svg", "paths.svg"]
    assert said["files"] == [str(folder / name) for name in names]
    html = (folder / "thoughts.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", html) and "@import" not in html
    assert html.count("<img") == html.count('alt="') == 4
    assert "effective directions" in html and "random projection" in html
    assert json.loads((folder / "thoughts.json").read_text(encoding="utf-8"))["texts"] == said["texts"]
    for name in names[2:]:
        assert "<svg" in (folder / name).read_text(encoding="utf-8")


def test_a_text_is_the_same_whatever_n_and_the_table_can_be_left_out(cli, thinker, found):
    said, _ = found
    one = unmask.thoughts_analyse(thinker, n=1, steps=12, table=False)
    assert one.texts[0].text == said["texts"][0]["text"] and one.measures == [] and one.collapse is None
    ran = cli("thoughts", "analyse", thinker, "--n", 1, "--steps", 12, "--no-table")
    assert ran.status == 0 and "velocity" in ran.out and "compression" not in ran.out


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--n", "0"], "n is 0"),
        (["--every", "0"], "every is 0"),
        (["--steps", "0"], "steps is 0"),
        (["--sampler", "autoregressive"], "autoregressive"),
        (["--source", "nowhere"], "no data source 'nowhere'"),
        (["--output", "FILE"], "is a file; give a folder."),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(cli, thinker, tmp_path, given, line):
    (tmp_path / "file").write_text("")
    ran = cli("thoughts", "analyse", thinker, *[tmp_path / "file" if part == "FILE" else part for part in given])
    assert ran.status == 2 and ran.out == ""
    assert ran.err.splitlines()[-1].startswith("error: ") and line in ran.err.splitlines()[-1]


def test_a_run_without_thoughts_is_refused(cli, tiny_masked_run):
    ran = cli("thoughts", "analyse", tiny_masked_run)
    assert ran.status == 2 and "has no thoughts" in ran.err


def test_the_heat_map_holds_beliefs_between_answers_and_sorts_cells_by_their_end():
    from unmask.pictures.thought_courses import cell_values

    believed = np.zeros((2, 3, 2))
    believed[0, :, 0], believed[1, :, 0] = [0, 0, 0], [-1, 5, 2]
    nothing, cells = np.zeros(2), np.zeros((3, 3, 2))
    each = Trajectory(np.array([2, 4]), nothing, nothing, cells, believed, believed[0], ("", ""), "", False)
    values = cell_values(each)
    assert values.shape == (3, 4), "a column a step"
    assert (values[:, 0] == values[:, 1]).all() and (values[:, 1] == values[:, 2]).all()
    assert values[:, 3] == pytest.approx([4, 1, -2]), "sorted, the mean of all taken away"
