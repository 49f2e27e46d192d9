"""Log-probabilities of a text's tokens left to right, one by one, beside the likeliest tokens at each place.

log p(x_i | x_<i), with the mask out of the distribution as in :func:`unmask.diffusion.likelihood.causal_nats`, whose
sums these are. Of runs whose weights write left to right: causal ones, and block runs that were trained to.

Letters: B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.likelihood import without
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.evaluation.finite import refuse_not_finite


@dataclass(frozen=True)
class TokenScores:
    """Of one text, for each token behind BOS.

    Attributes:
        logprobs: Its log-probability given all before it.
        likeliest: The likeliest tokens there that may be written, and theirs, best first.
    """

    logprobs: list[float]
    likeliest: list[list[tuple[int, float]]]


def reads_left_to_right(process: Any) -> bool:
    """Tell whether a process's networks say exactly how likely each token is given those before it."""
    return process.visibility == "causal" or "causal" in process.likelihoods


@torch.inference_mode()
def token_scores(
    model: Any, texts: Sequence[Sequence[int]], vocabulary: Vocabulary, most: int = 0
) -> list[TokenScores]:
    """Score texts, one network call each: no score hangs on another text or on padding.

    Args:
        model: A network in eval mode.
        texts: Token ids, BOS first.
        vocabulary: The special tokens.
        most: How many of the likeliest tokens are told.

    Raises:
        Error: a text longer than the context, or scores that are not finite.
    """
    context = int(model.config.max_position_embeddings)
    device = next(iter(model.parameters())).device
    never = torch.tensor([vocabulary.mask, vocabulary.bos, vocabulary.pad], device=device)
    found = []
    for text in texts:
        if len(text) > context:
            raise Error(
                f"the text to score is {len(text)} tokens long (1 is BOS) and the context is {context}; shorten it by "
                f"{len(text) - context}."
            )
        if len(text) < 2:
            found.append(TokenScores([], []))
            continue
        tokens = torch.tensor([list(text)], device=device)
        at = torch.ones_like(tokens, dtype=torch.bool)
        at[0, 0] = False
        logp = without(model(State(tokens, "causal"), at=at).logits, vocabulary.mask).float().log_softmax(-1)
        own = logp.gather(1, tokens[0, 1:, None])[:, 0].tolist()
        refuse_not_finite(own, "texts", model)
        likeliest: list[list[tuple[int, float]]] = [[] for _ in own]
        if most:
            values, ids = logp.index_fill(1, never, -torch.inf).topk(min(most, logp.shape[1] - 3), dim=-1)
            pairs = zip(ids.tolist(), values.tolist(), strict=True)
            likeliest = [list(zip(*pair, strict=True)) for pair in pairs]
        found.append(TokenScores(own, likeliest))
    return found
