"""A run's calibration is kept beside its weights, belongs to them, and is read by who asks for it alone."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from unmask.errors import Error
from unmask.sampling.calibrated import Calibration
from unmask.training.calibration_file import CALIBRATION, HEAD, read_calibration, write_calibration
from unmask.training.run import Run

PLATT = Calibration("platt", (0.0, 0.5, 1.0), {"a": [0.5, 2.0], "b": [0.3, -1.0]})
ISOTONIC = Calibration("isotonic", (0.0, 1.0), {"x": [[0.1, 0.9]], "y": [[0.2, 0.7]]})
HEADED = Calibration(
    "head",
    (0.0, 1.0),
    {"a": [1.0], "b": [0.0]},
    {"mean": torch.zeros(4), "scale": torch.ones(4), "into": torch.ones(4, 2), "into_bias": torch.zeros(2)}
    | {"out": torch.ones(2, 1), "out_bias": torch.zeros(1)},
)


@pytest.fixture
def run(tiny_masked_run, tmp_path):
    shutil.copytree(tiny_masked_run, tmp_path / "run")
    return Run.open(tmp_path / "run")


def weights(run):
    return run.manifest["weights_fingerprint"]


@pytest.mark.parametrize("calibration", [PLATT, ISOTONIC, HEADED], ids=lambda one: one.method)
def test_what_is_written_is_what_is_read(run, calibration):
    write_calibration(run.path, HEADED, weights(run), {})
    write_calibration(run.path, calibration, weights(run), {"fitted": {"seed": 3}})
    found = read_calibration(run.path, weights(run))
    assert (found.method, found.edges, found.numbers) == (calibration.method, calibration.edges, calibration.numbers)
    assert found.head.keys() == calibration.head.keys() and run.calibration["fitted"] == {"seed": 3}
    assert (run.path / HEAD).exists() == bool(calibration.head), "no head of an older calibration is left"


def test_a_run_without_one_is_told_the_command(run):
    with pytest.raises(Error, match=r"has no calibration.*unmask calibrate "):
        _ = run.calibration


def test_one_of_other_weights_is_refused_where_it_is_asked_for_and_nowhere_else(run):
    write_calibration(run.path, PLATT, "0" * 16, {})
    model = run.model("cpu")
    with pytest.raises(Error, match="other weights.*unmask calibrate"):
        model.calibration(None)


def test_an_older_run_whose_manifest_names_no_weights_has_them_read(run):
    write_calibration(run.path, PLATT, weights(run), {})
    assert read_calibration(run.path, None).method == "platt"
    (run.path / "model.safetensors").write_bytes(b"others")
    with pytest.raises(Error, match="other weights"):
        read_calibration(run.path, None)


def test_a_head_of_another_calibration_is_refused(run):
    write_calibration(run.path, HEADED, weights(run), {})
    told = json.loads((run.path / CALIBRATION).read_text())
    (run.path / CALIBRATION).write_text(json.dumps(told | {"head_fingerprint": "0" * 16}))
    with pytest.raises(Error, match="not the head"):
        read_calibration(run.path, weights(run))
    (run.path / HEAD).unlink()
    with pytest.raises(Error, match="calibration.safetensors cannot be read"):
        read_calibration(run.path, weights(run))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "other"}, "is no calibration"),
        ({"format": 2}, "upgrade"),
        ({"method": "magic"}, "damaged"),
        ({"edges": [0, 0.5, 0.4, 1]}, "do not rise"),
        ({"numbers": {"a": [1.0]}}, "a is no list"),
        ({"numbers": {"a": [1.0, None], "b": [0.0, 0.0]}}, "a holds what is no number"),
        ({"method": "temperature", "numbers": {"T": [1.0, 0.0]}}, "not above 0"),
        ({"method": "isotonic", "numbers": {"x": [[0.2, 0.1]] * 2, "y": [[0.1]] * 2}}, "x does not rise"),
    ],
)
def test_a_damaged_one_is_one_line_that_says_what(run, change, said):
    write_calibration(run.path, PLATT, weights(run), {})
    told = json.loads((run.path / CALIBRATION).read_text())
    (run.path / CALIBRATION).write_text(json.dumps(told | change))
    with pytest.raises(Error, match=said):
        _ = run.calibration
