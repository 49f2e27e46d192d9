"""Seeds of a recipe are one row; rules decide on rows, and the shell learns it by the exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unmask.api.compare import compare
from unmask.errors import Error
from unmask.reports.decide import Evidence, decide, question, read_rules
from unmask.reports.entrants import gather
from unmask.reports.rows import CompareResult
from unmask.training.run import Run

QUICK = {"draws": 2, "samples": 4, "steps": (4,), "batches": (1,), "documents": 10, "judge": "n-gram", "length": 12}


def seeded(make_run, name: str, process: str, seeds: int) -> list[Path]:
    """Runs of one recipe with several seeds; their networks differ, as they are drawn from the seed."""
    folders = []
    for seed in range(seeds):
        folder = make_run(f"{name}-s{seed}", process, seed=seed)
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def result(make_run, tmp_path_factory) -> CompareResult:
    runs = [
        *seeded(make_run, "left", "causal", 3),
        *seeded(make_run, "hidden", "masked", 2),
        make_run("alone", width=20),
    ]
    folder = tmp_path_factory.mktemp("report")
    return compare(runs, folder, **QUICK)


def test_seeds_of_a_recipe_are_one_row_with_mean_and_spread(result: CompareResult):
    left, hidden, alone = result.rows
    assert [(row.name, row.seeds) for row in result.rows] == [("left", [0, 1, 2]), ("hidden", [0, 1]), ("alone", [0])]
    assert left.bits_per_byte == pytest.approx(np.mean(left.per_seed)) and len(set(left.per_seed)) == 3
    assert left.spread == pytest.approx(np.std(left.per_seed, ddof=1)) and alone.spread is None
    assert left.interval[0] < min(left.per_seed), "three seeds leave room beyond what was seen"
    assert any("one seed only: alone" in warning for warning in result.warnings)
    assert left.generation[0].spread["entropy"] > 0 and alone.generation[0].spread == {}
    page = (Path(result.folder) / "report.html").read_text()
    assert f"{left.bits_per_byte:.3f} ± {left.spread:.3f}" in page


def test_no_difference_is_said_in_words(result: CompareResult):
    table = (Path(result.folder) / "table.md").read_text()
    for row in result.rows[1:]:
        none = row.difference[1] <= 0 <= row.difference[2]
        line = next(line for line in table.splitlines() if line.startswith(f"| {row.name} |"))
        assert ("no difference shown" in line) == none
    assert any(row.difference[1] <= 0 <= row.difference[2] for row in result.rows[1:]), "untrained models are alike"


def test_the_same_run_twice_is_not_two_seeds(make_run):
    run, other = Run.open(make_run("twin")), Run.open(make_run("twin", seed=1))
    found = gather([run, run, other])
    assert [len(entrant.runs) for entrant in found] == [2, 1] and len({entrant.name for entrant in found}) == 2
    assert [len(entrant.runs) for entrant in gather([run, Run.open(make_run("twin", tokens=7))])] == [1, 1]


def test_rules_decide_on_rows(result: CompareResult):
    rows = result.rows
    sizes = np.full(10, 100.0)
    nats = {row.name: np.outer(row.per_seed, sizes * np.log(2)) * np.linspace(0.9, 1.1, 10) for row in rows}
    evidence = Evidence(nats, sizes, "n-gram judge")

    def answer(*rules: str, keep: str = "left", against: str = "hidden"):
        return decide(question(keep, against, list(rules), "test"), rows, evidence)

    assert answer("parameters <= 1x").verdict == "keep"
    assert answer("parameters < 1x").verdict == "drop"
    one = answer("bits_per_byte <= 10", "bits_per_byte <= 1.5x", "entropy >= 0.01 of real").outcomes
    assert [outcome.met for outcome in one] == [True, True, True] or one[2].met is None
    speed = answer("tokens_per_second at batch=1 >= 0.0001x", "tokens_per_second at batch=7 >= 1x").outcomes
    assert speed[0].met is True and speed[1].met is None and "not timed at that batch" in speed[1].why
    judged = answer("judge at sampler=autoregressive <= 99", "judge at sampler=confidence <= 99").outcomes
    assert judged[0].met is True and judged[0].interval is not None, "three seeds give an interval"
    assert judged[1].met is None and "not sampled in that way" in judged[1].why
    loaded = replace(rows[0].generation[0].latency[0], contended=True)
    busy = [replace(rows[0], generation=[replace(rows[0].generation[0], latency=[loaded])]), *rows[1:]]
    off = [replace(rows[0], generation=[replace(rows[0].generation[0], latency=[])]), *rows[1:]]
    asked = question("left", "hidden", ["latency <= 99", "tokens_per_second >= 0.0001x", "peak_memory <= 1e15"], "test")
    outcomes = decide(asked, busy, evidence).outcomes
    assert [outcome.met for outcome in outcomes] == [None, None, True], "memory is nobody else's"
    assert all("timed under load" in outcome.why for outcome in outcomes[:2])
    outcomes = decide(asked, off, evidence).outcomes
    assert all(outcome.met is None and "timing was off" in outcome.why for outcome in outcomes)
    with pytest.raises(Error, match="against itself"):
        answer("parameters <= 1x", against="left")
    with pytest.raises(Error, match="Did you mean 'hidden'"):
        answer("parameters <= 1x", against="hiden")


def test_a_measure_that_gets_worse_in_fact_is_dropped_and_noise_is_not(result: CompareResult):
    base = replace(result.rows[0], name="base")
    sizes = np.full(40, 100.0)
    flat = np.outer([2.0, 2.02, 1.98], sizes * np.log(2)) * np.linspace(0.8, 1.2, 40)
    for factor, verdict in ((1.0, "undecided"), (0.7, "keep"), (1.5, "drop")):
        row = replace(base, name="new", bits_per_byte=2 * factor)
        evidence = Evidence({"base": flat, "new": flat * factor}, sizes, None)
        asked = question("new", "base", ["bits_per_byte <= 1.005x"], "test")
        assert decide(asked, [base, row], evidence).verdict == verdict


def test_the_shell_learns_the_verdict(make_run, tmp_path: Path, cli):
    a, b = make_run("first"), make_run("second", width=20)
    quick = ["--draws", 1, "--samples", 1, "--steps", 2, "--batches", 1, "--documents", 3, "--judge", "n-gram"]
    for rule, status in (("parameters >= 1.1x", 0), ("parameters <= 1x", 1), ("latency at batch=7 <= 1x", 3)):
        rules = tmp_path / "rules.yaml"
        rules.write_text(f"keep: second\nagainst: first\nrules: ['{rule}']\n")
        ran = cli("compare", a, b, "-o", tmp_path / "out", "--rules", rules, "--length", 8, *quick, "--json", "--force")
        found = json.loads(ran.out)["decisions"][0]
        assert ran.status == status, (rule, found)
        assert found["verdict"] == {0: "keep", 1: "drop", 3: "undecided"}[status]
    assert "Decisions" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keep: a\nrule: []\n", "Did you mean 'rules'"),
        ("keep: a\nrules: []\n", "needs a list of rules"),
        ("rules: ['parameters <= 1x']\n", "must name the row to keep"),
        ("[1, 2]", "must hold the keys"),
        ("keep: [", "cannot be read"),
    ],
)
def test_a_rules_file_that_says_nothing_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(Error, match=words):
        read_rules(tmp_path / "rules.yaml")
    with pytest.raises(Error, match="cannot be read"):
        read_rules(tmp_path / "absent.yaml")


def test_rules_about_absent_rows_are_refused_before_anything_is_measured(make_run, tmp_path: Path):
    (tmp_path / "rules.yaml").write_text("keep: nobody\nrules: ['parameters <= 1x']\n")
    with pytest.raises(Error, match="speak of 'nobody'"):
        compare([make_run("a")], tmp_path / "out", rules=tmp_path / "rules.yaml", **QUICK)
    assert not (tmp_path / "out").exists()


def test_a_recipe_brings_its_own_rules(make_run, tmp_path: Path):
    ours = make_run("candidate", decide={"against": "baseline", "rules": ["parameters <= 1.02x"]})
    result = compare([make_run("baseline"), ours], tmp_path / "out", **QUICK)
    assert [(d.keep, d.against, d.verdict) for d in result.decisions] == [("candidate", "baseline", "keep")]
    alone = compare([ours], tmp_path / "alone", **QUICK)
    assert alone.decisions == [], "its baseline is not here"
