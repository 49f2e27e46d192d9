"""Total variation between what a sampler writes and a known distribution, with a rigorous band.

TV(q, p) = 1/2 sum_x |q(x) - p(x)|, for the unknown law q of n independent texts and the known p.

- *Estimate*: the plug-in TV(q^, p) of the counted shares q^. By Jensen's inequality its mean is at least TV(q, p): few
  texts make a sampler look worse, never better.
- *Upper limit*: changing one text changes the plug-in by at most 1/n, so by McDiarmid's inequality it falls short of
  its mean by more than e with probability at most exp(-2 n e^2). Hence, with probability 1 - d,
  TV(q, p) <= TV(q^, p) + sqrt(ln(1/d) / 2n).
- *Lower limit*: TV(q, p) >= q(A) - p(A) for *every* set A of texts. A = {x: q1(x) > p(x)} is chosen by the first half
  of the texts; the second half counts how many lie in A, and the binomial limit of Clopper and Pearson (1934) bounds
  q(A) from below.

Both hold for any q, any n and any number of texts; each gets half of 1 - LEVEL.

Letters: n texts, K possible texts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

LEVEL = 0.95
"""Probability with which a band holds the true distance."""


@dataclass(frozen=True)
class Distance:
    """A total variation in [0, 1].

    Attributes:
        value: The plug-in estimate, which leans upwards.
        low: Lower limit of the band.
        high: Upper limit of the band.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def total_variation(seen: Int[Tensor, " n"], law: Float[Tensor, " K"], level: float = LEVEL) -> Distance:
    """Measure the distance between the law behind ``seen`` and ``law``.

    Args:
        seen: Number of each text, independent draws in an order that says nothing; K for a text that is none of them.
        law: Probabilities of the K texts.
        level: Probability with which the band holds the true distance.
    """
    n, miss = len(seen), (1 - level) / 2
    law = torch.cat([law, law.new_zeros(1)])
    value = float((_shares(seen, len(law)) - law).abs().sum()) / 2
    chosen = _shares(seen[: n // 2], len(law)) > law
    rest = seen[n // 2 :]
    low = binomial_lower(int(chosen[rest].sum()), len(rest), miss) - float(law[chosen].sum())
    return Distance(value, max(0.0, low), min(1.0, value + math.sqrt(math.log(1 / miss) / (2 * n))))


def noise_floor(law: Float[Tensor, " K"], n: int) -> float:
    """Return the mean plug-in distance of ``n`` *exact* texts: the control that stands beside every estimate.

    Each text's count is binomial, and its mean absolute deviation has de Moivre's closed form,
    E|X - n p| = 2 m binom(n, m) p^m (1 - p)^(n - m + 1) with m = floor(n p) + 1.
    """
    law = law[(law > 0) & (law < 1)].double()
    m = (n * law).floor() + 1
    ways = math.lgamma(n + 1) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1)
    return float((m.log() + ways + m * law.log() + (n - m + 1) * torch.log1p(-law)).exp().sum()) / n


def _shares(seen: Int[Tensor, " n"], size: int) -> Float[Tensor, " K"]:
    return torch.bincount(seen, minlength=size).double() / max(1, len(seen))


def binomial_lower(hits: int, n: int, miss: float) -> float:
    """Return Clopper and Pearson's lower limit: the rate at which ``hits`` or more of n have probability ``miss``."""
    if hits == 0:
        return 0.0
    k = torch.arange(hits, n + 1, dtype=torch.float64)
    ways = math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    low, high = 0.0, hits / n
    for _ in range(50):
        rate = (low + high) / 2
        tail = float(torch.logsumexp(ways + k * math.log(rate) + (n - k) * math.log1p(-rate), 0))
        low, high = (rate, high) if tail < math.log(miss) else (low, rate)
    return low
