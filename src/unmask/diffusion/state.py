"""The contract between processes, networks and samplers: what a network sees, and what it answers.

Letters: B batch, T tokens, K candidates, D width, V vocabulary, n asked positions, M vectors of memory, E their width,
m asked positions of the clean text, S slow memory slots, C cells of a thought, E its channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.carried import Carried, Notes, moved, picked
from unmask.diffusion.memory import Memory
from unmask.diffusion.options import Shows as Shows
from unmask.diffusion.options import Visibility as Visibility
from unmask.diffusion.random_mask import RandomMask
from unmask.diffusion.thought import Read, Thought


@dataclass(frozen=True)
class Jitter(Carried):
    """Gaussian noise on embeddings, by the keys of a counter-based generator: the network knows its own width.

    Attributes:
        level: Standard deviation, in units of the embeddings' root mean square.
        keys: Noise keys of the rows (see :class:`unmask.diffusion.noise.Noise`).
    """

    level: Float[Tensor, " B"]
    keys: Int[Tensor, " B"]


@dataclass(frozen=True)
class SparseState(Carried):
    """K weighted candidates at each position: not one token but ``[(0.6, cat), (0.3, dog), (0.1, pet)]``.

    The masses are a distribution's own values, not renormalised over the K that are kept. What remains up to 1 is the
    mass of all other tokens, which an open position gives to the mask. The order of the candidates means nothing.

    Attributes:
        tokens: Candidate ids; any id where the mass is 0.
        mass: Probability of each candidate; all 0 at a position without candidates.
        jitter: Gaussian noise on the candidates' embeddings; ``None``: none.
    """

    tokens: Int[Tensor, "B T K"]
    mass: Float[Tensor, "B T K"]
    jitter: Jitter | None = None

    placed: ClassVar[bool] = True

    @property
    def rest(self) -> Float[Tensor, "B T"]:
        """Mass of what is not among the candidates."""
        return (1 - self.mass.sum(-1)).clamp(min=0)


@dataclass(frozen=True)
class State:
    """A (partly noised) text, as a network sees it.

    Attributes:
        tokens: Token ids; hidden positions hold the mask id.
        visibility: Which positions may attend to which, before borders and padding are taken away.
        positions: Position ids; ``None`` means 0, 1, 2, ...
        segments: Document piece of each position; attention never crosses pieces. ``None``: one piece a row.
        valid: False at padding, which nobody attends to. ``None``: no padding.
        candidates: Weighted candidates of open positions; ``None``: there are none.
        t: The *actual* noise level of each row in (0, 1], 1 = all noise; of each position's document where the level of
            a row would tell a document of its neighbours' words. Only a network with a time input reads it.
        memory: Vectors of an encoder that go with each row (retrieved evidence); ``None``: there are none.
        slots: What an earlier block of the same text left in the network's slow memory (``Prediction.slots``);
            ``None``: the text begins here.
        thought: The text's own noised thought, and those of what came before; ``None``: there are none.
        notes: What the network left of an earlier, noisier answer to the same text (``Prediction.notes``).
        level: Noise level of each position, where an open position shows a token that may be wrong: the probability
            with which it was drawn anew; 0 where the token is given. ``None``: what is shown is right. A network with
            a time input reads it in the place of ``t``.
        block: First position of the block that each position is in (visibility ``block``): a position sees what stands
            before its block, and the whole of its block. Text that is read left to right is in blocks of one.
            ``None``: all behind the first position is one block.
        clean: The text as it is, read left to right beside ``tokens``: what stands before a block is then seen here,
            so that every block of ``tokens`` may be noisy. ``None``: it is seen in ``tokens``.
        clean_at: Positions of the clean text whose tokens are asked, too (``Prediction.clean``); ``None``: none is.
        random_mask: The random vector of each row's masks; ``None``: the mask is one and the same. Only a network with
            such a mask reads it.
    """

    tokens: Int[Tensor, "B T"]
    visibility: Visibility = "bidirectional"
    positions: Int[Tensor, "B T"] | None = None
    segments: Int[Tensor, "B T"] | None = None
    valid: Bool[Tensor, "B T"] | None = None
    t: Float[Tensor, " B"] | Float[Tensor, "B T"] | None = None
    candidates: SparseState | None = None
    memory: Memory | None = None
    slots: Float[Tensor, "B S D"] | None = None
    thought: Thought | None = None
    notes: Notes = Notes()
    level: Float[Tensor, "B T"] | None = None
    block: Int[Tensor, "B T"] | None = None
    clean: Int[Tensor, "B T"] | None = None
    clean_at: Bool[Tensor, "B T"] | None = None
    random_mask: RandomMask | None = None

    def opened(self, mask: int) -> Bool[Tensor, "B T"]:
        """Return the positions that are not decided: those that show the mask, or a word that may be wrong."""
        return self.tokens == mask if self.level is None else self.level > 0

    def to(self, device: torch.device | str) -> State:
        """Return the state on another device."""
        return moved(self, device)

    def rows(self, index: Tensor) -> State:
        """Return the state of some rows (an index or a bool mask over B)."""
        return picked(self, index)


@dataclass(frozen=True)
class Prediction:
    """A network's answer.

    Attributes:
        logits: Unnormalised log-probabilities [n, V] of the clean token at each asked position, in row-major
            order of ``at``; the logits for position p predict token p, whatever the network shifts inside.
        hidden: Final hidden states [B, T, D], if asked for.
        cache: The key-value cache, if one was given.
        slots: What the network's slow memory holds in the end, for the next block of the same text; ``None``: it has
            none, or rows hold several documents.
        losses: What the network itself asks to be minimised, by name, weighted, normalised by a constant; see
            :mod:`unmask.diffusion.network_losses`.
        thought: What it believes the text's clean thought to be; ``None``: it sees none.
        notes: What it leaves for its next answer to the same rows; a network that does so says so in ``leaves_notes``.
        read: The thoughts of passages that it was given to read; see :class:`unmask.diffusion.thought.Reading`.
        metrics: What it tells of itself while it trains, by name: numbers or vectors.
        states: Final hidden states [n, D] that the logits were made of; ``None``: the network does not tell them.
        clean: Logits [m, V] at the positions that ``State.clean_at`` asks, left to right; ``None``: none was asked.
    """

    logits: Float[Tensor, "n V"]
    hidden: Float[Tensor, "B T D"] | None = None
    cache: Any = None
    slots: Float[Tensor, "B S D"] | None = None
    thought: Float[Tensor, "B C E"] | None = None
    notes: Notes = Notes()
    read: Read | None = None
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    states: Float[Tensor, "n D"] | None = None
    clean: Float[Tensor, "m V"] | None = None
