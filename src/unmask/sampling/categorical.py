"""Unbiased categorical draws: float64 softmax and the inverse of its cumulative sum at one 53-bit uniform a position.

The usual Gumbel-max trick in float32 is biased: a float32 uniform has 24 bits, so its Gumbel noise never exceeds
24 ln 2 = 16.6 and a token more than about 19 nats below the peak is *never* drawn. That lowers the effective
temperature and flatters generative perplexity (Zheng et al. 2024, arXiv 2409.02908). Here the least probable token is
drawn as often as it should be.

Letters: n positions, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.errors import Error

_CHUNK = 1 << 22  # numbers of one float64 working copy: 32 MB


class NotFinite(Error):
    """The network's answer is not finite."""


@dataclass(frozen=True)
class Drawn:
    """Tokens drawn at n positions.

    Attributes:
        token: Ids.
        probability: The model's own probability of that token: at temperature 1, untruncated, forbidden tokens out.
        peak: The model's largest probability there, known before drawing.
    """

    token: Int[Tensor, " n"]
    probability: Float[Tensor, " n"]
    peak: Float[Tensor, " n"]


def draw(
    logits: Float[Tensor, "n V"],
    uniform: Float[Tensor, " n"],
    temperature: Float[Tensor, " n"],
    top_k: Int[Tensor, " n"],
    top_p: Float[Tensor, " n"],
    forbidden: Bool[Tensor, "n V"],
) -> Drawn:
    """Draw one token a position. All arguments are per position, so that rows of one batch keep their own settings.

    Args:
        logits: Unnormalised log-probabilities.
        uniform: Float64 in [0, 1).
        temperature: 0 takes the most probable token.
        top_k: 0 keeps all tokens; ties with the k-th are kept.
        top_p: 1 keeps all tokens. Applied after temperature and top-k.
        forbidden: Tokens that must not be drawn.

    Raises:
        Error: the logits are not finite, or no token may be drawn at a position.
    """
    size = max(1, _CHUNK // max(1, logits.shape[1]))
    if len(logits) <= size:
        return _draw(logits, uniform, temperature, top_k, top_p, forbidden)
    parts = [
        _draw(*(x[i : i + size] for x in (logits, uniform, temperature, top_k, top_p, forbidden)))
        for i in range(0, len(logits), size)
    ]
    return Drawn(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Drawn)))


def _draw(
    logits: Tensor, uniform: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor, forbidden: Tensor
) -> Drawn:
    logits = logits.to(torch.float64, copy=True).masked_fill_(forbidden, -torch.inf)
    plain = logits.softmax(-1)
    if not len(plain):
        none = plain.new_zeros(0)
        return Drawn(none.long(), none, none)
    peak, best = plain.max(-1)
    refuse_nan(peak, logits)
    greedy = temperature == 0
    if bool(greedy.all()):
        return Drawn(best, peak, peak)
    token = torch.where(greedy, best, picked(_shaped(logits, plain, temperature, top_k, top_p), uniform))
    return Drawn(token, plain.gather(1, token[:, None])[:, 0], peak)


def shaped(
    logits: Float[Tensor, "n V"],
    temperature: Float[Tensor, " n"],
    top_k: Int[Tensor, " n"],
    top_p: Float[Tensor, " n"],
    forbidden: Bool[Tensor, "n V"],
) -> Float[Tensor, "n V"]:
    """Return the distribution that :func:`draw` draws from, float64. Arguments and errors: as there."""
    logits = logits.to(torch.float64, copy=True).masked_fill_(forbidden, -torch.inf)
    plain = logits.softmax(-1)
    if not len(plain):
        return plain
    peak, best = plain.max(-1)
    refuse_nan(peak, logits)
    whole = _shaped(logits, plain, temperature, top_k, top_p)
    whole = whole / whole.sum(-1, keepdim=True)
    sure = torch.zeros_like(whole).scatter(1, best[:, None], 1.0)
    return torch.where((temperature == 0)[:, None], sure, whole)


def picked(mass: Float[Tensor, "n V"], uniform: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Draw one token a position from masses, which need not sum to 1."""
    cumulative = mass.cumsum(-1)
    total = cumulative[:, -1:]
    # Rounding must not reach the total itself: then no entry is above the target.
    target = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target, right=True)[:, 0]


def _shaped(logits: Tensor, plain: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    whole = plain
    if bool((temperature != 1).any()):
        # from the peak down, so that a tiny temperature leaves the peak at 0 and takes the rest to -inf
        below = logits - logits.amax(-1, keepdim=True)
        whole = (below / temperature.masked_fill(temperature == 0, 1.0)[:, None]).softmax(-1)
    return _keep_top_p(_keep_top_k(whole, top_k), top_p)


def refuse_nan(peak: Float[Tensor, " n"], logits: Float[Tensor, "n V"]) -> Float[Tensor, " n"]:
    """Return the largest probabilities, or say why one is not a number.

    Args:
        peak: Of the softmax of each row: one NaN or infinity makes the whole row NaN, and so does a row of -inf.
        logits: Those rows, -inf where a token must not be drawn.

    Raises:
        NotFinite: the network's answer is not finite.
        Error: no token may be drawn somewhere.
    """
    wrong = peak.isnan()
    if not bool(wrong.any()):
        return peak
    if bool(logits[wrong].isneginf().all(-1).any()):
        raise Error(
            "no token may be drawn at an open position: all that the network allows there are forbidden. Take away a "
            "lock beside the hole, or let the text end (ignore_eos)."
        )
    raise NotFinite(
        "the network's logits are not finite. If it gives such for every text, its training diverged: sample from an "
        "earlier checkpoint. If not, look for numbers that are not finite in what it was given (a thought, evidence)."
    )


def _keep_top_k(p: Float[Tensor, "n V"], top_k: Int[Tensor, " n"]) -> Float[Tensor, "n V"]:
    width = p.shape[1]
    k = torch.where(top_k == 0, width, top_k).clamp(max=width)
    if bool((k == width).all()):
        return p
    limited = k < width
    most = int(k[limited].max())
    threshold = p.topk(most, dim=-1).values.gather(1, (k.clamp(max=most) - 1)[:, None])
    return p.masked_fill((p < threshold) & limited[:, None], 0.0)


def _keep_top_p(p: Float[Tensor, "n V"], top_p: Float[Tensor, " n"]) -> Float[Tensor, "n V"]:
    if bool((top_p >= 1).all()):
        return p
    ordered, index = p.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    drop = (before >= top_p[:, None] * ordered.sum(-1, keepdim=True)) & (top_p < 1)[:, None]
    drop[:, 0] = False
    return p.masked_fill(torch.zeros_like(drop).scatter(1, index, drop), 0.0)
