"""A time says what the machine did meanwhile, and waiting for a core is what marks it."""

from __future__ import annotations

import time

import pytest

from unmask.evaluation import contention
from unmask.evaluation.contention import Gauge, Load


def test_waiting_in_line_marks_a_time_and_computing_alone_does_not():
    assert Load(2.0, 0.66, 0.34).contended(1) and Load(2.0, 1.3, 0.34).contended(2)
    assert not Load(2.0, 1.0, 0.0).contended(1), "a load average alone is the past, or another core"
    assert not Load(2.0, 0.2, 0.0).contended(0), "who waits for a GPU waits for no core"
    assert Load(None, 0.6, None).contended(1), "where nobody counts the line, a single thread's share tells"
    assert not Load(None, 1.2, None).contended(2)


def test_only_what_is_read_counts(monkeypatch):
    clock = {"monotonic": 0.0, "process_time": 0.0, "line": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["monotonic"])
    monkeypatch.setattr(time, "process_time", lambda: clock["process_time"])
    monkeypatch.setattr(contention, "_in_line", lambda: clock["line"])
    gauge = Gauge()
    for _ in range(2):
        with gauge.reading():
            clock["monotonic"] += 1.0
            clock["process_time"] += 0.75
            clock["line"] += 0.25
        clock["monotonic"] += 50.0
        clock["line"] += 40.0
    load = gauge.load()
    assert (load.share, load.waited) == (pytest.approx(0.75), pytest.approx(0.25))


def test_the_line_is_read_where_the_system_keeps_it(monkeypatch, tmp_path):
    for thread, waited in ((1, 2_000_000_000), (2, 500_000_000)):
        (tmp_path / str(thread)).mkdir()
        (tmp_path / str(thread) / "schedstat").write_text(f"123 {waited} 7\n")
    monkeypatch.setattr(contention, "_TASKS", tmp_path)
    assert contention._in_line() == pytest.approx(2.5)
    monkeypatch.setattr(contention, "_TASKS", tmp_path / "absent")
    assert contention._in_line() is None
