"""The benchmarks run, tiny and offline, and tell the truth about what they compared. No time is asserted."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORDS = "the cat sat on a mat and saw one small bird sing in the old tree by the river".split()


def bench(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--quick", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    done = bench("bench", "--results", folder)
    assert done.returncode == 0, done.stderr
    return done.stdout, {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_every_benchmark_runs_and_says_what_it_was_taken_on(results):
    printed, stored = results
    assert set(stored) == {"startup", "train_step", "trainer_overhead", "ancestral_skip", "ar_cache"}
    for name, result in stored.items():
        assert f"## {name}" in printed
        assert result["command"].startswith(f"python -m benchmarks.bench --only {name}")
        assert result["hardware"]["cpu"] and result["hardware"]["cores"] and result["hardware"]["threads"]
        assert result["versions"]["torch"] and result["date"]
        assert all(row["repeats"] == len(row["samples"]) > 0 and min(row["samples"]) > 0 for row in result["rows"])
    assert "skipped: it needs a trained masked run" in printed


def test_rivals_have_the_same_parameters_and_samplers_write_the_same_text(results):
    _, stored = results
    parameters = stored["train_step"]["settings"]["parameters"]
    assert parameters["ours"] == parameters["plain, our layers"]
    assert parameters["plain, GPT style"] == pytest.approx(parameters["ours"], rel=0.05)
    for name in ("ancestral_skip", "ar_cache"):
        shares = [goal["median"] for goal in stored[name]["goals"] if "the same" in goal["promise"]]
        assert shares and set(shares) == {100.0}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_against_measures_the_other_tree_and_says_what_is_not_there(tmp_path):
    old = tmp_path / "repository"
    shutil.copytree(ROOT / "src", old / "src", ignore=shutil.ignore_patterns("__pycache__"))
    sampler = old / "src" / "unmask" / "sampling" / "ancestral.py"
    sampler.write_text(
        sampler.read_text(encoding="utf-8").replace("class Ancestral", "class Forebear"), encoding="utf-8"
    )

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(old), "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "old")
    program = (
        "import json; from pathlib import Path; from benchmarks.against import compare; "
        "names, quick = ['startup', 'ancestral_skip'], ['--quick', '--repeats', '1']; "
        f"print(json.dumps(compare('HEAD', names, 1, quick, Path({str(old)!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["benchmarks"]
    assert {row["case"] for row in found["startup"]} == {"python alone", "import unmask", "unmask --help"}
    assert all(row["old time / new"] > 0 for row in found["startup"])
    assert "not there" in found["ancestral_skip"][0]["verdict"]
    assert not list((old / ".git" / "worktrees").glob("*"))


def test_a_revision_that_does_not_exist_is_one_line(tmp_path):
    done = bench("bench", "--against", "no-such-revision", "--only", "startup", "--results", tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0 and "give a revision" in done.stderr


def test_gpu_pieces_run_from_token_files_alone_and_go_on_where_they_stopped(tmp_path):
    rng = random.Random(0)
    text = tmp_path / "text.jsonl"
    documents = ({"text": " ".join(rng.choices(WORDS, k=60))} for _ in range(200))
    text.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    places = ["--data", tmp_path / "tokens", "--runs", tmp_path / "runs", "--results", tmp_path / "results"]
    done = bench("bench_gpu", "--piece", "prepare", "--source", text, *places)
    assert done.returncode == 0, done.stderr
    text.unlink()
    late = bench("bench_gpu", "--piece", "speed", "--minutes", "0.1", *places)
    assert late.returncode == 3 and "call again" in late.stderr
    done = bench("bench_gpu", *places)
    assert done.returncode == 0, done.stderr
    tables = json.loads((tmp_path / "results" / "gpu.json").read_text())["tables"]
    for name, bound in (("causal", "exact"), ("masked", "upper bound")):
        (row,) = tables[f"training {name}"]
        assert row["status"].startswith("finished") and row["bound"] == bound
        assert (tmp_path / "runs" / f"tinystories-{name}" / "model.safetensors").is_file()
    assert {row["sampler"] for row in tables["sampling"]} == {"autoregressive", "confidence", "ancestral"}
    assert all(row["judge, bits per byte"] > 0 for row in tables["sampling"])
