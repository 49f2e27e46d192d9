"""Fitting maps of confidence by noise level, and choosing one of them on other documents.

All are fitted to whether the most probable word is right, by the log loss of that (isotonic: by squares):

    temperature  the best of a grid, a number a level (Guo et al. 2017, arXiv 1706.04599)
    platt        logistic regression on logit p, slope and offset a level (Platt 1999)
    isotonic     the best rising step function of p, a level (Zadrozny & Elkan 2002)
    head         platt, and two layers on the hidden state, logit p, entropy and level

A level with fewer than 200 positions, or where all answers are right or all are wrong, has the fit of all levels
together. A map that knows more is chosen over a simpler one only if its Brier score is lower by more than chance over
documents explains: the 95 % interval of the difference lies below 0. So a network may keep its own confidence.

Letters: n positions, L noise levels, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmask.evaluation.calibration import expected_calibration_error
from unmask.evaluation.clusters import mean_interval
from unmask.evaluation.confidences import TEMPERATURES, Confidences
from unmask.evaluation.predictions import EDGES
from unmask.sampling.calibrated import Calibration, bent, head_input, level_of, logit

METHODS = ("none", "temperature", "platt", "isotonic", "head")
"""From the simplest to what knows most."""
_FEWEST = 200
_WIDTH, _ROUNDS, _PATIENCE, _BATCH = 32, 60, 6, 512


@dataclass(frozen=True)
class Tried:
    """What a map scores on the documents that it is chosen by.

    Attributes:
        method: Which.
        brier: Mean squared difference of confidence and whether the word is right.
        nats: Mean log loss of that.
        ece: Expected calibration error.
        gain: 95 % interval of its Brier score less that of the map chosen before it; below 0: better.
    """

    method: str
    brier: float
    nats: float
    ece: float
    gain: tuple[float, float] | None


def fit(method: str, data: Confidences, *, seed: int = 0) -> Calibration:
    """Return a map fitted to what a network said.

    Args:
        method: One of ``METHODS``.
        data: Positions of documents that nothing else is measured on.
        seed: Of the head's weights, and of the documents that say when it has learned enough.

    Raises:
        Error: a head, and a network that does not tell its hidden states.
    """
    if method == "none":
        return Calibration(edges=EDGES)
    if method == "head":
        return _headed(data, seed)
    whole = _FITS[method](data)
    level = level_of(data.level, EDGES)
    fitted = []
    for number in range(len(EDGES) - 1):
        part = data.at(level == number)
        fitted.append(_FITS[method](part) if _enough(part.right) else whole)
    return Calibration(method, EDGES, {key: [one[key] for one in fitted] for key in whole})


def choose(calibrations: Sequence[Calibration], data: Confidences) -> tuple[Calibration, list[Tried]]:
    """Return the map that is best on other documents, and what each scores there.

    Args:
        calibrations: From the simplest on.
        data: Positions of documents that no map was fitted to.
    """
    right, document = data.right.numpy(), data.document.numpy()
    best: tuple[Calibration, NDArray[np.float64]] | None = None
    tried = []
    for one in calibrations:
        told = one(data).numpy()
        squares = (told - right) ** 2
        gain = None if best is None else mean_interval(document, int(document.max()) + 1, squares - best[1])
        nats = -np.log(np.clip(np.where(right, told, 1 - told), 1e-12, 1)).mean()
        ece = expected_calibration_error(told, right)
        tried.append(Tried(one.method, float(squares.mean()), float(nats), ece, gain))
        if best is None or (gain is not None and gain[1] < 0):
            best = one, squares
    assert best is not None, "there is nothing to choose from"
    return best[0], tried


def _enough(right: Tensor) -> bool:
    return len(right) >= _FEWEST and bool(right.any()) and not bool(right.all())


def _temperature(data: Confidences) -> dict[str, Any]:
    told = torch.where(data.right[:, None], data.hot, 1 - data.hot).clamp(min=1e-12)
    return {"T": TEMPERATURES[int(told.log().mean(0).argmax())]}


def _platt(data: Confidences) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    x, y = logit(data.peak).numpy()[:, None], data.right.numpy()
    if y.all() or not y.any():
        return {"a": 1.0, "b": 0.0}
    found = LogisticRegression().fit(x, y)  # its small ridge keeps the slope finite
    return {"a": float(found.coef_[0, 0]), "b": float(found.intercept_[0])}


def _isotonic(data: Confidences) -> dict[str, Any]:
    from sklearn.isotonic import IsotonicRegression

    count = len(data.right)
    low = 1 / (count + 2)  # nothing is certain after so many
    found = IsotonicRegression(y_min=low, y_max=1 - low).fit(data.peak.numpy(), data.right.numpy().astype(float))
    return {"x": found.X_thresholds_.tolist(), "y": found.y_thresholds_.tolist()}


_FITS: dict[str, Callable[[Confidences], dict[str, Any]]] = {
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}


def _headed(data: Confidences, seed: int) -> Calibration:
    """Fit the head on four of five documents; the fifth says when it has learned enough."""
    platt = fit("platt", data)
    level = level_of(data.level, EDGES)
    base = torch.tensor(platt.numbers["a"])[level] * logit(data.peak) + torch.tensor(platt.numbers["b"])[level]
    x, right, base = head_input(data).float(), data.right.float(), base.float()
    apart = data.document % 5 == data.document.max() % 5
    learn = (~apart).nonzero()[:, 0]
    scale = x[learn].std(0).clamp(min=1e-3)
    draw = torch.Generator().manual_seed(seed)
    into = torch.randn(x.shape[1], _WIDTH, generator=draw) / x.shape[1] ** 0.5
    head = {"mean": x[learn].mean(0), "scale": scale, "into": into, "into_bias": torch.zeros(_WIDTH)}
    head |= {"out": torch.zeros(_WIDTH, 1), "out_bias": torch.zeros(1)}
    learned = [head[name].requires_grad_() for name in ("into", "into_bias", "out", "out_bias")]
    optimiser = torch.optim.AdamW(learned, lr=2e-3, weight_decay=0.1)

    def loss(at: Tensor) -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(base[at] + bent(head, x[at]), right[at])

    def state() -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in head.items()}

    held, waited = apart.nonzero()[:, 0], 0
    with torch.no_grad():
        least, best = float(loss(held)), state()
    for _ in range(_ROUNDS):
        for part in learn[torch.randperm(len(learn), generator=draw)].split(_BATCH):
            optimiser.zero_grad()
            loss(part).backward()
            optimiser.step()
        with torch.no_grad():
            now = float(loss(held))
        waited = 0 if now < least else waited + 1
        if now < least:
            least, best = now, state()
        if waited == _PATIENCE:
            break
    return Calibration("head", EDGES, platt.numbers, best)
