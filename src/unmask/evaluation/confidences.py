"""Confidences on states that a sampler visits, and whether the word that a network was surest of is the text's own.

What is *right* has to be said for each kind of state:

    forced      The sampler chooses places, the held-out text gives their words: the canvas is always a part of the
                text, and the most probable word is right if it is the text's at that place. Places are chosen by what
                is visible alone, so a network that knew every conditional probability would be calibrated here.
    corrupted   Words hidden at random, as in training, one step each. Right is the same; the states are others.
    written     From half of the words, scattered, the sampler goes on with *its own* words. Right is agreement with
                the hidden text, of which a good other word is none: a lower bound, and the more so the fewer words pin
                it down.

Up to so many positions of each state are kept, drawn at random, so every state weighs alike. End-of-text is not
counted: a network that sees both sides also sees where its canvas ends.

Letters: n positions, G temperatures, D width, B rows, T positions of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.sampling.calibrated import Answer, Map
from unmask.sampling.request import Request, Settings, Vocabulary
from unmask.sampling.sampler import Sampler

Kind = Literal["forced", "corrupted", "written"]
TEMPERATURES = tuple(torch.linspace(-1, 1, 21, dtype=torch.float64).exp().tolist())
"""exp(-1) to exp(1), 10 % apart: what a temperature is fitted from."""
_STEPS = (4, 8, 16, 32)
_GIVEN = (0.0, 0.25, 0.5)
_KEPT = 16


@dataclass(frozen=True)
class Confidences:
    """What a network said at n positions; see :class:`unmask.sampling.calibrated.Seen`.

    Attributes:
        level: Share of the text, or of its block, that was open.
        peak: Probability of the most probable word.
        entropy: Nats.
        squares: Sum of the squared probabilities.
        hot: The largest probability at each of ``TEMPERATURES``.
        right: Whether the most probable word is the text's own.
        document: Number of the document.
        drawn: Probability of a word drawn from the network.
        drawn_right: Whether that one is the text's own.
        states: Final hidden states, in half precision; ``None``: the network does not tell them.
    """

    level: Float[Tensor, " n"]
    peak: Float[Tensor, " n"]
    entropy: Float[Tensor, " n"]
    squares: Float[Tensor, " n"]
    hot: Float[Tensor, "n G"]
    right: Bool[Tensor, " n"]
    document: Int[Tensor, " n"]
    drawn: Float[Tensor, " n"]
    drawn_right: Bool[Tensor, " n"]
    states: Float[Tensor, "n D"] | None

    def cooled(self, temperature: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the largest probability at temperatures of the grid."""
        grid = torch.tensor(TEMPERATURES, dtype=torch.float64)
        return self.hot.gather(1, (grid[None] - temperature[:, None]).abs().argmin(1)[:, None])[:, 0]

    def at(self, chosen: Tensor) -> Confidences:
        """Return some positions."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return Confidences(**{name: None if part is None else part[chosen] for name, part in parts.items()})


@dataclass(frozen=True)
class Text:
    """A held-out text for a sampler.

    Attributes:
        document: Its number.
        tokens: BOS, its words, and EOS where it ends.
    """

    document: int
    tokens: Sequence[int]


def collect(
    model: Any,
    sampler: Sampler,
    texts: Sequence[Text],
    vocabulary: Vocabulary,
    kind: Kind = "forced",
    *,
    block: int = 0,
    calibration: Map | None = None,
    seed: int = 0,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda done: None,
) -> Confidences:
    """Let a sampler go over held-out texts, and keep what the network says on the way.

    Trajectories take 4, 8, 16 and 32 steps in turn (in a block no more than it has words), from canvases of which
    nothing, a quarter and half is given as a prompt, in turn; of corrupted texts every one is hidden at four levels.

    Args:
        model: The network, in eval mode.
        sampler: One that orders by confidence.
        texts: What is read, one canvas each.
        vocabulary: The special tokens.
        kind: Which states.
        block: Words of a block; 0: the sampler writes none.
        calibration: Orders and tells confidences; ``None``: the network's own do.
        seed: Of what is hidden, drawn and kept.
        batch_size: Texts of a network call.
        progress: Called with how many canvases are done.
    """
    # An end of text is a word like others here: where a text ends, it says itself.
    words = replace(vocabulary, eos=vocabulary.pad)
    canvases = list(_canvases(texts, words, kind, sampler.Settings, block, seed))
    canvases.sort(key=lambda one: -len(one.truth))
    parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    device = torch.device("cpu") if parameter is None else parameter.device
    found: list[Confidences] = []
    for first in range(0, len(canvases), batch_size):
        part = canvases[first : first + batch_size]
        state = sampler.start([one.request for one in part], words)
        truth = torch.full(state.tokens.shape, vocabulary.pad)
        for row, one in enumerate(part):
            truth[row, : len(one.truth)] = torch.tensor(one.truth)
        state, truth = state.to(device), truth.to(device)
        document = torch.tensor([one.document for one in part], device=device)
        listener = _Listener(state.key, truth, document, vocabulary, calibration, seed)
        heard = _Heard(model, listener)
        while not bool(state.done.all()):
            after, _ = sampler.step(heard, state)
            if kind == "corrupted":
                break
            chosen = state.open & ~after.open
            state = replace(after, tokens=torch.where(chosen, truth, after.tokens)) if kind == "forced" else after
        found += listener.found
        progress(min(first + batch_size, len(canvases)))
    names = [f.name for f in fields(Confidences)]
    columns = {name: [getattr(one, name) for one in found] for name in names}
    return Confidences(**{k: None if any(part is None for part in v) else torch.cat(v) for k, v in columns.items()})


@dataclass(frozen=True)
class _Canvas:
    document: int
    truth: Sequence[int]
    request: Request


def _canvases(
    texts: Sequence[Text], words: Vocabulary, kind: Kind, settings: type[Settings], block: int, seed: int
) -> Iterator[_Canvas]:
    fixed: dict[str, Any] = {"ignore_eos": True, "calibrated": True, "seed": seed}
    if block:
        fixed |= {"rule": "confidence", "block_size": block}
    count = 4 if kind == "corrupted" else 1
    for number, text in enumerate(texts):
        size = len(text.tokens)
        for turn in range(count):
            index = number * count + turn
            noise = Noise(seed, torch.tensor([index]))
            chance = noise.uniform("hide", size)[0]
            until, share = size, 0.5
            if kind == "corrupted":
                share = float((turn + noise.uniform("share", 1)[0, 0]) / count)
            if kind == "forced":
                opened = torch.arange(size) > _GIVEN[number // len(_STEPS) % len(_GIVEN)] * (size - 1)
            else:
                opened = chance < share
            if block and kind != "forced":  # one block of the text, with what stands before it
                begin = 1 + block * int(noise.uniform("block", 1)[0, 0] * -(-(size - 1) // block))
                until = min(begin + block, size)
                opened &= torch.arange(size) >= begin
            opened = opened[:until]
            opened[0] = False
            if not bool(opened.any()):
                continue
            steps = [s for s in _STEPS if not block or s <= max(block, _STEPS[0])]
            own = settings(**fixed, steps=steps[number % len(steps)])
            canvas = torch.tensor(text.tokens[:until]).masked_fill(opened, words.mask)
            yield _Canvas(text.document, text.tokens[:until], Request(tuple(canvas.tolist()), own, index))


class _Listener:
    """A map of confidences that keeps what it is asked about."""

    def __init__(
        self,
        keys: Int[Tensor, " B"],
        truth: Int[Tensor, "B T"],
        document: Int[Tensor, " B"],
        vocabulary: Vocabulary,
        calibration: Map | None,
        seed: int,
    ) -> None:
        self._keys, self._truth, self._document = keys, truth, document
        self._never = [vocabulary.pad, vocabulary.eos]
        self._calibration = calibration
        self._seed = seed
        self.found: list[Confidences] = []

    def __call__(self, answer: Answer) -> Float[Tensor, " n"]:
        told = answer.peak if self._calibration is None else self._calibration(answer)
        state, at = answer.state, answer.at
        row = (self._keys[None] == state.key[:, None]).long().argmax(1)
        width = at.shape[1]
        truth, document = self._truth[row][:, :width][at], self._document[row][:, None].expand(at.shape)[at]
        noise = Noise(self._seed, state.key).fold(state.step)
        place = noise.uniform("keep", width).masked_fill(~at, 2.0).argsort(1).argsort(1)[at]
        kept = (place < _KEPT) & ~torch.isin(truth, torch.tensor(self._never, device=truth.device))
        logits, truth = answer.logits[kept], truth[kept]
        p, best = logits.softmax(-1), logits.max(-1)
        word = torch.searchsorted(p.cumsum(-1), noise.uniform("word", width)[at][kept][:, None].float())[:, 0]
        word = word.clamp(max=p.shape[1] - 1)
        hot = [(best.values / t - (logits / t).logsumexp(-1)).exp() for t in TEMPERATURES]
        self.found.append(
            Confidences(
                level=answer.level[kept].double().cpu(),
                peak=answer.peak[kept].cpu(),
                entropy=replace(answer, logits=logits).entropy.cpu(),
                squares=p.square().sum(-1).double().cpu(),
                hot=torch.stack(hot, 1).double().cpu(),
                right=(best.indices == truth).cpu(),
                document=document[kept].cpu(),
                drawn=p.gather(1, word[:, None])[:, 0].double().cpu(),
                drawn_right=(word == truth).cpu(),
                states=None if answer.states is None else answer.states[kept].half().cpu(),
            )
        )
        return told


class _Heard:
    """A network as it is, but that what listens stands in the place of its calibration."""

    def __init__(self, model: Any, listener: _Listener) -> None:
        self._model, self.calibration = model, listener

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._model(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
