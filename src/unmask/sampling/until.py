"""Write until a stop string appears: a row leaves as soon as what stands before its first open position holds one.

A sampler that fills any position first may decide text behind a stop string before the string itself; that text is
cut off, as nobody asked for it. While a sampler may still reopen what it decided, nothing is final and no row leaves.

Letters: B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from unmask.sampling.loop import ticks
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.sampler import Sampler
from unmask.sampling.state import SamplerState


def generate_until(
    model: Any,
    sampler: Sampler,
    requests: Sequence[Request],
    stops: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    decode: Callable[[list[int]], str],
    *,
    batch_size: int = 8,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Return what was written for each request, up to (and without) the first of its stop strings.

    Args:
        model: A network in eval mode.
        sampler: A sampler that can drive it.
        requests: What to write: given text, then one hole that reaches the canvas's end.
        stops: Stop strings of each request; empty ones are ignored.
        vocabulary: The special tokens.
        decode: Token ids to text.
        batch_size: Most rows in one network call.
        progress: Called with the number of requests just finished.

    Raises:
        Error: as :func:`unmask.sampling.generate.ticks`.
    """
    starts = [request.tokens.index(vocabulary.mask) for request in requests]
    found: dict[int, str] = {}

    def written(which: tuple[int, ...], state: SamplerState) -> list[str]:
        """Return the decided text of each row, from its hole's first position to its first undecided one."""
        ready = state.valid & ~state.open & state.settled[:, None]
        ends = (~ready).long().argmax(1).masked_fill(ready.all(1), ready.shape[1]).tolist()
        tokens = state.tokens.tolist()
        texts = []
        for row, number in enumerate(which):
            text = decode(tokens[row][starts[number] : max(ends[row], starts[number])])
            texts.append(text.removeprefix(" ") if starts[number] in requests[number].lead else text)
        return texts

    def leave(which: tuple[int, ...], state: SamplerState) -> Bool[Tensor, " B"]:
        out = torch.zeros(len(which), dtype=torch.bool, device=state.tokens.device)
        done = state.done.tolist()
        for row, text in enumerate(written(which, state)):
            shown = cut_at(text, stops[which[row]])
            if done[row] or shown != text:
                found[which[row]] = shown
                out[row] = True
        if progress is not None and bool(out.any()):
            progress(int(out.sum()))
        return out

    for _ in ticks(model, sampler, requests, vocabulary, batch_size=batch_size, leave=leave):
        pass
    return [found[number] for number in range(len(requests))]


def cut_at(text: str, stops: Sequence[str]) -> str:
    """Return the text before the first stop string in it."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text
