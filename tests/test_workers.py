"""Workers: what is promised of the one pool, whoever sends it work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from unmask.errors import Error
from unmask.workers import HERE, Processes, at_work

NUMBER = "__import__('os').getpid()"


@pytest.fixture(scope="module")
def two():
    with at_work(2) as processes:
        yield processes


def test_one_worker_that_dies_takes_no_other_call_with_it_and_another_takes_its_place(two):
    items = ["1", "__import__('signal').raise_signal(9)", "2", "3", "4"]
    found = {item: (answer, str(error)) for item, answer, error in two.each(eval, items)}
    died = found.pop(items[1])
    assert died == (
        None,
        "a worker was ended by SIGKILL (out of memory?); start again, with fewer workers if it was.",
    )
    assert found == {str(number): (number, "None") for number in (1, 2, 3, 4)}
    assert len(set(two.map(eval, [NUMBER] * 4))) == 2


def test_an_error_is_told_with_its_item_and_items_are_taken_as_workers_become_free(two):
    taken = []
    numbers = (taken.append(text) or text for text in ["1", "x", "3", "4"])
    calls = two.each(int, numbers)
    first = next(calls)
    assert len(taken) == 2
    rows = sorted([first, *calls], key=lambda row: row[0])
    assert [answer for _, answer, _ in rows] == [1, 3, 4, None]
    assert isinstance(rows[-1][2], Error) and "a worker failed (ValueError: invalid literal" in str(rows[-1][2])


def test_here_does_the_same(two):
    for workers in (HERE, two):
        assert list(workers.map(int, "123")) == [1, 2, 3]
        assert sorted(answer for _, answer, _ in workers.each(int, "123")) == [1, 2, 3]


def test_item_i_goes_to_worker_i_mod_n_and_a_worker_has_its_share_of_the_threads():
    with at_work(2, threads=3) as workers:
        numbers = list(workers.map(eval, [NUMBER] * 6))
        assert numbers == [numbers[0], numbers[1]] * 3 and os.getpid() not in numbers
        assert set(workers.map(os.getenv, ["OMP_NUM_THREADS", "RAYON_NUM_THREADS"])) == {"3"}


SCRIPT = """
import os, signal, sys
from unmask.workers import Processes
processes = Processes(2)
print(*processes.map(eval, ["__import__('os').getpid()"] * 2), flush=True)
if sys.argv[1] == "busy":
    processes._send(0, __import__("pickle").dumps((eval, "__import__('time').sleep(0.5)")))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_workers_end_when_whoever_started_them_is_killed(how):
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left, deadline = set(map(int, done.stdout.split())), time.monotonic() + 60
    assert len(left) == 2
    while left := {number for number in left if os.path.exists(f"/proc/{number}/cmdline") and _lives(number)}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(number: int) -> bool:
    with open(f"/proc/{number}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_closed_workers_are_gone():
    with at_work(2) as workers:
        assert isinstance(workers, Processes)
        numbers = list(workers.map(eval, [NUMBER] * 2))
    assert not any(os.path.exists(f"/proc/{number}") for number in numbers)


def test_workers_import_nothing_from_where_the_user_stands(tmp_path, monkeypatch):
    for name in ("pickle", "signal", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from where the user stands')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with at_work(2) as workers:
        assert list(workers.map(len, ["a", "bc"])) == [1, 2]
