"""The benchmarks run, tiny and offline, and tell the truth about what they compared. No time is asserted."""

from __future__ import annotations

import importlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMAND = re.compile(r"python -m (benchmarks(?:\.[a-z_]+)+)\b(?!\.[A-Z])")
STUB = """
import torch
class TrainerConfig:
    def __init__(self, **given): self.rows = given["per_device_batch_size"]
class DiffusionTrainer:
    def __init__(self, config, train_dataset):
        self.model, self.rows, self.data = torch.nn.Linear(3, 3), config.rows, train_dataset
    def train(self):
        for row in range(10**9): self.data[row]
"""
"""A package that trains as hedgehog-dlm does, and learns nothing."""
RULES = {"count", "entropy", "threshold", "profile", "stable"}
WORDS = "the cat sat on a mat and saw one small bird sing in the old tree by the river".split()


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def bench():
    """Run a benchmark script in this process."""

    def call(script: str, *arguments: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = importlib.import_module(f"benchmarks.{script}").main(["--quick", *map(str, arguments)])
        return Ran(status, out.getvalue(), err.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield call


@pytest.fixture(scope="module")
def results(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    ran = bench("speed.__main__", "--results", folder)
    assert ran.status == 0, ran.err
    return ran.out, {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_every_benchmark_runs_and_says_what_it_was_taken_on(results):
    printed, stored = results
    names = {
        "startup",
        "train_step",
        "trainer_overhead",
        "train_memory",
        "ancestral_skip",
        "answers",
        "ar_cache",
        "byte_cache",
        "eco_parts",
        "eco_scaling",
        "serve",
        "serve_memory",
        "sparse_cost",
        "wubu_cost",
    }
    assert set(stored) == names
    for name, result in stored.items():
        assert f"## {name}" in printed
        assert result["command"].startswith(f"python -m benchmarks.speed --only {name}")
        assert result["hardware"]["cpu"] and result["hardware"]["cores"] and result["hardware"]["threads"]
        assert result["versions"]["torch"] and result["date"]
        assert all(row["repeats"] == len(row["samples"]) > 0 and min(row["samples"]) > 0 for row in result["rows"])
    assert "skipped: it needs a trained masked run" in printed
    assert "skipped: it needs a folder with the peers" in printed


def test_rivals_have_the_same_parameters_and_samplers_write_the_same_text(results):
    _, stored = results
    parameters = stored["train_step"]["settings"]["parameters"]
    assert parameters["ours"] == parameters["plain, our layers"]
    assert parameters["plain, GPT style"] == pytest.approx(parameters["ours"], rel=0.05)
    for name in ("ancestral_skip", "ar_cache", "byte_cache"):
        shares = [goal["median"] for goal in stored[name]["goals"] if "the same" in goal["promise"]]
        assert shares and set(shares) == {100.0}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_against_measures_the_other_tree_and_says_what_is_not_there(bench, tmp_path):
    from benchmarks.lib.against import compare

    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "src", repository / "src", ignore=shutil.ignore_patterns("__pycache__"))

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True
        )

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "before there was a command line")
    command_line = repository / "src" / "unmask" / "cli" / "app.py"
    kept = command_line.read_text(encoding="utf-8")
    command_line.write_text("", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message", "no command line")
    command_line.write_text(kept, encoding="utf-8")
    quick = ["--quick", "--repeats", "1"]
    rows = compare("HEAD~1", ["startup"], 1, quick, repository)["benchmarks"]["startup"]
    assert {row["case"] for row in rows} >= {"python alone", "import unmask", "unmask --help"}
    assert all(row["old time / new"] > 0 for row in rows)
    (row,) = compare("HEAD", ["startup"], 1, quick, repository)["benchmarks"]["startup"]
    assert "not there in the old source" in row["verdict"]
    assert not list((repository / ".git").glob("worktrees/*"))


def test_a_revision_that_does_not_exist_is_one_line(bench, tmp_path):
    ran = bench("speed.__main__", "--against", "no-such-revision", "--only", "startup", "--results", tmp_path)
    assert ran.status == 2
    assert ran.err.strip().count("\n") == 0 and "give a revision" in ran.err


def test_a_peer_that_is_not_there_is_told_and_none_at_all_is_one_line(bench, tmp_path):
    ran = bench("speed.__main__", "--only", "peers", "--peers", tmp_path)
    assert ran.status == 2 and "has none of telos-ml" in ran.err.splitlines()[-1]
    (tmp_path / "hedgehog").mkdir()
    (tmp_path / "hedgehog" / "trainers.py").write_text(STUB, encoding="utf-8")
    (tmp_path / "hedgehog_dlm-0.2.0.dist-info").mkdir()
    (tmp_path / "hedgehog_dlm-0.2.0.dist-info" / "METADATA").write_text("Name: hedgehog-dlm\nVersion: 0.2.0\n")
    place = ("--results", tmp_path / "results")
    ran = bench("speed.__main__", "--only", "peers", "--peers", tmp_path, "--repeats", 1, *place)
    assert ran.status == 0, ran.err
    assert "telos-ml is not in the folder: left out" in ran.out
    stored = json.loads((tmp_path / "results" / "peers.json").read_text())
    assert {row["case"] for row in stored["rows"]} == {"ours, fp32", "ours, bf16", "hedgehog-dlm"}
    assert stored["settings"]["versions"] == {"hedgehog-dlm": "0.2.0"}
    table = {row["case"]: row for row in stored["tables"]["what each case trains"]}
    assert table["hedgehog-dlm"]["parameters"] == "12" and table["ours, fp32"]["parameters"] == "19,936"


def test_gpu_pieces_run_from_token_files_alone_and_go_on_where_they_stopped(bench, tmp_path):
    rng = random.Random(0)
    text = tmp_path / "text.jsonl"
    documents = ({"text": " ".join(rng.choices(WORDS, k=60))} for _ in range(200))
    text.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    places = ["--data", tmp_path / "tokens", "--runs", tmp_path / "runs", "--results", tmp_path / "results"]
    ran = bench("speed.gpu", "--piece", "prepare", "--source", text, *places)
    assert ran.status == 0, ran.err
    text.unlink()
    late = bench("speed.gpu", "--piece", "speed", "--minutes", "0.1", *places)
    assert late.status == 3 and "call again" in late.err
    ran = bench("speed.gpu", *places)
    assert ran.status == 0, ran.err
    tables = json.loads((tmp_path / "results" / "gpu.json").read_text())["tables"]
    for name, bound in (("causal", "exact"), ("masked", "upper bound")):
        (row,) = tables[f"training {name}"]
        assert row["status"].startswith("finished") and row["bound"] == bound
        assert (tmp_path / "runs" / f"tinystories-{name}" / "model.safetensors").is_file()
    assert {row["sampler"] for row in tables["sampling"]} == {"autoregressive", "confidence", "ancestral"}
    assert all(row["judge, bits per byte"] > 0 for row in tables["sampling"])


def test_samplers_are_compared_at_their_network_calls(bench):
    ran = bench("studies.sampling.equal_calls")
    assert ran.status == 0 and all(f"## {world}: " in ran.out for world in ("hmm", "markov", "phrases"))
    rows = [line.split(" | ") for line in ran.out.splitlines() if line.endswith(" |") and "total variation" not in line]
    assert {name.split()[0] for *_, name in rows if name.strip("| -")} >= {"ancestral", "entropy-bound", "remasking"}


def test_rules_of_acceptance_are_compared_at_their_network_calls(bench):
    ran = bench("studies.few_steps.acceptance")
    assert ran.status == 0, ran.err
    told = json.loads(ran.out)
    assert all({row["rule"] for row in own["rows"]} >= RULES for own in told["worlds"].values())
    assert all(own["count"]["calls"] == own["words"] and set(own) > RULES for own in told["saved"])


def test_the_frontier_reads_what_it_says_and_its_control_loses(bench):
    ran = bench("studies.roots_frontier.frontier")
    assert ran.status == 0, ran.err
    rows = [line.strip("| ").split(" | ") for line in ran.out.splitlines() if line.startswith("| pydocs | ")]
    found = {(row[1], row[2]): row for row in rows if len(row) == 15}
    assert float(found["flat, float32", "all"][7]) > 0.999
    ours, chance = (found[f"ROOTS {name}, moments", "20%"] for name in ("kmeans", "random shelves (control)"))
    assert ours[4] == chance[4] and float(ours[7]) > float(chance[7]) + 0.1


def test_what_was_stored_today_is_left_out_when_a_stopped_run_goes_on(bench, tmp_path):
    only = ("--only", "wubu_cost", "--results", tmp_path, "--go-on")
    assert "wubu_cost (1 of 1)" in bench("speed.__main__", *only).err
    stored = (tmp_path / "wubu_cost.json").read_bytes()
    assert "wubu_cost was stored today" in bench("speed.__main__", *only).err
    assert (tmp_path / "wubu_cost.json").read_bytes() == stored


def test_controllers_are_compared_with_chance_and_rivals(bench):
    ran = bench("studies.qcontroller.rates")
    assert ran.status == 0, ran.err
    assert all(
        f"| {way} |" in ran.out for way in ("original at random", "random", "best fixed action", "prodigy, cosine")
    )


def test_every_module_says_what_it_does_and_takes_before_it_imports_torch(bench, tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("speed", "studies")
        for path in (ROOT / "benchmarks" / folder).rglob("*.py")
        if not path.name.startswith("__")
    )
    help_of = importlib.import_module("benchmarks.lib.help").told
    assert len(modules) > 50 and all(len(help_of(module).splitlines()[0]) > 20 for module in modules)
    for module, option in (("studies.eco.ablate", "--length"), ("speed.gpu", "--piece"), ("speed", "--go-on")):
        command = [sys.executable, "-m", f"benchmarks.{module}", "--help"]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0 and option in done.stdout, done.stderr


def test_a_command_that_a_page_or_a_result_gives_is_a_module_that_is_there():
    files = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/**/*.*"),
        *ROOT.glob("src/**/*.py"),
    ]
    named = {
        name
        for path in files
        if path.suffix in (".md", ".py", ".json", ".yaml")
        for name in COMMAND.findall(path.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    for name in named:
        place = ROOT.joinpath(*name.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), name


def test_a_run_that_is_adapted_has_a_curve_and_texts_of_every_way(bench, tmp_path):
    from benchmarks.lib.untrained import vocabulary, write_untrained

    run = write_untrained("causal", tmp_path / "causal", vocabulary(True), True)
    for name in ("train", "valid"):
        lines = (json.dumps({"text": f"{name} {i}: {' '.join(WORDS[i % 7 :])}"}) + "\n" for i in range(80))
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    places = ["--source", tmp_path / "train.jsonl", "--valid", tmp_path / "valid.jsonl"]
    ran = bench("studies.adapt.curve", run.path, *places, "--rows", 2, "-o", "process.block_size=8")
    assert ran.status == 0, ran.err
    rows = [line.strip("| ").split(" | ") for line in ran.out.splitlines()]
    first = next(row for row in rows if row[0] == "0")
    assert float(first[1]) == pytest.approx(float(first[4]), abs=2e-4)  # blocks of one word: the chain rule
    assert {row[0] for row in rows if len(row) == 3} >= {"causal: left to right", "adapted: blocks of 4, 2 calls"}
