r"""What the lengths of canvases are worth: nats that a process pays whose network is told them.

A network that sees both sides is shown a canvas, and so how many tokens a window of text has, before it predicts any of
them. Windows of eight bytes that are ``abababab`` (8 tokens) or ``AAAABBBB`` (2 tokens), evenly, would cost it nothing;
their entropy is ln 2. So the length m of every window is coded first, with a distribution over 1..M that no network and
no text has a say in,

    -log p(x) = -ln q(m) - log p(x | m),     sum over all texts of p <= 1 as sum_m q(m) = 1 and sum_x p(x | m) <= 1
    q(m) = (1 - s) N(m; c, w) / sum_{m'} N(m'; c, w) + s / M,       or 1 / M

The middle c, the width w (0: all at c) and the share s are those of a fixed grid that cost the least for the lengths at
hand, and are coded too: one bit says whether q is 1 / M, ln(size of the grid) nats which it is else, in even shares on
the windows (a two-part code, Rissanen 1978). One q does for all windows: a document's last one holds end-of-text, which
the network has to predict, so that no text can be taken for another.

Letters: W windows, M the longest length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

WIDTHS = (0.0, *(2 ** (i / 2) for i in range(17)))
"""Widths of the grid, in tokens: all at the middle, then 1 to 256 by factors of the square root of 2."""
SHARES = tuple(2.0**-i for i in range(1, 11))
"""Shares of the even part in the grid: 1/2 to 1/1024."""


@dataclass(frozen=True)
class LengthCode:
    """A code of the lengths of some windows.

    Attributes:
        nats: What each window pays, its share of the choice included [W].
        choice: Nats for the choice of the distribution, in all.
        center: c in tokens; ``None``: all lengths are equally likely.
        width: w in tokens.
        share: s.
    """

    nats: Reals
    choice: float
    center: int | None = None
    width: float = 0.0
    share: float = 1.0


def length_code(lengths: Sequence[int] | NDArray[np.int64], longest: int, *, shortest: int = 1) -> LengthCode:
    """Code lengths with the distribution of the grid that costs the least.

    Args:
        lengths: Tokens predicted in each window, end-of-text included [W].
        longest: Most tokens that a window can have (M): the context without BOS.
        shortest: Fewest; 0 where an empty window predicts nothing, not even an end.

    Raises:
        ValueError: no lengths, or one that is out of range.
    """
    values, back, counts = np.unique(np.asarray(lengths, np.int64), return_inverse=True, return_counts=True)
    if not len(values) or values[0] < shortest or values[-1] > longest:
        raise ValueError(f"lengths must be some numbers from {shortest} to {longest}, and are {lengths}")
    windows, possible = len(back), longest - shortest + 1
    flat = math.log(possible)
    centers = np.arange(values[0], values[-1] + 1)  # of the whole grid; those outside cost more
    grid = math.log(2) + math.log(possible * len(WIDTHS) * len(SHARES))
    least = windows * flat + math.log(2)
    best = LengthCode(np.full(windows, least / windows), math.log(2))
    for width in WIDTHS:
        bells = _bells(centers, values, width, shortest, longest)
        for share in SHARES:
            each = -np.log((1 - share) * bells + share / possible)
            totals = each @ counts + grid
            place = int(totals.argmin())
            if totals[place] < least:
                least = float(totals[place])
                best = LengthCode(each[place][back] + grid / windows, grid, int(centers[place]), width, share)
    return best


def told_nats(process: Any, lengths: Sequence[int], longest: int, *, shortest: int = 1) -> Reals:
    """Return what each window pays for its length under a process: nothing where no network is told it [W].

    Args:
        process: Says by ``told_length`` whether it is.
        lengths: As for :func:`length_code`, and so are the others.
        longest: M.
        shortest: Fewest tokens of a window.
    """
    if not process.told_length or not len(lengths):
        return np.zeros(len(lengths))
    return length_code(lengths, longest, shortest=shortest).nats


def _bells(
    centers: NDArray[np.int64], values: NDArray[np.int64], width: float, shortest: int, longest: int
) -> NDArray[np.float64]:
    """Return the normal part of q at some lengths, a row for each middle."""
    apart = (centers[:, None] - values).astype(np.float64)
    if not width:
        return (apart == 0).astype(np.float64)
    tail = np.cumsum(np.exp(-0.5 * (np.arange(longest - shortest + 1) / width) ** 2))
    whole = tail[centers - shortest] + tail[longest - centers] - 1
    bells: Reals = np.exp(-0.5 * (apart / width) ** 2) / whole[:, None]
    return bells
