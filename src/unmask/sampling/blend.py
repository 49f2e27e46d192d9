"""Blends of thoughts, and a clean thought made the beginning of a text.

Clean thoughts have unit mean square: they lie on a sphere. Between two of them

    spherical   sin((1 - s) a) / sin(a) z_A + sin(s a) / sin(a) z_B,   a the angle between them
    linear      unit((1 - s) z_A + s z_B)

go along the same great circle (Shoemake 1985). ``spherical`` cuts its angle into equal parts, so that each point is as
far from the next; ``linear`` goes slowly near the ends and fast in the middle. A mean that is not brought back to the
sphere would be a shorter thought than any that was read, and to the network a noisier one than its level says.

Letters: K thoughts, C cells, E channels.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.gaussian import noised
from unmask.diffusion.noise import Noise
from unmask.diffusion.thought import Thought, ThoughtOptions
from unmask.errors import Error
from unmask.sampling.thought_steps import fresh

Path = Literal["spherical", "linear"]


def unit(cells: Float[Tensor, "*B C E"]) -> Float[Tensor, "*B C E"]:
    """Return thoughts of unit mean square.

    Raises:
        Error: one of zeros, which has no direction.
    """
    size = cells.square().mean((-2, -1), keepdim=True).sqrt()
    if bool((size < 1e-6).any()):
        raise Error("a thought of zeros has no direction; blend other thoughts, or with other weights.")
    return cells / size


def between(
    a: Float[Tensor, "C E"], b: Float[Tensor, "C E"], share: float, path: Path = "spherical"
) -> Float[Tensor, "C E"]:
    """Return the thought at ``share`` of the way from one to the other.

    Raises:
        Error: an unknown path, or the middle of opposite thoughts.
    """
    if path not in get_args(Path):
        raise Error(f"path is {path!r}; choose spherical or linear.")
    a, b = unit(a), unit(b)
    angle = (a * b).mean().clamp(-1, 1).acos()
    if path == "linear" or angle < 1e-3:  # on so short an arc the two are one
        return unit((1 - share) * a + share * b)
    return unit((((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin())


def mixed(cells: Float[Tensor, "K C E"], weights: Float[Tensor, " K"]) -> Float[Tensor, "C E"]:
    """Return the weighted mean of thoughts, on the sphere.

    Raises:
        Error: weights that leave nothing.
    """
    return unit((weights[:, None, None].to(cells.dtype) * cells).sum(0))


def begun(
    options: ThoughtOptions,
    clean: Float[Tensor, "C E"],
    noise: float,
    seed: int,
    index: int = 0,
    stack: Float[Tensor, "n c E"] | None = None,
) -> Thought:
    """Return the thought that a text begins with, for its request: a clean one, noised.

    Args:
        options: How the model's thoughts are made.
        clean: The clean thought.
        noise: Share of noise in its variance: 0 clear, 1 nothing left of it.
        seed: Of the noise.
        index: Number of the text under the seed.
        stack: Reduced thoughts of the passages before, the newest first.

    Raises:
        Error: a share that is none.
    """
    if not 0 <= noise <= 1:
        raise Error(f"noise is {noise}; it is a share of variance, from 0 (the thought as it is) to 1 (nothing of it).")
    keys = Noise(seed, torch.tensor([index])).keys
    blank = fresh(options, keys, None if stack is None else stack[None])
    level = torch.full_like(blank.level, noise)
    return Thought(noised(clean[None].float(), level, blank.cells), level, blank.stack, blank.stack_valid)
