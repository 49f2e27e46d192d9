"""The verbs of ``unmask thoughts``: tables for people, one JSON object for programs, one line for a mistake."""

from __future__ import annotations

import json

import pytest

import unmask
from thought_runs import LONG, thought_run

QUICK = ("--steps", 3, "--seed", 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return thought_run(tmp_path_factory.mktemp("verbs") / "run")


def test_a_thought_is_saved_and_resumed_from_the_shell(cli, run, tmp_path):
    path, file = tmp_path / "t.safetensors", tmp_path / "text.txt"
    file.write_text(LONG, encoding="utf-8")
    saved = cli("thoughts", "save", run, "--prompt-file", file, "--output", path, "--json")
    assert saved.status == 0 and json.loads(saved.out) == unmask.thoughts_save(run, LONG, path).to_dict()
    ran = cli("thoughts", "resume", run, path, "--max-tokens", 10, *QUICK, "--json")
    whole = cli("sample", run, "--prompt", LONG, "--max-tokens", 10, *QUICK, "--json")
    assert json.loads(ran.out)["texts"] == json.loads(whole.out)["texts"]
    plain = cli("thoughts", "resume", run, path, "--max-tokens", 10, *QUICK, "-o", tmp_path / "2.safetensors")
    assert plain.out.startswith(LONG) and (tmp_path / "2.safetensors").is_file()
    short = cli("thoughts", "save", run, "--text", "the cat", "--output", path)
    assert "finished passages  thought 2 x 2 x 4" in short.out and "thoughts resume" in short.err


def test_a_way_between_two_texts_is_printed_point_by_point(cli, run):
    asked = ("thoughts", "interpolate", run, "the cat sat", "a red boat", "--points", 3, "-n", 2, *QUICK)
    ran = cli(*asked)
    lines = ran.out.splitlines()
    assert ran.status == 0 and [line.split()[0] for line in lines] == ["to", "0.00", "0.50", "1.00", "random"]
    assert "A and B themselves" in ran.err
    found = json.loads(cli(*asked, "--path", "linear", "--json").out)
    assert (
        found["path"] == "linear" and len(found["points"]) == 3 and set(found["ends"]) == {"thought", "words", "topic"}
    )


def test_steering_is_printed_beside_its_controls(cli, run):
    asked = ("thoughts", "steer", run, "--keywords", "cat,dog", "--strength", "0.5,1", "-n", 2, "--schedule", "late")
    ran = cli(*asked, *QUICK)
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == ["unsteered", *["steered", "random"] * 2]
    assert "says cat or dog" in ran.err
    found = json.loads(cli(*asked, *QUICK, "--json").out)
    assert found["schedule"] == "late" and [row["strength"] for row in found["rows"]] == [0, 0.5, 0.5, 1, 1]
    toward = cli("thoughts", "steer", run, "--toward", "the cat", "-n", 2, *QUICK)
    assert toward.status == 0 and "nearer to 'the cat' than to 'unsteered texts'" in toward.err


def test_hypotheses_are_printed_beside_what_one_is_worth(cli, run):
    asked = ("thoughts", "parallel", run, "--prompt", LONG, "--hypotheses", 3, "--draws", 2, *QUICK)
    ran = cli(*asked)
    assert ran.out.startswith(LONG) and ran.err.count("weight") == 3 and "taken at random" in ran.err
    found = json.loads(cli(*asked, "--blend", "--by", "confidence", "--json").out)
    assert found["text"] == found["blended"]["text"] and found["by"] == "confidence"


@pytest.mark.parametrize(
    "words, why",
    [
        (["save", "RUN", "--output", "t.safetensors"], "--text TEXT, or --prompt-file FILE"),
        (["save", "RUN", "--text", "a", "--prompt-file", "b", "--output", "t.safetensors"], "give the text to read"),
        (["resume", "RUN", "none.safetensors"], "there is no thought"),
        (["interpolate", "RUN", "a", "b", "--path", "straight"], "spherical or linear"),
        (["steer", "RUN", "--keywords", "a", "--strength", "much"], "no number"),
        (["steer", "RUN", "--keywords", "a", "--schedule", "soon"], "constant, early, late"),
        (["steer", "RUN", "--keywords", "a", "--where", "words"], "both, cells, belief"),
        (["parallel", "RUN", "--by", "luck"], "bound or confidence"),
        (["interpolat", "RUN"], "Did you mean 'interpolate'?"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(cli, run, words, why):
    ran = cli("thoughts", *(run if word == "RUN" else word for word in words))
    assert ran.status == 2 and ran.out == ""
    assert why in " ".join(ran.err.split()) and "Traceback" not in ran.err
