"""``unmask doctor`` finds what is wrong with a machine, and names the fix."""

from __future__ import annotations

import importlib
import json

import pytest

# unmask.api.doctor is a module; the function of that name is in it.
module = importlib.import_module("unmask.api.doctor")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("unmask.training.precision.faster", lambda width: 3.0)
    monkeypatch.setattr(module, "_step_seconds", lambda threads: 1.0)


def find(name: str, *, deep: bool = False) -> module.Check:
    (check,) = [check for check in module.doctor(deep=deep).checks if check.name == name]
    return check


def assert_problem(check: module.Check, status: str, fix: str) -> None:
    assert check.status == status, check
    assert fix in check.fix


def test_what_is_looked_at():
    names = [check.name for check in module.doctor().checks]
    wanted = {"python", "torch", "transformers", "datasets", "device", "bf16", "torch.compile", "threads", "memory"}
    assert wanted <= set(names) and len(names) == len(set(names))


def test_a_check_has_a_fix_exactly_when_it_is_not_ok():
    for check in module.doctor().checks:
        assert (check.status == "ok") == (check.fix == ""), check


def test_a_missing_package_fails_with_the_command_that_installs_it(cli, monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-package"))
    assert_problem(find("no-such-package"), "fail", "pip install no-such-package")
    ran = cli("doctor")
    assert ran.status == 1
    lines = ran.out.splitlines()
    problem = next(i for i, line in enumerate(lines) if line.startswith("fail  no-such-package"))
    assert lines[problem + 1].strip() == "fix: pip install no-such-package"


def test_what_auto_means_is_said_with_what_was_measured(monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("about CPUs")
    check = find("bf16")
    assert "3x at width 128" in check.detail and "UNMASK_PRECISION=fp32 decides" in check.detail
    monkeypatch.delenv("UNMASK_PRECISION")
    monkeypatch.setattr("unmask.training.precision.faster", lambda width: 0.04)
    assert "0.04x at width 512" in find("bf16").detail and "bf16 from 1.2x up" in find("bf16").detail


def test_more_threads_than_cores_is_said(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 10_000)
    assert_problem(find("threads"), "warn", "OMP_NUM_THREADS=")


def test_the_number_of_threads_is_recommended_by_what_a_step_takes(monkeypatch):
    monkeypatch.setattr("unmask.threads.allowed_cores", lambda: 4)
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    monkeypatch.setattr(module, "_step_seconds", lambda threads: {1: 0.01, 4: 0.06}[threads])
    check = find("threads")
    assert_problem(check, "warn", "export OMP_NUM_THREADS=1")
    assert "100 with 1, 17 with 4: 1 would be faster now" in check.detail
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert find("threads").status == "ok"


def test_steps_are_really_timed_and_threads_are_left_as_they_were(monkeypatch):
    monkeypatch.undo()
    import torch

    before = torch.get_num_threads()
    assert module._step_seconds(1, seconds=0.0) > 0
    assert torch.get_num_threads() == before


def test_little_disk_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10**6})())
    assert_problem(find("disk here"), "warn", "free some space")


def test_a_cache_that_cannot_be_written_fails(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "file" / "cache"))
    assert_problem(find("cache"), "fail", "UNMASK_CACHE")


def test_no_compiler_is_said(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert_problem(find("torch.compile"), "warn", "g++")


def test_deep_says_when_the_hub_is_out_of_reach(monkeypatch):
    monkeypatch.setattr(module, "_compile", lambda *, run: module.Check("torch.compile", "ok", f"run={run}"))
    assert_problem(find("hub", deep=True), "warn", "unset HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def refuse(*args: object, **kwargs: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(module.socket, "create_connection", refuse)
    assert_problem(find("hub", deep=True), "warn", "proxy")
    assert find("torch.compile", deep=True).detail == "run=True"


def test_json_is_one_object_with_every_check(cli):
    ran = cli("doctor", "--json")
    told = json.loads(ran.out)
    assert told["healthy"] is (ran.status == 0)
    assert {"name", "status", "detail", "fix"} == set(told["checks"][0])
    assert [check["name"] for check in told["checks"]] == [check.name for check in module.doctor().checks]
