"""A run's calibration: ``calibration.json``, beside it ``calibration.safetensors`` where it has a head.

The first names the weights that it was fitted to and the head that belongs to it, and is written last. So whoever
trains on, or is interrupted, has no calibration of other weights: it is refused with the command that makes one.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.data.json_file import read_object
from unmask.errors import Error
from unmask.lines import shell
from unmask.training.fingerprints import weights_fingerprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from unmask.sampling.calibrated import Answer, Calibration

CALIBRATION, HEAD = "calibration.json", "calibration.safetensors"
KIND, FORMAT = "unmask-calibration", 1
TOLD = ("created", "fitted", "measured")
"""What it says besides of how it was fitted, and of what it is worth."""
_NUMBERS = {"none": "", "temperature": "T", "platt": "ab", "isotonic": "xy", "head": "ab"}


def calibrated_with(folder: Path, weights: str | None) -> dict[str, Any]:
    """Return what ``calibration.json`` of a run says; torch is not imported.

    Args:
        folder: The run.
        weights: Fingerprint of its weights; ``None``: its manifest has none, and the weights are read.

    Raises:
        Error: there is none, it is damaged or of a newer format, or it was fitted to other weights.
    """
    path = folder / CALIBRATION
    again = f"fit it again: unmask calibrate {shell(folder)}"
    if not path.exists():
        raise Error(
            f"run {folder} has no calibration, which calibrated=true orders by; make one: unmask calibrate "
            f"{shell(folder)}"
        )
    told = read_object(path, again)
    if told.get("kind") != KIND or not isinstance(told.get("format"), int):
        raise Error(f"{path} is no calibration; {again}.")
    if told["format"] > FORMAT:
        raise Error(
            f"{path} has format {told['format']}, this version reads up to {FORMAT}; upgrade with: pip install -U "
            "unmask"
        )
    if told.get("weights_fingerprint") != (weights or weights_fingerprint(folder)):
        raise Error(f"the calibration of run {folder} was fitted to other weights than those there; {again}.")
    if (wrong := _wrong(told)) is not None:
        raise Error(f"{path} is damaged ({wrong}); {again}.")
    return told


def _wrong(told: Mapping[str, Any]) -> str | None:
    """Say what of a calibration's numbers cannot be."""
    method, edges, numbers = told.get("method"), told.get("edges"), told.get("numbers")
    if method not in _NUMBERS or not _reals(edges) or not isinstance(numbers, dict):
        return "its method, edges or numbers"
    if len(edges) < 2 or [*edges] != sorted({*edges}) or edges[0] != 0 or edges[-1] != 1:
        return "its edges do not rise from 0 to 1"
    for key in _NUMBERS[method]:
        each = numbers.get(key)
        if not isinstance(each, list) or len(each) != len(edges) - 1:
            return f"{key} is no list with an entry a level"
        if method == "isotonic" and not all(_reals(one) and one and one == sorted(one) for one in each):
            return f"{key} does not rise"
        if method != "isotonic" and not _reals(each):
            return f"{key} holds what is no number"
    if method == "temperature" and min(numbers["T"]) <= 0:
        return "a temperature is not above 0"
    if method == "isotonic" and any(len(x) != len(y) for x, y in zip(numbers["x"], numbers["y"], strict=True)):
        return "x and y differ in length"
    return None


def _reals(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in values
    )


def read_calibration(folder: Path, weights: str | None) -> Calibration:
    """Return a run's calibration. Arguments and errors: :func:`calibrated_with`; or a head that does not belong to it.

    Raises:
        Error: see there.
    """
    told = calibrated_with(folder, weights)
    head: dict[str, Tensor] = {}
    if told["method"] == "head":
        from safetensors import SafetensorError
        from safetensors.torch import load

        again = f"fit it again: unmask calibrate {shell(folder)}"
        try:
            content = (folder / HEAD).read_bytes()
            head = load(content)
        except (OSError, SafetensorError, ValueError) as error:
            raise Error(f"{folder / HEAD} cannot be read ({' '.join(str(error).split())[:200]}); {again}.") from error
        if _fingerprint(content) != told.get("head_fingerprint") or not _fits(head):
            raise Error(f"{folder / HEAD} is not the head that {CALIBRATION} names; {again}.")
    from unmask.sampling.calibrated import Calibration

    return Calibration(told["method"], tuple(told["edges"]), told["numbers"], head)


def _fits(head: Mapping[str, Tensor]) -> bool:
    """Tell whether a head's tensors are of shapes that go together."""
    shapes = {name: tuple(value.shape) for name, value in head.items()}
    wide, inner = (*shapes.get("into", ()), 0, 0)[:2]
    own = {"mean": (wide,), "scale": (wide,), "into": (wide, inner), "into_bias": (inner,)}
    return shapes == {**own, "out": (inner, 1), "out_bias": (1,)}


def write_calibration(folder: Path, calibration: Calibration, weights: str, told: Mapping[str, Any]) -> Path:
    """Write a run's calibration; who reads meanwhile has the old one, the new one or is told that it is neither.

    Args:
        folder: The run.
        calibration: What was fitted.
        weights: Fingerprint of the weights that it was fitted to.
        told: How, and what it is worth: further keys of the file.
    """
    from unmask.training.run import write_json

    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": KIND,
        "weights_fingerprint": weights,
        "method": calibration.method,
        "edges": list(calibration.edges),
        "numbers": dict(calibration.numbers),
    }
    if calibration.head:
        from safetensors.torch import save

        data = save({name: value.contiguous() for name, value in calibration.head.items()})
        partial = folder / f"{HEAD}.partial"
        partial.write_bytes(data)
        os.replace(partial, folder / HEAD)
        content["head_fingerprint"] = _fingerprint(data)
    write_json(folder / CALIBRATION, content | dict(told))
    if not calibration.head:
        (folder / HEAD).unlink(missing_ok=True)
    return folder / CALIBRATION


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class StoredCalibration:
    """A run's calibration, read when it is first asked for: who does not ask needs none, and is not told of a bad one.

    Args:
        folder: The run.
        weights: Fingerprint of its weights; ``None``: not known.
    """

    def __init__(self, folder: Path, weights: str | None) -> None:
        self._folder, self._weights = folder, weights

    @cached_property
    def _read(self) -> Calibration:
        return read_calibration(self._folder, self._weights)

    def __call__(self, answer: Answer) -> Float[Tensor, " n"]:
        """Return the calibrated confidence at each position.

        Raises:
            Error: there is no calibration of these weights.
        """
        return self._read(answer)
