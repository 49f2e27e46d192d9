"""``calibrate`` and what uses it: from Python, from the shell, in what is exported."""

from __future__ import annotations

import json
import shutil

import pytest

import unmask
from unmask.api.calibrate import METHODS
from unmask.api.held_out_states import split
from unmask.cli import calibrate as verb
from unmask.errors import Error
from unmask.evaluation.confidences import Text

WORDS = ("cat", "dog", "fox", "owl", "hen", "cow")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "other.jsonl"
    rows = ({"text": f"A {WORDS[i % 6]} saw {i} {WORDS[i * 5 % 6]}s."} for i in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def calibrated(tiny_masked_run, source, tmp_path_factory):
    run = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(tiny_masked_run, run)
    return run, unmask.calibrate(run, source=str(source), documents=40, method="platt")


def test_documents_that_fit_choose_and_measure_are_not_the_same():
    parts = split([Text(number, [1, 5, 2]) for number in range(40)])
    sets = [{one.document for one in part} for part in parts.values()]
    assert [len(one) for one in sets] == [20, 8, 12] and len(set().union(*sets)) == 40


def test_the_result_says_what_was_fitted_where_and_what_it_is_worth(calibrated):
    run, found = calibrated
    assert found.method == "platt" and [one.method for one in found.tried] == ["none", "platt"]
    assert found.documents == {"fit": 20, "choose": 8, "measure": 12}
    assert [one.states for one in found.measured] == ["forced", "calibrated", "corrupted", "written", "drawn"]
    first = found.measured[0]
    assert first.before.overall.ece_interval and first.after.overall.auroc_interval and first.cut > 0
    assert set(first.before.overall.controls) == {"constant", "overconfident"}
    kept = json.loads((run / "calibration.json").read_text())
    assert kept["measured"]["forced"]["after"]["all"]["ece"] == first.after.overall.scores.ece
    assert kept["fitted"]["source"] == "other.jsonl", "no place of this machine"


def test_the_shell_writes_the_same_and_names_the_next_command(cli, tiny_masked_run, source, tmp_path):
    shutil.copytree(tiny_masked_run, tmp_path / "run")
    asked = ("calibrate", tmp_path / "run", "--source", source, "--documents", "40")
    ran = cli(*asked)
    assert ran.status == 0 and "next: unmask sample" in ran.err and "-s calibrated=true" in ran.err and "ECE" in ran.out
    told = json.loads(cli(*asked, "--method", "platt", "--json").out)
    assert told["method"] == "platt" and told["measured"][0]["after"]["overall"]["scores"]["ece"] >= 0


def test_a_sample_is_ordered_by_it_and_tells_it(cli, calibrated):
    run, _ = calibrated
    asked = ("sample", run, "--sampler", "confidence", "--max-tokens", "8", "--json", "-s", "steps=4")
    raw, told = (json.loads(cli(*asked, "-s", f"calibrated={flag}").out) for flag in ("false", "true"))
    assert raw["texts"] == told["texts"], "a rising map leaves the order as it is"
    assert raw["confidence"] != told["confidence"]
    assert [len(each) for each in told["confidence"]] == told["tokens"]


def test_a_loaded_run_uses_its_new_calibration_at_once(tiny_masked_run, source, tmp_path):
    shutil.copytree(tiny_masked_run, tmp_path / "run")
    run = unmask.load(tmp_path / "run")
    given = {"sampler": "confidence", "max_tokens": 6, "steps": 2}
    with pytest.raises(Error, match="unmask calibrate"):
        run.sample(**given, calibrated=True)
    raw = run.sample(**given)
    run.calibrate(source=str(source), documents=40, method="isotonic")
    assert run.sample(**given, calibrated=True).confidence != raw.confidence
    assert run.sample(**given).confidence == raw.confidence


def test_an_export_keeps_it_and_its_card_tells_it(calibrated, tmp_path):
    run, _ = calibrated
    unmask.export(run, tmp_path / "out")
    assert "calibrated | platt" in (tmp_path / "out" / "README.md").read_text()
    written = [unmask.sample(at, sampler="confidence", max_tokens=6, calibrated=True) for at in (run, tmp_path / "out")]
    assert written[0].confidence == written[1].confidence


def test_filled_holes_tell_it(calibrated):
    run, _ = calibrated
    given = {"length": 2, "sampler": "confidence", "steps": 1}
    told = [unmask.infill(run, "A ____ saw ____.", calibrated=flag, **given) for flag in (True, False)]
    assert told[0].texts == told[1].texts and told[0].confidence != told[1].confidence
    assert [len(one) for one in told[0].confidence] == [4]


def test_an_export_refuses_one_of_other_weights(calibrated, tmp_path):
    shutil.copytree(calibrated[0], tmp_path / "run")
    path = tmp_path / "run" / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_fingerprint": "0" * 16}))
    with pytest.raises(Error, match="fitted to other weights"):
        unmask.export(tmp_path / "run", tmp_path / "out")


def test_a_missing_calibration_is_told_before_torch_is_imported(python, tiny_masked_run):
    ran = python(
        "import sys\nfrom unmask.cli.app import run\n"
        f"status = run(['sample', {str(tiny_masked_run)!r}, '--sampler', 'confidence', '-s', 'calibrated=true'])\n"
        "print(status, 'torch' in sys.modules)"
    )
    assert ran.out.split() == ["2", "False"] and "make one: unmask calibrate" in ran.err


def test_a_run_that_no_sampler_orders_by_confidence_is_refused_by_name(tiny_run):
    with pytest.raises(Error, match="trained as causal: no sampler of it orders words by confidence"):
        unmask.calibrate(tiny_run)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"method": "plat"}, "Did you mean 'platt'"), ({"documents": 3}, "must be at least 12")],
)
def test_what_cannot_work_is_one_line(tiny_masked_run, given, said):
    with pytest.raises(Error, match=said):
        unmask.calibrate(tiny_masked_run, **given)


def test_the_shell_knows_the_methods_of_python():
    assert verb._METHODS == METHODS
