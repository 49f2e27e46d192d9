"""What every registered sampler promises besides the guards."""

from dataclasses import fields, replace

import pytest
import torch
from torch.nn.functional import pad

from guards.parts import VOCABULARY, any_settings, values, without_cache
from unmask.diffusion.registry import PROCESSES
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Settings, drives, fill_request, generate, lock, rows, split, stack, ticks


def finish(sampler, model, state):
    while not bool(state.done.all()):
        state, _ = sampler.step(model, state)
    return state


def same(a, b) -> bool:
    for f in fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, torch.Tensor):
            if x.shape != y.shape or not torch.equal(x, y):
                return False
        elif f.name in ("candidates", "span", "checks", "places"):
            if (x is None) != (y is None) or (x is not None and not same(x, y)):
                return False
        elif f.name != "cache" and x != y:
            return False
    return True


def test_rows_keep_their_own_settings_in_one_batch(model, sampler, requests_for):
    """Every setting that the sampler uses differs by row; the canvas, its number and the seed are one."""
    model = model.double()  # products of 16 rows and of one round otherwise: no tie is that close then
    plain = requests_for(1)[0]
    own = [any_settings(sampler, number).but(seed=0) for number in range(16)]
    requests = [replace(plain, settings=s) for s in own]
    together = [s.tokens for s in generate(model, sampler, requests, VOCABULARY, batch_size=len(own))]
    assert together == [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in requests]
    assert len(set(together)) > 1


def test_states_stack_and_split_without_loss(model, sampler, requests_for):
    state = sampler.start(requests_for(), VOCABULARY)
    for _ in range(3):
        assert same(stack(split(state)), state)
        assert same(rows(rows(state, [4, 2, 0, 1, 3]), [2, 3, 1, 4, 0]), state)
        state, _ = sampler.step(model, state)


def test_requests_join_and_leave_between_steps(model, sampler, requests_for):
    requests = requests_for()
    alone = [finish(sampler, model, sampler.start([r], VOCABULARY)) for r in requests]
    first = sampler.start(requests[:2], VOCABULARY)
    for _ in range(2):
        first, _ = sampler.step(model, first)
    joined = stack([first, sampler.start(requests[2:], VOCABULARY)])
    joined, _ = sampler.step(model, joined)
    left, stayed = rows(joined, [1, 4]), rows(joined, [0, 2, 3])
    ended = [*split(finish(sampler, model, left)), *split(finish(sampler, model, stayed))]
    for number, state in zip([1, 4, 0, 2, 3], ended, strict=True):
        length = len(requests[number].tokens)
        assert torch.equal(state.tokens[:, :length], alone[number].tokens), f"request {number}"


def test_given_words_never_change_and_special_tokens_are_never_written(model, sampler, requests_for):
    requests = requests_for()
    for tick in ticks(model, sampler, requests, VOCABULARY):
        for row, number in enumerate(tick.which):
            for position, token in enumerate(requests[number].tokens):
                if token != VOCABULARY.mask:
                    assert tick.frame.tokens[row, position] == token and tick.frame.committed[row, position]
    for sample in generate(model, sampler, requests, VOCABULARY):
        assert not {VOCABULARY.mask, VOCABULARY.pad, VOCABULARY.bos} & set(sample.written)
        assert len(sample.confidence) == len(sample.tokens) and all(0 < c <= 1 for c in sample.confidence)


def test_open_positions_only_close_and_frames_tell_what_changed(model, sampler, requests_for):
    before, reopened = None, 0
    shows_words = sampler.Settings.shows == "token"  # from the first step on, and every one of them may change
    often = {"remask_strength": 0.5, "steps": 12} if "remask" in sampler.Settings.model_fields else {}
    often |= {"rule": "remasking"} if "rule" in sampler.Settings.model_fields else {}
    for tick in ticks(model, sampler, requests_for(1, **often), VOCABULARY):
        state, frame = tick.state, tick.frame
        assert torch.equal(frame.committed, state.valid & ~state.open)
        hidden = (state.tokens == VOCABULARY.mask) & state.valid
        assert torch.equal(state.open & (before is None), hidden) if shows_words else torch.equal(state.open, hidden)
        if before is not None:
            again = state.open & ~before.open
            reopened += int(again.sum())
            assert not bool((again & (before.fixed | before.settled[:, None])).any())
            changed = (before.open != state.open) | (before.valid & ~state.valid)
            changed |= shows_words & (before.tokens != state.tokens)
            assert torch.equal(frame.changed, changed)
            kept = before.valid & ~before.open & state.valid & ~again
            assert torch.equal(state.tokens[kept], before.tokens[kept])
        before = state
    assert (reopened > 0) == bool(often), "only a sampler that says so takes words back"


class EndsAt:
    """A model that is certain of EOS at one position and of word 5 elsewhere."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.seen_after = False

    def __call__(self, state, at=None):
        columns = at.nonzero()[:, 1]
        logits = torch.full((len(columns), 24), -50.0)
        logits[:, 5] = 0.0
        logits[columns == self.position] = -50.0
        logits[columns == self.position, VOCABULARY.eos] = 0.0
        valid = torch.ones_like(state.tokens, dtype=torch.bool) if state.valid is None else state.valid
        ended = (state.tokens == VOCABULARY.eos).any(1)
        self.seen_after |= bool(valid[ended, self.position + 1 :].any())
        return Prediction(logits)


def plain(sampler):
    return without_cache(sampler)


def test_text_ends_at_the_end_of_text_and_nothing_behind_it_is_seen(sampler):
    model = EndsAt(4)
    requests = [replace(fill_request([6], 10, VOCABULARY), index=i) for i in range(6)]
    for sample in generate(model, plain(sampler), requests, VOCABULARY):
        assert sample.tokens == (1, 6, 5, 5, 2) and sample.ended and sample.written == (5, 5)
    # Words that may be wrong may be ends; a block is filled with more of them.
    assert not model.seen_after or sampler.Settings.shows == "token" or sampler.Settings.visibility == "block"


def test_ignore_eos_fills_the_canvas(sampler):
    request = fill_request([6], 5, VOCABULARY, Settings(ignore_eos=True))
    (sample,) = generate(EndsAt(4), plain(sampler), [request], VOCABULARY)
    assert len(sample.tokens) == 7 and not sample.ended and VOCABULARY.eos not in sample.tokens


def grown(values, block):
    """Return what is said of a canvas, and nothing of the places by which a block reaches beyond it."""
    return values if block is None else pad(values, (0, max(0, int(block[0, 1]) - values.shape[1])))


def in_its_block(state, block):
    """Return one row as the network sees it while a block is written: the text up to its end."""
    begin, until = block[0].tolist()
    tokens = pad(state.tokens, (0, max(0, until - state.tokens.shape[1])), value=VOCABULARY.mask)
    column = torch.arange(tokens.shape[1])
    return State(tokens, "block", valid=(column < until)[None], block=column.clamp(max=begin)[None])


def test_temperature_zero_takes_the_most_probable_word(tiny, sampler):
    model = tiny(time_input=sampler.Settings.shows == "token")
    requests = [fill_request([5, 6], 8, VOCABULARY, Settings(temperature=0.0, seed=s)) for s in range(3)]
    for tick in ticks(model, sampler, requests[:1], VOCABULARY):
        before = tick.state
        if not bool(before.done.all()):
            after, frame = sampler.step(model, before)
            view = State(before.tokens, sampler.Settings.visibility, valid=before.valid)
            written = frame.changed & after.valid & ~after.open
            if frame.block is not None:
                view, written = in_its_block(before, frame.block), grown(written, frame.block)
            if sampler.Settings.shows == "token":  # the step's own level is told; what closes is drawn at the last step
                steps = before.settings[0].steps
                view = replace(view, level=before.open * (1 - before.step / steps)[:, None].float())
                written = before.open & ~after.open & after.valid
            logits = model(view, at=written).logits.clone()
            logits[:, [0, 1, 3]] = -torch.inf
            logits[grown(before.reopened, frame.block)[written], VOCABULARY.eos] = -torch.inf
            assert torch.equal(grown(after.tokens, frame.block)[written], logits.argmax(-1))
    # In the others, which positions are open when is random whatever the temperature.
    if sampler.Settings.name not in ("ancestral", "remasking", "uniform", "block"):
        assert len({s.tokens for s in generate(model, sampler, requests, VOCABULARY)}) == 1


def test_a_locked_word_stays_and_what_follows_depends_on_it(model, sampler, requests_for):
    others = []
    for seed in range(
        6 if sampler.Settings.shows == "token" else 1
    ):  # a word among noise tells little: not every text shows it
        heat = 1.0 if sampler.Settings.shows == "token" else 0.0
        asked = [replace(r, index=seed) for r in requests_for(1, temperature=heat, ignore_eos=True)]
        state, _ = sampler.step(model, sampler.start(asked, VOCABULARY))
        place = 2 if sampler.Settings.name == "autoregressive" else int(state.open[0].nonzero()[0])
        ended = {}
        for word in (10, 17):
            locked = lock(rows(state, [0]), 0, place, word)
            final = finish(sampler, model, locked)
            assert final.tokens[0, place] == word and final.fixed[0, place]
            ended[word] = final.tokens[0, place + 1 :].tolist()
        others.append(ended[10] != ended[17])
    assert any(others)
    with pytest.raises(Error, match="given by the user"):
        lock(state, 0, 1, 10)
    with pytest.raises(Error, match="special token"):
        lock(state, 0, place, VOCABULARY.mask)
    with pytest.raises(Error, match="not part of the text"):
        lock(state, 0, 99, 10)


def test_settings_that_mean_nothing_to_the_sampler_are_refused_by_name(sampler):
    for kind in map(SAMPLERS.facts, SAMPLERS):
        for name in kind.model_fields:
            value = next(one for one in values(kind, name) if one != kind.model_fields[name].default)
            try:
                request = fill_request([5], 4, VOCABULARY, kind(**{name: value}))
            except Error:  # a hold needs other times, and a setting of a rule the rule
                continue
            if name in sampler.Settings().known:
                sampler.start([request], VOCABULARY)
            else:
                with pytest.raises(
                    Error, match=f"does not use {name}; leave it out.*{name} is a setting of .*{kind.name}"
                ):
                    sampler.start([request], VOCABULARY)


def test_a_model_of_the_wrong_process_and_a_canvas_too_long_are_refused(model, sampler, requests_for):
    for name in PROCESSES:
        process = PROCESSES.facts(name)
        if not drives(sampler.Settings, process):
            with pytest.raises(
                Error, match=f"the '{sampler.Settings.name}' sampler .* trained as {name}: .*; use the '"
            ):
                generate(model, sampler, requests_for(), VOCABULARY, process=process)
    with pytest.raises(Error, match="101 tokens with text behind what is written does not fit .* of 64"):
        generate(model, sampler, [fill_request([], 99, VOCABULARY, suffix=[5])], VOCABULARY)


def test_logits_that_are_not_numbers_are_refused(sampler, requests_for, tiny):
    broken = tiny()
    with torch.no_grad():
        broken.head.weight.fill_(torch.nan)
    with pytest.raises(Error, match="not finite"):
        generate(broken, sampler, requests_for(1), VOCABULARY)
