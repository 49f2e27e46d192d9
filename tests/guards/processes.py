"""Guards of processes: the hidden stays hidden, all that can learn learns, noise has one source, numbers are honest.

Letters: B batch, T tokens, V vocabulary, K draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from guards.guard import Call, Uniform, close, guard, in_a_world_of, laid, leaves, likelihood, part, shown
from guards.parts import IDS, VOCABULARY
from unmask.certificates.worlds import HMM
from unmask.data.batch import Batch
from unmask.diffusion.state import Prediction, State


@guard("hidden truth never reaches the logits")
def hidden_truth_stays_hidden(process: Any, model: Any, clean: Batch, progress: float = 1.0) -> None:
    """Another true token at an asked position, an end of text included, changes nothing that its prediction sees.

    What a network of another kind would read is compared too: every field of the state, the asked positions, the
    weights. Under causal visibility tokens count only up to the asked position, under block visibility those of the
    block and the clean ones before it. That a text ends is no truth of its last word where it was cut off. Where an
    open position shows a word that may be wrong, it may be the true one: only where it was drawn anew, so that another
    truth shows the same word, must nothing else tell. Where a word's script and cluster decide how it is hidden,
    training tells these, and no more.
    """
    clean = laid(process, clean)
    before = shown(process, model, clean, progress=progress)
    assert any(bool(call.at.any()) for call in before), "nothing is asked, so nothing can be checked"
    other = 4 + (clean.tokens + 3) % (IDS - 4)
    inside = torch.zeros_like(clean.valid)
    inside[:, :-1] = clean.segments[:, :-1] == clean.segments[:, 1:]
    other[::3] = torch.where(inside, VOCABULARY.eos, other)[::3]
    checked = process.shows != "token"
    for column in range(clean.tokens.shape[1]):
        here = torch.zeros_like(clean.valid)
        here[:, column] = clean.predictable[:, column]
        changed = replace(clean, tokens=torch.where(here, other, clean.tokens))
        after = shown(process, model, changed, progress=progress)
        assert len(after) == len(before), "the number of calls depends on the text"
        untold = _read_alike(process, clean, changed)
        for a, b in zip(before, after, strict=True):
            rows = a.at[:, column] & untold[: len(a.at)]
            if process.shows == "token":
                rows = rows & (a.state.tokens[:, column] == b.state.tokens[:, column])
                checked |= bool(rows.any())
            _same_sight(a, b, rows, column)
    assert checked, "no word was ever drawn anew, so nothing can be checked"


def _read_alike(process: Any, one: Batch, other: Batch) -> Tensor:
    """Return the rows in which scripts and clusters are the same: where these decide what is hidden, it tells them."""
    scripts = getattr(process, "scripts", None)
    if scripts is None:
        return torch.ones(len(one.tokens), dtype=torch.bool)
    a, b = scripts.read(one), scripts.read(other)
    return ((a.kind == b.kind) & (a.first == b.first)).all(1)


def _same_sight(a: Call, b: Call, rows: Tensor, column: int) -> None:
    """Assert that the predictions of one column of some rows were made from the same."""
    if not bool(rows.any()):
        return
    own, past = _sight(a.state, column)
    assert torch.equal((a.at & own)[rows], (b.at & own)[rows]), (
        f"the truth of position {column} shows in which positions are asked"
    )
    assert a.weights is None or torch.equal((a.weights * own)[rows], (b.weights * own)[rows]), (
        f"the truth of position {column} shows in the weights"
    )
    other = leaves(b.state)
    for name, (_, x) in leaves(a.state).items():
        y = other.get(name, ("", None))[1]
        if name == "tokens" and a.state.visibility == "causal":
            x, y = x[:, :column], y[:, :column]
        elif name in ("tokens", "clean", "clean_at") and x is not None and y is not None:
            seen = own if name == "tokens" else past
            x, y = x * seen, y * seen
        if isinstance(x, Tensor) and isinstance(y, Tensor) and len(x) == len(y) == len(rows):
            x, y = x[rows], y[rows]
        same = torch.equal(x, y) if isinstance(x, Tensor) and isinstance(y, Tensor) else x is y or x == y
        assert same, f"the truth of position {column} shows in state.{name}"
    assert torch.equal(a.logits[rows, column], b.logits[rows, column]), (
        f"the truth of position {column} changes its own prediction"
    )


def _sight(state: State, column: int) -> tuple[Tensor, Tensor]:
    """Return the noisy positions that the prediction of a column may depend on, and the clean ones [B, T]."""
    if state.visibility != "block":
        return torch.ones_like(state.tokens, dtype=torch.bool), torch.zeros_like(state.tokens, dtype=torch.bool)
    assert state.block is not None
    start = state.block[:, column : column + 1]
    return state.block == start, torch.arange(state.tokens.shape[1]) < start


@guard("every token counts as much in the loss as any other")
def every_token_counts_alike(process: Any, clean: Batch, rounds: int = 4000, tolerance: float = 0.1) -> None:
    """Over a run each place of a text has the same weight, whatever its word is, how it is hidden and with what.

    Tolerance: of weights that grow as 1/t (``elbo``) the mean of 4,000 evenly spread examples is within a third.
    """
    for row in range(len(clean.tokens)):
        same = part(clean, slice(row, row + 1))
        many = Batch(same.tokens.expand(rounds, -1), same.segments.expand(rounds, -1), torch.arange(rounds), clean.bos)
        weight = process.corrupt(many, seed=3).weights.double().mean(0)
        share = weight[clean.predictable[row]] / getattr(process, "masked", process).expected_share(1.0)
        worst = share[(share - 1).abs().argmax()]
        assert abs(float(worst) - 1) < tolerance, f"a token counts {float(worst):.2f} times as much as it should"


@guard("no prediction crosses a document's border")
def documents_stay_apart(process: Any, model: Any, clean: Batch) -> None:
    """Other words in a neighbouring document of the block change no prediction in this one."""
    clean = laid(process, clean)
    before = shown(process, model, clean)
    for piece in (1, 2):
        elsewhere = clean.predictable & (clean.segments != piece)
        changed = replace(clean, tokens=torch.where(elsewhere, 4 + (clean.tokens + 3) % (IDS - 4), clean.tokens))
        for a, b in zip(before, shown(process, model, changed), strict=True):
            if len(a.at) != len(clean.tokens):  # some of the rows: what it answers shows in a later call
                continue
            inside, same = a.at & (clean.segments == piece), b.at & (clean.segments == piece)
            assert bool(inside.any()) and torch.equal(inside, same), "the documents do not ask the same positions"
            assert torch.equal(a.logits[inside], b.logits[inside]), f"document {piece} reads its neighbour"


@guard("every learnable parameter gets a finite gradient that is not zero")
def every_parameter_learns(process: Any, model: Any, clean: Batch) -> None:
    """One step of training reaches every parameter of the network."""
    model.train()
    model.zero_grad()
    process.loss(model, clean, seed=0, progress=1.0)["loss"].backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            gradient = parameter.grad
            assert gradient is not None, f"{name} gets no gradient"
            assert gradient.isfinite().all(), f"the gradient of {name} is not finite"
            assert bool(gradient.any()), f"the gradient of {name} is zero"


@guard("the same seed gives the same loss and likelihood, another seed another corruption")
def seeds_decide_the_noise(process: Any, model: Any, clean: Batch) -> None:
    """All noise is a function of (seed, example): the process draws from no other source, and from both of them."""

    def numbers(seed: int = 4) -> list[Tensor]:
        loss = process.loss(model, clean, seed=seed, progress=0.9)["loss"].detach()
        found = likelihood(process, model, clean, seed=seed)
        return [*_noised(process, clean, seed), loss, *([] if found is None else [found.nats])]

    for a, b in zip(*(in_a_world_of(world, numbers) for world in (1, 2)), strict=True):
        assert torch.equal(a, b), "the same seed gave two results"
    noised = _noised(process, clean, 4)
    if torch.equal(noised[0], clean.tokens):  # nothing is hidden: left to right there is nothing to draw
        return

    def alike(other: list[Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(noised, other, strict=True))

    assert not alike(_noised(process, clean, 5)), "another seed corrupts in the same way"
    later = replace(clean, order=clean.order + 1000)
    assert not alike(_noised(process, later, 4)), "another example is corrupted alike"


def _noised(process: Any, clean: Batch, seed: int) -> list[Tensor]:
    """Return the tensors of a corrupted text B T ..., its tokens first; a noise level alone does not count as noise."""
    state = process.corrupt(clean, seed=seed).state
    return [state.tokens, *(x for _, x in leaves(state).values() if isinstance(x, Tensor) and x.ndim > 1)]


@guard("rows of a process's batch do not mix, and padding is not seen")
def process_rows_stay_apart(process: Any, model: Any, clean: Batch) -> None:
    """A text is corrupted and scored in the same way alone, among others, and before more padding."""
    clean = laid(process, clean)
    longer = [torch.nn.functional.pad(x, (0, 3), value=0) for x in (clean.tokens, clean.segments)]
    padded = replace(clean, tokens=longer[0], segments=longer[1])
    views = [("alone", slice(i, i + 1), part(clean, slice(i, i + 1))) for i in range(len(clean.tokens))]
    views += [("in a smaller batch", slice(1, 3), part(clean, slice(1, 3))), ("before padding", slice(None), padded)]
    whole, nats = shown(process, model, clean), likelihood(process, model, clean)
    for where, rows, other in views:
        width = clean.tokens.shape[1]
        for a, b in zip(whole, shown(process, model, other), strict=True):
            if len(a.at) != len(clean.tokens):  # some of the rows: what it answers shows in a later call
                continue
            found = leaves(b.state)
            for name, (_, x) in leaves(a.state).items():
                if name in ("visibility", "segments", "valid"):  # None where they say nothing
                    continue
                y = found.get(name, ("", None))[1]
                same = x is y
                if isinstance(x, Tensor) and isinstance(y, Tensor):
                    y = y[:, :width] if y.ndim > 1 else y
                    same = close(x[rows], y) if x.is_floating_point() else torch.equal(x[rows], y)
                assert same, f"state.{name} is another {where}"
            assert torch.equal(a.at[rows], b.at[:, :width]), f"other positions are asked {where}"
            assert a.weights is None or torch.equal(a.weights[rows], b.weights[:, :width]), (
                f"the weights are others {where}"
            )
            asked = a.at[rows]
            assert close(a.logits[rows][asked], b.logits[:, :width][asked]), f"the predictions are others {where}"
        if nats is not None:
            again = likelihood(process, model, other)
            assert again is not None and close(nats.nats[rows], again.nats), f"the likelihood is another {where}"


@guard("a uniform model scores the log of the number of tokens that may be predicted")
def a_uniform_model_scores_ln_v(process: Any, clean: Batch) -> None:
    """The log of all tokens but those that the process says it never predicts, the mask among them."""
    found = likelihood(process, Uniform(IDS), clean, draws=3)
    if found is None:
        return
    nats = found.nats.detach()
    assert VOCABULARY.mask in process.never, "the mask is predicted"
    expected = laid(process, clean).predictable.sum(1).double() * math.log(IDS - len(process.never))
    times = float(nats.sum() / expected.sum())
    assert torch.allclose(nats, expected, atol=1e-3, rtol=1e-5), f"{times:.3f} times as many nats"


@dataclass(frozen=True)
class Tempered:
    """A world whose answers are sharpened or flattened: an imperfect denoiser."""

    world: HMM
    temperature: float

    def __call__(self, state: State, at: Tensor | None = None) -> Prediction:
        """Answer with logits / temperature."""
        return Prediction(self.world(state, at=at).logits / self.temperature)


@guard("a likelihood is never below the entropy of a known source")
def no_likelihood_beats_the_source(process: Any, texts: int = 2000, length: int = 8) -> None:
    """On texts of a known source no denoiser, perfect or not, scores fewer nats on average than the source itself.

    Tolerance: four standard errors of the mean excess over the text's own nats.
    """
    # A word drawn anew may be any: the world must know them all.
    world = HMM.random(IDS - 4) if process.shows == "token" else HMM.random()
    words = world.sample(texts, length)
    for temperature in (1.0, 1.7, 0.6):
        found = likelihood(process, Tempered(world, temperature), world.batch(words), draws=4)
        if found is None:
            return
        excess = found.nats - world.nats(words)
        error = float(excess.std()) / math.sqrt(texts)
        assert float(excess.mean()) > -4 * error - 1e-3, (
            f"{-float(excess.mean()):.2f} nats a text below the source, with its denoiser at temperature {temperature}"
        )
