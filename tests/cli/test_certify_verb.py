"""``unmask certify`` prints the table of every sampler, says what is broken, and ends with the status that says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

import pytest

import unmask
from unmask.certificates.certify import certifiable
from unmask.sampling import SAMPLERS, Ancestral
from unmask.sampling.settings import AncestralSettings

QUICK = ["--samples", "2000", "--steps", "1,2", "--world", "hmm", "--tolerance", "0.2"]
SHARP = ["--samples", "8000", "--steps", "1,2", "--world", "hmm", "--tolerance", "0.12"]


class RushedSettings(AncestralSettings):
    name: ClassVar[str] = "rushed"


class Rushed(Ancestral):
    """Decides everything one step early."""

    Settings = RushedSettings

    def step(self, model, state):
        after, frame = super().step(model, replace(state, step=state.step + 1))
        return replace(after, step=after.step - 1), frame


@pytest.fixture
def rushed(monkeypatch):
    monkeypatch.setitem(SAMPLERS._parts, "rushed", Rushed)


def test_every_registered_sampler_is_in_the_table_beside_its_controls(cli, tmp_path):
    ran = cli("certify", *QUICK, "--json", "--output", tmp_path / "out")
    found = json.loads(ran.out)
    assert ran.status == 0, ran.err
    assert {c["sampler"] for c in found["certificates"]} == set(certifiable())
    assert {c["name"] for c in found["certificates"]} >= {"confidence", "confidence confidence_of=drawn"}
    for certificate in found["certificates"]:
        assert 0 < certificate["floor"] < certificate["independent"]
        assert [cell["steps"] for cell in certificate["cells"]] in ([1, 2], [None])
        for cell in certificate["cells"]:
            assert cell["tv"]["low"] <= cell["tv"]["value"] <= cell["tv"]["high"]
    assert found["passed"] and found["setup"]["processor"]
    stored = json.loads((tmp_path / "out" / "certify.json").read_text())
    assert stored == found
    table = (tmp_path / "out" / "certify.md").read_text()
    for row in (
        "| autoregressive | exact |",
        "| ancestral | reverse |",
        "| exact texts | control |",
        "| independent words",
    ):
        assert row in table


def test_a_sampler_that_breaks_its_promise_is_named_and_the_status_is_one(cli, rushed):
    ran = cli("certify", "rushed", "autoregressive", *SHARP)
    assert ran.status == 1
    assert "hmm: rushed: FAILS its promise" in ran.err and "hmm: autoregressive: exact" in ran.err
    assert "FAILS" in ran.out and "some promises are broken" in ran.err
    json_ran = cli("certify", "rushed", *SHARP, "--json")
    found = json.loads(json_ran.out)
    assert json_ran.status == 1 and not found["passed"] and found["certificates"][0]["failed"]


def test_one_set_of_settings_is_tested_alone(cli):
    ran = cli("certify", "confidence", *QUICK, "-o", "confidence_of=drawn", "-o", "temperature=0.5", "--json")
    (certificate,) = json.loads(ran.out)["certificates"]
    assert certificate["settings"] == {"confidence_of": "drawn", "temperature": 0.5}
    assert certificate["promise"] == "none" and certificate["verdict"].startswith("trades: TV")


def test_same_seed_same_numbers_and_threads_are_left_as_they_were():
    import torch

    torch.set_num_threads(2)
    try:
        given = {"steps": [2], "samples": 1000, "world": "markov"}
        once, again, other = (unmask.certify("ancestral", seed=s, **given).certificates for s in (0, 0, 1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert once == again and once[0].cells != other[0].cells


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["ancestrel"], "unknown sampler 'ancestrel'. Did you mean 'ancestral'?"),
        (["--world", "both"], "there are more than two worlds now: say all, or one of"),
        (["--world", "hmmm"], "unknown world 'hmmm'. Did you mean 'hmm'?"),
        (["--steps", "a"], "--steps 'a' must be whole numbers"),
        (["--steps", "0"], "steps must be numbers of at least 1"),
        (["--samples", "5"], "samples is 5"),
        (["--tolerance", "2"], "tolerance is 2.0"),
        (["-o", "temperature"], "must be key=value"),
        (["-o", "temprature=1"], "unknown setting 'temprature'. Did you mean 'temperature'?"),
        (["-o", "temperature=hot"], "temperature is 'hot'"),
        (["-o", "temperature=-1"], "temperature is -1; it must be 0 or more."),
        (["confidence", "-o", "confidence_of=mean"], "confidence_of is 'mean'"),
        (["-o", "steps=3"], "steps are set by --steps."),
        (["ancestral", "-o", "confidence_of=drawn"], "the 'ancestral' sampler does not use confidence_of"),
        (["--output", "FILE"], "is a file; give a folder."),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(cli, tmp_path, given, line):
    (tmp_path / "file").write_text("")
    ran = cli("certify", *[tmp_path / "file" if part == "FILE" else part for part in given])
    assert ran.status == 2 and ran.out == ""
    assert ran.err.startswith("error: ") and ran.err.count("\n") == 1 and line in ran.err
