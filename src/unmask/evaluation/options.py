"""How likely each of several options is in one place of a text: the place is a hole, or the text's end.

    left to right   p(option, text behind | text before), by the chain rule: exact. The text before is read once.
    any order       p(option | text around), of a network that sees both sides. Of one token it is the network's answer.
                    Of L tokens it is what a sampler writes that decides the words of the place one after another in
                    random order: the mean over all L! orders of the chain rule, exact,
                        f(S) = 1/|S| sum_(i in S) f(S - i) p(x_i | text around, x_(S - i)),    f(all) = p(option | ..)
                    in 2^L - 1 canvases an option, of which the first is common to all.
    one call        prod_i p(x_i | text around, nothing of the place): all words of the place at once, in one call. A
                    law, too, of a sampler that takes one step; words that hang together lose.
    bound           the process's own likelihood where nothing above is to be had: as good as its bound is tight.

Options of unlike lengths are one distribution left to right. In any order a canvas says how long its place is, so each
is weighed with the probability of its length given the text around (:mod:`unmask.sampling.lengths`), an estimate.

A calibration (``unmask calibrate``) stands for what a network says of masked positions, so it enters there: in the
place of each p(x_i | ..) what that is worth.

Letters: B rows, T positions, V vocabulary, L tokens of an option.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.diffusion.likelihood import without
from unmask.errors import Error
from unmask.evaluation.bits import scorer
from unmask.sampling.calibrated import trust_in
from unmask.sampling.carry import answered
from unmask.sampling.decide import forbidden_at
from unmask.sampling.infill import HoleRequest
from unmask.sampling.left_to_right import kept, read_on
from unmask.sampling.lengths import around_nats, posterior
from unmask.sampling.request import Request, Vocabulary, canvas
from unmask.sampling.settings import ConfidenceSettings
from unmask.sampling.state import SamplerState, begin, rows
from unmask.sampling.thought_steps import remembers

Kind = Literal["exact", "one call", "estimate", "bound"]
Way = Literal["left to right", "any order", "bound"]
By = Literal["auto", "exact", "one-call"]
Ids = list[int]

MOST_CANVASES = 512
"""Canvases beyond which words of a place are answered in one call where nobody says how."""


@dataclass(frozen=True)
class Asked:
    """A text with a place for options.

    Attributes:
        before: Tokens before the place, BOS not among them.
        behind: Tokens behind it.
        options: Tokens of each option.
    """

    before: Ids
    behind: Ids
    options: list[Ids]


@dataclass(frozen=True)
class Weighed:
    """What was said of options.

    Attributes:
        nats: -log p of each, or an upper bound on it.
        kind: What kind of number that is.
        calls: Network calls.
    """

    nats: list[float]
    kind: Kind
    calls: int


def way_of(model: Any, process: Any) -> Way:
    """Return how a run's options are weighed."""
    if (process.visibility == "causal" or "causal" in process.likelihoods) and not remembers(model):
        return "left to right"
    seen = process.visibility == "bidirectional" and process.shows == "mask"
    return "any order" if seen and not remembers(model) and not getattr(model.config, "candidates", 0) else "bound"


@torch.inference_mode()
def left_to_right(model: Any, asked: Asked, vocabulary: Vocabulary, batch_size: int) -> Weighed:
    """Weigh options by the chain rule; the text before is read in a call of its own."""
    prefix = [vocabulary.bos, *asked.before]
    texts = [tuple(prefix + option + asked.behind) for option in asked.options]
    state = begin([Request(text) for text in texts], vocabulary).to(_device(model))
    column = torch.arange(state.tokens.shape[1], device=state.tokens.device)
    at = state.valid & (column >= len(prefix))
    cache, calls = kept(model, rows(state, [0]), None), 0
    if cache is not None and len(prefix) > 1:
        first = torch.zeros_like(at[:1])
        first[0, len(prefix) - 1] = True  # reads all before it
        cache, calls = read_on(model, rows(state, [0]), state.tokens[:1], first, cache).cache, 1
    nats: list[float] = []
    for start in range(0, len(texts), batch_size):
        index = torch.arange(start, min(start + batch_size, len(texts)), device=column.device)
        part = rows(state, index)
        own = None if cache is None else cache.rows(torch.zeros_like(index))
        logits = read_on(model, part, part.tokens, at[index], own).logits
        told = without(logits, vocabulary.mask).double().log_softmax(-1)
        each = -told.gather(1, part.tokens[at[index]][:, None])[:, 0]
        nats += (
            torch.zeros(at[index].shape, dtype=torch.float64, device=each.device)
            .masked_scatter(at[index], each)
            .sum(1)
            .tolist()
        )
        calls += 1
    return Weighed(nats, "exact", calls)


@torch.inference_mode()
def any_order(
    model: Any,
    asked: Asked,
    vocabulary: Vocabulary,
    batch_size: int,
    *,
    by: By = "auto",
    calibrated: bool = False,
    orders: int = 4,
    seed: int = 0,
) -> Weighed:
    """Weigh options by a network that sees both sides.

    Args:
        model: The network.
        asked: The options.
        vocabulary: The special tokens.
        batch_size: Most canvases in a call.
        by: ``exact``, ``one-call``, or ``auto``: exact where that takes no more than ``MOST_CANVASES`` canvases.
        calibrated: Whether probabilities count as what they are worth.
        orders: Random orders that lengths are weighed in, where options are of unlike lengths.
        seed: Of these.
    """
    exact = by == "exact" or by == "auto" and sum(2 ** len(one) - 1 for one in asked.options) <= MOST_CANVASES
    whole = [_known(one, exact) for one in asked.options]
    needed = {(len(one), part): None for one, parts in zip(asked.options, whole, strict=True) for part in parts}
    worth, calls = _answers(model, asked, list(needed), vocabulary, batch_size, calibrated)
    nats = []
    for option, parts in zip(asked.options, whole, strict=True):
        told = {frozenset(place for place, _ in part): worth[len(option), part][tuple(option)] for part in parts}
        nats.append(-(_mean_over_orders(told, len(option)) if exact else sum(told[frozenset()])))
    longest = max(map(len, asked.options))
    kind: Kind = "exact" if exact or longest == 1 else "one call"
    sizes = sorted({len(option) for option in asked.options})
    if len(sizes) == 1:
        return Weighed(nats, kind, calls)
    if by == "one-call":
        told_sizes = ", ".join(map(str, sizes))
        raise Error(f"one call weighs options of equally many tokens, and these have {told_sizes}; leave by out.")
    layouts = [_layout(asked, size, vocabulary) for size in sizes]
    share = posterior(around_nats(model, layouts, vocabulary, orders=orders, seed=seed, batch_size=batch_size))
    of = dict(zip(sizes, share, strict=True))
    nats = [value - math.log(max(of[len(one)], 1e-300)) for value, one in zip(nats, asked.options, strict=True)]
    around = min(len(asked.before), 16) + min(len(asked.behind), 16)
    return Weighed(nats, "estimate", calls + around * math.ceil(orders * len(sizes) / batch_size))


@torch.inference_mode()
def by_likelihood(
    model: Any, process: Any, asked: Asked, vocabulary: Vocabulary, batch_size: int, draws: int, seed: int
) -> Weighed:
    """Weigh options by the likelihood of the process; they share its noise."""
    if process.told_length and len({len(option) for option in asked.options}) > 1:
        raise Error(
            f"the network of process {process.name} is told how many tokens a text has, so it compares options of "
            "equally many; give such."
        )
    score, nats, kinds, calls = scorer(process, "default", draws, seed), list[float](), set[str](), 0
    for start in range(0, len(asked.options), batch_size):
        part = asked.options[start : start + batch_size]
        texts = [[vocabulary.bos, *asked.before, *option, *asked.behind] for option in part]
        size = max(map(len, texts))
        tokens = torch.tensor([text + [vocabulary.pad] * (size - len(text)) for text in texts])
        segments = torch.tensor([[1] * len(text) + [0] * (size - len(text)) for text in texts])
        first = 1 + len(asked.before)
        scored = torch.zeros_like(tokens, dtype=torch.bool)
        for row, option in enumerate(part):
            scored[row, first : first + len(option)] = True
        batch = Batch(tokens, segments, torch.zeros(len(part), dtype=torch.int64), vocabulary.bos)
        answer = score(model, batch.to(_device(model)), scored=scored.to(_device(model)))
        nats += answer.nats.double().tolist()
        kinds.add(answer.bound)
        calls += answer.draws
    return Weighed(nats, "exact" if kinds == {"exact"} else "bound", calls)


Part = tuple[tuple[int, int], ...]
"""Decided words of a place: (number of the word in it, token)."""


def _known(option: Ids, exact: bool) -> list[Part]:
    """Return what may stand of an option while its other words are asked for."""
    most = len(option) if exact else 1
    places = list(enumerate(option))
    return [tuple(part) for count in range(most) for part in combinations(places, count)]


def _mean_over_orders(told: dict[frozenset[int], list[float]], length: int) -> float:
    """Return the log of the mean, over all orders, of the chain rule's product.

    Args:
        told: From words that stand to the log-probability of each word of the option.
        length: Words of the option.
    """
    so_far = {frozenset[int](): 0.0}
    for count in range(1, length + 1):
        for chosen in combinations(range(length), count):
            whole = frozenset(chosen)
            ways = [so_far[whole - {i}] + told[whole - {i}][i] for i in chosen]
            so_far[whole] = float(torch.tensor(ways, dtype=torch.float64).logsumexp(0)) - math.log(count)
    return so_far[frozenset(range(length))]


def _layout(asked: Asked, size: int, vocabulary: Vocabulary, settings: ConfidenceSettings | None = None) -> HoleRequest:
    tokens, _ = canvas([asked.before, asked.behind], [size], vocabulary)
    first = 1 + len(asked.before)
    return HoleRequest(Request(tokens, settings or ConfidenceSettings()), ((first, first + size),))


def _answers(
    model: Any,
    asked: Asked,
    needed: list[tuple[int, Part]],
    vocabulary: Vocabulary,
    batch_size: int,
    calibrated: bool,
) -> tuple[dict[tuple[int, Part], dict[tuple[int, ...], list[float]]], int]:
    """Return, of each canvas, the log-probability of each word of each option that agrees with it, and the calls."""
    found: dict[tuple[int, Part], dict[tuple[int, ...], list[float]]] = {}
    settings, first, calls = ConfidenceSettings(calibrated=calibrated), 1 + len(asked.before), 0
    for start in range(0, len(needed), batch_size):
        part = needed[start : start + batch_size]
        requests = []
        for size, known in part:
            tokens = list(_layout(asked, size, vocabulary).request.tokens)
            for place, token in known:
                tokens[first + place] = token
            requests.append(Request(tuple(tokens), settings))
        state = begin(requests, vocabulary).to(_device(model))
        told = _told(model, state)
        calls += 1
        for row, (size, known) in enumerate(part):
            own = [option for option in asked.options if len(option) == size and _agrees(option, known)]
            found[size, known] = {
                tuple(option): told(row, [(first + place, token) for place, token in enumerate(option)])
                for option in own
            }
    return found, calls


def _agrees(option: Ids, known: Part) -> bool:
    return all(option[place] == token for place, token in known)


def _told(model: Any, state: SamplerState) -> Any:
    """Ask a network about all open positions; return what tells of a row the log-probabilities of words there.

    Given words of an option count as open no more; of them 0 is told.
    """
    answer = answered(model, state, state.open)
    law = answer.logits.double().masked_fill(forbidden_at(state, state.open, answer.logits), -torch.inf).softmax(-1)
    number = torch.full(state.open.shape, -1, dtype=torch.int64, device=law.device)
    number[state.open] = torch.arange(len(law), device=law.device)
    peak = torch.zeros(state.open.shape, dtype=torch.float64, device=law.device).masked_scatter(
        state.open, law.amax(-1)
    )
    trust = trust_in(model, state, peak, answer)
    numbers = number.tolist()

    def told(row: int, words: list[tuple[int, int]]) -> list[float]:
        raw: Float[Tensor, "B T"] = torch.zeros_like(peak)
        opened = [(place, token) for place, token in words if numbers[row][place] >= 0]
        for place, token in opened:
            raw[row, place] = law[numbers[row][place], token]
        worth = trust(raw)[row]
        own = {place: math.log(max(float(worth[place]), 1e-300)) for place, _ in opened}
        return [own.get(place, 0.0) for place, _ in words]

    return told


def _device(model: Any) -> torch.device:
    found = next(iter(model.parameters()), None)
    return torch.device("cpu") if found is None else found.device
