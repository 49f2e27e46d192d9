"""``unmask adapt`` from the shell: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest

from unmask.training.run import Run

SMALL = ["-o", "training.max_steps=2", "-o", "process.block_size=4", "-o", "training.valid_blocks=4"]


def test_a_run_is_adapted_and_told_what_its_left_to_right_side_kept(cli, tiny_run, tmp_path):
    ran = cli("adapt", tiny_run, *SMALL, "--output", tmp_path / "run", "--keep-causal", "1000")
    assert ran.status == 0, ran.err
    assert "left to right: " in ran.err and "before, " in ran.err
    assert "of blocks)" in ran.err and "next: unmask sample" in ran.err
    assert cli("sample", tmp_path / "run", "--prompt", "The", "--max-tokens", "4").status == 0


def test_a_side_that_lost_too_much_ends_with_status_1(cli, tiny_run, tmp_path):
    fast = ["-o", "training.learning_rate=1", "-o", "training.ema=null", "-o", "training.max_steps=3"]
    ran = cli("adapt", tiny_run, *SMALL, *fast, "--output", tmp_path / "run", "--keep-causal", "0", "--json")
    assert ran.status == 1 and "lost more than 0.0%" in ran.err
    assert set(json.loads(ran.out)["adapted"]) == {"causal_before", "causal_after"}


def test_an_interrupted_one_is_continued_by_the_same_command(cli, tiny_run, tmp_path, monkeypatch):
    stopped = Run.open(tiny_run)
    stopped.manifest["status"] = "interrupted"
    monkeypatch.setattr("unmask.api.adapt.adapt", lambda *given, **more: stopped)
    ran = cli("adapt", tiny_run, *SMALL, "--output", tmp_path / "run")
    assert ran.status == 130
    said = next(line for line in ran.err.splitlines() if line.startswith("continue with: "))
    assert said == f"continue with: unmask adapt {tiny_run} {' '.join(SMALL)} --output {tiny_run} --resume"


def test_a_dry_run_prints_the_recipe_and_writes_nothing(cli, tiny_run, tmp_path):
    ran = cli("adapt", tiny_run, "-o", "process=masked", "--output", tmp_path / "run", "--dry-run")
    assert ran.status == 0 and "name: masked" in ran.out and "begins with       the weights of" in ran.out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["nowhere"], "nowhere"),
        (["RUN", "-o", "process=spare"], "not spare"),
        (["RUN", "-o", "training.valid_blocks=0", "--keep-causal", "0.1"], "--keep-causal compares held-out blocks"),
        (["RUN", "--keep-causal", "-1"], "keep-causal"),
    ],
)
def test_a_mistake_is_one_line(cli, tiny_run, tmp_path, given, why):
    given = [tiny_run if one == "RUN" else one for one in given]
    ran = cli("adapt", *given, "--output", tmp_path / "run")
    assert ran.status == 2 and why in ran.err and ran.err.strip().count("\n") == 0
    assert not (tmp_path / "run").exists()
