"""A search keeps every trial, a front is measured again, a preset stands beside the recipe and never in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import unmask
from unmask.errors import Error
from unmask.evaluation.text import TextQuality
from unmask.reports.dataclass_json import plain
from unmask.sweeps.bench import Point, point_of
from unmask.sweeps.pareto import chosen, front_of, thinned

QUICK = ("--prompts", 4, "--length", 8, "--judge", "n-gram")


@pytest.fixture
def run(make_run, tmp_path):
    """A run of its own, whose recipe must stay as it is."""
    shutil.copytree(make_run("written", "masked", length=64), tmp_path / "run")
    before = (tmp_path / "run" / "recipe.yaml").read_bytes()
    yield tmp_path / "run"
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == before


def point(ms, bits, **more):
    text = TextQuality(0.5, 0.8, 0.9, 0.01, 7.0, 40.0, 200.0, 16)
    return Point("ancestral", {"steps": 4}, bits, None, text, text, ms, (ms, ms), 4, False, 1, **more)


def test_a_front_has_what_no_other_beats_and_no_collapsed_text():
    fast, good, poor, same = point(1.0, 3.0), point(5.0, 2.0), point(6.0, 2.5), point(2.0, 3.0)
    dull = point(0.5, 0.2)
    dull = replace(dull, text=replace(dull.text, entropy=2.0))
    assert dull.collapsed and front_of([poor, good, dull, same, fast], 1.0) == [fast, good]
    assert front_of([fast, good], 3.0) == [fast], "fewer bits than real text has are no better"
    assert replace(fast, bits=None).collapsed
    assert front_of([], 1.0) == [] and point_of(json.loads(json.dumps(plain(dull)))) == dull


def test_a_preset_is_an_end_the_fastest_that_is_nearly_as_good_or_a_number():
    front = [point(1.0, 3.0), point(2.0, 1.25), point(64.0, 1.2)]
    assert chosen([point(1.0, 9.0), point(2.0, 3.0)], 1.0, "balanced") == point(2.0, 3.0), "no time pays for word salad"
    assert [chosen(front, 1.0, how) for how in ("fast", "balanced", "good", "2", "none")] == [
        *front[:1],
        *front[1:],
        front[1],
        None,
    ]
    with pytest.raises(Error, match="choose is 4, and the front has 3 rows"):
        chosen(front, 1.0, "4")
    with pytest.raises(Error, match="has collapsed"):
        chosen([], 1.0, "good")
    many = [point(float(number), 99.0 - number) for number in range(1, 40)]
    few = thinned(many)
    assert len(few) == 8 and (few[0], few[-1]) == (many[0], many[-1]) and thinned(front) == front


@pytest.fixture
def loose(monkeypatch):
    """No limit is set: the networks are untrained, and their texts are no language."""
    monkeypatch.setattr("unmask.sweeps.bench.Point.collapsed", property(lambda point: point.bits is None))


def test_a_search_goes_on_chooses_anew_at_once_and_the_run_writes_by_its_preset(cli, run, loose):
    ran = cli("tune", run, "--trials", 3, *QUICK, "--json")
    assert ran.status == 0, ran.err
    told = json.loads(ran.out)
    assert told["trials"] == 3 and told["judge"] == "n-gram" and told["own"]["sampler"] == "ancestral"
    assert [row["ms"] for row in told["front"]] == sorted(row["ms"] for row in told["front"])
    assert (run / "tune" / "front.png").is_file()
    preset = json.loads((run / "sampler.json").read_text())
    assert preset["preset"] == "balanced" and preset["sampler"] == told["front"][told["chosen"] - 1]["sampler"]

    more = json.loads(cli("tune", run, "--trials", 5, *QUICK, "--json", "--choose", "fast").out)
    again = json.loads(cli("tune", run, "--trials", 5, *QUICK, "--json", "--choose", "none").out)
    assert more["trials"] == again["trials"] == 5 and again["front"] == more["front"] and again["preset"] is None
    other = json.loads(cli("tune", run, "--trials", 1, *QUICK, "--json", "--batch", 2, "--choose", "none").out)
    assert other["trials"] == 1, "another batch is another search"

    fast = more["front"][0]
    ran = cli("sample", run, "the", "--json", "--max-tokens", 8)
    told = json.loads(ran.out)
    assert told["sampler"] == fast["sampler"] and fast["settings"].items() <= told["settings"].items()
    assert told["preset"].startswith("fast (") and ran.err.count("--no-preset") == 1
    for more in (("--no-preset",), ("--sampler", "ancestral")):
        ran = cli("sample", run, "the", "--json", "--max-tokens", 8, *more)
        told = json.loads(ran.out)
        assert told["preset"] is None and told["settings"]["steps"] == 32 and "preset" not in ran.err
    assert unmask.sample(run, "the", max_tokens=8, preset=False).preset is None
    assert (
        json.loads(cli("sample", run, "the", "--json", "--max-tokens", 8, "--temperature", 0.25).out)["settings"][
            "temperature"
        ]
        == 0.25
    )


def write(run, **changes):
    told = {"format": 1, "preset": "good", "sampler": "entropy-bound", "settings": {"entropy_budget": 0.5}}
    weights = unmask.training.preset.run_weights(unmask.Run.open(run))
    (run / "sampler.json").write_text(json.dumps(told | {"weights_fingerprint": weights} | changes))


def test_a_preset_of_other_weights_is_left_aside_and_told_once(cli, run):
    write(run, weights_fingerprint="0123456789abcdef")
    ran = cli("sample", run, "the", "--max-tokens", 4, "--json")
    assert ran.err.count("was chosen for other weights") == 1 and json.loads(ran.out)["sampler"] == "ancestral"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"format": 2}, "has format 2"),
        ({"sampler": "nonesuch"}, "nonesuch"),
        ({"settings": {"entropy_budget": -1}}, "entropy_budget is -1"),
        ({"settings": [1]}, "settings is a list"),
    ],
)
def test_a_preset_that_cannot_be_is_one_line_that_names_the_file(cli, run, changes, wanted):
    write(run, **changes)
    ran = cli("sample", run, "the")
    assert ran.status == 2 and "sampler.json" in ran.err and wanted in ran.err and "--no-preset" in ran.err
    assert cli("sample", run, "the", "--no-preset", "--max-tokens", 4).status == 0


def test_a_setting_that_the_preset_has_no_use_for_is_refused_with_the_preset(cli, run):
    write(run)
    ran = cli("sample", run, "the", "--steps", 4)
    assert ran.status == 2 and "does not use steps" in ran.err and "preset is good (entropy-bound" in ran.err


def test_what_was_measured_outlives_a_kill(cli, run, loose):
    cli("tune", run, "--trials", 2, *QUICK)
    log = run / "tune" / "studies.log"
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:40])  # half a line, as a killed process leaves it
    (run / "tune" / "studies.log.lock").write_text("")
    ran = cli("tune", run, "--trials", 3, *QUICK, "--json")
    assert ran.status == 0 and json.loads(ran.out)["trials"] == 3
    assert log.read_bytes().startswith(whole)


def test_a_file_of_trials_that_is_none_is_told_in_a_line(cli, run):
    (run / "tune").mkdir()
    (run / "tune" / "studies.log").write_text('[1]\n{"op_code": 0}\n')
    ran = cli("tune", run, "--trials", 1, *QUICK)
    assert ran.status == 2 and "studies.log cannot be read" in ran.err


@pytest.mark.slow
def test_a_killed_search_loses_one_trial(run, loose):
    call = [sys.executable, "-m", "unmask", "tune", str(run), "--trials", "99", *map(str, QUICK)]
    process = subprocess.Popen(call, stderr=subprocess.PIPE, env={**os.environ})
    log = run / "tune" / "studies.log"
    while process.poll() is None and (not log.is_file() or log.read_bytes().count(b'"point"') < 2):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    measured = log.read_bytes().count(b'"point"')
    assert unmask.tune(run, trials=1, prompts=4, length=8, judge="n-gram", choose="none").trials >= measured >= 2


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (("--choose", "best"), "say fast, good, balanced, none"),
        (("--trials", 0), "trials is 0"),
        (("--length", 99), "has room for"),
        (("--judge", "own"), "no exact left-to-right likelihood"),
        (("--minutes", 0), "minutes is 0"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_line(cli, run, more, wanted):
    ran = cli("tune", run, *more)
    assert ran.status == 2 and wanted in ran.err and ran.err.count("\n") == 1


def test_a_missing_optuna_is_told_with_the_command_that_mends_it(cli, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = cli("tune", run)
    assert ran.status == 2 and "pip install 'unmask[tune]'" in ran.err
