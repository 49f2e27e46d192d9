"""Threads are chosen by what is free, what the user said stays, and a training that slows down says so once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from unmask import threads
from unmask.training import slowdown
from unmask.training.slowdown import Slowdown

ASK = """
import json, os, sys
import unmask
unmask.Recipe
import torch
from unmask.threads import chosen
print(json.dumps([os.environ["OMP_WAIT_POLICY"], torch.get_num_threads(), chosen()]))
"""


def stat(folder: Path, *cores: tuple[int, int]) -> Path:
    """A /proc/stat of cores with (busy, idle) ticks."""
    lines = [f"cpu{i} {busy} 0 0 {idle} 0 0 0 0 0 0" for i, (busy, idle) in enumerate(cores)]
    path = folder / "stat"
    path.write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 0 0", *lines, "intr 1 2 3"]))
    return path


@pytest.mark.parametrize(
    ("busy", "own", "free"),
    [((0, 0), 0.0, 2), ((10, 0), 0.0, 1), ((10, 10), 0.0, 0), ((10, 0), 0.1, 2), ((10, 10), 0.05, 0.5)],
)
def test_free_cores_are_those_that_nobody_else_uses(tmp_path, monkeypatch, busy, own, free):
    monkeypatch.setattr(threads, "_affinity", lambda: {0, 1})
    before = threads.Seen(0.0, 5.0, threads._ticks(stat(tmp_path, (100, 100), (100, 100), (0, 0))))
    after = threads._ticks(stat(tmp_path, *((100 + b, 110 - b) for b in busy), (0, 99)))
    assert len(before.cores) == 2, "cores that this process may not use do not count"
    assert threads._free(before, threads.Seen(0.1, 5.0 + own, after)) == pytest.approx(free)


@pytest.mark.parametrize(
    ("files", "groups", "quota"),
    [
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"a/cpu.max": "150000 100000"}, "0::/a/b", 1.5),
        ({"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 1.5),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu,cpuacct:/\n2:memory:/x", 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "1:cpu:/", None),
        ({}, "0::/", None),
    ],
)
def test_a_quota_of_the_control_group_or_one_above_it_counts(tmp_path, files, groups, quota):
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    (tmp_path / "groups").write_text(groups)
    assert threads._quota(tmp_path / "groups", tmp_path / "root") == quota


def test_free_cores_are_at_least_one_and_at_most_what_is_allowed(monkeypatch):
    monkeypatch.setattr(threads, "_free", lambda before, now: 99.0)
    monkeypatch.setattr(threads, "_quota", lambda groups, root: 0.5)
    assert threads.free_cores() == threads.allowed_cores() == 1
    monkeypatch.setattr(threads, "_free", lambda before, now: -3.0)
    assert threads.free_cores() == 1


@pytest.mark.parametrize("given", ["1", None])
def test_what_the_user_says_stays_and_idle_threads_sleep(given):
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    if given:
        environment["OMP_NUM_THREADS"] = given
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    policy, count, chosen = json.loads(done.stdout)
    assert policy == "passive"
    if given:
        assert (count, chosen) == (1, None)
    else:
        assert count == chosen and 1 <= chosen <= threads.allowed_cores()


def test_a_recipe_says_its_threads_and_torch_gets_its_own_back():
    import torch

    from unmask.training.hardware import threads as with_threads
    from unmask.training.recipe import load_recipe

    assert load_recipe("nano-causal", ["training.threads=3"]).training.threads == 3
    assert "threads" not in load_recipe("nano-causal").training.model_dump()
    before = torch.get_num_threads()
    with with_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


def test_a_training_that_slows_down_says_so_once(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(slowdown.time, "perf_counter", lambda: now[0])
    watch, state = Slowdown(100), SimpleNamespace(is_world_process_zero=True)

    def run(seconds_a_step: float, steps: int) -> str:
        for _ in range(steps):
            watch.on_step_begin(None, state, None)
            now[0] += seconds_a_step
            watch.on_step_end(None, state, None)
            now[0] += 100.0  # evaluation and saving do not count
        return capsys.readouterr().err

    assert run(1.0, 40) == "" and watch.best == pytest.approx(100)
    assert run(1.5, 20) == "", "a third less is not well below"
    assert run(6.0, 2) == "", "one slow window is no rule"
    said = run(6.0, 4)
    assert said.count("note: training runs at 17 tokens a second, and did at 100") == 1 and "threads" in said
    assert run(6.0, 10) == "", "once"
