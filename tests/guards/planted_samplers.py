"""Defective samplers and tokenizers."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import torch

from guards.parts import IDS, VOCABULARY, make_process, network
from guards.planted import defect
from guards.samplers import (
    an_overfit_model_recites,
    sampler_rows_stay_apart,
    seeds_decide_the_text,
    skipped_calls_change_nothing,
    states_were_trained,
)
from guards.texts import tokenizer_is_lossless
from unmask.data.tokenizers import make_tokenizer
from unmask.sampling import Ancestral, Autoregressive, Confidence, Remasking
from unmask.sampling.ancestral import decided
from unmask.sampling.decide import reopen
from unmask.sampling.state import frame as frame_of


class OffByOne(Confidence):
    """Writes what the network said of the position to the right."""

    def step(self, model, state):
        return super().step(lambda seen, at: model(seen, at=at.roll(1, 1)), state)


class ReadsTheLastTokenOnly(Autoregressive):
    """Forgets the prompt: the network sees BOS and the last word."""

    def step(self, model, state):
        def short(seen, at):
            asked = at.long().argmax(1)
            column = torch.arange(at.shape[1])[None]
            lost = (column > 0) & (column < asked[:, None])
            return model(replace(seen, tokens=seen.tokens.masked_fill(lost, 4)), at=at)

        return Autoregressive(use_cache=False).step(short, state)


class StatesItsOwnTime(Ancestral):
    """The network is told how many steps are left, not how much is hidden."""

    def step(self, model, state):
        left = 1 - state.step / state.setting("steps")
        return super().step(lambda seen, at: model(replace(seen, t=left[: len(seen.tokens)]), at=at), state)


class StartsFromRandomTokens(Ancestral):
    """Open positions hold random words, and the noise level says so: training showed masks."""

    def step(self, model, state):
        def noisy(seen, at):
            words = 4 + (torch.arange(seen.tokens.numel()).view_as(seen.tokens) * 7) % (IDS - 4)
            masks = seen.tokens == VOCABULARY.mask
            return model(replace(seen, tokens=torch.where(masks, words, seen.tokens), t=0 * seen.t), at=at)

        return super().step(noisy, state)


class GoesOnBehindTheEnd(Confidence):
    """Shows the network what it has closed as if it were open."""

    def step(self, model, state):
        def longer(seen, at):
            closed = seen.tokens == VOCABULARY.pad
            tokens = seen.tokens.masked_fill(closed, VOCABULARY.mask)
            share = (tokens == VOCABULARY.mask).sum(1) / (tokens.shape[1] - 1)
            return model(replace(seen, tokens=tokens, valid=None, t=share), at=at)

        return super().step(longer, state)


class CandidatesStay(Ancestral):
    """What was decided keeps its candidates."""

    def step(self, model, state):
        def stale(seen, at):
            if seen.candidates is not None:
                mass = torch.full_like(seen.candidates.mass, 0.2)
                seen = replace(seen, candidates=replace(seen.candidates, mass=mass))
            return model(seen, at=at)

        stale.config = model.config
        return super().step(stale, state)


class TakesBackBehindTheEnd(Remasking):
    """Reopens what an end of text has just closed."""

    def step(self, model, state):
        after, frame = super().step(model, state)
        return reopen(after, state.valid & ~after.valid), frame


class GlobalNoise(Ancestral):
    def start(self, requests, vocabulary):
        state = super().start(requests, vocabulary)
        return replace(state, key=torch.randint(2**40, state.key.shape))


class DeafToTheSeed(Confidence):
    def start(self, requests, vocabulary):
        return super().start([replace(r, settings=r.settings.but(seed=0)) for r in requests], vocabulary)


class DeafToTheNumber(Autoregressive):
    def start(self, requests, vocabulary):
        return super().start([replace(r, index=0) for r in requests], vocabulary)


class DrawsByPaddedLength(Confidence):
    def step(self, model, state):
        after, frame = super().step(model, replace(state, key=state.key + state.tokens.shape[1]))
        return replace(after, key=state.key), frame


class DrawsByRow(Autoregressive):
    def step(self, model, state):
        after, frame = super().step(model, replace(state, key=state.key + torch.arange(len(state.key))))
        return replace(after, key=state.key), frame


class CountsTheStepsOfTheOldest(Autoregressive):
    """One clock for all rows: right as long as all have begun at once."""

    def step(self, model, state):
        late = state.step.max() - state.step
        after, frame = super().step(model, replace(state, step=state.step + late))
        return replace(after, step=after.step - late), frame


class CutsCandidatesOfOthers(Ancestral):
    """Every row keeps as many candidates as the row with the fewest."""

    def step(self, model, state):
        after, frame = super().step(model, state)
        given = after.candidates
        if given is None:
            return after, frame
        count = min(4 if s.candidates is None else s.candidates for s in after.settings)
        mass = given.mass * (torch.arange(given.mass.shape[2]) < count)
        return replace(after, candidates=replace(given, mass=mass)), frame


class AsksOnlyToDecide(Ancestral):
    """Leaves out calls whose answers would have been carried on."""

    def step(self, model, state):
        if not self.skip:
            return super().step(model, state)
        active, left = ~state.done, (state.setting("steps") - state.step).clamp(min=1)
        chosen = state.open & (state.noise.uniform("reveal", state.tokens.shape[1]) * left[:, None] < 1)
        asked = chosen.any(1)
        after = decided(model, state, chosen, asked)
        after = replace(after, step=state.step + active, forwards=state.forwards + asked)
        return after, frame_of(after, state)


class CleansTexts:
    """A tokenizer that changes the text first."""

    def __init__(self, clean):
        self.clean, self.inner = clean, make_tokenizer("bytes", [], 0)

    def encode(self, text):
        return self.inner.encode(self.clean(text))

    def encode_batch(self, texts):
        return self.inner.encode_batch([self.clean(text) for text in texts])

    def decode(self, ids):
        return self.inner.decode(ids)

    def decode_bytes(self, ids):
        return self.inner.decode_bytes(ids)


def _recites(process: str, sampler: object) -> None:
    model = network("transformer", initializer_range=0.1, hidden_size=32)
    an_overfit_model_recites(make_process(process), model, [sampler])


@defect(an_overfit_model_recites, r"the confidence sampler wrote \(1, 5, 9, 7")
def logits_read_off_by_one():
    _recites("masked", OffByOne())


@defect(an_overfit_model_recites, "the autoregressive sampler wrote")
def a_prompt_that_is_forgotten():
    _recites("causal", ReadsTheLastTokenOnly())


@defect(states_were_trained, "the stated noise level is the share of masks: the sampler shows False, training")
def a_noise_level_counted_in_steps():
    states_were_trained(make_process("masked"), StatesItsOwnTime())


@defect(states_were_trained, r"an asked position shows a word: the sampler shows True, training \[False\]")
def random_words_where_training_had_masks():
    states_were_trained(make_process("masked"), StartsFromRandomTokens())


@defect(states_were_trained, r"something stands behind EOS: the sampler shows True, training \[False\]")
def masks_shown_behind_the_end():
    states_were_trained(make_process("masked"), GoesOnBehindTheEnd())


@defect(states_were_trained, r"a mask stands in padding: the sampler shows True, training \[False\]")
def masks_left_behind_the_end():
    states_were_trained(make_process("masked"), TakesBackBehindTheEnd())


@defect(states_were_trained, r"a decided position has candidates: the sampler shows True, training \[False\]")
def candidates_kept_by_decided_positions():
    states_were_trained(make_process("sparse"), CandidatesStay())


@defect(states_were_trained, r"visibility: the sampler shows bidirectional, training \['causal'\]")
def a_sampler_of_another_process():
    states_were_trained(make_process("causal"), Confidence())


@defect(seeds_decide_the_text, "global random generator|the same seed gave two texts")
def a_text_from_the_global_generator():
    seeds_decide_the_text(network("transformer"), GlobalNoise())


@defect(seeds_decide_the_text, "another seed gave the same texts")
def a_sampler_that_is_deaf_to_the_seed():
    seeds_decide_the_text(network("transformer"), DeafToTheSeed())


@defect(seeds_decide_the_text, "texts under one seed are equal")
def a_sampler_that_is_deaf_to_the_number():
    seeds_decide_the_text(network("transformer"), DeafToTheNumber())


@defect(sampler_rows_stay_apart, "changes in a batch of 6")
def draws_by_padded_length():
    sampler_rows_stay_apart(network("transformer"), DrawsByPaddedLength())


@defect(sampler_rows_stay_apart, "changes in a batch of 6")
def draws_by_row_of_the_batch():
    sampler_rows_stay_apart(network("transformer"), DrawsByRow())


@defect(sampler_rows_stay_apart, "changes when others come and go")
def steps_counted_by_the_oldest_row():
    sampler_rows_stay_apart(network("transformer"), CountsTheStepsOfTheOldest())


@defect(sampler_rows_stay_apart, "changes in a batch of 6")
def candidates_cut_to_those_of_the_rows_that_were_asked():
    sampler_rows_stay_apart(_carrying(), CutsCandidatesOfOthers())


@defect(skipped_calls_change_nothing, "is another with all calls")
def calls_left_out_that_leave_something_behind():
    skipped_calls_change_nothing(_carrying(), AsksOnlyToDecide())


def _carrying():
    return network("transformer", candidates=4, candidate_input="pooled")


JOINED = "\u0915\u094d\u200d\u0937"  # a zero-width joiner decides how this conjunct is written


@defect(tokenizer_is_lossless, "came back as")
def a_tokenizer_that_drops_joiners():
    tokenizer_is_lossless(CleansTexts(lambda text: text.replace("\u200d", "")), JOINED)


@defect(tokenizer_is_lossless, "came back as")
def a_tokenizer_that_normalises():
    tokenizer_is_lossless(CleansTexts(lambda text: unicodedata.normalize("NFKC", text)), "\ufb01ne")
