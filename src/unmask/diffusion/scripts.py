r"""Script-aware hiding: what kind of word a token is decides its schedule; clusters and spans are hidden together.

A token of kind c is hidden at time t with probability r_c(t). Tokens of a cluster (in a share of the rows) or of a span
(geometric lengths) have one draw u, and are hidden where u < r_c(t): the probability of each alone stays r_c(t).

*Weights follow the schedule in use*, w r_c(t) being what a token adds to the expected loss at time t:

    ce      w = r(t) / r_c(t)      w r_c = r(t): each token counts as under the schedule r of the process
    elbo    w = r_c'(t) / r_c(t)   w r_c = r_c'(t), of integral 1: each token counts once

so that a uniform model's loss is ln V under both. With the second the loss of one text is, as for one schedule,

    E_{order | x} sum_i -log p(x_i | what is hidden later),     the order in which tokens are hidden,

the chain rule in an order: exactly -log p(x) for conditionals that belong to one p. With weights of another schedule no
order adds up to it. The first takes back what a token's own being hidden tells of it: at one time and place
p(v | visible) is weighed by r_c(v) w_c(v), the same for all v. What the others' being hidden tells of them remains.

*No bound is taken from these states.* Which tokens are hidden here depends on what they are, so the pattern tells:
a network that reads it (early, what is hidden is a late kind; a hidden sign goes with a hidden letter) needs fewer nats
than the text has, since nobody paid for the pattern. One that reveals by rates r_c'/r_c would pay it back (state
dependent masking, Shi et al. 2024, arXiv 2406.04329, eq. 11); a group revealed at once would pay for its tokens as if
they were independent. Our bound, likelihoods and samplers hide and reveal one token at a time in an order that no text
decides: a bound for every network, whatever taught it, comparable with and without this option. Hence ``clusters`` < 1.

Letters: B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.scripts import clusters, script_of
from unmask.diffusion.noise import Noise
from unmask.diffusion.schedules import Schedule, get_schedule
from unmask.diffusion.script_options import KINDS, ScriptOptions
from unmask.errors import Error

MARKERS = "\u0964\u0965\u093c\u200c\u200d"
"""Danda, double danda, nukta, ZWNJ, ZWJ."""
_DEVANAGARI, _LATIN, _DIGITS, _MARKER, _OTHER = range(len(KINDS))
_KIND = {"devanagari": _DEVANAGARI, "latin": _LATIN, "digit": _DIGITS}

Rates = Callable[[Schedule], tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]]
"""Schedule -> the rate of each row (or place) and the weight of a token that is hidden with it."""


@dataclass(frozen=True)
class Reading:
    """What is hidden together, and by which schedule.

    Attributes:
        kind: Number in ``KINDS`` of each token.
        first: Whether a token begins a cluster; False: it goes on with one that the token before it began.
    """

    kind: Int[Tensor, "B T"]
    first: Bool[Tensor, "B T"]


class Scripts:
    """The option ``scripts`` of a process.

    Args:
        options: What the recipe says.
        usual: The process's schedule.
        table: Bytes of each token id.
    """

    def __init__(self, options: ScriptOptions, usual: str, table: Sequence[bytes] | None) -> None:
        self.options = options
        self._table = table
        names = {kind: getattr(options, kind) for kind in KINDS}
        names["markers"] = names["markers"] or names["devanagari"]
        self._schedules = [get_schedule(names[kind] or usual) for kind in KINDS]

    def read(self, batch: Batch) -> Reading:
        """Read the scripts and clusters of a batch from its bytes; a cluster crosses no document's border.

        Raises:
            Error: a tokenizer whose tokens are not bytes of a text.
        """
        if self._table is None:
            raise Error(
                "process.scripts reads the bytes of tokens, and this tokenizer's are not told: use bpe or bytes."
            )
        tokens, asked = batch.tokens.cpu().numpy(), batch.predictable.cpu().numpy()
        piece = np.where(asked, batch.segments.cpu().numpy(), 0)
        kind, first = np.full(tokens.shape, _OTHER), np.ones(tokens.shape, bool)
        for row, owner in enumerate(piece):
            borders = np.flatnonzero(np.diff(owner, prepend=0, append=0))
            for start, end in zip(borders[:-1], borders[1:], strict=True):
                if owner[start]:
                    parts = [self._table[token] for token in tokens[row, start:end]]
                    kind[row, start:end], first[row, start:end] = _read(parts)
        device = batch.tokens.device
        return Reading(torch.from_numpy(kind).to(device), torch.from_numpy(first).to(device))

    def hide(self, batch: Batch, noise: Noise, rates: Rates) -> tuple[Bool[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Return which tokens are hidden, and the weight of each.

        Args:
            batch: Clean text.
            noise: That of the rows.
            rates: See :data:`Rates`.
        """
        read, width = self.read(batch), batch.tokens.shape[1]
        whole = noise.uniform("clusters", 1) < self.options.clusters
        alone = read.first | ~whole
        kind = read.kind.gather(1, _leader(alone))
        own = (read.kind == _MARKER) & (self.options.markers is not None)
        kind = torch.where(own, _MARKER, kind)
        begins = alone & (noise.uniform("span", width) < 1 / self.options.span)
        chance = noise.uniform("mask", width).gather(1, _leader(begins | ~batch.predictable))
        each = [rates(schedule) for schedule in self._schedules]
        rate, weight = (self._of(kind, [pair[n] for pair in each]) for n in (0, 1))
        return (chance < rate) & batch.askable, weight

    @staticmethod
    def _of(kind: Int[Tensor, "B T"], each: list[Float[Tensor, "B ..."]]) -> Float[Tensor, "B T"]:
        """Return for each token the number of its kind."""
        columns = torch.stack([one if one.ndim == 2 else one[:, None].expand(kind.shape) for one in each], -1)
        return columns.gather(2, kind[..., None])[..., 0]


def _leader(begins: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """Return the position at which each position's group begins."""
    column = torch.arange(begins.shape[1], device=begins.device).expand(begins.shape)
    return torch.where(begins, column, 0).cummax(1).values


def _read(parts: list[bytes]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the kind of each token of one text, and whether it begins a cluster."""
    text = b"".join(parts).decode("utf-8", "surrogateescape")
    size = np.array([len(part) for part in parts])
    end = size.cumsum()
    if not text:
        return np.full(len(parts), _OTHER), np.ones(len(parts), bool)
    code = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    each, number = np.unique(code, return_inverse=True)
    kinds = np.array([_kind(chr(one)) for one in each])[number]
    broken = (code >= 0xDC80) & (code < 0xDD00)  # a byte that is no text, as Python spells it
    bytes_ = np.where(broken, 1, 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000))
    begin = bytes_.cumsum() - bytes_
    starts = np.zeros(len(text), bool)
    starts[clusters(text)] = True
    low = np.searchsorted(begin, end - size, "right") - 1  # characters that hold a token's first and last byte
    high = np.maximum(np.searchsorted(begin, end - 1, "right") - 1, low)
    inside = np.where(size > 0, ~(starts[low] & (begin[low] == end - size)), False)
    least = np.minimum.reduceat(np.append(kinds, _OTHER), np.stack([low, high + 1], 1).ravel())[::2]
    return np.where(size > 0, least, _OTHER), ~inside


@lru_cache(1 << 14)
def _kind(character: str) -> int:
    return _MARKER if character in MARKERS else _KIND.get(script_of(character), _OTHER)
