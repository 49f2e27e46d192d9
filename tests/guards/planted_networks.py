"""Defective networks.

Letters: B batch, T tokens, K candidates, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from guards.networks import (
    candidate_order_does_not_matter,
    few_asked_as_all,
    network_rows_stay_apart,
    position_matters,
    the_future_stays_unseen,
)
from guards.parts import IDS, SIZES, VOCABULARY, make_batch, make_process
from guards.planted import defect
from guards.processes import documents_stay_apart, every_parameter_learns
from unmask.diffusion.state import Prediction, SparseState, State
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer


class Planted(Transformer):
    """A tiny transformer that reads its state through ``see`` and its embeddings through ``mix``."""

    def __init__(self, **sizes: object) -> None:
        torch.manual_seed(0)
        super().__init__(TransformerConfig(**{**SIZES, **sizes}))
        self.embed.register_forward_hook(lambda module, given, x: self.mix(x))
        self.eval()

    def see(self, state: State) -> State:
        """Return what the network makes of its state."""
        return state

    def mix(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return what the network makes of its embeddings."""
        return x

    def forward(self, state: State, at: Tensor | None = None, **rest: object) -> Prediction:
        """Predict."""
        return super().forward(self.see(state), at, **rest)


class NoPositions(Planted):
    def see(self, state):
        return replace(state, positions=torch.zeros_like(state.tokens))


class OneEmbeddingBehindTheFirst(Planted):
    """A table of positions that was asked for clamp(1000 p, 0, 255): p = 0 gets row 0, every other p row 255."""

    def see(self, state):
        return replace(state, positions=torch.arange(state.tokens.shape[1])[None].mul(1000).clamp(max=255))


class LeftNeighbour(NoPositions):
    """Knows each word's left neighbour, and nothing of where it stands."""

    def mix(self, x):
        return x + 0.5 * x.roll(1, 1)


class SeesTheFuture(Planted):
    def see(self, state):
        return replace(state, visibility="bidirectional")


class MaskWithoutCausality(Planted):
    """Builds its mask from the borders and forgets the direction; without borders all is well."""

    def see(self, state):
        return state if state.segments is None else replace(state, visibility="bidirectional")


class PatchMeans(Planted):
    """Each token is given the mean of its patch of four, whose later tokens it must not see."""

    def mix(self, x):
        patches = x.split(4, 1)
        return x + torch.cat([p.mean(1, keepdim=True).expand_as(p) for p in patches], 1)


class NormalisedOverTime(Planted):
    """Group normalisation over channels and time: every token is scaled by the whole text."""

    def mix(self, x):
        return nn.functional.group_norm(x.transpose(1, 2), 2).transpose(1, 2)


class AnswersRelativeToTheAsked(Planted):
    """Its logits are centred over the asked positions."""

    def forward(self, state, at=None, **rest):
        logits = super().forward(state, at, **rest).logits
        return Prediction(logits - logits.mean(0))


class TextMean(Planted):
    """A memory of the whole row: causal never, and blind to borders and to padding."""

    def mix(self, x):
        return x + x.mean(1, keepdim=True)


class CentredOverTheBatch(Planted):
    """Normalises by the batch while it trains: harmless in use, a leak between rows in training."""

    def mix(self, x):
        return x - x[:, 1:2].mean(0, keepdim=True) if self.training else x


class CurvatureWithoutGradient(Planted):
    """The curvature is read as a number, so that nothing flows back into it."""

    def __init__(self):
        super().__init__()
        self.curvature = nn.Parameter(torch.tensor(0.5))

    def mix(self, x):
        return x / (1 + self.curvature.item() * x.square().sum(-1, keepdim=True)).sqrt()


class ScorerBehindArgmax(Planted):
    """A scorer whose choice is taken by argmax: it has a gradient of zero."""

    def __init__(self):
        super().__init__()
        self.scorer = nn.Linear(SIZES["hidden_size"], 2)

    def mix(self, x):
        score = self.scorer(x)
        hard = nn.functional.one_hot(score.argmax(-1), 2) + 0 * score
        return x * (1 + hard[..., :1])


class SlotNumbers(Planted):
    """Trusts a candidate by the number of its slot, as if the truth stood in the first."""

    def __init__(self):
        super().__init__(candidate_input="pooled", candidates=4)

    def see(self, state):
        trust = torch.linspace(1, 0.2, state.candidates.mass.shape[-1])
        return replace(state, candidates=replace(state.candidates, mass=state.candidates.mass * trust))


def state_with_candidates() -> State:
    """Return a state with four candidates of different mass at each open position."""
    generator = torch.Generator().manual_seed(0)
    tokens = make_batch(2, 6).tokens
    tokens[:, 2:5] = VOCABULARY.mask
    mass = 0.9 * torch.rand(2, 6, 4, generator=generator).softmax(-1) * (tokens == VOCABULARY.mask)[..., None]
    return State(tokens, candidates=SparseState(torch.randint(4, IDS, (2, 6, 4), generator=generator), mass))


def ragged(rows: int = 8):
    return make_batch(rows, 12, ragged=True)


@defect(position_matters, "two words changed places")
def a_bag_of_words():
    position_matters(NoPositions(), "bidirectional")


@defect(position_matters, "two words changed places")
def one_embedding_for_every_position_but_the_first():
    position_matters(OneEmbeddingBehindTheFirst(), "bidirectional")


@defect(position_matters, "where all words are the same, positions")
def order_read_from_the_words_alone():
    position_matters(LeftNeighbour(), "bidirectional")


@defect(the_future_stays_unseen, r"token 1 changes the prediction of tokens \[1\]")
def a_mask_that_lets_the_future_through():
    the_future_stays_unseen(SeesTheFuture())


@defect(the_future_stays_unseen, r"token 1 changes the prediction of tokens \[1\], segments given")
def a_mask_of_borders_without_direction():
    the_future_stays_unseen(MaskWithoutCausality())


@defect(the_future_stays_unseen, r"token 1 changes the prediction of tokens \[1\]")
def a_memory_of_patch_means():
    the_future_stays_unseen(PatchMeans())


@defect(the_future_stays_unseen, r"token 1 changes the prediction of tokens \[1\]")
def a_norm_over_time():
    the_future_stays_unseen(NormalisedOverTime())


@defect(the_future_stays_unseen, r"token 1 changes the prediction of tokens \[1\]")
def a_target_that_the_network_sees():
    the_future_stays_unseen(Planted(output_shift=0))


@defect(documents_stay_apart, "document 1 reads its neighbour")
def a_memory_that_spans_documents():
    documents_stay_apart(make_process("masked"), TextMean(), ragged())


@defect(network_rows_stay_apart, "padding marked by valid is read")
def a_mean_over_padding():
    network_rows_stay_apart(TextMean(), "bidirectional")


@defect(network_rows_stay_apart, "other predictions in a batch than alone .*training mode")
def statistics_of_the_batch():
    network_rows_stay_apart(CentredOverTheBatch(), "bidirectional")


@defect(few_asked_as_all, "the answers depend on which positions are asked")
def logits_centred_over_the_asked():
    few_asked_as_all(AnswersRelativeToTheAsked(), "bidirectional")


@defect(every_parameter_learns, "curvature gets no gradient")
def curvature_read_as_a_number():
    every_parameter_learns(make_process("masked"), CurvatureWithoutGradient(), ragged())


@defect(every_parameter_learns, "the gradient of scorer.weight is zero")
def a_scorer_behind_an_argmax():
    every_parameter_learns(make_process("causal"), ScorerBehindArgmax(), ragged())


@defect(candidate_order_does_not_matter, r"shuffling candidates\.tokens, candidates\.mass along their slots changes")
def slot_numbers_that_the_network_reads():
    candidate_order_does_not_matter(SlotNumbers(), state_with_candidates())
