"""A stored patcher cuts as before; what was changed, mixed up or comes from a newer version is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.patches.parts import CHARACTERS, ENTROPY, SETTINGS, TEXTS, patcher
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.ngram_file import save_ngram
from unmask.data.patches import make_patcher
from unmask.data.patches.calibrate import calibrate
from unmask.data.patches.store import FILE, FORMAT, NGRAM, load_patcher, save_patcher
from unmask.errors import Error


@pytest.mark.parametrize(("name", "options"), SETTINGS, ids=str)
def test_a_stored_patcher_cuts_as_before(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    part = patcher(name, options)
    save_patcher(part, tmp_path / "run")
    again = load_patcher(tmp_path / "run")
    assert type(again) is type(part) and again.options == part.options
    for text in TEXTS:
        np.testing.assert_array_equal(again.starts(text), part.starts(text))


@pytest.mark.parametrize("entropy", [ENTROPY, CHARACTERS])
def test_the_calibration_is_stored(entropy: NgramEntropy, tmp_path: Path) -> None:
    part = calibrate(make_patcher("babylon", {}, entropy), TEXTS, 5.0)
    save_patcher(part, tmp_path)
    again = load_patcher(tmp_path)
    assert again.entropy.unit == entropy.unit
    assert again.calibration == part.calibration and again.options.theta == part.options.theta
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FILE, NGRAM])


class Flat:
    """An entropy model that is no n-gram."""

    unit = "byte"

    def entropy(self, data: bytes, since: Any = None) -> Any:
        return np.ones(len(data))

    def stream(self) -> Any:
        raise NotImplementedError


def test_a_model_that_is_not_stored_has_to_be_given(tmp_path: Path) -> None:
    save_patcher(make_patcher("babylon", {"theta": 2.0}, Flat()), tmp_path)
    assert not (tmp_path / NGRAM).exists()
    with pytest.raises(Error, match="stored without its entropy model"):
        load_patcher(tmp_path)
    assert load_patcher(tmp_path, Flat()).starts(b"abc").tolist() == [True, False, False]


def test_damage_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no patcher in"):
        load_patcher(tmp_path)
    save_patcher(patcher("babylon", {"theta": 1.0}), tmp_path)
    good = json.loads((tmp_path / FILE).read_text())
    with pytest.raises(Error, match="brings its own"):
        load_patcher(tmp_path, ENTROPY)
    for change, message in (
        ("not json", "damaged"),
        ("[]", "has format None"),
        (json.dumps({**good, "format": FORMAT + 1}), "Upgrade"),
        (json.dumps({**good, "name": "babel"}), "unknown patcher"),
        (json.dumps({**good, "options": {"tetha": 1}}), "tetha"),
        (json.dumps({**good, "options": None, "calibration": {"x": 1}}), "damaged"),
        (json.dumps({k: v for k, v in good.items() if k != "name"}), "damaged"),
        (json.dumps({**good, "unit": "word"}), "damaged"),
    ):
        (tmp_path / FILE).write_text(change)
        with pytest.raises(Error, match=message) as caught:
            load_patcher(tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / FILE).write_text(json.dumps(good))
    save_ngram(ByteNgram(2).fit([b"another model"]), tmp_path / NGRAM)
    with pytest.raises(Error, match="is not the model that"):
        load_patcher(tmp_path)
