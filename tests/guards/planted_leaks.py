"""Processes that show a network what they should hide."""

from __future__ import annotations

from dataclasses import replace

import torch

from guards.parts import IDS, VOCABULARY, make_batch, make_process, network
from guards.planted import defect
from guards.processes import (
    documents_stay_apart,
    hidden_truth_stays_hidden,
)
from unmask.diffusion.block import Block, BlockOptions
from unmask.diffusion.likelihood import Likelihood, row_sums, token_nats, without
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.sparse import Sparse, SparseOptions
from unmask.diffusion.state import State
from unmask.models.transformer import Transformer


class Planted(Masked):
    """Masked diffusion with its usual options, and one thing wrong."""

    def __init__(self) -> None:
        super().__init__(MaskedOptions(), VOCABULARY)

    def spoil(self, state: State, hidden: torch.Tensor, truth: torch.Tensor) -> State:
        """Return the state that it really shows."""
        return state

    def corrupt(self, batch, seed, progress=1.0):
        made = super().corrupt(batch, seed, progress)
        return replace(made, state=self.spoil(made.state, made.weights > 0, batch.tokens))


class TruthStays(Planted):
    def spoil(self, state, hidden, truth):
        return replace(state, tokens=truth)


class TruthInTime(Planted):
    def spoil(self, state, hidden, truth):
        return replace(state, t=state.t + 1e-3 * (truth * hidden).sum(1))


class TruthInSegments(Planted):
    def spoil(self, state, hidden, truth):
        segments = torch.ones_like(truth) if state.segments is None else state.segments
        return replace(state, segments=segments + 3 * (truth % 2) * hidden)


class TruthInPositions(Planted):
    def spoil(self, state, hidden, truth):
        return replace(state, positions=torch.arange(truth.shape[1]) + truth * hidden)


class TruthInBOS(Planted):
    def spoil(self, state, hidden, truth):
        tokens = state.tokens.clone()
        tokens[:, 0] = (truth * hidden).amax(1)
        return replace(state, tokens=tokens)


class TruthInWeights(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        made = super().corrupt(batch, seed, progress)
        return replace(made, weights=made.weights * (1 + batch.tokens / IDS))


class TruthInTheLikelihood(Planted):
    """Trains as it should, and scores positions that it shows."""

    def likelihood(self, model, batch, draws=8, seed=0, scored=None):
        state = State(batch.tokens, segments=batch.segments, t=torch.ones(len(batch.tokens)))
        at = batch.predictable
        nats = token_nats(without(model(state, at=at).logits, self.mask_id), batch.tokens[at])
        return Likelihood(row_sums(nats, at), "upper bound", 1)


class TruthInACandidate(Sparse):
    """The first candidate is the truth, as likely as can be: a noisy answer in place of a hint."""

    def _given(self, model, batch, corrupted, coin, seed, progress, count):
        given = super()._given(model, batch, corrupted, coin, seed, progress, count)
        tokens = given.tokens.clone()
        tokens[..., 0] = batch.tokens
        return replace(given, tokens=tokens)


class OwnCleanText(Block):
    """Each block sees the first word of its own clean text."""

    def _state(self, laid, start, tokens, seed):
        made = super()._state(laid, start, tokens, seed)
        return replace(made, block=made.block + (made.block > 0))


class LaterText(Transformer):
    """A network that reads the clean text one word ahead, so that a block sees words of its own, and later ones."""

    def forward(self, state, at=None, cache=None, return_hidden=False):
        if state.clean is not None:
            state = replace(state, clean=state.clean.roll(-1, 1))
        return super().forward(state, at, cache, return_hidden)


class NoBorders(Planted):
    def spoil(self, state, hidden, truth):
        return replace(state, segments=None, valid=None if state.segments is None else state.segments > 0)


def _hidden_truth(process: object, **sizes: object) -> None:
    hidden_truth_stays_hidden(process, network("transformer", **sizes), make_batch(3, 9, ragged=True))


@defect(hidden_truth_stays_hidden, r"shows in state\.tokens")
def truth_left_in_the_text():
    _hidden_truth(TruthStays())


@defect(hidden_truth_stays_hidden, r"shows in state\.t$")
def truth_leaked_through_time():
    _hidden_truth(TruthInTime())


@defect(hidden_truth_stays_hidden, r"shows in state\.segments")
def truth_leaked_through_segments():
    _hidden_truth(TruthInSegments())


@defect(hidden_truth_stays_hidden, r"shows in state\.positions")
def truth_leaked_through_positions():
    _hidden_truth(TruthInPositions())


@defect(hidden_truth_stays_hidden, r"shows in state\.tokens")
def truth_leaked_through_bos():
    _hidden_truth(TruthInBOS())


@defect(hidden_truth_stays_hidden, "shows in the weights")
def truth_leaked_through_weights():
    _hidden_truth(TruthInWeights())


@defect(hidden_truth_stays_hidden, r"shows in state\.tokens")
def truth_shown_in_the_likelihood_alone():
    _hidden_truth(TruthInTheLikelihood())


@defect(hidden_truth_stays_hidden, r"shows in state\.candidates\.tokens")
def truth_in_the_first_candidate():
    _hidden_truth(TruthInACandidate(SparseOptions(), VOCABULARY), candidate_input="pooled")


@defect(hidden_truth_stays_hidden, r"shows in state\.clean|shows in the weights|shows in which|changes its own")
def a_block_that_sees_its_own_clean_text():
    process = OwnCleanText(BlockOptions(block_size=4), VOCABULARY)
    hidden_truth_stays_hidden(process, network("transformer"), make_batch(3, 9, ragged=True))


@defect(hidden_truth_stays_hidden, "changes its own prediction")
def a_noisy_block_that_sees_later_clean_text():
    model = network("transformer")
    later = LaterText(model.config).eval()
    later.load_state_dict(model.state_dict())
    hidden_truth_stays_hidden(make_process("block", block_size=4), later, make_batch(3, 9, ragged=True))


@defect(hidden_truth_stays_hidden, "changes its own prediction")
def a_causal_network_that_reads_the_asked_token():
    process, model = make_process("causal"), network("transformer", output_shift=0)
    hidden_truth_stays_hidden(process, model, make_batch(3, 9, ragged=True))


@defect(documents_stay_apart, "document 1 reads its neighbour")
def borders_left_out_of_the_state():
    documents_stay_apart(NoBorders(), network("transformer"), make_batch(8, 12, ragged=True))
