r"""Rotations of D dimensions that are learned: SO(D) by Cayley's map, unit quaternions, or none.

**so_n**: for a skew matrix A = P - P^T, P strictly lower triangular, D (D - 1) / 2 numbers,

    R = (I - A)^-1 (I + A),        R R^T = I,  det R = 1 exactly

One LU factorisation, and a solve more for its gradient. The map reaches every rotation without an eigenvalue
-1, so not one by exactly half a turn, which an open and dense set of rotations is near; A = tan(theta / 2) in a plane
that turns by theta. The matrix exponential, as in Bytropix, reaches all of them at a multiple of the cost of the
gradient (the table in docs/studies/wubu.md); a product of D Householder reflections reaches all, one after
the other. R is made once a pass, not once a vector.

**quat** (D a multiple of 4): each block of four numbers is a quaternion v and becomes p v q with unit p, q. A pair
(p, q) gives each rotation of SO(4), and (-p, -q) the same one: 8 numbers a block, and linear cost. Blocks do not mix.

A rotation that a free linear map follows is not identifiable (W R is just another W). It says something where the map
is shared with other vectors, bends, or keeps lengths.

Letters: D dimensions, N vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.errors import Error, nearest


def skew(lower: Float[Tensor, " E"], size: int) -> Float[Tensor, "D D"]:
    """Return the skew-symmetric matrix that has these D (D - 1) / 2 numbers below its diagonal, row by row."""
    row, column = torch.tril_indices(size, size, -1, device=lower.device)
    below = lower.new_zeros(size, size).index_put((row, column), lower)
    return below - below.T


def cayley(matrix: Float[Tensor, "D D"]) -> Float[Tensor, "D D"]:
    """Return (I - A)^-1 (I + A) of a skew-symmetric A."""
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    rotation: Tensor = torch.linalg.solve(identity - matrix, identity + matrix)
    return rotation


def quaternion_product(p: Float[Tensor, "*B 4"], q: Float[Tensor, "*B 4"]) -> Float[Tensor, "*B 4"]:
    """Return Hamilton's product p q of quaternions (real part first)."""
    a, b, c, d = p.unbind(-1)
    e, f, g, h = q.unbind(-1)
    parts = (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )
    return torch.stack(parts, -1)


class Rotation(nn.Module):
    """SO(D) by Cayley's map. It begins near the identity: P ~ N(0, .01)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.lower = nn.Parameter(0.01 * torch.randn(size * (size - 1) // 2))

    def matrix(self) -> Float[Tensor, "D D"]:
        """Return R, in float32 at least, whatever autocast says."""
        with torch.autocast(self.lower.device.type, enabled=False):
            lower = self.lower if self.lower.dtype == torch.float64 else self.lower.float()
            return cayley(skew(lower, self.size))

    def forward(self, *vectors: Float[Tensor, "*B D"]) -> list[Float[Tensor, "*B D"]]:
        """Return R v for all vectors v of each argument."""
        rotation = self.matrix()
        with torch.autocast(self.lower.device.type, enabled=False):
            return [v.to(rotation.dtype) @ rotation.T for v in vectors]


class QuaternionRotation(nn.Module):
    """p v q in blocks of four. It begins near the identity: 1 + N(0, .01)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        if size % 4:
            raise Error(
                f"a quat rotation turns blocks of 4 numbers; {size} is no multiple of 4: change it, or use so_n."
            )
        one = torch.tensor([1.0, 0.0, 0.0, 0.0])
        self.left = nn.Parameter(one + 0.01 * torch.randn(size // 4, 4))
        self.right = nn.Parameter(one + 0.01 * torch.randn(size // 4, 4))

    def forward(self, *vectors: Float[Tensor, "*B D"]) -> list[Float[Tensor, "*B D"]]:
        """Return p v q for all vectors v of each argument."""
        dtype = torch.float64 if self.left.dtype == torch.float64 else torch.float32
        p, q = (nn.functional.normalize(side.to(dtype), dim=-1) for side in (self.left, self.right))
        blocks = (v.to(dtype).unflatten(-1, (-1, 4)) for v in vectors)
        return [quaternion_product(quaternion_product(p, v), q).flatten(-2) for v in blocks]


class NoRotation(nn.Module):
    """The control: vectors stay as they are."""

    def __init__(self, size: int) -> None:
        super().__init__()

    def forward(self, *vectors: Float[Tensor, "*B D"]) -> list[Float[Tensor, "*B D"]]:
        """Return the vectors."""
        return list(vectors)


ROTATIONS: dict[str, Callable[[int], nn.Module]] = {
    "so_n": Rotation,
    "quat": QuaternionRotation,
    "identity": NoRotation,
}


def make_rotation(name: str, size: int) -> nn.Module:
    """Return a learnable rotation of ``size`` dimensions: ``so_n``, ``quat`` or ``identity``.

    Raises:
        Error: No rotation of that name, or quaternions of a size that is no multiple of 4.
    """
    if name not in ROTATIONS:
        raise Error(f"no rotation {name!r}; there are {', '.join(ROTATIONS)}.{nearest(name, ROTATIONS)}")
    return ROTATIONS[name](size)
