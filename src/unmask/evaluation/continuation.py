"""How likely a continuation is after a context, for every process: the question of multiple-choice tests.

    causal: -log p(c | x), exact.      masked: an upper bound on it, or exact for an order (``duel``).

The context x is visible and never hidden; the continuation c is the whole of what follows it. Where the process says
that its network is told how many tokens c has (``told_length``), the nats are of c among the continuations of as many
tokens: their probabilities sum to at most 1, as they do left to right, where those of all lengths together do not sum
to 1 either, "no" being the beginning of "no way". So nothing is paid for the length, as it is for the windows of a text
(``lengths``), but choices of unlike length are not one distribution: compare those of like length, or per byte.

*Tokens.* Context and continuation are encoded apart, as they are when a sampler goes on from a prompt, and white space
at the end of the context is handed to the continuation (" cat" is one token). At a border between words this equals
encoding both as one; inside a word, one encoding would change the context's own last token.

*Noise.* It derives from (seed, context): the choices of one question are hidden at the same places, so their bounds
differ by what they say and not by luck.

*Greedy.* Causal: each token is the most probable one, of those that a sampler may draw. Masked: the run's own sampler
at temperature 0, on a canvas of the context and as many open positions, writes exactly the continuation. What counts
are the tokens that are decided, before letters are completed of which half was written.

Letters: B batch, T tokens, N pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from unmask.diffusion.process import Network
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.evaluation.batches import Scorer, batch_size_for, batches
from unmask.evaluation.bits import scorer
from unmask.evaluation.finite import refuse_not_finite
from unmask.sampling import Request, Sampler, SamplerState, Settings, Vocabulary, ticks

Ids = list[int]


@dataclass(frozen=True)
class Scored:
    """One continuation.

    Attributes:
        nats: -log p(continuation | context), or an upper bound on it.
        greedy: Whether greedy decoding writes it (see above).
    """

    nats: float
    greedy: bool


def encode_pairs(tokenizer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[tuple[Ids, Ids]]:
    """Return the token ids of (context, continuation), white space at the context's end moved to the continuation."""
    moved = [(c.rstrip(), c[len(c.rstrip()) :] + more) for c, more in pairs]
    contexts = tokenizer.encode_batch([context for context, _ in moved])
    return list(zip(contexts, tokenizer.encode_batch([more for _, more in moved]), strict=True))


def fit(pairs: Sequence[tuple[Ids, Ids]], context: int) -> tuple[list[tuple[Ids, Ids]], int]:
    """Cut contexts from the left until BOS, context and continuation fit.

    Args:
        pairs: Token ids.
        context: Tokens that the network takes.

    Returns:
        The pairs, and how many contexts were cut.

    Raises:
        Error: a continuation alone is too long.
    """
    fitted, cut = [], 0
    for before, after in pairs:
        room = context - 1 - len(after)
        if room < 0:
            raise Error(
                f"a continuation of {len(after)} tokens does not fit into the context of {context} (1 is BOS); "
                "use a run with a longer context, or a task with shorter answers."
            )
        cut += len(before) > room
        fitted.append((before[len(before) - min(room, len(before)) :], after))
    return fitted, cut


def score_continuations(
    model: Any,
    process: Any,
    tokenizer: Scorer,
    pairs: Sequence[tuple[Ids, Ids]],
    sampler: Sampler,
    settings: Settings,
    vocabulary: Vocabulary,
    *,
    draws: int = 8,
    seed: int = 0,
    batch_size: int | None = None,
    likelihood: Literal["default", "duel"] = "default",
    progress: Callable[[int], None] | None = None,
) -> list[Scored]:
    """Score continuations of contexts.

    Args:
        model: A network in eval mode, on its device.
        process: The process it was trained with.
        tokenizer: The model's tokenizer.
        pairs: Token ids of contexts and continuations that fit the context length together.
        sampler: The run's sampler, for ``greedy`` of a bidirectional run.
        settings: Its settings; temperature and end of text are set here.
        vocabulary: The special tokens.
        draws: Network calls a pair for a bound (K). Of one token the bound is exact, and one call is made.
        seed: Of the bound's noise.
        batch_size: Pairs in one network call; by default as many as keep the logits near 128 MB.
        likelihood: As in :func:`unmask.evaluation.bits.bits_per_byte`.
        progress: Called with the number of pairs just done.

    Raises:
        Error: ``duel`` with a process that has none, no draws, or a score that is not finite.
    """
    if draws < 1:
        raise Error(f"draws is {draws}; it must be at least 1.")
    rows = [[tokenizer.bos_id, *before, *after] for before, after in pairs]
    if not rows:
        return []
    size = batch_size or batch_size_for(rows, model)
    lengths = np.array([len(after) for _, after in pairs])
    keys = torch.tensor([noise_key(before) for before, _ in pairs])
    nats, greedy = np.zeros(len(rows)), np.ones(len(rows), bool)
    left_to_right = process.visibility == "causal"
    empty = np.flatnonzero(lengths == 0)
    if progress is not None and len(empty):
        progress(len(empty))
    with torch.inference_mode():
        for among, calls in ((np.flatnonzero(lengths == 1), 1), (np.flatnonzero(lengths > 1), draws)):
            score = scorer(process, likelihood, calls, seed)
            for place, batch in batches([rows[i] for i in among], tokenizer, size):
                index = among[place]
                batch = replace(batch, order=keys[index]).to(model.device)
                scored = tail(batch.valid, torch.from_numpy(lengths[index]).to(model.device))
                asked = Recorder(model)
                nats[index] = score(asked, batch, scored=scored).nats.double().cpu().numpy()
                if left_to_right:
                    greedy[index] = _all_best(asked, batch.tokens, vocabulary).cpu().numpy()
                if progress is not None:
                    progress(len(index))
    refuse_not_finite(nats, "continuations", model)
    if not left_to_right:
        firm: dict[str, Any] = {"temperature": 0.0, "temperature_end": None, "ignore_eos": True}
        settings = settings.but(**{key: value for key, value in firm.items() if key in settings.known})
        greedy = writes_exactly(model, sampler, settings, vocabulary, pairs, size)
    return [Scored(float(n), bool(g)) for n, g in zip(nats, greedy, strict=True)]


class Recorder:
    """A network that remembers its last answer, so that one call gives the nats and the best tokens."""

    def __init__(self, model: Network) -> None:
        self.model = model

    def __call__(self, state: State, at: Any = None) -> Prediction:
        """Ask the network."""
        self.at, self.answer = at, self.model(state, at=at)
        return self.answer


def writes_exactly(
    model: Any,
    sampler: Sampler,
    settings: Settings,
    vocabulary: Vocabulary,
    pairs: Sequence[tuple[Ids, Ids]],
    batch_size: int,
) -> np.ndarray:
    """Return for each pair whether the sampler writes exactly its continuation [N].

    A row leaves as soon as it writes something else, so most cost a call or two.
    """
    wanted = [(vocabulary.bos, *before, *after) for before, after in pairs]
    truth = torch.full((len(pairs), max(map(len, wanted))), vocabulary.pad, device=model.device)
    for row, tokens in enumerate(wanted):
        truth[row, : len(tokens)] = torch.tensor(tokens, device=model.device)
    requests = [
        Request((vocabulary.bos, *before, *(vocabulary.mask,) * len(after)), settings) for before, after in pairs
    ]

    def strays(which: tuple[int, ...], state: SamplerState) -> Bool[Tensor, " B"]:
        shown = truth[list(which), : state.tokens.shape[1]]
        return ((state.tokens != shown) & ~state.open).any(1) & state.settled

    same = np.zeros(len(pairs), bool)
    words = replace(vocabulary, table=None)  # completing what is broken would decide anew
    for tick in ticks(model, sampler, requests, words, batch_size=batch_size, leave=strays):
        done = (tick.state.done & ~strays(tick.which, tick.state)).cpu().numpy()
        same[np.array(tick.which)[done]] = True
    return same


def _all_best(asked: Recorder, tokens: Tensor, vocabulary: Vocabulary) -> Bool[Tensor, " B"]:
    """Return for each row whether every asked token is the best of those that a sampler may draw."""
    never = torch.tensor([vocabulary.mask, vocabulary.bos, vocabulary.pad], device=tokens.device)
    best = asked.answer.logits.index_fill(1, never, -torch.inf).argmax(-1)
    wrong = torch.zeros_like(asked.at).masked_scatter(asked.at, best != tokens[asked.at])
    return ~wrong.any(1)


def tail(valid: Bool[Tensor, "B T"], count: Tensor) -> Bool[Tensor, "B T"]:
    """Return the last ``count`` valid positions of each row."""
    column = torch.arange(valid.shape[1], device=valid.device)[None]
    length = valid.sum(1, keepdim=True)
    return (column >= length - count[:, None]) & (column < length)


def noise_key(context: Ids) -> int:
    """Return what the noise of a context derives from: 64 bits of its content."""
    digest = hashlib.blake2b(np.asarray(context, np.int32).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
