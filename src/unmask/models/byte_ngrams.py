"""Hashed byte n-grams: which row of an embedding table the last n bytes of each place choose.

    h_n(t) = sum_{i<n} (b_{t-i} + 1) g^i  mod p,   p = 2^31 - 1 (prime),   row = mix(h_n(t)) mod R

A polynomial rolling hash (Karp & Rabin 1987): h_n follows from h_{n-1} by one step, and reads bytes t-n+1..t alone, so
it sees no future byte. Two different n-grams agree modulo p for at most n - 1 of the p - 1 multipliers g (a polynomial
of degree n - 1 has no more zeros), so that what collides is decided by the size of the table. ``mix`` (shift, multiply,
shift: one to one but for one value) breaks the lattice that few letters would leave in h mod R. Byte latent
transformers add such embeddings for n = 3..8 (Pagnoni et al. 2024, arXiv 2412.09871).

Letters: B batch, T places, N orders, R rows of a table.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from unmask.errors import Error

PRIME = (1 << 31) - 1
MULTIPLIER = 1_583_458_089  # a primitive root modulo PRIME
ORDERS = range(1, 17)


def byte_ngrams(
    symbols: Int[Tensor, "B T"],
    orders: Sequence[int],
    rows: int,
    segments: Int[Tensor, "B T"] | None = None,
) -> Int[Tensor, "B T N"]:
    """Return a row number in [0, rows) for each place and order.

    Args:
        symbols: Bytes or token ids, 0 <= symbol < p - 1.
        orders: Lengths of the n-grams, each from 1 to 16; Bytropix used 3 and 4, BLT 3 to 8.
        rows: Rows of each order's table (R), at most p.
        segments: Document piece of each place; a symbol of another piece counts as none. ``None``: one piece a row.

    Returns:
        Row numbers, int64. Where an n-gram reaches behind the beginning, nothing stands there: no byte hashes as that.

    Raises:
        Error: orders or rows outside these bounds.
    """
    if not orders or any(n not in ORDERS for n in orders):
        raise Error(f"n-gram orders must be {ORDERS[0]} to {ORDERS[-1]}, got {list(orders)}.")
    if not 1 <= rows <= PRIME:
        raise Error(f"a table of n-grams needs 1 to {PRIME} rows, got {rows}.")
    values = symbols.long() + 1
    hashed = torch.zeros_like(values)
    found: dict[int, Tensor] = {}
    power = 1
    for back in range(min(max(orders), values.shape[1])):
        older = values if back == 0 else values[:, :-back]
        if segments is not None and back:
            older = older * (segments[:, back:] == segments[:, :-back])
        hashed[:, back:] = (hashed[:, back:] + older * power) % PRIME  # below 2^62
        power = power * MULTIPLIER % PRIME
        found[back + 1] = _row(hashed, rows)
    longest = _row(hashed, rows)  # of n-grams that are longer than the text
    return torch.stack([found.get(n, longest) for n in orders], -1)


def _row(hashed: Int[Tensor, "B T"], rows: int) -> Int[Tensor, "B T"]:
    mixed = (hashed ^ (hashed >> 15)) * MULTIPLIER % PRIME
    return (mixed ^ (mixed >> 13)) % rows
