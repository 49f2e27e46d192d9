"""How long a hole is: the posterior over hole lengths, given the text around them.

    p(lengths | text around) = prior(lengths) p_lengths(text around) / sum over the lengths that are tried

p_lengths is the model's own law of a text on the canvas of these lengths, what the holes hold summed out. Bayes' rule
gives it from any one filling, -ln p(around) = -ln p(around, filling) + ln p(filling | around). The chain rule gives it
without any: the words around the holes are shown one after another while the holes stay masked,

    -ln p(around) = sum_j -ln p(word o_j | words o_1 .. o_(j-1), holes masked)

with o a random order. For a network that knows every conditional the sum is the same in every order. A trained one is
not as consistent, so it is averaged over orders, as the masked bound does. The orders, and the noise that thoughts
begin with, are the same for all lengths: what differs between two sums is the lengths.

Neither the likelihood of a whole text nor its bits per byte say how long a hole is: each token more costs nats, so the
most probable text has the shortest hole; likely tokens lower the mean, so the fewest bits per byte have the longest.

The words nearest to the holes count, up to ``NEAR`` on either side; what lies further away is given from the start.

Letters: B rows, T positions, O orders, Y layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.sampling.carry import carried_on, most_candidates, seen
from unmask.sampling.decide import commit
from unmask.sampling.infill import HoleRequest
from unmask.sampling.request import Request, Vocabulary
from unmask.sampling.settings import Settings
from unmask.sampling.state import SamplerState, begin
from unmask.sampling.thought_steps import passages_of

NEAR = 16
"""Words on either side of a hole that are asked how long it is."""

Choice = Literal["draw", "likeliest"]
"""Draw the lengths from their posterior, or take the most probable ones."""


@torch.no_grad()
def around_nats(
    model: Any,
    layouts: Sequence[HoleRequest],
    vocabulary: Vocabulary,
    *,
    orders: int = 4,
    seed: int = 0,
    batch_size: int = 8,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Float[Tensor, "O Y"]:
    """Return -ln p(text around the holes) of each layout in each order, float64.

    What a network carries from answer to answer (candidates, thoughts, latents) is carried here, too. A hole that was
    handed a space begins with one: the probability that its first token does, given the text around, is counted.

    Args:
        model: A network in eval mode that sees both sides.
        layouts: The same text with holes of other lengths (Y).
        vocabulary: The special tokens.
        orders: Random orders (O).
        seed: Of the orders.
        batch_size: Most rows in one network call.
        progress: Called with (layouts weighed, layouts in all), each order for itself.

    Raises:
        Error: no order, or a text longer than a passage of the model.
    """
    if orders < 1:
        raise Error(f"orders is {orders}; hole lengths need at least 1 order to be compared in.")
    passages = passages_of(model)
    longest = max(len(asked.request.tokens) for asked in layouts)
    if passages is not None and longest > passages.passage:
        raise Error(
            f"hole lengths are compared within one passage of {passages.passage} tokens, and the text has {longest}; "
            "give one length, such as --length 3."
        )
    settings = layouts[0].request.settings.but(seed=seed)
    cases = [(order, layout) for order in range(orders) for layout in range(len(layouts))]
    found = torch.zeros(orders, len(layouts), dtype=torch.float64)
    for first in range(0, len(cases), batch_size):
        part = cases[first : first + batch_size]
        asked = [layouts[layout] for _, layout in part]
        noises = [Noise(seed, torch.tensor([order])) for order, _ in part]
        places = torch.stack([_order(own, noise) for own, noise in zip(asked, noises, strict=True)])
        nats = _told(model, asked, places, vocabulary, settings, [order for order, _ in part])
        for (order, layout), value in zip(part, nats.tolist(), strict=True):
            found[order, layout] = value
        progress(first + len(part), len(cases))
    return found


def posterior(nats: Float[Tensor, "O Y"]) -> list[float]:
    """Return the probability of each layout under the uniform prior over those tried: softmax of minus the mean.

    Raises:
        Error: NaN, or no layout under which the text around the holes is possible.
    """
    if bool(nats.isnan().any()) or not bool(nats.mean(0).isfinite().any()):
        raise Error("the model's scores of hole lengths are not numbers; its weights are damaged. Give one length.")
    return (-nats.mean(0)).softmax(0).tolist()


def chosen(probabilities: Sequence[float], by: Choice, seed: int, index: int) -> int:
    """Return the number of a layout: drawn with the noise of text ``index`` under the seed, or the most probable."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    if by == "likeliest":
        return int(p.argmax())
    u = Noise(seed, torch.tensor([index])).uniform("hole-lengths", 1)[0]
    return int(torch.searchsorted(p.cumsum(0), u * p.sum(), right=True).clamp(max=len(p) - 1))


def _order(asked: HoleRequest, noise: Noise) -> Int[Tensor, " m"]:
    """Return the positions near the holes in the order in which they are shown; by word, the same for any lengths."""
    hole = {p for start, end in asked.spans for p in range(start, end)}
    around = [p for p in range(1, len(asked.request.tokens)) if p not in hole]
    number = {p: n for n, p in enumerate(around)}
    near: set[int] = set()
    for start, _ in asked.spans:
        left = sum(p < start for p in around)  # words before the hole
        near |= set(range(left - NEAR, left + NEAR))
    keys = noise.uniform("word-order", max(len(around), 1))[0]
    kept = [p for p in around if number[p] in near]
    return torch.tensor(sorted(kept, key=lambda p: float(keys[number[p]])), dtype=torch.int64)


def _told(
    model: Any,
    asked: Sequence[HoleRequest],
    places: Int[Tensor, "B m"],
    vocabulary: Vocabulary,
    settings: Settings,
    numbers: Sequence[int],
) -> Float[Tensor, " B"]:
    """Return the nats of the words at the places, each given those before it, with the holes masked to the end."""
    truth, canvases = [], []
    for own, order, number in zip(asked, places.tolist(), numbers, strict=True):
        hidden = set(order)
        tokens = own.request.tokens
        truth.append([tokens[p] for p in order])
        blank = tuple(vocabulary.mask if p in hidden else token for p, token in enumerate(tokens))
        canvases.append(Request(blank, settings, number))
    parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    device = "cpu" if parameter is None else parameter.device
    state = begin(canvases, vocabulary).to(device)
    words, places = torch.tensor(truth, dtype=torch.int64, device=device).view(places.shape), places.to(device)
    total = torch.zeros(len(asked), dtype=torch.float64, device=device)
    every = torch.arange(len(asked), device=device)
    for step in range(places.shape[1]):
        at = torch.zeros_like(state.open)
        at[every, places[:, step]] = True
        log_p, after = _answered(model, state, at, torch.zeros_like(state.tokens).masked_scatter(at, words[:, step]))
        total -= log_p.gather(1, words[:, step : step + 1])[:, 0]
        state = after
    lead = torch.zeros_like(state.open)
    for row, own in enumerate(asked):
        lead[row, sorted(own.request.lead)] = True
    if bool(lead.any()):
        assert vocabulary.spaced is not None
        log_p, _ = _answered(model, state, lead, None)
        spaced = log_p.masked_fill(~vocabulary.spaced.to(device), -torch.inf).logsumexp(-1)
        total.index_add_(0, lead.nonzero()[:, 0], -spaced)
    return total.cpu()


def _answered(
    model: Any, state: SamplerState, at: Tensor, tokens: Tensor | None
) -> tuple[Float[Tensor, "n V"], SamplerState]:
    """Return log-probabilities at the asked positions, and the state with the tokens decided there."""
    view = seen(model, state)
    ask = state.open if most_candidates(model, state) else at
    answer = model(view, at=ask[:, : view.tokens.shape[1]])
    logits = answer.logits if ask is at else answer.logits[at[ask]]
    special = [state.vocabulary.mask, state.vocabulary.bos, state.vocabulary.pad]
    log_p = logits.double().index_fill(1, torch.tensor(special, device=logits.device), -torch.inf).log_softmax(-1)
    if tokens is None:
        return log_p, state
    after = commit(state, at, tokens, torch.ones_like(state.confidence))
    every = torch.arange(len(state.tokens), device=at.device)
    after = carried_on(model, state, after, state, every, ask, answer)
    return log_p, replace(after, step=state.step + 1)
