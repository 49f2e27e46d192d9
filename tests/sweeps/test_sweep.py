"""Promises of a sweep: it goes on where it was, one bad row harms no other, and the report says how each row ended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ray_stand_in import StandIn
from unmask.api.sweep import sweep
from unmask.errors import Error
from unmask.sweeps import advance, executors
from unmask.sweeps import samples as sweep_samples
from unmask.sweeps.advance import SCORE, STOP, Task, perform, read_row, update_row
from unmask.sweeps.executors import Rows, asking, run_tasks
from unmask.sweeps.plan import SweepPlan
from unmask.sweeps.plan_files import parse_plan
from unmask.sweeps.report import to_html, write_sweep
from unmask.sweeps.results import SweepResult, SweepRow
from unmask.sweeps.score import configurations
from unmask.sweeps.sweep import at_work
from unmask.training import monitor
from unmask.training.run import Run, write_json
from unmask.workers import HERE
from unmask.workers import at_work as workers_at_work

MakePlan = Callable[..., SweepPlan]


RATES = {"rate": {"low": {"training.weight_decay": 0.0}, "high": {"training.weight_decay": 0.2}}}


@pytest.fixture(scope="session")
def plain(tiny_plan: MakePlan, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A finished sweep of two rows. Shared by all tests: do not change it."""
    return sweep(tiny_plan(RATES), output=tmp_path_factory.mktemp("plain") / "out", say=lambda line: None)


def weights(row: SweepRow) -> dict[str, torch.Tensor]:
    return load_file(Path(row.path) / "model.safetensors")


def assert_same_results(one: SweepResult, other: SweepResult) -> None:
    """The same rows with the same weights and the same scores, bit for bit."""
    assert [row.id for row in one.rows] == [row.id for row in other.rows]
    for a, b in zip(one.rows, other.rows, strict=True):
        assert (a.status, a.steps, a.tokens) == (b.status, b.steps, b.tokens)
        left, right = weights(a), weights(b)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
        assert a.bits_per_byte == b.bits_per_byte and a.interval == b.interval
    assert [c.difference for c in one.configurations] == [c.difference for c in other.configurations]


class StopAt(monitor.Interrupt):
    """What Ctrl-C does, at a known step."""

    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == 2
        super().on_step_end(args, state, control, **kwargs)


def test_a_sweep_that_was_killed_between_rows_ends_as_one_that_was_not(plain, tiny_plan, tmp_path, monkeypatch):
    from unmask.sweeps import executors

    def killed_after_one(task: Task) -> dict[str, Any]:
        if list(Path(task.folder).parent.glob("*/run")):
            raise KeyboardInterrupt
        return perform(task)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(executors, "perform", killed_after_one)
        sweep(tiny_plan(RATES), output=tmp_path / "out")
    first = plain.rows[0]
    before = (tmp_path / "out" / "rows" / first.id / "run" / "run.json").read_bytes()
    again = sweep(tiny_plan(RATES), output=tmp_path / "out")
    assert_same_results(plain, again)
    assert (tmp_path / "out" / "rows" / first.id / "run" / "run.json").read_bytes() == before  # not trained twice


def test_a_half_trained_row_is_saved_by_ctrl_c_and_resumes_to_the_same_weights(plain, tiny_plan, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        sweep(tiny_plan(RATES), output=tmp_path / "out")
    row = read_row(tmp_path / "out" / "rows" / plain.rows[0].id)
    assert (row["status"], row["steps"]) == ("interrupted", 2)
    assert_same_results(plain, sweep(tiny_plan(RATES), output=tmp_path / "out"))


def test_a_start_that_was_killed_early_is_started_afresh(plain, tiny_plan, tmp_path):
    left = tmp_path / "out" / "rows" / plain.rows[0].id / "run"
    (left / "tokenizer").mkdir(parents=True)
    assert_same_results(plain, sweep(tiny_plan(RATES), output=tmp_path / "out"))


def test_a_failing_row_is_a_line_in_the_report_and_harms_no_other(plain, tiny_plan, tmp_path):
    nowhere = tmp_path / "nowhere.txt"
    broken = tiny_plan({"rate": {"bad": {"data.valid": str(nowhere)}, **RATES["rate"]}})
    found = sweep(broken, output=tmp_path / "out")
    bad, *good = found.rows
    assert found.counts == {"failed": 1, "finished": 2} and found.failed == [bad]
    assert str(nowhere) in bad.why and bad.bits_per_byte is None
    assert [row.bits_per_byte for row in good] == [row.bits_per_byte for row in plain.rows]
    assert "Traceback" in (tmp_path / "out" / "rows" / bad.id / "error.txt").read_text()
    for name in ("report.html", "table.md"):
        assert f"failed: {bad.why}"[:60] in (tmp_path / "out" / name).read_text().replace("&#39;", "'")
    nowhere.write_text("The cat finds the old red house near the river.\n" * 40)
    assert sweep(broken, output=tmp_path / "out").counts == {"finished": 3}  # the cause is mended: tried again


def test_a_bug_in_one_row_is_kept_to_that_row(tiny_plan, tmp_path, monkeypatch):
    from unmask.diffusion.causal import Causal

    real = Causal.loss
    monkeypatch.setattr(Causal, "loss", lambda *a: 1 / 0 if not a[0].options.isolate_documents else real(*a))
    found = sweep(tiny_plan({"process.isolate_documents": [False, True]}), output=tmp_path / "out")
    assert [row.status for row in found.rows] == ["failed", "finished"]
    assert found.rows[0].why.startswith("ZeroDivisionError")


SLOW_LEARNER = {"rate": {**RATES["rate"], "none": {"training.learning_rate": 1e-7}}}
RULE = {"after": 0.5, "worse_than": 1.05}


@pytest.fixture(scope="session")
def stopped(tiny_plan: MakePlan, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A sweep of three rows, one of which learns nothing and is stopped half-way. Do not change it."""
    out = tmp_path_factory.mktemp("stopped") / "out"
    return sweep(tiny_plan(SLOW_LEARNER, stop_early=RULE), output=out)


def test_a_bad_row_is_stopped_and_never_reported_as_finished(stopped):
    bad = stopped.rows[2]
    assert stopped.counts == {"finished": 2, "stopped": 1}
    assert (bad.status, bad.steps, bad.bits_per_byte) == ("stopped", 3, None)
    assert "above 1.05 x the median" in bad.why and "50%" in bad.why
    assert [each.label for each in stopped.configurations] == ["low", "high"]
    stored = json.loads((Path(stopped.folder) / "sweep.json").read_text())
    assert [row["status"] for row in stored["rows"]] == ["finished", "finished", "stopped"]
    for name in ("report.html", "table.md"):
        assert f"stopped: {bad.why}" in (Path(stopped.folder) / name).read_text()


def test_a_row_that_paused_and_went_on_has_the_weights_of_one_that_did_not(plain, stopped):
    for one, other in zip(plain.rows, stopped.rows[:2], strict=True):
        assert one.id == other.id and one.bits_per_byte == other.bits_per_byte
        assert all(torch.equal(value, weights(other)[key]) for key, value in weights(one).items())


def test_a_stopped_row_goes_on_when_the_rule_is_taken_away(stopped, tiny_plan, tmp_path):
    shutil.copytree(stopped.folder, tmp_path / "out")
    found = sweep(tiny_plan(SLOW_LEARNER), output=tmp_path / "out")
    assert found.counts == {"finished": 3} and found.rows[2].steps == 6


def test_without_a_rule_no_row_is_stopped(tiny_plan, tmp_path):
    found = sweep(tiny_plan({"rate": {"none": {"training.learning_rate": 1e-7}, "low": {}}}), output=tmp_path / "out")
    assert found.counts == {"finished": 2}


def test_rows_of_another_kind_do_not_stop_each_other(tiny_plan, tmp_path):
    """Held-out nats of a bound and of an exact figure, or of two tokenizers, are different quantities."""
    grid = {"kind": {"causal": {}, "slow": {"process": "masked", "training.learning_rate": 1e-7}}}
    found = sweep(tiny_plan(grid, stop_early={"after": 0.5, "worse_than": 1.0}), output=tmp_path / "out")
    assert found.counts == {"finished": 2}


def test_a_budget_of_time_ends_a_row_and_calls_it_finished(tiny_plan, tmp_path):
    found = sweep(tiny_plan({}, budget={"time": 1e-6}), output=tmp_path / "out")
    (row,) = found.rows
    assert (row.status, row.steps) == ("finished", 1) and row.bits_per_byte is not None
    assert read_row(tmp_path / "out" / "rows" / row.id)["ended_by"] == "time"


def test_time_spent_before_an_interruption_counts(tiny_plan, tmp_path, monkeypatch):
    """A row has its seconds once, however often it is resumed."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(advance, "perf_counter", lambda: float(next(ticks)))  # a step takes a second
    plan = tiny_plan({}, budget={"time": 4})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        sweep(plan, output=tmp_path / "out")
    (row,) = sweep(plan, output=tmp_path / "out").rows
    assert (row.steps, row.seconds) == (4, 4.0)


def test_the_report_opens_by_itself_and_has_every_row_with_its_controls(plain):
    html = (Path(plain.folder) / "report.html").read_text()
    assert all(row.id in html and row.label in html for row in plain.rows)
    assert "http://" not in html and "https://" not in html and "<link" not in html and "<script" not in html
    assert html.count("<img") == html.count("data:image/svg+xml;base64,") == 2  # one axis, one picture of the curves
    assert ".scroll" in html and "<td>order-5 n-gram</td>" in html and "<td>control</td>" in html
    table = (Path(plain.folder) / "table.md").read_text()
    assert table.count("| finished |") == 2
    names = [control.name for control in plain.controls]
    assert names == ["uniform", "unigram", "order-5 n-gram"]


def test_text_in_a_plan_cannot_become_markup(plain, tmp_path):
    evil = replace(plain, plan={**plain.plan, "name": "<script>alert(1)</script>"}, warnings=["<b>bold</b>"])
    assert "<script>" not in to_html(evil) and "<b>" not in to_html(evil)
    write_sweep(evil, tmp_path)
    assert json.loads((tmp_path / "sweep.json").read_text())["format"] == 1


def scored(folder: Path, name: str, seed: int, nats: np.ndarray, bound: str = "exact") -> SweepRow:
    """Write the score of a row that was never trained."""
    place = folder / "rows" / f"{name}-{seed}"
    place.mkdir(parents=True)
    sizes = np.full(len(nats), 10.0)
    value = float(nats.sum() / sizes.sum() / np.log(2))
    write_json(place / SCORE, {"bits_per_byte": value, "bound": bound, "nats": nats.tolist(), "sizes": sizes.tolist()})
    what = {"values": {"v": name}, "numbers": {}, "seed": seed, "status": "finished", "why": "", "path": ""}
    return SweepRow(place.name, name, name, **what, parameters=1, bits_per_byte=value, bound=bound)


def test_no_difference_is_shown_where_the_spread_does_not_separate_a_row_from_the_best(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.uniform(10, 20, 40)
    rows = []
    for seed, shift in enumerate((0.0, 0.3, -0.3)):
        rows += [
            scored(tmp_path, "best", seed, base + shift),
            scored(tmp_path, "near", seed, base + 0.1 + 3 * shift),
            scored(tmp_path, "far", seed, base + 5 + shift),
            scored(tmp_path, "bound", seed, base + 5 + shift, "upper bound"),
        ]
    found = {each.label: each for each in configurations(rows, tmp_path)}
    verdicts = {label: each.verdict for label, each in found.items()}
    kinds = "only one of its kind"
    assert verdicts == {"best": "best", "near": "no difference shown", "far": "worse", "bound": kinds}
    assert found["best"].difference is None and found["bound"].difference is None
    middle, low, high = found["far"].difference
    assert low < middle < high and middle == pytest.approx(0.5 / np.log(2))
    assert found["near"].spread == pytest.approx(0.09 / np.log(2))
    assert found["far"].seeds == [0, 1, 2] and len(found["far"].per_seed) == 3


def test_one_run_is_no_proof_of_a_spread_but_its_documents_are_paired(tmp_path):
    base = np.random.default_rng(1).uniform(5, 50, 30)
    rows = [scored(tmp_path, "a", 0, base), scored(tmp_path, "b", 0, base * 1.001)]
    a, b = configurations(rows, tmp_path)
    assert b.verdict == "worse" and b.interval[0] < a.bits_per_byte  # each one's own interval would not separate them


def test_samplers_are_tried_on_given_runs_where_they_fit_and_kept(make_run, tmp_path, monkeypatch):
    plan = parse_plan(
        {
            "runs": [str(make_run("left", "causal")), str(make_run("hole", "masked"))],
            "samplers": [{"name": "ancestral", "steps": [2, 4]}, {"name": "confidence", "steps": 2}, "autoregressive"],
            "evaluate": {"documents": 5},
            "sample": {"samples": 3, "length": 8, "batches": [1, 2]},
        }
    )
    found = sweep(plan, output=tmp_path / "out")
    tried = [(each.label, each.sampler) for each in found.samples]
    assert tried == [
        ("left", "autoregressive"),
        ("hole", "ancestral steps=2"),
        ("hole", "ancestral steps=4"),
        ("hole", "confidence steps=2"),
    ]
    for each in found.samples:
        assert each.text.judges["n-gram judge"] > 0 and len(each.text.texts) == 3
        assert [cell.batch for cell in each.text.latency] == [1, 2]
        assert 0 <= each.text.quality.repeated_4 <= 1 and each.text.quality.entropy >= 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "Samplers" in table and "real text" in table and "n-gram judge" in table and "B2 tok/s" in table
    assert not found.rows and "Configurations" not in table

    def never(*args: object, **named: object) -> None:
        raise AssertionError("sampled again")

    monkeypatch.setattr(sweep_samples, "write_texts", never)
    again = sweep(plan, output=tmp_path / "out")
    for one, other in zip(again.samples, found.samples, strict=True):
        assert asdict(one) == asdict(other)


def test_samplers_are_tried_on_the_rows_that_were_just_trained(tiny_plan, tmp_path):
    found = sweep(tiny_plan({}, samplers=["autoregressive"]), output=tmp_path / "out")
    assert [(each.label, each.sampler) for each in found.samples] == [("nano-causal", "autoregressive")]
    assert {"real text", "shuffled words"} <= {control.name for control in found.controls}


def test_a_length_that_no_context_holds_is_refused(make_run, tmp_path):
    plan = {"runs": [str(make_run("short"))], "samplers": ["autoregressive"], "sample": {"length": 99, "samples": 1}}
    with pytest.raises(Error, match="sample.length is 99, but the shortest context holds 31 tokens"):
        sweep(parse_plan(plan), output=tmp_path / "out")


def test_a_part_that_does_not_exist_is_refused_by_name_or_left_out_when_asked(plain, tiny_plan, tmp_path):
    grid = {"rate": {"eco": {"backbone.name": "nonesuch"}, **RATES["rate"]}}
    with pytest.raises(Error, match=r"row 'eco': unknown backbone 'nonesuch' \(1 not available\); --available"):
        sweep(tiny_plan(grid), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = sweep(tiny_plan(grid, samplers=["autoregressive", "nonesuch"]), output=tmp_path / "out", available=True)
    assert found.counts == {"not available": 1, "finished": 2}
    assert found.rows[0].why == "unknown backbone 'nonesuch'" and any("nonesuch" in line for line in found.warnings)
    assert [row.bits_per_byte for row in found.rows[1:]] == [row.bits_per_byte for row in plain.rows]
    assert "not available: unknown backbone" in (tmp_path / "out" / "table.md").read_text()


def test_two_sweeps_do_not_work_in_one_folder(tmp_path):
    with at_work(tmp_path), pytest.raises(Error, match="another sweep is at work"), at_work(tmp_path):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(Error, match="is a file"), at_work(tmp_path / "file"):
        pass


def test_ctrl_c_asks_the_rows_through_a_file_that_they_obey(plain, tmp_path):
    shutil.copytree(Path(plain.folder) / "rows" / plain.rows[0].id, tmp_path / "rows" / "r")
    place = tmp_path / "rows" / "r"
    shutil.rmtree(place / "run")
    said: list[str] = []
    with asking(tmp_path / STOP, said.append):
        signal.raise_signal(signal.SIGINT)
        assert (tmp_path / STOP).exists()
        row = perform(Task(str(place), "train"))
        assert (row["status"], row["steps"]) == ("interrupted", 1)
        assert list((place / "run" / "checkpoints").glob("checkpoint-1"))
        with pytest.raises(KeyboardInterrupt):  # a second one ends them at once
            signal.raise_signal(signal.SIGINT)
    assert len(said) == 1
    with pytest.raises(KeyboardInterrupt):
        run_tasks(lambda tasks, say: None, [Task(str(place), "train")], tmp_path, said.append)


def test_a_row_whose_sweep_is_gone_saves_and_stops(plain, tmp_path):
    shutil.copytree(Path(plain.folder) / "rows" / plain.rows[0].id, tmp_path / "rows" / "r")
    shutil.rmtree(tmp_path / "rows" / "r" / "run")
    row = perform(Task(str(tmp_path / "rows" / "r"), "train", parent=2**30))
    assert (row["status"], row["steps"]) == ("interrupted", 1)


def test_without_ray_one_line_says_how_to_get_it(monkeypatch, tiny_plan, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Error, match=r"pip install 'unmask\[ray\]'"):
        sweep(tiny_plan(RATES), output=tmp_path / "out", on="ray")
    assert not list(tmp_path.iterdir())


def test_a_worker_that_does_not_see_the_folder_of_a_row_says_what_to_do(tmp_path):
    with pytest.raises(Error, match="does not see .*; give --output a folder that all of the cluster shares"):
        perform(Task(str(tmp_path / "rows" / "r"), "train"))


@pytest.mark.slow
def test_several_processes_end_with_the_results_of_one(plain, stopped, tiny_plan, tmp_path):
    assert_same_results(
        plain, sweep(tiny_plan(RATES), output=tmp_path / "out", workers=2, threads=torch.get_num_threads())
    )
    found = sweep(
        tiny_plan(SLOW_LEARNER, stop_early=RULE), output=tmp_path / "rule", workers=2, threads=torch.get_num_threads()
    )
    assert_same_results(stopped, found)


SCRIPT = """
import sys
from unmask.api.sweep import sweep
from unmask.sweeps.plan_files import load_plan
sweep(load_plan(sys.argv[1]), output=sys.argv[2], workers=1 if sys.argv[3] == "1" else int(sys.argv[3]), threads=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "how"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)])
def test_a_real_kill_loses_nothing_that_was_saved(tiny_plan, tmp_path, workers, how):
    import yaml

    long = {"training.max_steps": 400, "training.valid_blocks": 0, "training.save_steps": 20}
    plan = tiny_plan(RATES)
    tree = plan.model_dump()
    tree["set"]["training"] = {**tree["set"]["training"], **{k.partition(".")[2]: v for k, v in long.items()}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(tree))
    whole = sweep(parse_plan(tree), output=tmp_path / "whole", threads=1)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "plan.yaml"), str(tmp_path / "out"), str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("rows/*/run/checkpoints/checkpoint-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(how)
    process.communicate(timeout=120)
    assert process.returncode != 0
    while workers > 1 and any(
        read_row(place)["status"] == "training" for place in (tmp_path / "out" / "rows").iterdir()
    ):
        assert time.monotonic() < deadline + 60  # rows whose sweep is gone save and stop by themselves
        time.sleep(0.1)
    assert_same_results(whole, sweep(parse_plan(tree), output=tmp_path / "out", threads=1))


@dataclass(frozen=True)
class Deadly(Task):
    """Ends the worker that takes it."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


@pytest.mark.slow
def test_a_dead_process_is_a_failed_row_and_the_others_go_on(plain, tmp_path):
    shutil.copytree(Path(plain.folder) / "rows", tmp_path / "rows")
    killed, sound = sorted((tmp_path / "rows").iterdir())
    for place in (killed, sound):
        shutil.rmtree(place / "run")
        update_row(place, status="new")
    tasks = [Deadly(str(killed), "train"), Task(str(sound), "train")]
    with workers_at_work(2) as two:
        Rows(two)(tasks, lambda line: None)
    assert read_row(killed)["status"] == "failed" and read_row(sound)["status"] == "finished"
    assert "was ended by SIGKILL (out of memory?); see log.txt in its folder" in read_row(killed)["error"]
    assert (sound / "log.txt").is_file()


def test_actors_of_a_stand_in_for_ray_end_with_the_results_of_one_process(plain, tiny_plan, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    ray = StandIn(cpus=2 * threads, gpus=4)
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert_same_results(plain, sweep(tiny_plan(RATES), output=tmp_path / "out", on="ray", threads=threads))
    assert {1, 2} == set(ray.calls) and ray.alive == 0 and not ray.connected
    needs = {"num_cpus": threads, "num_gpus": 1, "max_restarts": 2, "max_task_retries": 2}
    assert ray.options == needs, "a row goes on elsewhere when its worker dies, and has a GPU where there are any"


@pytest.mark.slow
def test_a_local_ray_ends_with_the_results_of_one_process(plain, stopped, tiny_plan, tmp_path):
    ray = pytest.importorskip("ray", reason="the extra is not installed: pip install 'unmask[ray]'")
    assert torch.get_num_threads() == 1, "run with OMP_NUM_THREADS=1: results are equal where threads are"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert_same_results(plain, sweep(tiny_plan(RATES), output=tmp_path / "out", on="ray"))
        found = sweep(tiny_plan(SLOW_LEARNER, stop_early=RULE), output=tmp_path / "rule", on="ray", workers=2)
        assert_same_results(stopped, found)
    finally:
        ray.shutdown()


def test_a_run_of_a_row_is_a_run_like_any_other(plain):
    run = Run.open(plain.rows[0].path)
    assert run.manifest["status"] == "finished" and run.recipe.training.max_steps == 6
    assert not (run.path / "checkpoints").exists()  # its weights stay, its checkpoints are not needed any more


def test_a_sweep_says_about_how_long_its_rows_still_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, said, tasks = 0.0, [], []
    for name in ("a", "b", "c"):
        (tmp_path / "rows" / name).mkdir(parents=True)
        update_row(tmp_path / "rows" / name, label=name, status="new")
        tasks.append(Task(str(tmp_path / "rows" / name), "train"))

    def perform(task: Task) -> dict[str, Any]:
        nonlocal now
        now += 240.0
        return update_row(Path(task.folder), status="finished", steps=2)

    monkeypatch.setattr(executors, "perform", perform)
    monkeypatch.setattr(executors.time, "monotonic", lambda: now)
    Rows(HERE)(tasks, said.append)
    assert [line for line in said if line.startswith("training")] == [
        "training a (1 of 3)",
        "training b (2 of 3); all done in about 8 min",
        "training c (3 of 3); all done in about 4 min",
    ]
