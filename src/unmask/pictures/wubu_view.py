"""What a byte network's nested levels make of real patches: the numbers behind :mod:`unmask.pictures.wubu_levels`.

A level's points are shown in units of its ball's radius, x = sqrt(c) y. A level of more than k dimensions is projected:

    t = log_0(x),   t' = A^T t,   x' = exp_0(t')            A: the k first principal axes of the patches' t, not centred

so that the origin stays and no point leaves the ball; what is lost is told: the share of squared length that is kept,
of patches and of landmarks. At c = 0 there is no ball, exp and log are the identity, the unit is the longest vector.

Letters: T bytes, P patches of all texts, J boundary points, n dimensions of a level, k those that are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.diffusion.state import State, Visibility
from unmask.errors import Error
from unmask.models.bytes import Bytes
from unmask.models.bytes_options import SPECIALS
from unmask.models.cuts import Cuts
from unmask.models.poincare import exp0, log0
from unmask.models.wubu import WubuStack
from unmask.models.wubu_level import LevelState


class Vectors(NamedTuple):
    """Points of one space.

    Attributes:
        patches: One a patch.
        boundary: The level's boundary points.
        descriptor: Its descriptor, one row, or none.
    """

    patches: Float[np.ndarray, "P n"]
    boundary: Float[np.ndarray, "J n"]
    descriptor: Float[np.ndarray, "one n"]

    @property
    def landmarks(self) -> Float[np.ndarray, "j n"]:
        """Boundary points and descriptor."""
        return np.concatenate([self.boundary, self.descriptor])


@dataclass(frozen=True)
class LevelView:
    """A level.

    Attributes:
        points: In its ball, in units of the ball's radius.
        c: Curvature is -c.
        scale: s.
        spread: sigma.
    """

    points: Vectors
    c: float
    scale: float
    spread: float

    @property
    def size(self) -> int:
        """Its dimensions."""
        return int(self.points.patches.shape[1])


@dataclass(frozen=True)
class TransitionView:
    """Tangent vectors on their way from one level to the next.

    Attributes:
        before: As they leave the level.
        rotated: R of them.
        mapped: T(R of them), as they enter the next one.
    """

    before: Vectors
    rotated: Vectors
    mapped: Vectors


@dataclass(frozen=True)
class WubuView:
    """All levels, outermost first.

    Attributes:
        levels: The levels.
        transitions: Between them.
        patches: Bytes of each patch; empty for the one that begins a text.
    """

    levels: list[LevelView]
    transitions: list[TransitionView]
    patches: list[bytes]


class Shown(NamedTuple):
    """Vectors in the dimensions of a picture, and the shares of squared length that patches and landmarks kept."""

    points: Vectors
    kept: float
    kept_landmarks: float


@torch.no_grad()
def look(model: Bytes, rows: Sequence[Sequence[int]], visibility: Visibility) -> WubuView:
    """Return what the levels make of some texts, each with BOS before it.

    Args:
        model: A byte network with nested levels; in training it is asked as in use, and then trains on.
        rows: Token ids.
        visibility: What it was trained for.

    Raises:
        Error: the levels hold numbers that are not finite.
    """
    stack: WubuStack = model.latent_stack.stack  # type: ignore[assignment]
    device, longest = model.device, max(map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    valid = torch.tensor([[place < len(row) for place in range(longest)] for row in rows], device=device)
    heard: list[Any] = []
    hook = model.latent_stack.register_forward_pre_hook(lambda module, given: heard.append(given))
    try:
        with _in_use(model):
            model(State(tokens, visibility, valid=valid))
            ((patches, cuts, causal),) = heard
            states = stack.states(patches, cuts.valid, cuts.piece, causal)
            if not all(bool(state.points.isfinite().all()) for state in states):
                raise Error("the points of the levels are not finite: the run has diverged.")
            levels = [level_view(level, state, cuts.valid) for level, state in zip(stack.levels, states, strict=True)]
            between = zip(stack.transitions, stack.levels, states, strict=False)
            transitions = [_transition(part, level, state, cuts.valid) for part, level, state in between]
    finally:
        hook.remove()
    return WubuView(levels, transitions, _bytes_of(rows, cuts))


def level_view(level: Any, state: LevelState, valid: Bool[Tensor, "B P"]) -> LevelView:
    """Return what is shown of a level.

    Args:
        level: A ``WubuLevel``.
        state: What it made of patches.
        valid: Which of them are there.
    """
    landmarks, c = level.landmarks().double(), float(level.c)
    patches, count = state.points[valid].double(), len(level.boundary)
    unit = c**-0.5 if c > 0 else max(float(torch.cat([patches, landmarks]).norm(dim=-1).max()), 1e-30)
    parts = (patches, landmarks[:count], landmarks[count:])
    points = Vectors(*((part / unit).cpu().numpy() for part in parts))
    return LevelView(points, c, float(level.scale()), float(level.sigma))


def in_ball(level: LevelView, k: int) -> Shown:
    """Return a level's points in k dimensions: as they are, or projected."""
    if level.size <= k:
        return Shown(_wider(level.points, k), 1.0, 1.0)
    c = torch.tensor(float(level.c > 0), dtype=torch.float64)
    tangent = Vectors(*(log0(torch.from_numpy(part), c).numpy() for part in level.points))
    found = _projected(tangent, principal(tangent.patches, k))
    return found._replace(points=Vectors(*(exp0(torch.from_numpy(part), c).numpy() for part in found.points)))


def nested(view: WubuView) -> list[tuple[float, Shown]]:
    """Return a radius for each level, falling evenly from 1, and its points in 3 dimensions within that radius."""
    found = []
    for number, level in enumerate(view.levels):
        radius, shown = 1 - number / len(view.levels), in_ball(level, 3)
        found.append((radius, shown._replace(points=Vectors(*(radius * part for part in shown.points)))))
    return found


def stages(view: TransitionView) -> tuple[Shown, Shown, Shown]:
    """Return tangent vectors before the rotation, after it and after the map, in 2 dimensions.

    A rotation has to be seen in one plane: before and after it, the axes are those of both together.
    """
    if view.before.patches.shape[1] <= 2:
        turned = [Shown(_wider(part, 2), 1.0, 1.0) for part in (view.before, view.rotated)]
    else:
        axes = principal(np.concatenate([view.before.patches, view.rotated.patches]), 2)
        turned = [_projected(part, axes) for part in (view.before, view.rotated)]
    if view.mapped.patches.shape[1] <= 2:
        mapped = Shown(_wider(view.mapped, 2), 1.0, 1.0)
    else:
        mapped = _projected(view.mapped, principal(view.mapped.patches, 2))
    return turned[0], turned[1], mapped


def principal(x: Float[np.ndarray, "P n"], k: int) -> Float[np.ndarray, "n k"]:
    """Return the k orthogonal axes that keep most of the squared length, each with its largest number above 0."""
    axes = np.linalg.svd(x, full_matrices=len(x) < k)[2][:k]
    return np.asarray((axes * np.sign(axes[np.arange(k), np.abs(axes).argmax(1)])[:, None]).T)


def _projected(vectors: Vectors, axes: Float[np.ndarray, "n k"]) -> Shown:
    points = Vectors(*(part @ axes for part in vectors))
    return Shown(points, _share(vectors.patches, points.patches), _share(vectors.landmarks, points.landmarks))


def _share(whole: Float[np.ndarray, "P n"], part: Float[np.ndarray, "P k"]) -> float:
    return float(np.square(part).sum() / max(np.square(whole).sum(), 1e-300))


def _wider(vectors: Vectors, k: int) -> Vectors:
    return Vectors(*(np.pad(part, ((0, 0), (0, k - part.shape[1]))) for part in vectors))


@contextmanager
def _in_use(model: Bytes) -> Iterator[None]:
    """Switch dropout off for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _bytes_of(rows: Sequence[Sequence[int]], cuts: Cuts) -> list[bytes]:
    found: dict[tuple[int, int], bytearray] = {
        (row, patch): bytearray() for row, patch in cuts.valid.nonzero().tolist()
    }
    for row, (ids, owner) in enumerate(zip(rows, cuts.patch.tolist(), strict=True)):
        for token, patch in zip(ids, owner, strict=False):
            if token >= SPECIALS:
                found[row, patch].append(token - SPECIALS)
    return [bytes(part) for part in found.values()]


def _transition(part: Any, level: Any, state: LevelState, valid: Bool[Tensor, "B P"]) -> TransitionView:
    """Return what is shown of a ``Transition`` from a level."""
    descriptor = level.descriptor[None] if level.options.use_level_descriptors else level.boundary[:0]
    before = (state.tangent[valid], level.boundary, descriptor)
    rotated = part.rotation(*before)
    mapped = [part.transform(each) for each in rotated]
    told = (Vectors(*(each.double().cpu().numpy() for each in stage)) for stage in (before, rotated, mapped))
    return TransitionView(*told)
