"""Small worlds whose every conditional probability is known: as networks, they are perfect denoisers.

A world is a hidden Markov model. A chain of hidden states z_1 .. z_L emits words x_1 .. x_L:

    p(x) = sum over z of start(z_1) emission(z_1, x_1) prod_i transition(z_{i-1}, z_i) emission(z_i, x_i)

so p(x_i | any visible words) follows from the forward-backward recursion (Rabiner 1989, section III). A Markov chain
over words is the case where each state emits a word of its own. With such a network the only error left in a text is
the sampler's. The idea of testing samplers like that is arXiv 2602.19619's.

Letters: B rows, T positions, n asked positions, S hidden states, N words, V vocabulary, L length of a text, K texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction, State, Visibility
from unmask.errors import Error
from unmask.models.cache import KVCache
from unmask.models.visibility import blocks_of
from unmask.registry import Registry
from unmask.sampling.calibrated import Calibration
from unmask.sampling.request import Vocabulary


@dataclass(frozen=True)
class HMM:
    """A hidden Markov model over words, and the network that knows it.

    Word w is token ``first + w``. Tables are float64 and sum to 1 along their last axis.

    Attributes:
        start: Probabilities of the first hidden state.
        transition: Probabilities of the next hidden state (columns) after a state (rows).
        emission: Probabilities of the words (columns) in a state (rows).
        vocabulary: Ids of the special tokens.
    """

    start: Float[Tensor, " S"]
    transition: Float[Tensor, "S S"]
    emission: Float[Tensor, "S N"]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __post_init__(self) -> None:
        """Count the tokens; refuse tables that are no distributions, and zeros that leave a context without any answer.

        Raises:
            Error: which table is wrong.
        """
        states = len(self.start)
        object.__setattr__(self, "vocabulary", replace(self.vocabulary, size=self.first + self.words))
        for name, table, rows in (("start", self.start[None], 1), ("transition", self.transition, states)):
            if table.shape != (rows, states) or not bool((table > 0).all()):
                raise Error(f"{name} must hold {rows} x {states} probabilities above 0: any text must be possible.")
        if len(self.emission) != states or not bool((self.emission >= 0).all() & (self.emission > 0).any(0).all()):
            raise Error(f"emission must have {states} rows, and every word a state that can emit it.")
        for name, table in (("start", self.start), ("transition", self.transition), ("emission", self.emission)):
            if table.dtype != torch.float64 or not torch.allclose(table.sum(-1), table.new_ones(()), atol=1e-9):
                raise Error(f"{name} must be float64 probabilities that sum to 1.")

    @classmethod
    def markov(cls, start: Float[Tensor, " N"], transition: Float[Tensor, "N N"]) -> HMM:
        """Return a Markov chain over words: each state emits its own word."""
        return cls(start, transition, torch.eye(len(start), dtype=torch.float64))

    @classmethod
    def random(cls, words: int = 3, states: int | None = None, seed: int = 0) -> HMM:
        """Draw a world that is far from uniform: a Markov chain, or with ``states`` a hidden one."""
        generator = torch.Generator().manual_seed(seed)
        size = states or words
        logits = 1.5 * torch.randn(size + 1, size, generator=generator, dtype=torch.float64)
        start, transition = logits[0].softmax(-1), logits[1:].softmax(-1)
        if states is None:
            return cls.markov(start, transition)
        emission = 1.5 * torch.randn(states, words, generator=generator, dtype=torch.float64)
        return cls(start, transition, emission.softmax(-1))

    @property
    def calibration(self) -> Calibration:
        """A map of confidences that turns their order around while most is open: no promise may depend on a map."""
        return Calibration("platt", (0.0, 0.5, 1.0), {"a": (1.0, -1.0), "b": (0.0, 0.0)})

    @property
    def words(self) -> int:
        """Number of words (N)."""
        return self.emission.shape[1]

    @property
    def first(self) -> int:
        """Token id of word 0: behind all special tokens."""
        v = self.vocabulary
        return max(v.pad, v.bos, v.eos, v.mask) + 1

    def tokens(self, words: Int[Tensor, "B L"]) -> Int[Tensor, "B T"]:
        """Return texts as a network reads them: BOS, then token ids (T = L + 1)."""
        return torch.cat([torch.full_like(words[:, :1], self.vocabulary.bos), words + self.first], 1)

    def batch(self, words: Int[Tensor, "B L"]) -> Batch:
        """Return texts as training and likelihoods take them."""
        tokens = self.tokens(words)
        return Batch(tokens, torch.ones_like(tokens), torch.arange(len(tokens)), self.vocabulary.bos)

    def sample(self, rows: int, length: int, seed: int = 0) -> Int[Tensor, "B L"]:
        """Draw texts: the truth."""
        generator = torch.Generator().manual_seed(seed)
        state, words = torch.multinomial(self.start.expand(rows, -1), 1, generator=generator)[:, 0], []
        for _ in range(length):
            words.append(torch.multinomial(self.emission[state], 1, generator=generator)[:, 0])
            state = torch.multinomial(self.transition[state], 1, generator=generator)[:, 0]
        return torch.stack(words, 1)

    def nats(self, words: Int[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """Return the true -log p of texts."""
        ahead, total = self.start.expand(len(words), -1), torch.zeros(len(words), dtype=torch.float64)
        for p in range(words.shape[1]):
            joint = ahead * self.emission.T[words[:, p]]
            mass = joint.sum(-1)
            total, ahead = total - mass.log(), joint / mass[:, None] @ self.transition
        return total

    def all_texts(self, length: int) -> Int[Tensor, "K L"]:
        """Return every text of a length, in counting order: K = N ** L."""
        return all_texts(self.words, length)

    def entropy(self, length: int) -> float:
        """Return the true entropy of a text in nats. A hidden chain's texts are enumerated."""
        nats = self.nats(self.all_texts(length))
        return float((nats * (-nats).exp()).sum())

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        """Return an empty cache for causal use. What it keeps of a token is the belief about the next state."""
        return KVCache.empty(1, rows, 1, capacity, len(self.start), self.start)

    def __call__(self, state: State, at: Bool[Tensor, "B T"] | None = None, cache: KVCache | None = None) -> Prediction:
        """Answer with the exact distribution of each asked token.

        Bidirectional: given every visible token of the row; causal: given those before; block: given the clean ones
        before the block and the visible ones in it. Positions that are not valid tell nothing, and neither do masks;
        special tokens have no probability. Where tokens may be wrong (``state.level``): given what is shown at all
        other positions, as the uniform process asks.

        Args:
            state: Rows that start with BOS.
            at: Positions whose logits are wanted, ``None``: all. Those of BOS mean nothing.
            cache: As for :class:`unmask.models.transformer.Transformer`: new tokens only, logits of the next token.

        Raises:
            Error: several documents in a row, or a visibility that it does not know.
        """
        if state.segments is not None and bool((state.segments != state.segments[:, :1])[_valid(state)].any()):
            raise Error("a world answers one document a row; do not pack them.")
        if cache is not None:
            return self._read(state, cache, at)
        if state.visibility not in get_args(Visibility):
            raise Error(f"a world has no answer under {state.visibility!r} visibility.")
        evidence = self._evidence(state.tokens, _valid(state), state.level)[:, 1:]
        rows, length = evidence.shape[:2]
        clean, begins = evidence, evidence.new_zeros(rows, length, dtype=torch.bool)
        if state.visibility == "block":
            block = blocks_of(state)
            begins = (block == torch.arange(length + 1))[:, 1:]
            if state.clean is not None:
                clean = self._evidence(state.clean, _valid(state))[:, 1:]
        ahead = before = self.start.expand(rows, -1)
        beliefs = [ahead]
        for p in range(length - 1):
            before = _normal(before * clean[:, p]) @ self.transition
            ahead = _normal(ahead * evidence[:, p]) @ self.transition
            ahead = torch.where(begins[:, p + 1, None], before, ahead)
            beliefs.append(ahead)
        belief = torch.stack(beliefs[:length], 1)
        if state.visibility != "causal":
            belief = belief * self._told_from_behind(evidence, begins)
            if state.level is None:
                belief = belief * evidence
        logits = self._logits(belief)
        if state.visibility != "causal":  # a visible word is certain
            seen = self._seen(state.tokens, _valid(state))
            seen = seen if state.level is None else seen & (state.level == 0)
            certain = torch.full_like(logits, -torch.inf).scatter(2, state.tokens[:, 1:, None], 0.0)
            logits = torch.where(seen[:, 1:, None], certain, logits)
        logits = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
        return Prediction(logits[at] if at is not None else logits.flatten(0, 1))

    def _told_from_behind(
        self, evidence: Float[Tensor, "B T S"], begins: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T S"]:
        """Return what the positions behind each one tell of its state, up to where the next block begins."""
        behind = [torch.ones_like(evidence[:, 0])]
        for p in range(evidence.shape[1] - 1, 0, -1):
            told = _normal((evidence[:, p] * behind[-1]) @ self.transition.T)
            behind.append(told.masked_fill(begins[:, p, None], 1.0))
        return torch.stack(behind[::-1], 1)

    def _logits(self, belief: Float[Tensor, "*B S"]) -> Float[Tensor, "*B V"]:
        """Turn the belief about a state into logits of its word."""
        word = (_normal(belief) @ self.emission).log()
        return torch.cat([word.new_full((*word.shape[:-1], self.first), -torch.inf), word], -1)

    def _seen(self, tokens: Int[Tensor, "B T"], valid: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        return valid & (tokens >= self.first) & (tokens < self.first + self.words)

    def _evidence(
        self, tokens: Int[Tensor, "B T"], valid: Bool[Tensor, "B T"], level: Float[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T S"]:
        """Return p(what is visible at a position | its state): 1 where no word is, a mixture where it may be wrong."""
        word = (tokens - self.first).clamp(0, self.words - 1)
        seen = self._seen(tokens, valid)[..., None]
        sure = self.emission.T[word].masked_fill(~seen, 1.0)
        if level is None:
            return sure
        r = level.to(sure.dtype)[..., None]
        doubtful = (1 - r) * self.emission.T[word].masked_fill(~seen, 0.0) + r / self.vocabulary.words
        return torch.where((r > 0) & valid[..., None], doubtful, sure)

    def _read(self, state: State, cache: KVCache, at: Bool[Tensor, "B T"] | None) -> Prediction:
        """Read new tokens on top of a cache; answer for those that are asked, or for the token after the last one."""
        valid = _valid(state)
        evidence = self._evidence(state.tokens, valid)
        rows = cache.stored(valid.device)
        places = cache.lengths[:, None] + torch.arange(valid.shape[1])
        ahead = []
        for p in range(valid.shape[1]):
            fed = valid[:, p] & (cache.lengths < cache.keys.shape[3])
            before = cache.keys[0, rows, 0, (cache.lengths - 1).clamp(min=0)]
            ahead.append(before)
            after = _normal(before * evidence[:, p]) @ self.transition
            after = torch.where((cache.lengths == 0)[:, None], self.start, after)  # after BOS
            cache.keys[0, rows[fed], 0, cache.lengths[fed]] = after[fed]
            cache.lengths = cache.lengths + fed
        if at is not None:
            belief = torch.stack(ahead, 1)
            if state.block is not None:
                belief = belief * self._told_from_behind(evidence, places == state.block) * evidence
            return Prediction(self._logits(belief[at]), cache=cache)
        belief = cache.keys[0, rows, 0, (cache.lengths - 1).clamp(min=0)]
        return Prediction(self._logits(belief), cache=cache)


def all_texts(words: int, length: int) -> Int[Tensor, "K L"]:
    """Return every text of a length over word ids 0 .. words-1, in counting order."""
    return torch.cartesian_prod(*[torch.arange(words)] * length).view(-1, length)


def _valid(state: State) -> Bool[Tensor, "B T"]:
    return torch.ones_like(state.tokens, dtype=torch.bool) if state.valid is None else state.valid


def _normal(x: Float[Tensor, "*B S"]) -> Float[Tensor, "*B S"]:
    return x / x.sum(-1, keepdim=True)


WORLDS: Registry[Callable[[], HMM]] = Registry("world")
"""Name -> maker of a world for ``unmask certify``."""


@WORLDS.add("markov")
def markov_world() -> HMM:
    """Return a chain of three words that mostly repeat or go round: neighbours depend strongly on each other."""
    rows = [[0.75, 0.20, 0.05], [0.05, 0.75, 0.20], [0.30, 0.05, 0.65]]
    return HMM.markov(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor(rows, dtype=torch.float64))


@WORLDS.add("hmm")
def hmm_world() -> HMM:
    """Return three slow hidden states that are each heard through noise: far-off words matter, not neighbours alone."""
    rows = [[0.90, 0.08, 0.02], [0.02, 0.90, 0.08], [0.08, 0.02, 0.90]]
    heard = [[0.85, 0.10, 0.05], [0.05, 0.80, 0.15], [0.25, 0.05, 0.70]]
    start = torch.tensor([0.4, 0.35, 0.25], dtype=torch.float64)
    return HMM(start, torch.tensor(rows, dtype=torch.float64), torch.tensor(heard, dtype=torch.float64))


PHRASES = ((0, 1, 2), (0, 3, 1), (2, 3, 3))


@WORLDS.add("phrases")
def phrases_world(stray: float = 0.03, known: tuple[tuple[int, ...], ...] = PHRASES) -> HMM:
    """Return words in fixed phrases, all of one length and equally often, and a little of everything else.

    Most words are all but certain once their phrase is known, and none before.
    """
    words, long = torch.tensor(known), len(known[0])
    states = words.numel()
    starts = torch.zeros(states, dtype=torch.float64)
    starts[::long] = 1 / len(known)
    onward = torch.zeros(states, states, dtype=torch.float64)
    for state in range(states):
        onward[state] = starts if state % long == long - 1 else torch.eye(states, dtype=torch.float64)[state + 1]
    mixed = [(1 - stray) * table + stray / states for table in (starts, onward)]
    return HMM(mixed[0], mixed[1], torch.eye(int(words.max()) + 1, dtype=torch.float64)[words.flatten()])
