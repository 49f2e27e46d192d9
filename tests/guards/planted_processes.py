"""Defective processes: masked diffusion with one thing wrong."""

from __future__ import annotations

from dataclasses import replace

import torch

from guards.lengths import all_texts_share_one
from guards.parts import VOCABULARY, make_batch, make_process, network
from guards.planted import defect
from guards.planted_leaks import Planted
from guards.processes import (
    a_uniform_model_scores_ln_v,
    every_token_counts_alike,
    no_likelihood_beats_the_source,
    process_rows_stay_apart,
    seeds_decide_the_noise,
)
from guards.samplers import an_overfit_model_recites, states_were_trained
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.likelihood import Likelihood, row_sums, token_nats, without
from unmask.diffusion.masked import Masked
from unmask.diffusion.options import MaskedOptions, UniformOptions
from unmask.diffusion.sparse import Sparse, SparseOptions
from unmask.diffusion.uniform import Uniform
from unmask.sampling import Ancestral


class CandidatesForWhoeverIsAlone(Sparse):
    """If no row of the batch is to have candidates, the first has them, so that the network is called all the same."""

    def _given(self, model, batch, corrupted, coin, seed, progress, count):
        first = torch.arange(len(coin)) == 0
        return super()._given(model, batch, corrupted, coin | (first & ~coin.any()), seed, progress, count)


class ShiftedTwice(Planted):
    """The loader shifts the targets by one, and the loss does it again."""

    def loss(self, model, batch, seed, progress=1.0):
        corrupted = self.corrupt(batch, seed, progress)
        at = corrupted.weights > 0
        targets = batch.tokens.roll(-1, 1)
        nats = token_nats(without(model(corrupted.state, at=at).logits, self.mask_id), targets[at])
        return {"loss": nats.sum() / (at.shape[0] * (at.shape[1] - 1) * self.expected_rate(1.0))}


class HidesThreeQuartersAtMost(Planted):
    """The largest mask rate of training is below what generation begins with."""

    def corrupt(self, batch, seed, progress=1.0):
        made = super().corrupt(batch, seed, progress)
        rank = made.weights.cumsum(1)
        kept = (made.weights > 0) & (rank <= 0.75 * batch.predictable.sum(1, keepdim=True))
        tokens = torch.where(kept, self.mask_id, batch.tokens)
        t = kept.sum(1) / batch.predictable.sum(1).clamp(min=1)
        return replace(made, state=replace(made.state, tokens=tokens, t=t), weights=made.weights * kept)


class StatesTheDrawnTime(Planted):
    """The network is told the time that was drawn and not the share that was hidden."""

    def spoil(self, state, hidden, truth):
        return replace(state, t=(state.t + 0.05).clamp(max=1))


class WeighsByTheUsualSchedule(Masked):
    """Devanagari is hidden by a schedule of its own and weighed by that of the process."""

    def rates_at(self, place, progress, schedule):
        return super().rates_at(place, progress, schedule)[0], super().rates_at(place, progress, self.schedule)[1]


class GlobalNoise(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        return super().corrupt(batch, int(torch.randint(1000, ())), progress)


class DeafToTheSeed(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        return super().corrupt(batch, 0, progress)


class DeafToTheExample(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        return super().corrupt(replace(batch, order=0 * batch.order), seed, progress)


class NoiseByPlaceInTheBatch(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        return super().corrupt(replace(batch, order=torch.arange(len(batch.order))), seed, progress)


class NoiseByLength(Planted):
    def corrupt(self, batch, seed, progress=1.0):
        return super().corrupt(batch, seed + batch.tokens.shape[1], progress)


class PredictsTheMask(Causal):
    """Left to right, with the mask among the tokens that may come."""

    def likelihood(self, model, batch, draws=1, seed=0, scored=None):
        at = batch.predictable
        logits = model(self.corrupt(batch, seed).state, at=at).logits
        return Likelihood(row_sums(token_nats(logits, batch.tokens[at]), at), "exact", 1)


class TellsWhatWasDrawnAnew(Uniform):
    """Each position's level says whether its word was drawn anew, and not how likely that was."""

    def _noised(self, batch, open_, rate, noise):
        state = super()._noised(batch, open_, rate, noise)
        return replace(state, level=(state.tokens != batch.tokens).float())


class CountsHiddenTokensOnly(Planted):
    """Forgets n/k: the tokens that it shows cost nothing."""

    def likelihood(self, model, batch, draws=8, seed=0, scored=None):
        corrupted = self.corrupt(batch, seed)
        at = corrupted.weights > 0
        nats = token_nats(without(model(corrupted.state, at=at).logits, self.mask_id), batch.tokens[at])
        return Likelihood(row_sums(nats, at), "upper bound", 1)


@defect(an_overfit_model_recites, r"the ancestral sampler wrote \(1, 5, 9, 7")
def targets_shifted_twice():
    an_overfit_model_recites(
        ShiftedTwice(), network("transformer", initializer_range=0.1, hidden_size=32), [Ancestral()]
    )


@defect(states_were_trained, r"everything is hidden: the sampler shows True, training \[False\]")
def generation_begins_where_training_never_was():
    states_were_trained(HidesThreeQuartersAtMost(), Ancestral())


@defect(states_were_trained, "training mis-states its noise level")
def training_states_a_time_that_is_not_the_noise():
    states_were_trained(StatesTheDrawnTime(), Ancestral())


@defect(seeds_decide_the_noise, "global random generator|the same seed gave two results")
def noise_from_the_global_generator():
    seeds_decide_the_noise(GlobalNoise(), network("transformer"), make_batch())


@defect(seeds_decide_the_noise, "another seed corrupts in the same way")
def noise_that_is_deaf_to_the_seed():
    seeds_decide_the_noise(DeafToTheSeed(), network("transformer"), make_batch())


@defect(seeds_decide_the_noise, "another example is corrupted alike")
def noise_that_is_deaf_to_the_example():
    seeds_decide_the_noise(DeafToTheExample(), network("transformer"), make_batch())


@defect(every_token_counts_alike, r"a token counts 0\.[678]\d times")
def weights_of_another_schedule_than_the_one_in_use():
    options = MaskedOptions(scripts={"devanagari": "polynomial:1.5", "clusters": 0.0})
    every_token_counts_alike(WeighsByTheUsualSchedule(options, VOCABULARY), make_batch(3, 13))


@defect(process_rows_stay_apart, r"state\.tokens is another alone")
def noise_by_place_in_the_batch():
    process_rows_stay_apart(NoiseByPlaceInTheBatch(), network("transformer"), make_batch(4, 12, ragged=True))


@defect(process_rows_stay_apart, r"state\.tokens is another before padding")
def noise_by_length_of_the_block():
    process_rows_stay_apart(NoiseByLength(), network("transformer"), make_batch(4, 12, ragged=True))


@defect(process_rows_stay_apart, r"state\.candidates\.tokens is another alone")
def candidates_that_depend_on_the_other_rows():
    process = CandidatesForWhoeverIsAlone(SparseOptions(), VOCABULARY)
    model = network("transformer", **process.options.network())
    process_rows_stay_apart(process, model, make_batch(4, 12, ragged=True))


@defect(a_uniform_model_scores_ln_v, r"1\.014 times as many nats")
def probability_spent_on_the_mask():
    a_uniform_model_scores_ln_v(PredictsTheMask(CausalOptions(), VOCABULARY), make_batch(ragged=True))


@defect(all_texts_share_one, "texts sum to 3")
def a_length_that_is_told_and_not_paid_for():
    process = make_process("masked")
    process.told_length = False
    all_texts_share_one(process)


@defect(no_likelihood_beats_the_source, "nats a text below the source")
def a_level_that_tells_which_words_are_wrong():
    no_likelihood_beats_the_source(TellsWhatWasDrawnAnew(UniformOptions(), VOCABULARY))


@defect(no_likelihood_beats_the_source, "nats a text below the source")
def a_bound_that_counts_hidden_tokens_only():
    no_likelihood_beats_the_source(CountsHiddenTokensOnly())
