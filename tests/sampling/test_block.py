"""Writing in blocks: an exact cache, rows at different blocks, ends of text in and behind a block."""

from dataclasses import replace

import pytest
import torch

from guards.parts import VOCABULARY
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import (
    SAMPLERS,
    Autoregressive,
    Settings,
    drives,
    fill_request,
    generate,
    rows,
    split,
    stack,
    ticks,
)
from unmask.sampling.block import Blocks
from unmask.sampling.block_settings import BlockSettings
from unmask.sampling.until import generate_until

RULES = ("ancestral", "confidence", "entropy-bound", "remasking")
LEFT_TO_RIGHT = {"autoregressive", "speculative"}


def in_steps(rule, count):
    return {} if rule == "entropy-bound" else {"steps": count}


def requests(rule, count=5, size=4, **settings):
    taken_back = {"remask_strength": 0.3} if rule == "remasking" else {}
    own = BlockSettings(rule=rule, block_size=size, **in_steps(rule, 6) | taken_back | settings)
    return [
        fill_request(tuple(range(5, 6 + 2 * i)), 11 + i, VOCABULARY, own.but(seed=i), index=i) for i in range(count)
    ]


class Counted:
    """A network whose calls and new tokens are counted, and whose logits are kept."""

    def __init__(self, model):
        self.model = model
        self.config = model.config
        self.fed, self.logits = [], []

    def new_cache(self, *shape):
        return self.model.new_cache(*shape)

    def __call__(self, state, **given):
        answer = self.model(state, **given)
        self.fed.append(state.tokens.shape[1] if state.valid is None else int(state.valid.sum(1).max()))
        self.logits.append(answer.logits)
        return answer


@pytest.mark.parametrize("rule", RULES)
def test_texts_with_a_cache_are_those_without(tiny, rule):
    model = tiny()
    cached, plain = Counted(model), Counted(model)
    texts = [s.tokens for s in generate(cached, Blocks(), requests(rule), VOCABULARY)]
    assert texts == [s.tokens for s in generate(plain, Blocks(use_cache=False), requests(rule), VOCABULARY)]
    for a, b in zip(cached.logits, plain.logits, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert len(set(texts)) > 1


def test_finished_words_are_read_once_by_the_call_that_begins_the_next_block(tiny):
    model = Counted(tiny())
    own = BlockSettings(rule="confidence", block_size=4, steps=4, reveal="linear", ignore_eos=True)
    generate(model, Blocks(), [fill_request([5, 6, 7], 13, VOCABULARY, own)], VOCABULARY)
    # BOS and the first block with its three given words, whose last one predicts nothing; then 4 finished words, 4 open
    assert model.fed[0] == 5 and set(model.fed[1:]) <= {4, 5, 8, 9} and sum(n >= 8 for n in model.fed[1:]) == 3


def test_rows_at_different_blocks_share_a_call_and_may_be_taken_apart_between_steps(tiny):
    model, sampler = tiny(), Blocks()
    asked = requests("confidence", 4, ignore_eos=True)
    alone = [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in asked]
    first = sampler.start(asked[:2], VOCABULARY)
    for _ in range(5):
        first, _ = sampler.step(model, first)
    state = stack([first, sampler.start(asked[2:], VOCABULARY)])
    apart, steps = set(), 0
    while not bool(state.done.all()):
        state, now = sampler.step(model, state)
        apart.add(len(set(now.block[:, 0].tolist())))
        steps += 1
        state = rows(stack(split(state)), [3, 2, 1, 0]) if steps % 2 else rows(state, [3, 2, 1, 0])
    if steps % 2:
        state = rows(state, [3, 2, 1, 0])
    assert max(apart) > 1
    for row, text in enumerate(alone):
        assert tuple(state.tokens[row][state.valid[row]].tolist()) == text


def test_a_block_is_decided_before_the_next_begins_and_frames_tell_which(tiny):
    for rule in RULES:
        for tick in ticks(tiny(), Blocks(), requests(rule, 3), VOCABULARY):
            for row, (begin, until) in enumerate(tick.frame.block.tolist()):
                opened = tick.state.open[row].nonzero()[:, 0]
                if begin and len(opened):
                    assert until - begin == 4 and begin % 4 == 1 and int(opened[0]) >= begin
                    assert not tick.frame.changed[row, until:].any() or not tick.state.valid[row, until:].any()


@pytest.mark.parametrize("rule", RULES)
def test_a_row_that_leaves_in_the_middle_of_a_block_changes_no_other_and_may_come_back(tiny, rule):
    model, sampler = tiny(), Blocks()
    asked = requests(rule, 3, ignore_eos=True)
    alone = [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in asked]
    state, gone = sampler.start(asked, VOCABULARY), None
    while not bool(state.done.all()):
        state, now = sampler.step(model, state)
        begin, until = now.block[0].tolist()
        left = state.open[0, begin:until]
        if gone is None and bool(left.any()) and not bool(left.all()):
            gone, state = rows(state, [0]), rows(state, [1, 2])
    assert gone is not None
    while not bool(gone.done.all()):
        gone, _ = sampler.step(model, gone)
    for one, text in zip([*split(gone), *split(state)], alone, strict=True):
        assert tuple(one.tokens[one.valid].tolist()) == text


def test_a_rule_takes_its_own_settings_and_refuses_those_of_the_others_by_name():
    for rule in RULES:
        own = SAMPLERS.facts(rule)
        for other in map(SAMPLERS.facts, RULES):
            for key in set(other.model_fields) - {"candidates"}:
                value = other.model_fields[key].default
                if key in own.model_fields:
                    accepts = ("count", "entropy", "threshold", "profile", "stable")
                    ways = [{"accept": one} for one in accepts if rule == "confidence" and key != "accept"] or [{}]
                    given = next(way for way in ways if key in own(**way).known) | {key: value}
                    assert BlockSettings(rule=rule, **given).within == own(**given)
                else:
                    with pytest.raises(
                        Error, match=f"with rule '{rule}' does not use {key}; leave it out.*{other.name}"
                    ):
                        BlockSettings(rule=rule, **{key: value})
    with pytest.raises(Error, match="Did you mean 'entropy_budget'"):
        BlockSettings(rule="entropy-bound", entropy_bugdet=0.2)
    with pytest.raises(Error, match="remask_hold is 0.5; it needs a remask_start below 1"):
        BlockSettings(rule="remasking", remask_hold=0.5)
    with pytest.raises(Error, match="does not use candidates"):
        BlockSettings(candidates=3)


def test_another_rule_leaves_out_what_means_nothing_to_it():
    own = BlockSettings(rule="confidence", steps=4, reveal="linear", block_size=4, temperature=0.5)
    assert own.but(rule="entropy-bound") == BlockSettings(rule="entropy-bound", block_size=4, temperature=0.5)
    assert own.but(seed=3).within.seed == 3 and own.but(rule="ancestral", steps=2).within.steps == 2
    with pytest.raises(Error, match="does not use steps"):
        own.but(rule="entropy-bound", steps=2)


def test_settings_over_those_of_a_recipe_may_be_of_any_one_rule():
    BlockSettings.check({"entropy_budget": 0.3, "block_size": 2})
    BlockSettings.check({"entropy_budget": 0.3, "steps": 2})  # of confidence that accepts by entropy
    for given in ({"error_proxy": "margin", "steps": 2}, {"rule": "ancestral", "entropy_budget": 0.3}, {"steps": 0}):
        with pytest.raises(Error):
            BlockSettings.check(given)


@pytest.mark.parametrize("rule", RULES)
def test_blocks_of_one_word_are_left_to_right(tiny, rule):
    model = tiny()
    own = BlockSettings(rule=rule, block_size=1, temperature=0.0, **in_steps(rule, 2))
    asked = [fill_request([5, 6], 9, VOCABULARY, own), fill_request([7], 12, VOCABULARY, own)]
    plain = [replace(r, settings=Settings(temperature=0.0)) for r in asked]
    assert [s.tokens for s in generate(model, Blocks(), asked, VOCABULARY)] == [
        s.tokens for s in generate(model, Autoregressive(), plain, VOCABULARY)
    ]


def test_a_run_of_blocks_is_driven_in_blocks_and_left_to_right_and_by_nothing_else():
    process = PROCESSES.facts("block")
    assert {name for name in SAMPLERS if drives(SAMPLERS.facts(name), process)} == LEFT_TO_RIGHT | {"block"}
    assert not drives(SAMPLERS.facts("block"), PROCESSES.facts("masked"))


class Sure:
    """A network that is certain of one text, wherever it is asked."""

    def __init__(self, text):
        self.text = text

    def __call__(self, state, at):
        columns = at.nonzero()[:, 1].tolist()
        logits = torch.full((len(columns), 23), -50.0)
        for row, column in enumerate(columns):
            logits[row, self.text[min(column, len(self.text) - 1)]] = 0.0
        return Prediction(logits)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("end", range(3, 11))
def test_a_text_ends_inside_a_block_at_its_border_and_first_in_it(rule, end):
    text = [1, *range(5, 4 + end), VOCABULARY.eos]
    own = BlockSettings(rule=rule, block_size=4, **in_steps(rule, 3))
    (sample,) = generate(Sure(text), Blocks(use_cache=False), [fill_request([5], 14, VOCABULARY, own)], VOCABULARY)
    assert list(sample.tokens) == text and sample.ended


@pytest.mark.parametrize("rule", ["ancestral", "confidence", "entropy-bound"])
def test_a_stop_string_is_found_across_a_blocks_border_and_the_row_leaves(rule):
    text = [1, *range(5, 22)]
    own = BlockSettings(rule=rule, block_size=4, ignore_eos=True, **in_steps(rule, 2))
    asked = [fill_request([5], 14, VOCABULARY, own), fill_request([5], 9, VOCABULARY, own)]
    left = []

    def decode(ids):
        return "".join(chr(ord("a") + i) for i in ids)

    written = generate_until(
        Sure(text), Blocks(use_cache=False), asked, [[decode([8, 9])], []], VOCABULARY, decode, progress=left.append
    )  # 8 is the last word of the first block, 9 the first of the second
    assert written == [decode([6, 7]), decode(range(6, 15))] and left == [1, 1]


def test_given_words_that_no_block_sees_are_refused_and_those_of_the_same_block_are_used(tiny):
    own = BlockSettings(block_size=4, rule="confidence", steps=4)
    asked = fill_request([5], 6, VOCABULARY, own, suffix=[7, 8])
    with pytest.raises(Error, match="a block sees nothing of what stands behind it"):
        generate(tiny(), Blocks(), [asked], VOCABULARY)
    whole = replace(asked, settings=own.but(block_size=16, temperature=0.0))
    other = replace(whole, tokens=(*whole.tokens[:-2], 9, 10))
    texts = [generate(tiny(), Blocks(), [r], VOCABULARY)[0].tokens[:-2] for r in (whole, other)]
    assert texts[0] != texts[1]
