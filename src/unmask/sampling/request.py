"""What a user asks of a sampler: settings, and a canvas with open positions."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

from unmask.data.vocabulary import Vocabulary as Vocabulary
from unmask.errors import Error, wrong_count

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from unmask.diffusion.thought import Thought


@dataclass(frozen=True)
class Settings:
    """How to sample. Each sampler says which of these it uses; a changed one that it does not use is refused.

    Attributes:
        steps: Steps from all open to none (masked samplers).
        temperature: Softmax temperature; 0 takes the most probable token.
        temperature_end: Temperature of the last step, reached linearly; ``None``: constant.
        top_k: Draw among the k most probable tokens; 0: all.
        top_p: Draw among the fewest tokens that hold this much probability; 1: all.
        repetition_penalty: Divides positive logits of tokens that stand in the text, multiplies negative ones; 1: none.
        seed: Same seed, same text.
        ignore_eos: Never end the text before its canvas is full.
        reveal: How many positions are decided by step i of N: all but cos(pi/2 i/N) of them, or all but 1 - i/N.
        confidence_noise: Scale of Gumbel noise on the log-confidence that orders positions, times the share still open.
        confidence_stop: Fill everything at once when every open position is more confident than this; ``None``: never.
        confidence_of: Order positions by the peak probability *before* drawing, or by the probability of the token
            ``drawn`` there, as MaskGIT does, which keeps likely draws and throws unlikely ones away: it collapses even
            with a perfect network (``unmask certify``). With ``peak`` and no confidence noise the order is a function
            of what is visible, so the DUEL likelihood (arXiv 2603.01367) is exactly this sampler's.
        entropy_budget: Most nats by which the positions that ``entropy-bound`` decides in one step may hang together:
            the sum of their entropies less the largest.
        error_proxy: The order in which they are taken: highest ``peak`` probability, largest ``margin`` between the
            two most probable tokens, or least ``entropy``.
        remask: How ``remasking`` sets the probability with which a decided position is reopened: the same at all times
            (``cap``), a share of the most that is possible (``rescale``), or that share handed out by how unsure
            the model was of each word (``conf``).
        remask_strength: That probability, or share; 0 reopens nothing, which is ``ancestral``.
        remask_start: Time, from 1 (all noise) to 0 (text), at which reopening begins.
        remask_stop: Time at which it ends.
        remask_hold: Share of positions that stays decided between the two times, so that all these steps only write
            again; ``None``: the text goes on being written.
        renoise: What the ``flatten`` sampler does between steps: feed the network's own answer back, as the original
            does (``None``), or draw a text and noise it again as training did: its tokens stay among the candidates
            (``kept``), or are replaced by random ones with probability n(t) (``replaced``).
        candidates: Weighted candidates that an open position carries to the next step, where the model takes them;
            ``None``: as many as it was trained with.
        corrections: Words that ``uniform`` draws anew after each step, one at a time given all the others, at the noise
            level just reached: a Gibbs step each, which takes a network call and repairs what words drawn side by side
            got wrong.
    """

    steps: int = 32
    temperature: float = 1.0
    temperature_end: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    ignore_eos: bool = False
    reveal: Literal["cosine", "linear"] = "cosine"
    confidence_noise: float = 0.0
    confidence_stop: float | None = None
    confidence_of: Literal["drawn", "peak"] = "peak"
    entropy_budget: float = 0.1
    error_proxy: Literal["peak", "margin", "entropy"] = "peak"
    remask: Literal["cap", "rescale", "conf"] = "cap"
    remask_strength: float = 0.05
    remask_start: float = 1.0
    remask_stop: float = 0.0
    remask_hold: float | None = None
    renoise: Literal["kept", "replaced"] | None = None
    candidates: int | None = None
    corrections: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            Error: which setting is wrong, and its range.
        """
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise Error(f"{name} is {value}; it must be a finite number.")
        counts = (
            wrong_count("steps", self.steps, 1),
            wrong_count("top_k", self.top_k, 0, "all tokens"),
            wrong_count("corrections", self.corrections, 0),
            None if self.candidates is None else wrong_count("candidates", self.candidates, 0),
        )
        for text in counts:
            if text is not None:
                raise Error(text)
        for wrong, text in (
            (not 0 <= self.temperature < float("inf"), f"temperature is {self.temperature}; it must be 0 or more."),
            (
                self.temperature_end is not None and not 0 <= self.temperature_end < float("inf"),
                f"temperature_end is {self.temperature_end}; it must be 0 or more.",
            ),
            (not 0 < self.top_p <= 1, f"top_p is {self.top_p}; it must be above 0 and at most 1."),
            (
                not 0 < self.repetition_penalty < float("inf"),
                f"repetition_penalty is {self.repetition_penalty}; it must be above 0, and 1 is none.",
            ),
            (not -(2**63) <= self.seed < 2**63, f"seed is {self.seed}; it must fit into 64 bits."),
            (self.reveal not in ("cosine", "linear"), f"reveal is {self.reveal!r}; choose 'cosine' or 'linear'."),
            (
                not 0 <= self.confidence_noise < float("inf"),
                f"confidence_noise is {self.confidence_noise}; it must be 0 or more.",
            ),
            (
                self.confidence_stop is not None and not 0 <= self.confidence_stop <= 1,
                f"confidence_stop is {self.confidence_stop}; it must be between 0 and 1.",
            ),
            (
                not 0 <= self.entropy_budget < float("inf"),
                f"entropy_budget is {self.entropy_budget}; it must be 0 or more nats.",
            ),
            (
                self.error_proxy not in ("peak", "margin", "entropy"),
                f"error_proxy is {self.error_proxy!r}; choose 'peak', 'margin' or 'entropy'.",
            ),
            (
                self.remask not in ("cap", "rescale", "conf"),
                f"remask is {self.remask!r}; choose 'cap', 'rescale' or 'conf'.",
            ),
            (
                not 0 <= self.remask_strength <= 1,
                f"remask_strength is {self.remask_strength}; it must be between 0 and 1.",
            ),
            (not 0 < self.remask_start <= 1, f"remask_start is {self.remask_start}; it must be above 0 and at most 1."),
            (
                not 0 <= self.remask_stop < self.remask_start,
                f"remask_stop is {self.remask_stop}; it must be at least 0 and below remask_start, as time runs from 1 "
                "to 0.",
            ),
            (
                self.remask_hold is not None and not 0 < self.remask_hold < 1,
                f"remask_hold is {self.remask_hold}; it must be between 0 and 1.",
            ),
            (
                self.remask_hold is not None and (self.remask_start == 1 or self.remask_stop == 0),
                f"remask_hold is {self.remask_hold}; it needs a remask_start below 1 and a remask_stop above 0, so that"
                " there is time to write before and after.",
            ),
            (
                self.renoise not in (None, "kept", "replaced"),
                f"renoise is {self.renoise!r}; choose 'kept', 'replaced', or leave it out.",
            ),
            (
                self.confidence_of not in ("drawn", "peak"),
                f"confidence_of is {self.confidence_of!r}; choose 'drawn' or 'peak'.",
            ),
        ):
            if wrong:
                raise Error(text)

    def changed(self) -> list[str]:
        """Return the names of the settings that differ from their defaults."""
        return [f.name for f in fields(self) if getattr(self, f.name) != f.default]


def refuse_unused(sampler: str, uses: Collection[str], names: Collection[str]) -> None:
    """Raise Error if one of the named settings means nothing to a sampler."""
    for name in names:
        if name not in uses:
            raise Error(
                f"the {sampler!r} sampler does not use {name}; leave it out. It uses: {', '.join(sorted(uses))}."
            )


@dataclass(frozen=True)
class Request:
    """One text to write: a canvas that starts with BOS and holds the mask id at open positions.

    Attributes:
        tokens: The canvas.
        settings: How to sample it.
        index: Tells texts under one seed apart: text ``index`` of a request for n texts.
        lead: Open positions whose token must begin with a space (the user's text had a space before the hole).
        thought: One row: the thought that the text begins with, and those of the passages before it; ``None``: noise of
            the text's own, and no passages.
        memory: Vectors of retrieved texts; ``None``: there are none.
    """

    tokens: tuple[int, ...]
    settings: Settings = field(default_factory=Settings)
    index: int = 0
    lead: frozenset[int] = frozenset()
    thought: Thought | None = None
    memory: Float[Tensor, "M E"] | None = None


def canvas(
    pieces: Sequence[Sequence[int]], holes: Sequence[int], vocabulary: Vocabulary, lead: Collection[int] = ()
) -> tuple[tuple[int, ...], frozenset[int]]:
    """Lay out BOS, then given pieces with holes between them.

    Args:
        pieces: Given token ids, one more than there are holes (empty ones are fine).
        holes: Length of each hole in tokens.
        vocabulary: The special tokens.
        lead: Numbers of the holes whose first token must begin with a space.

    Returns:
        The canvas, and the positions that must begin with a space.

    Raises:
        Error: counts that do not fit, or a hole without room.
    """
    if len(pieces) != len(holes) + 1:
        raise Error(f"{len(holes)} holes need {len(holes) + 1} pieces of text around them, not {len(pieces)}.")
    tokens, leads = [vocabulary.bos, *pieces[0]], set()
    for number, (hole, piece) in enumerate(zip(holes, pieces[1:], strict=True)):
        if hole < 1:
            raise Error(f"hole {number + 1} is {hole} tokens long; it must be at least 1.")
        if number in lead:
            leads.add(len(tokens))
        tokens += [vocabulary.mask] * hole + list(piece)
    return tuple(tokens), frozenset(leads)


def fill_request(
    prefix: Sequence[int],
    max_tokens: int,
    vocabulary: Vocabulary,
    settings: Settings | None = None,
    *,
    suffix: Sequence[int] = (),
    index: int = 0,
) -> Request:
    """Return the request for up to ``max_tokens`` tokens after a prefix and, where given, before a suffix."""
    tokens, _ = canvas([prefix, suffix], [max_tokens], vocabulary)
    return Request(tokens, settings or Settings(), index)
