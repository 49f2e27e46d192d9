r"""Uniform-state diffusion: noise draws a token anew from all words, so what an open position shows may be wrong.

With probability r(t) a token is drawn anew from the N words (all tokens but padding, BOS and the mask), the one that
was there among them (D3PM's uniform kernel, Austin et al. 2021, arXiv 2107.03006; UDLM, Schiff et al. 2024, arXiv
2412.10193; Duo, Sahoo et al. 2025, arXiv 2506.10892). Every word can be changed until the end, which a mask cannot.

The network's answer at a position is x(.), its belief about the clean word *from all the other positions*. It is put
together with the word that is shown there by Bayes' rule, so a network that knows nothing answers 1/N and scores ln N:

    q(y) = (1 - r) x(y) + r / N                                  the word y at noise r, whatever is shown here
    p(x = y | all that is shown, z here) ~ x(y) q(z | y)         q(z | y) = (1 - r) [z = y] + r / N

The bound is the continuous-time one: the rates at which a word z turns into y as noise is taken away are compared,
the true ones, which know the clean word x, with the network's. With a = 1 - r, b = r / N, A = a + b, and the expected
bound of the network that answers 1/N, which is ln N exactly, taken off under the integral (a control variate),

    -log p(x) <= ln N + int_0^1 E_z f(r, z) dr                   at each position
    f = (1/q(z) - N - R) / (N a),   R = b/A S                                        where z = x
                                    R = A/b ln q(x)/q(z) + S - ln q(x)/q(z)          where z was drawn anew
    S = sum over y of ln q(y)/q(z)

f grows like 1/r where a word that was drawn anew at small r is missed, so the bound's draws take r = u^2 with u even.

Letters: B batch, T tokens, V vocabulary, N words, n asked positions, K draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import Likelihood, askable, row_sums
from unmask.diffusion.masked import Masked
from unmask.diffusion.noise import Noise
from unmask.diffusion.options import UniformOptions
from unmask.diffusion.process import Corrupted, Network, visible_segments
from unmask.diffusion.state import Shows, State, Visibility
from unmask.errors import Error

_EDGE = 1e-6  # at r = 0 and r = 1 the terms of f are infinities that cancel


class Words:
    """The N words of a vocabulary, numbered 0 .. N-1.

    Args:
        vocabulary: Says which tokens are none: padding, BOS, the mask.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.count = vocabulary.words
        self.never = (vocabulary.mask, vocabulary.bos, vocabulary.pad)
        words = torch.ones(vocabulary.size, dtype=torch.bool)
        words[list(self.never)] = False
        self.ids = words.nonzero()[:, 0]

    def draw(self, uniform: Float[Tensor, "*B"]) -> Int[Tensor, "*B"]:
        """Turn even numbers in [0, 1) into evenly drawn tokens."""
        number = (uniform * self.count).long().clamp(max=self.count - 1)
        return self.ids.to(uniform.device)[number]

    def beliefs(self, logits: Float[Tensor, "n V"]) -> Float[Tensor, "n N"]:
        """Return log x of every word, from a network's logits."""
        return logits.index_select(1, self.ids.to(logits.device)).log_softmax(-1)

    def number(self, tokens: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the numbers of tokens that are words."""
        return torch.searchsorted(self.ids.to(tokens.device), tokens.contiguous())


class Uniform:
    """Diffusion over words that may be wrong, with the times, curriculum and warm start of ``masked``."""

    name = UniformOptions.name
    visibility: Visibility = UniformOptions.visibility
    shows: Shows = UniformOptions.shows
    likelihoods = ("default",)
    told_length = True
    sampler = UniformOptions.sampler
    Options = UniformOptions

    def __init__(self, options: UniformOptions, words: Vocabulary) -> None:
        self.options = options
        self.masked = Masked(options, words)
        self.words = Words(words)
        self.never = self.words.never

    @property
    def asked_share(self) -> float:
        """All positions, but for those that are given."""
        warm = self.options.causal_warmup
        return warm + (1 - warm) * (1 - self.options.given / 2)

    @property
    def most_asked(self) -> float:
        """All positions."""
        return 1.0

    def training_flops(self, forward: Callable[[float], float]) -> float:
        """One forward and one backward pass."""
        return 3 * forward(self.asked_share)

    def check(self, config: Any) -> None:
        """Raise Error if the network cannot see both sides, or is not told the noise level."""
        self.options.check(config)

    def corrupt(self, batch: Batch, seed: int, progress: float = 1.0) -> Corrupted:
        """Draw each token that is not given anew with probability r(t)."""
        if self.masked.warming(progress):
            return self.masked.corrupt(batch, seed, progress)
        rate, weight = self.masked.rates(batch, seed, progress)
        noise = Noise(seed, batch.order)
        asked = batch.askable & ~self._given(batch, noise)
        state = self._noised(batch, asked, rate, noise)
        return Corrupted(state, batch.tokens, asked * weight[:, None].float())

    def loss(self, model: Network, batch: Batch, seed: int, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the nats a position, normalised by a constant: of the clean word given all that is shown, or f."""
        return self.loss_of(model, batch, self.corrupt(batch, seed, progress), seed, progress)

    def loss_of(
        self, model: Network, batch: Batch, corrupted: Corrupted, seed: int, progress: float = 1.0
    ) -> dict[str, Tensor]:
        """Return the loss of what ``corrupt`` made of the batch."""
        if self.masked.warming(progress):
            return self.masked.loss_of(model, batch, corrupted, seed, progress)
        state, at = corrupted.state, corrupted.weights > 0
        assert state.level is not None
        level, logits = state.level[at], model(state, at=at).logits
        shown, truth = (self.words.number(tokens[at]) for tokens in (state.tokens, batch.tokens))
        expected = 1 - self.options.given / 2
        if self.options.weighting == "elbo":
            sure = level.double().clamp(_EDGE, 1 - _EDGE)
            missed = unexplained(self.words.beliefs(logits.double()), shown, truth, sure)
            nats = self._even + corrupted.weights[at] * level * missed
        else:
            clean = clean_given_shown(self.words.beliefs(logits.float()), shown, level)
            nats = -clean.gather(1, truth[:, None])[:, 0]
            expected = expected * self.masked.expected_rate(self.masked.upper(progress))
        rows, length = at.shape
        return {"loss": nats.sum() / (rows * (length - 1) * expected)}

    def likelihood(
        self, model: Network, batch: Batch, draws: int = 8, seed: int = 0, scored: Tensor | None = None
    ) -> Likelihood:
        """Return an upper bound on the nats of each row from ``draws`` network calls.

        With ``scored`` the bound is on the nats of those positions, all others being given.
        """
        if draws < 1:
            raise Error(f"draws is {draws}; a bound needs at least 1.")
        at = askable(batch, scored)
        noise = Noise(seed, batch.order)
        start = noise.uniform("bound-offset", 1)[:, 0]
        total = torch.zeros(len(at), dtype=torch.float64, device=at.device)
        truth = self.words.number(batch.tokens[at])
        for draw in range(draws):
            u = torch.remainder(start + draw / draws, 1.0).clamp(_EDGE, 1 - _EDGE)
            state = self._noised(batch, at, u.square(), noise.fold(torch.full_like(batch.order, draw)))
            beliefs = self.words.beliefs(model(state, at=at).logits.double())
            level = u.square()[:, None].expand(at.shape)[at]
            missed = unexplained(beliefs, self.words.number(state.tokens[at]), truth, level)
            total += row_sums(self._even + 2 * level.sqrt() * missed, at)
        return Likelihood(total / draws, "upper bound", draws)

    @property
    def _even(self) -> float:
        return float(torch.tensor(float(self.words.count), dtype=torch.float64).log())

    def _noised(self, batch: Batch, open_: Bool[Tensor, "B T"], rate: Float[Tensor, " B"], noise: Noise) -> State:
        """Return the state in which each open position is drawn anew with the row's probability."""
        width = batch.tokens.shape[1]
        anew = open_ & (noise.uniform("anew", width) < rate[:, None])
        tokens = torch.where(anew, self.words.draw(noise.uniform("word", width)), batch.tokens)
        level = open_ * rate[:, None]
        segments, valid = visible_segments(batch, self.options.isolate_documents)
        t = level.sum(1) / batch.predictable.sum(1).clamp(min=1)
        return State(tokens, "bidirectional", segments=segments, valid=valid, t=t.float(), level=level.float())

    def _given(self, batch: Batch, noise: Noise) -> Bool[Tensor, "B T"]:
        """Return the positions that are shown as they are: of some rows the beginning of each document, or any."""
        coin, share = noise.uniform("given", 2).unbind(1)
        width = batch.tokens.shape[1]
        first = torch.ones_like(batch.valid)
        first[:, 1:] = batch.segments[:, 1:] != batch.segments[:, :-1]
        column = torch.arange(width, device=first.device).expand(first.shape)
        begins = torch.where(first, column, 0).cummax(1).values
        head = column - begins <= share[:, None] * (width - 1)
        anywhere = noise.uniform("given-positions", width) < share[:, None]
        chosen = torch.where((coin < self.options.given / 2)[:, None], head, anywhere)
        return chosen & (coin < self.options.given)[:, None]


def clean_given_shown(
    beliefs: Float[Tensor, "n N"], shown: Int[Tensor, " n"], level: Float[Tensor, " n"]
) -> Float[Tensor, "n N"]:
    """Return log p(clean word | all that is shown): the network's belief, and the word that is shown here.

    Args:
        beliefs: log x.
        shown: Number of the word that is shown.
        level: r, above 0.
    """
    kept, fresh = _parts(level.to(beliefs.dtype), beliefs.shape[1])
    more = ((kept + fresh) / fresh).log()
    return beliefs.scatter_add(1, shown[:, None], more[:, None]).log_softmax(-1)


def told_too(logits: Float[Tensor, "n V"], state: State, at: Bool[Tensor, "B T"], words: Words) -> Float[Tensor, "n V"]:
    """Return log p(clean token | all that is shown) of every token, from what a network answers about open positions.

    Args:
        logits: Its answer, which speaks of all the other positions.
        state: What it saw, with the level of each position.
        at: The asked positions, all of a level above 0.
        words: Those of the vocabulary; other tokens get -inf.
    """
    assert state.level is not None
    found = clean_given_shown(words.beliefs(logits), words.number(state.tokens[at]), state.level[at])
    return torch.full_like(logits, -torch.inf).index_copy(1, words.ids.to(logits.device), found.to(logits.dtype))


def unexplained(
    beliefs: Float[Tensor, "n N"], shown: Int[Tensor, " n"], truth: Int[Tensor, " n"], level: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Return f of each position (see above), in the precision of the beliefs.

    Args:
        beliefs: log x.
        shown: Number of the word that is shown.
        truth: Number of the clean word.
        level: r, above 0 and below 1.
    """
    count = beliefs.shape[1]
    kept, fresh = _parts(level.to(beliefs.dtype), count)
    log_q = torch.logaddexp(beliefs + kept.log()[:, None], fresh.log()[:, None].expand_as(beliefs))
    here = log_q.gather(1, shown[:, None])[:, 0]
    lead = log_q.gather(1, truth[:, None])[:, 0] - here
    every = log_q.sum(-1) - count * here
    right = fresh / (kept + fresh) * every
    wrong = (kept + fresh) / fresh * lead + every - lead
    rates = torch.where(shown == truth, right, wrong)
    return ((-here).exp() - count - rates) / (count * kept)


def _parts(level: Float[Tensor, " n"], count: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return (1 - r, r / N)."""
    return 1 - level, level / count
