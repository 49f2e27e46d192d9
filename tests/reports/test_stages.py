"""An interrupted comparison loses nothing, a report is not written over unasked, and quick or untimed is said."""

from __future__ import annotations

import json
import re
import time as clocked
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from unmask.api.compare import compare
from unmask.errors import Error
from unmask.evaluation.bits import BitsPerByte
from unmask.progress import Progress, Stage
from unmask.reports import stages
from unmask.reports.cells import speed
from unmask.reports.charts import pictures
from unmask.reports.dataclass_json import plain, rebuilt
from unmask.reports.finished_parts import PARTS, PLAN
from unmask.reports.forecast import Forecast, Pace, Rival, stage_seconds
from unmask.reports.probes import Probed
from unmask.reports.rows import CompareResult, TextRow
from unmask.reports.scope import FULL, QUICK, choose
from unmask.reports.tables import speed_table

TINY: dict[str, Any] = {
    "quick": True,
    "documents": 4,
    "draws": 1,
    "samples": 2,
    "holes": 4,
    "steps": (2,),
    "length": 12,
    "judge": "n-gram",
}


@pytest.fixture(scope="module")
def pair(make_run) -> list[Path]:
    return [make_run("left"), make_run("hidden", "masked")]


class Whole(NamedTuple):
    """A comparison that nothing interrupted, and what was seen of it."""

    result: CompareResult
    folder: Path
    told: list[Progress]
    parts: list[tuple[Any, Any]]


@pytest.fixture(scope="module")
def whole(pair, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Made once for all tests of this file: what it told on its way, and each of its parts with its kind."""
    folder = tmp_path_factory.mktemp("stages") / "whole"
    told: list[Progress] = []
    parts: list[tuple[Any, Any]] = []
    real = stages.Session.part

    def spy(arena: Any, stage: Any, what: str, name: str, kind: Any, measure: Any) -> Any:
        value = real(arena, stage, what, name, kind, measure)
        parts.append((kind, value))
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.Session, "part", spy)
        result = compare(pair, folder, progress=told.append, **TINY)
    return Whole(result, folder, told, parts)


def without_time(result: CompareResult) -> dict[str, Any]:
    """What a comparison found, but for the clock, the day and the folder."""
    tree = json.loads(json.dumps(result.to_dict()))
    del tree["folder"], tree["setup"]["date"]
    for row in tree["rows"]:
        for text in row["generation"]:
            text["latency"] = len(text["latency"])
    return tree


@pytest.mark.parametrize("stage", ["time_ways", "model_controls"])
def test_an_interrupted_comparison_goes_on_to_the_same_report(
    pair, whole: Whole, tmp_path: Path, monkeypatch, stage: str
) -> None:
    assert not (whole.folder / PARTS).exists(), "the report holds what the parts held"

    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stages, stage, interrupt)
        compare(pair, tmp_path / "out", **TINY)
    kept = {path.stem for path in (tmp_path / "out" / PARTS).glob("*.json")} - {Path(PLAN).stem}
    assert {"score-0-0", "score-1-0"} <= kept and not (tmp_path / "out" / "report.html").exists()

    with pytest.raises(Error, match="interrupted comparison; go on with --resume"):
        compare(pair, tmp_path / "out", **TINY)
    with pytest.raises(Error, match="documents 4 then, 5 now"):
        compare(pair, tmp_path / "out", resume=True, **{**TINY, "documents": 5})
    asked: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(stages, "bits_per_byte", lambda *args, **kwargs: asked.append(args))
        again = compare(pair, tmp_path / "out", resume=True, **TINY)
    assert not asked, "what was scored is not scored again"
    assert without_time(again) == without_time(whole.result)
    assert not (tmp_path / "out" / PARTS).exists()


def test_a_comparison_that_measured_nothing_leaves_nothing(pair, tmp_path: Path, monkeypatch) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "bits_per_byte", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compare(pair, tmp_path / "out", **TINY)
    assert not (tmp_path / "out").exists()


def test_what_a_folder_holds_is_not_written_over_unasked(pair, tmp_path: Path, cli) -> None:
    options = ["--quick", "--documents", 2, "--samples", 1, "--steps", 2, "--length", 8, "--holes", 0]
    given = [pair[0], "-o", tmp_path / "out", *options, "--no-timing"]
    assert cli("compare", *given).status == 0
    before = (tmp_path / "out" / "report.html").read_bytes()
    for more, words in ((), "already holds a report; write over it with --force"), (("--resume",), "no interrupted"):
        ran = cli("compare", *given, *more)
        assert ran.status == 2 and words in ran.err
        assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert "give one of them" in cli("compare", *given, "--resume", "--force").err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(Error, match="not empty and holds no report"):
        compare(pair, tmp_path / "mine", **TINY)
    (tmp_path / "other" / PARTS).mkdir(parents=True)
    with pytest.raises(Error, match="no part of a comparison"):
        compare(pair, tmp_path / "other", force=True, **TINY)
    assert cli("compare", *given, "--force").status == 0


def test_the_same_run_twice_is_refused(pair, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "link").symlink_to(pair[0])
    for twin in (pair[0], pair[0] / ".." / pair[0].name, tmp_path / "link"):
        with pytest.raises(Error, match="named twice"):
            compare([pair[0], twin], tmp_path / "out", **TINY)
    assert not (tmp_path / "out").exists()


def test_every_stage_tells_its_count_and_the_time_left(whole: Whole) -> None:
    told, result = whole.told, whole.result
    names = list(dict.fromkeys(each.stage for each in told))
    assert names == ["scoring", "fitting judges", "timing", "sampling", "probing", "measuring controls"]
    for name in names:
        mine = [each for each in told if each.stage == name]
        assert {(each.number, each.stages) for each in mine} == {(names.index(name) + 1, 6)}
        assert mine[-1].done == mine[-1].total and mine[-1].share == 1 and mine[-1].left == 0
        assert [each.share for each in mine] == sorted(each.share for each in mine), name
        assert all(each.left is not None for each in mine if each.share > 0), name
    assert result.setup["quick"] is True and result.setup["timing"] is True


def test_kept_items_do_not_hasten_the_time_left(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(clocked, "monotonic", lambda: now)
    told: list[Progress] = []
    stage = Stage("scoring", (1, 1), [8.0, 1.0, 1.0], told.append)
    stage.item("kept", kept=True)
    stage.finish()
    stage.item("measured")
    now = 5.0
    stage.finish()
    assert told[1].left is None, "nothing was measured yet"
    assert told[-1].left == pytest.approx(5.0), "one item in 5 seconds, one is left"


def test_a_comparison_says_beforehand_about_how_long_it_takes(pair, tmp_path: Path, whole: Whole) -> None:
    said: list[str] = []
    told: list[Progress] = []
    compare(pair, tmp_path / "out", say=said.append, progress=told.append, **TINY)
    (about,) = [line for line in said if line.startswith("the report takes about ")]
    assert re.fullmatch(r"the report takes about \d+ (s|min), by a first call of each network", about)
    assert told[0].left_in_all is not None and told[0].stage == "scoring", "before anything is measured"
    assert all(each.left_in_all is not None and each.left_in_all >= 0 for each in told)


def rivals(pace: Pace) -> list[Rival]:
    return [Rival(pace, [], 1, 1000, True), Rival(pace, [], 2, 1000, False)]


def test_more_work_is_told_to_take_longer() -> None:
    pace = Pace(token=0.001, alone=0.01, row=0.002)
    full = stage_seconds(rivals(pace), FULL, 64, 1.0)
    assert full["scoring"] == pytest.approx(1000 * 0.001 * (1 + 2 * FULL.draws))
    assert sum(full.values()) > sum(stage_seconds(rivals(pace), QUICK, 64, 1.0).values())
    slow = stage_seconds(rivals(Pace(0.002, 0.02, 0.004)), FULL, 64, 1.0)
    assert all(slow[name] >= seconds for name, seconds in full.items()) and slow["scoring"] == 2 * full["scoring"]
    assert "timing" not in stage_seconds(rivals(pace), replace(FULL, timing=False), 64, 1.0)


def test_what_is_left_is_corrected_by_how_long_the_stages_took(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(clocked, "monotonic", lambda: now)
    told: list[Progress] = []
    forecast = Forecast({"scoring": 10.0, "timing": 10.0, "probing": 10.0}, told.append)
    forecast(Progress("scoring", 1, 3, "a", 0, 1, 0.0, None))
    now = 20.0  # twice as long as expected
    forecast(Progress("timing", 2, 3, "a", 0, 1, 0.0, None))
    now = 30.0
    forecast(Progress("timing", 2, 3, "a", 1, 2, 0.5, 10.0))
    before, middle, after = [each.left_in_all for each in told]
    assert before == 30.0, "nothing was seen yet"
    assert 20.0 < middle < 40.0, "what is to come is as slow as what was, by as much as that was of the whole"
    assert after == pytest.approx(middle / 2 + 10.0), "a stage knows its own pace"


def test_a_quick_comparison_says_what_it_leaves_out(pair, whole: Whole) -> None:
    own = {row.name: {text.sampler for text in row.generation} for row in whole.result.rows}
    assert all(len(samplers) == 1 for samplers in own.values()), own
    text = (whole.folder / "report.html").read_text()
    assert "Left out: samplers other than a run&#39;s own, divergence" in text
    assert "divergence" not in whole.result.rows[0].generation[0].measures


def test_quick_and_untimed_comparisons_say_so(pair, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("keep: hidden\nagainst: left\nrules: ['latency <= 1x', 'peak_memory <= 2x', 'parameters <= 2x']\n")
    result = compare(pair, tmp_path / "out", timing=False, rules=rules, **TINY)
    assert all(text.latency == [] for row in result.rows for text in row.generation)
    (decision,) = result.decisions
    assert [outcome.met for outcome in decision.outcomes] == [None, None, True]
    assert all("timing was off" in outcome.why for outcome in decision.outcomes[:2])
    for name in ("report.html", "table.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "This is a quick comparison" in text and "Timing was off" in text and "B1 tok/s" not in text
    assert "Speed and quality" not in [title for title, _, _ in pictures(result)]


def test_what_is_given_stands_in_place_of_the_quick_numbers() -> None:
    assert choose() == FULL and choose(quick=True) == QUICK
    mine = choose(quick=True, timing=False, documents=7, steps=[3])
    assert (mine.documents, mine.steps, mine.draws, mine.timing) == (7, (3,), QUICK.draws, False)
    for numbers in ("documents", "draws", "samples", "holes", "repeats", "longest", "probed"):
        assert getattr(QUICK, numbers) < getattr(FULL, numbers)
    with pytest.raises(Error, match="timing is off"):
        choose(timing=False, batches=[1])
    with pytest.raises(Error, match="holes is -1"):
        choose(holes=-1)


def test_a_time_under_load_is_marked_and_not_ranked(whole: Whole) -> None:
    result = whole.result
    for row in result.rows:
        for text in row.generation:
            (cell,) = text.latency
            assert cell.load is not None and 0 <= cell.load.share and cell.contended in (True, False)
    stored = json.loads((whole.folder / "compare.json").read_text())
    cell = stored["rows"][0]["generation"][0]["latency"][0]
    assert {"average", "share", "waited"} == set(cell["load"]) and "contended" in cell

    def marked(contended: bool) -> CompareResult:
        rows = [
            replace(
                row,
                generation=[
                    replace(text, latency=[replace(cell, contended=contended) for cell in text.latency])
                    for text in row.generation
                ],
            )
            for row in result.rows
        ]
        return replace(result, rows=rows)

    busy, quiet = marked(True), marked(False)
    assert all(words.endswith("†") for words in speed(busy.rows[0].generation[0].latency[0]))
    assert "timed under load" in speed_table(busy).note and "timed under load" not in speed_table(quiet).note
    assert "Speed and quality" in [title for title, _, _ in pictures(quiet)]
    assert "Speed and quality" not in [title for title, _, _ in pictures(busy)]


def test_a_part_comes_back_to_the_bit(whole: Whole) -> None:
    seen = whole.parts
    assert {BitsPerByte, TextRow, Probed} <= {kind for kind, _ in seen if isinstance(kind, type)}
    for kind, value in seen:
        again = rebuilt(kind, json.loads(json.dumps(plain(value))))
        assert type(again) is type(value) and plain(again) == plain(value)
    (score,) = [value for kind, value in seen if kind is BitsPerByte][:1]
    again = rebuilt(BitsPerByte, json.loads(json.dumps(plain(score))))
    assert np.array_equal(again.per_document[0], score.per_document[0]) and again.per_document[0].dtype == np.float64
    with pytest.raises(TypeError):
        rebuilt(BitsPerByte, {**plain(score), "value": "eight"})
