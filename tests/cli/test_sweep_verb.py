"""``unmask sweep`` as a user types it."""

from __future__ import annotations

import json

import pytest
import yaml

from unmask.api import sweep as api


@pytest.fixture
def plan(tiny_run, tmp_path):
    """A plan file of two rows that train in a moment; ``bad`` names a text that is not there."""
    tree = {
        "recipes": [str(tiny_run / "recipe.yaml")],
        "set": {"training.max_steps": 1, "training.valid_blocks": 0},
        "grid": {"text": {"good": {}, "bad": {"data.valid": str(tmp_path / "nowhere.txt")}}},
        "evaluate": {"documents": 4},
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path / "plan.yaml"


def test_packaged_plans_are_listed(cli):
    ran = cli("sweep", "--list")
    assert ran.status == 0 and "aria" in ran.out and "nano-masked" in ran.out
    names = [line["name"] for line in json.loads(cli("sweep", "--list", "--json").out)["plans"]]
    assert {"aria", "nano-masked"} <= set(names)


def test_dry_run_shows_every_row_with_its_cost_and_does_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = cli("sweep", "aria", "--dry-run")
    assert ran.status == 0 and "81,920,000" in ran.out and "MiB" in ran.out
    assert "sampler confidence steps=16 top_k=50 confidence_stop=0.98: ready" in ran.out
    told = json.loads(cli("sweep", "aria", "--dry-run", "--json").out)
    assert len(told["rows"]) == 8 and told["not_available"] == sum(bool(row["missing"]) for row in told["rows"])
    ready = [row for row in told["rows"] if not row["missing"]]
    assert all(row["parameters"] > 4e7 and row["training_flops"] > 1e16 for row in ready)
    assert not list(tmp_path.iterdir())


def test_dry_run_counts_what_is_not_available_and_a_real_run_refuses_it(cli, plan):
    text = plan.read_text().replace("good: {}", "good: {backbone.name: ecco}")
    plan.write_text(text)
    ran = cli("sweep", plan, "--dry-run")
    assert ran.status == 0 and "unknown backbone 'ecco'" in " ".join(ran.out.split())
    assert "1 row ready, 1 not available" in ran.out
    refused = cli("sweep", plan, "--output", plan.parent / "out")
    assert refused.status == 2 and refused.out == ""
    assert refused.err.startswith("error: row 'good': unknown backbone 'ecco'") and refused.err.count("\n") == 1
    plan.write_text(yaml.safe_dump({"recipes": "nano", "set": {"backbone.name": "ecco"}}))
    none = cli("sweep", plan, "--available", "--output", plan.parent / "out")
    assert none.status == 2 and "no row of the plan is available" in none.err


def test_a_failed_row_ends_with_status_1_and_one_json_object(cli, plan):
    ran = cli("sweep", plan, "--output", plan.parent / "out", "--json")
    assert ran.status == 1
    told = json.loads(ran.out)
    assert told["counts"] == {"finished": 1, "failed": 1} and told["format"] == 1
    assert "1 of 2 rows failed" in ran.err and "nowhere.txt" in ran.err
    assert {"report.html", "table.md", "sweep.json"} <= {path.name for path in (plan.parent / "out").iterdir()}
    (plan.parent / "nowhere.txt").write_text("The cat met a hen.\n" * 40)
    mended = cli("sweep", plan, "--output", plan.parent / "out")
    assert mended.status == 0 and "report.html" in mended.out and "finished" in mended.out


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(cli, plan, monkeypatch):
    def stop(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "sweep", stop)
    ran = cli("sweep", plan)
    assert ran.status == 130 and "Continue with the same command" in ran.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "say which plan"),
        (["ariaa"], "unknown plan 'ariaa'. Did you mean 'aria'?"),
        (["nano-masked", "--on", "cloud"], "on is 'cloud'; choose local or ray."),
        (["nano-masked", "--address", "auto"], "set on to ray"),
        (["nano-masked", "--workers", "0"], "workers is 0"),
        (["nano-masked", "-o", "process.schedule=linear", "--dry-run"], "process.schedule is an axis"),
        (["nano-masked", "-o", "trainin.lr=1", "--dry-run"], "Did you mean 'training'?"),
        (["aria", "-o", "training.steps=3", "--dry-run"], "the plan's budget decides training.max_steps"),
    ],
)
def test_a_mistake_is_one_line(cli, args, message):
    ran = cli("sweep", *args)
    assert ran.status == 2 and ran.out == ""
    assert message in ran.err and ran.err.count("\n") == 1
