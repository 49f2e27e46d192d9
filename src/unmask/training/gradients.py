"""The gradient monitor: norms before clipping, clipped steps, and steps left out because a gradient is not finite.

With g the norm of the whole gradient and m = ``max_grad_norm``, a step's clip ratio is r = min(1, m / (g + 1e-6)), the
factor that clipping applies; the step is clipped where r < 1. Where g is infinite or not a number there is no step:
weights, moments and step counts of the optimiser stay, the learning rate's schedule and the data go on.

A loss that is not finite makes the whole gradient NaN (:func:`poisoned`), so that g alone decides. It is taken after
the ranks have added their gradients, hence all of them leave out the same steps.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from unmask.errors import Error

FILE = "gradients.json"
IN_A_ROW = 10
"""Steps left out in a row that end a run."""


def poisoned(loss: Tensor) -> Tensor:
    """Return a loss whose gradient is NaN wherever it reaches if the loss is not finite; else the same loss.

    Under PyTorch's anomaly detection it is left as it is, which is to find where a NaN comes from.
    """
    if torch.is_anomaly_enabled():
        return loss
    return loss * torch.where(torch.isfinite(loss.detach()), 1.0, math.nan)


@dataclass
class Counts:
    """What was counted.

    Attributes:
        steps: Optimiser steps, those left out included.
        skipped: Steps that were left out.
        clipped: Steps with r < 1.
        norms: Sum of g over steps that were taken.
        ratios: Sum of r over steps that were taken.
        largest: Largest g of a step that was taken.
    """

    steps: int = 0
    skipped: int = 0
    clipped: int = 0
    norms: float = 0.0
    ratios: float = 0.0
    largest: float = 0.0

    def add(self, norm: float, ratio: float) -> None:
        """Count a step."""
        self.steps += 1
        if not math.isfinite(norm):
            self.skipped += 1
            return
        self.clipped += ratio < 1
        self.norms += norm
        self.ratios += ratio
        self.largest = max(self.largest, norm)

    def told(self) -> dict[str, float]:
        """Return means over the steps that were taken, where there are any."""
        taken = self.steps - self.skipped
        if not taken:
            return {}
        return {
            "gradient.norm": round(self.norms / taken, 6),
            "gradient.norm_max": round(self.largest, 6),
            "gradient.clipped": round(self.clipped / taken, 6),
            "gradient.clip_ratio": round(self.ratios / taken, 6),
        }


class GradientMonitor:
    """Watches the losses and gradients of a run, and keeps its optimiser from steps that are not finite.

    Args:
        max_norm: The norm that gradients are clipped to; 0: they are not.
        in_a_row: Steps left out one after the other that end the run.

    Attributes:
        norm: g of the step under way.
        run: Counts of the whole run.
        recent: Counts since the last log.
    """

    def __init__(self, max_norm: float, in_a_row: int = IN_A_ROW) -> None:
        self.max_norm = max_norm
        self.in_a_row = in_a_row
        self.norm = math.nan
        self.run = Counts()
        self.recent = Counts()
        self._row = 0
        self._parts: list[Tensor] = []
        self._over = False
        self._finite: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """Loss of the step under way, mean over its batches, on this rank."""
        return torch.stack(self._parts).sum()

    def heard(self, loss: Tensor) -> Tensor:
        """Take note of the loss of one batch, already divided by the number of batches in the step.

        Returns:
            The loss to log: this one, or the last finite one in its place. NaN if there was none.
        """
        if self._over:
            self._parts.clear()
        self._over = False
        self._parts.append(loss)
        last = torch.full_like(loss, math.nan) if self._finite is None else self._finite
        self._finite = torch.where(torch.isfinite(loss), loss, last)
        return self._finite

    def saw(self, norm: float, step: int) -> None:
        """Take note of the norm of a step's whole gradient, before clipping.

        Args:
            norm: g.
            step: Number of the step, from 1.

        Raises:
            Error: too many steps in a row were left out.
        """
        self.norm = norm
        self._over = True
        ratio = min(1.0, self.max_norm / (norm + 1e-6)) if self.max_norm and math.isfinite(norm) else 1.0
        for counts in (self.run, self.recent):
            counts.add(norm, ratio)
        self._row = 0 if math.isfinite(norm) else self._row + 1
        if self._row >= self.in_a_row:
            loss = float(self.loss) if self._parts else math.nan
            what = "the gradient is" if math.isfinite(loss) else f"the loss is {loss} and the gradient"
            raise Error(
                f"{what} {norm} at step {step}, the {self._row}th step in a row that had to be left out; start again "
                "with a lower training.learning_rate, or with training.precision=fp32."
            )

    def guard(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimiser step only where the norm that was seen last is finite."""
        step = optimizer.step

        def guarded(_: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
            return step(*args, **kwargs) if math.isfinite(self.norm) else None

        optimizer.step = MethodType(guarded, optimizer)  # type: ignore[method-assign]

    def told(self) -> dict[str, float]:
        """Return what is logged: means since the last call, and the steps left out since the run began."""
        found = self.recent.told() | {"gradient.skipped": self.run.skipped}
        self.recent = Counts()
        return found

    def save(self, folder: Path) -> None:
        """Write the counts beside a checkpoint."""
        content = {"run": asdict(self.run), "recent": asdict(self.recent), "row": self._row}
        (folder / FILE).write_text(json.dumps(content))

    def load(self, folder: Path) -> None:
        """Read the counts of a checkpoint; one from before they were kept has none."""
        if (folder / FILE).is_file():
            content = json.loads((folder / FILE).read_text())
            self.run, self.recent = (TypeAdapter(Counts).validate_python(content[part]) for part in ("run", "recent"))
            self._row = TypeAdapter(int).validate_python(content["row"])
