"""``compare --measures script``: rows beside controls, the same prompts for all, numbers that rules can use."""

import json

import pytest

from unmask.api.compare import compare
from unmask.errors import Error
from unmask.evaluation.indic_set import CLASSES
from unmask.evaluation.rules import MEASURES
from unmask.reports.dataclass_json import plain, rebuilt
from unmask.reports.scripts import Kept

SMALL = {"quick": True, "draws": 1, "samples": 2, "steps": (2,), "documents": 4, "holes": 0, "length": 40}
RULES = "keep: hidden\nagainst: left\nrules: [script_errors < 1x, bits_per_byte <= 1.01x, script_distance <= 0.9]\n"
NAMES = {"script_errors", "mixed_words", "broken_letters", "broken_utf8", "script_distance", "switch_distance"}


@pytest.fixture(scope="module")
def result(make_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    (folder / "rules.yaml").write_text(RULES)
    runs = [make_run("left", length=400), make_run("hidden", "masked", length=400)]
    given = {"judge": "none", "timing": False, "measures": ["script"], "rules": folder / "rules.yaml"}
    return compare(runs, folder / "report", **given, **SMALL)


def test_every_row_and_control_is_measured_in_every_class(result):
    assert set(result.scripts) >= {"left", "hidden", "real text", "shuffled words", "flipped scripts", "order-5 n-gram"}
    for name in ("left", "hidden", "real text", "flipped scripts"):
        assert list(result.scripts[name]) == list(CLASSES)
    for kind in CLASSES:
        real, flipped = (result.scripts[name][kind] for name in ("real text", "flipped scripts"))
        assert real.quality.script_errors == 0 and real.script_distance < flipped.script_distance
        assert result.scripts["hidden"][kind].fill.holes == result.scripts["holes: unigram"][kind].fill.holes == 10
        assert result.scripts["holes: removed text"][kind].fill.exact == 1
        assert result.scripts["left"][kind].fill is None


def test_rules_can_speak_of_script(result):
    left, hidden = result.rows
    assert NAMES | {"spelt_two_ways"} <= set(MEASURES) and set(hidden.measures) >= NAMES
    (decision,) = result.decisions
    assert [outcome.value is not None for outcome in decision.outcomes] == [True] * 3
    errors = decision.outcomes[0]
    assert errors.value == pytest.approx(hidden.measures["script_errors"] / left.measures["script_errors"])
    assert errors.interval is not None, "of the prompts' choice, though there is one seed"


def test_its_part_comes_back_to_the_bit(result):
    kept = Kept(result.scripts["hidden"], result.rows[1].measures, {}, result.rows[1].measure_chance)
    again = rebuilt(Kept, json.loads(json.dumps(plain(kept))))
    assert plain(again) == plain(kept) and again.classes["mixed"].quality == kept.classes["mixed"].quality


def test_the_report_holds_both_tables(result):
    with open(f"{result.folder}/table.md", encoding="utf-8") as file:
        text = file.read()
    assert "### Keeping the script" in text and "### Filling holes in Hindi, Hinglish and mixed script" in text
    with open(f"{result.folder}/compare.json", encoding="utf-8") as file:
        assert json.load(file)["scripts"]["left"]["hindi"]["quality"]["words"] > 0


def test_what_does_not_fit_is_left_out_for_all_and_said(make_run, tmp_path):
    runs = [make_run("left", length=400), make_run("short", length=100)]
    found = compare(runs, tmp_path, judge="none", timing=False, measures=["script"], **SMALL)
    assert any("do not fit into the shortest context" in warning for warning in found.warnings)
    assert found.scripts["left"]["hindi"].quality.words == 0 or found.scripts["left"]["hinglish"].quality.words


def test_unknown_measures_are_refused_at_once(make_run, tmp_path):
    with pytest.raises(Error, match="unknown measures 'scripts'.*script"):
        compare([make_run("left")], tmp_path, measures=["scripts"])
