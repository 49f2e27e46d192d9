"""What a network says of the open positions of a canvas in one look: the likeliest tokens, and how probable each is.

    p(token at a position | the given words), for every open position by itself

Of a run that writes left to right that is the next token alone. Softmax at temperature 1, nothing truncated;
tokens that no text holds (mask, BOS, pad) have no share.
"""

from __future__ import annotations

from typing import Any

import torch

from unmask.errors import Error
from unmask.sampling.autoregressive import read_all
from unmask.sampling.carry import answered
from unmask.sampling.registry import SAMPLERS, drives
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.state import begin


@torch.no_grad()
def likeliest(
    model: Any, process: Any, request: Request, vocabulary: Vocabulary, count: int
) -> dict[int, list[tuple[int, float]]]:
    """Return the likeliest tokens of each open position that the network can be asked about, with probabilities.

    Args:
        model: A network in eval mode.
        process: What trained it, or what is known of it.
        request: The canvas.
        vocabulary: The special tokens.
        count: How many tokens of each position.

    Raises:
        Error: a canvas longer than the context, open words before given ones in a run that writes left to right, or a
            process whose open positions show words.
    """
    context = model.config.max_position_embeddings
    if len(request.tokens) > context:
        raise Error(f"the canvas is {len(request.tokens)} tokens long (1 is BOS) and the context is {context}.")
    state = begin([request], vocabulary).to(next(iter(model.parameters())).device)
    if drives(SAMPLERS.facts("confidence"), process):
        at = state.open
        logits = answered(model, state, at).logits
    elif drives(SAMPLERS.facts("autoregressive"), process):
        at = state.open & (state.open.long().cumsum(1) == 1)
        if bool((state.fixed & (state.open.long().cumsum(1) > 0)).any()):
            raise Error("this run writes left to right and sees no word behind an open one; leave those words open.")
        logits = read_all(model, state, at).logits
    else:
        raise Error(f"open words of a {process.name} run show words themselves; there are no others to be told.")
    special = torch.tensor([vocabulary.mask, vocabulary.bos, vocabulary.pad], device=logits.device)
    best = logits.double().index_fill(1, special, -torch.inf).softmax(-1).topk(min(count, logits.shape[1]))
    places = at.nonzero()[:, 1].tolist()
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {place: list(zip(*pair, strict=True)) for place, pair in zip(places, pairs, strict=True)}
