"""A comparison is even or says why not, has its controls, and is one page that needs nothing from outside."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from unmask.api.compare import compare
from unmask.errors import Error
from unmask.reports.rows import CompareResult

SMALL = {"draws": 2, "samples": 8, "steps": (2, 500), "batches": (1, 2), "documents": 16, "holes": 6}


@pytest.fixture(scope="module")
def result(make_run, tmp_path_factory: pytest.TempPathFactory) -> CompareResult:
    runs = [make_run("left"), make_run("hidden", "masked")]
    return compare(runs, tmp_path_factory.mktemp("report"), judge="n-gram", command="unmask compare <left>", **SMALL)


def test_a_comparison_of_untrained_byte_models(result: CompareResult) -> None:
    left, hidden = result.rows
    assert (left.bound, hidden.bound) == ("exact", "upper bound")
    for row in result.rows:
        assert 7.8 < row.bits_per_byte < 9.5, "an untrained byte model needs about 8 bits, ends of documents aside"
        assert row.interval[0] <= row.bits_per_byte <= row.interval[1]
        assert 100 < row.perplexity < 1000, "of 260 bytes and ends"
    assert left.difference is None and hidden.difference[0] == pytest.approx(hidden.bits_per_byte - left.bits_per_byte)
    assert result.warnings == []

    controls = {control.name: control for control in result.controls}
    assert set(controls) == {"uniform", "unigram", "order-5 n-gram", "untrained", "real text", "shuffled words"}
    assert controls["uniform"].bits_per_byte == 8
    assert controls["order-5 n-gram"].bits_per_byte < controls["unigram"].bits_per_byte < 5
    assert 7.8 < controls["untrained"].bits_per_byte < 9.5
    judge = controls["real text"].text.judges["n-gram judge"]
    assert judge < controls["shuffled words"].text.judges["n-gram judge"] or judge < 3
    assert judge < left.generation[0].judges["n-gram judge"]


def test_speed_never_stands_without_quality(result: CompareResult) -> None:
    ways = [(text.name, text.sampler, text.steps) for row in result.rows for text in row.generation]
    assert ways == [
        ("left", "autoregressive", None),
        ("hidden", "ancestral", 2),
        ("hidden", "ancestral", 31),  # more steps than tokens are cut
        ("hidden", "confidence", 31),
        ("hidden", "entropy-bound", None),
        ("hidden", "remasking", 31),
    ]
    for row in result.rows:
        for text in row.generation:
            assert [cell.batch for cell in text.latency] == [1, 2]
            assert all(cell.tokens == 31 * cell.batch for cell in text.latency), "equal work, and every token counted"
            assert text.quality.texts == text.real.texts == 8
            assert text.judges["n-gram judge"] is not None
    for row, calls in zip(result.rows, (31, 2), strict=True):  # and those that complete letters, at most one a byte
        assert all(calls <= cell.forwards <= calls + 31 for cell in row.generation[0].latency)


def test_every_measure_of_a_model_stands_beside_its_control(result: CompareResult) -> None:
    left, hidden = result.rows
    assert [level.name for level in left.denoising.levels] == ["next token"]
    assert len(hidden.denoising.levels) == 6
    for row in result.rows:
        for level in row.denoising.levels:
            assert level.positions and 0 <= level.accuracy <= 1 and level.unigram_accuracy > 0
        assert row.calibration.overall.controls["constant"].auroc == 0.5
        assert set(row.measures) >= {"accuracy", "ece", "auroc", "infill_bleu", "infill_rouge"}
    assert all(level.copy_accuracy == 0 for level in hidden.denoising.levels), "the state never shows its answer"
    assert (
        left.infilling.score is None
        and "left to right" in left.infilling.reason
        and left.measures["infill_bleu"] is None
    )
    assert hidden.infilling.score.holes == 6
    assert result.fills["removed text"].exact == 1 and result.fills["removed text"].rouge_l == 1
    for text in hidden.generation:
        assert set(text.measures) == set(text.real_measures) == {"self_bleu", "coherence", "divergence"}
        assert text.latency[0].memory.above >= 0 and len(text.latency[0].times) == text.latency[0].repeats
    table = (Path(result.folder) / "table.md").read_text()
    for shown in ("Restoring hidden text", "Filling holes", "self-BLEU", "AUROC", "other document"):
        assert shown in table


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


def test_the_report_needs_nothing_from_outside_and_escapes_what_it_shows(result: CompareResult) -> None:
    html = (Path(result.folder) / "report.html").read_text()
    page = Page()
    page.feed(html)
    assert len(page.links) == 5 and all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    ours = re.sub(r"base64,[^\"]+|<blockquote[^>]*>[^<]*</blockquote>", "", html)  # what a model wrote may be anything
    assert not re.search(r"https?:|@import|url\(|//[a-z]", ours)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "unmask compare &lt;left&gt;" in html and "<left>" not in html
    assert 'name="viewport"' in html
    for shown in (result.held_out["fingerprint"], "upper bound", "shuffled words", result.setup["date"]):
        assert shown in html


def test_the_json_and_the_markdown_say_the_same(result: CompareResult) -> None:
    stored = json.loads((Path(result.folder) / "compare.json").read_text())
    assert [row["name"] for row in stored["rows"]] == ["left", "hidden"]
    for key in ("process", "parameters", "tokens_seen", "bits_per_byte", "bound", "interval", "generation"):
        assert all(key in row for row in stored["rows"])
    table = (Path(result.folder) / "table.md").read_text()
    assert f"{stored['rows'][0]['bits_per_byte']:.3f} | exact" in table
    assert f"≤ {stored['rows'][1]['bits_per_byte']:.3f} | upper bound, 2 draws" in table


def test_unmatched_runs_are_warned_about(make_run, tmp_path: Path) -> None:
    quick = {**SMALL, "documents": 2, "samples": 1, "steps": (1,), "batches": (1,)}
    even = compare([make_run("a"), make_run("b", tokens=1019)], tmp_path / "out", judge="none", **quick)
    assert not [text for text in even.warnings if "differ" in text]
    odd = compare([make_run("c"), make_run("d", width=20, tokens=1021)], tmp_path / "odd", judge="none", **quick)
    assert any(text.startswith("parameters differ") for text in odd.warnings)
    assert any(text.startswith("training tokens differ by 2%: c 1,000, d 1,021") for text in odd.warnings)
    assert odd.setup["judges"] == [] and odd.rows[0].generation[0].judges == {}


def test_a_judge_must_not_have_read_what_a_rival_read(make_run, tmp_path: Path) -> None:
    run, fair = make_run("rival"), make_run("fair", split="judge")
    with pytest.raises(Error, match="judge twin was trained on the train split"):
        compare([run], tmp_path / "out", judge=make_run("twin"), **SMALL)
    with pytest.raises(Error, match="no exact likelihood"):
        compare([run], tmp_path / "out", judge=make_run("blurred", "masked", split="judge"), **SMALL)
    result = compare([run], tmp_path / "out", judge=fair, **{**SMALL, "batches": (1,)})
    text = result.rows[0].generation[0]
    assert set(text.judges) == {"n-gram judge", "AR judge"}
    assert 7 < text.judges["AR judge"] < 10 and math.isfinite(text.real_judges["AR judge"])


def test_impossible_comparisons_are_refused(make_run, tmp_path: Path) -> None:
    run = make_run("a")
    with pytest.raises(Error, match="at least one run"):
        compare([], tmp_path / "out")
    with pytest.raises(Error, match="steps must be numbers of at least 1"):
        compare([run], tmp_path / "out", judge="none", steps=(0,))
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match="is a file"):
        compare([run], tmp_path / "file", judge="none", **{**SMALL, "batches": (1,)})
