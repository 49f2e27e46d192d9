"""Texts longer than the context go on over its borders, as one text, whoever shares their batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from guards.parts import PAIRS, VOCABULARY, network, over
from unmask.api.sample import sample
from unmask.api.stream import stream
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.carried import Carried
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Vocabulary, drives, fill_request, frames, generate, ticks
from unmask.sampling.trace import TraceWriter, read_trace
from unmask.sampling.until import cut_at, generate_until
from unmask.sampling.windows import seen_of

WORDS = Vocabulary(size=24)
CONTEXT = 16
WAYS = [{}, {"overlap": 0.9}, {"beyond": "sinks"}, {"beyond": "sinks", "overlap": 0.9}, {"beyond": "stretch"}]


def settings(name: str, **given):
    """Return settings under which no text ends early."""
    uses = SAMPLERS.facts(name).model_fields
    wanted = {"ignore_eos": True, "steps": 8, "seed": 3} | given
    return SAMPLERS.facts(name)(**{key: value for key, value in wanted.items() if key in uses})


def small(sampler, tiny, **sizes):
    """Return a network of a short context for a sampler."""
    shows = sampler.Settings.shows
    return tiny(context=CONTEXT, candidates=3 * (shows == "candidates"), time_input=shows == "token", **sizes)


@dataclass
class Heard(Carried):
    """A cache that keeps the words themselves."""

    words: Tensor
    lengths: Tensor

    placed: ClassVar[bool] = True

    def rewound(self, lengths: Tensor) -> Heard:
        return Heard(self.words, lengths)

    def rows(self, index: Tensor) -> Heard:
        return Heard(self.words[index], self.lengths[index])

    def blank(self, texts) -> Heard:
        return Heard(self.words.new_zeros(len(texts.key), texts.length), self.lengths.new_zeros(len(texts.key)))


class Counting:
    """Every word is the one before and one more, from 4 to 99 and again."""

    config = SimpleNamespace(max_position_embeddings=CONTEXT)

    def parameters(self):
        return iter(())

    def new_cache(self, rows: int, capacity: int) -> Heard:
        return Heard(torch.zeros(rows, capacity, dtype=torch.int64), torch.zeros(rows, dtype=torch.int64))

    def rolled(self, cache: Heard, first: int, gone: int) -> Heard:
        words = torch.cat([cache.words[:, :first], cache.words[:, first + gone :]], 1)
        return Heard(torch.nn.functional.pad(words, (0, gone)), cache.lengths - gone)

    def __call__(self, state, at=None, cache=None) -> Prediction:
        if cache is not None:
            words = cache.words.clone()
            for row, (start, many) in enumerate(zip(cache.lengths.tolist(), state.valid.sum(1).tolist(), strict=True)):
                words[row, start : start + many] = state.tokens[row, :many]
            now = Heard(words, cache.lengths + state.valid.sum(1))
            return Prediction(self.said(words.gather(1, now.lengths[:, None] - 1)[:, 0], 1), cache=now)
        known = (state.tokens != WORDS.mask) & ((state.level if state.level is not None else 0 * state.tokens) == 0)
        place = torch.arange(known.shape[1])
        last = torch.where(known, place, -1).cummax(1).values
        return Prediction(self.said(state.tokens.gather(1, last), place - last)[at])

    def said(self, before: Tensor, ahead: Tensor | int) -> Tensor:
        """Return logits that are sure of the word so many places behind another."""
        return 60.0 * torch.nn.functional.one_hot((before - 4 + ahead) % 96 + 4, 100)


@pytest.mark.parametrize("given", WAYS)
def test_counting_goes_on_over_every_border(given):
    counts = list(range(4, 100)) + list(range(4, 84))
    words = replace(WORDS, size=100)
    for name in ("autoregressive", "confidence", "entropy-bound", "ancestral", "remasking"):
        if "beyond" in given and name != "autoregressive":
            continue
        asked = [fill_request([4, 5], n, words, settings(name, **given), index=n) for n in (50, 7, 120)]
        for request, text in zip(asked, generate(Counting(), SAMPLERS.get(name)(), asked, words), strict=True):
            assert list(text.tokens[1:]) == counts[: len(request.tokens) - 1], name
            assert len(text.tokens) == len(text.confidence) == len(request.tokens)


def test_the_first_window_is_what_a_text_that_fits_has(sampler, tiny):
    model, name = small(sampler, tiny), sampler.Settings.name
    short, long = (fill_request([5, 6], n, WORDS, settings(name)) for n in (CONTEXT - 3, 40))
    fits, goes_on = generate(model, sampler, [short, long], WORDS)
    assert goes_on.tokens[:CONTEXT] == fits.tokens and len(goes_on.tokens) == 43
    assert goes_on.confidence[:CONTEXT] == fits.confidence
    assert goes_on.steps > fits.steps and goes_on.forwards > fits.forwards and len(goes_on.written) == 40


@pytest.mark.parametrize("given", [*WAYS, {"overlap": 0.0}])
def test_a_long_text_does_not_depend_on_its_batch_mates(sampler, tiny, given):
    if not set(given) <= set(sampler.Settings.model_fields):
        pytest.skip("another sampler's setting")
    model, name = small(sampler, tiny), sampler.Settings.name
    own, sizes = settings(name, **given), (40, 9, 28, 40)
    asked = [fill_request([5, 6 + i], n, WORDS, own, index=i) for i, n in enumerate(sizes)]
    together = generate(model, sampler, asked, WORDS, batch_size=4)
    for request, text in zip(asked, together, strict=True):
        assert generate(model, sampler, [request], WORDS)[0].tokens == text.tokens
    assert together[0].written != together[3].written


def test_keys_that_were_turned_are_those_of_the_new_places(tiny):
    model = tiny(context=CONTEXT)
    model.blocks = model.blocks[:1]  # with one layer nothing is left of the words that are gone
    text = torch.randint(4, 24, (2, 13), generator=torch.Generator().manual_seed(1))
    whole, rest = torch.cat([text[:, :4], text[:, 9:]], 1), model.new_cache(2, CONTEXT)
    cache = model.new_cache(2, CONTEXT)
    with torch.no_grad():
        cache = model(State(text[:, :-1], "causal"), cache=cache).cache
        turned = model(State(text[:, -1:], "causal"), cache=model.rolled(cache, 4, 5))
        again = model(State(whole, "causal"), cache=rest)
    torch.testing.assert_close(turned.logits, again.logits, atol=1e-4, rtol=1e-4)
    assert turned.cache.lengths.tolist() == again.cache.lengths.tolist() == [8, 8]


def test_an_end_of_text_in_a_later_window_ends_it(tiny):
    sampler, model = SAMPLERS.get("autoregressive")(), tiny(context=CONTEXT)
    model.config.tie_word_embeddings = False
    asked = [fill_request([5], 400, WORDS, settings("autoregressive", ignore_eos=False), index=i) for i in range(12)]
    texts = generate(model, sampler, asked, WORDS)
    later = [text for text in texts if text.ended and len(text.tokens) > CONTEXT + 1]
    assert later, "none of them ended behind its first window"
    for text in later:
        assert text.tokens[-1] == WORDS.eos and WORDS.eos not in text.tokens[:-1]
        assert len(text.written) == len(text.tokens) - 3 and text.steps == len(text.written) + 1


def test_frames_and_traces_show_the_whole_text(tmp_path, sampler, tiny):
    tokenizer, name = make_tokenizer("bytes", [], 0), sampler.Settings.name
    words = tokenizer.vocabulary
    model = small(sampler, tiny, vocab_size=tokenizer.vocab_size)
    asked = [fill_request(tokenizer.encode("ab"), n, words, settings(name), index=n) for n in (37, 8, 30)]
    texts, seen, written = generate(model, sampler, asked, words, batch_size=2), [], []
    with TraceWriter(tmp_path / "t", name, asked, tokenizer, words) as writer:
        for which, frame in frames(model, sampler, asked, words, batch_size=2):
            writer.write(which, frame)
            seen.append((which, frame))
    last = {number: (frame, row) for which, frame in seen for row, number in enumerate(which)}
    for number, text in enumerate(texts):
        frame, row = last[number]
        assert tuple(frame.tokens[row][frame.valid[row]].tolist()) == text.tokens and frame.step[row] == text.steps
        assert bool(frame.committed[row][frame.valid[row]].all())
    trace = read_trace(tmp_path / "t")
    assert trace.whole and trace.texts() == [tokenizer.decode(text.tokens) for text in texts]
    for (_, told), (_, shown) in zip(trace.frames, seen, strict=True):
        size = shown.valid.shape[1]
        for field in ("step", "tokens", "committed", "valid"):
            ours, theirs = getattr(told, field), getattr(shown, field)
            assert torch.equal(ours[:, :size] if ours.ndim > 1 else ours, theirs), field
    for tick in ticks(model, sampler, asked, words, batch_size=2):
        written.append(sum(tick.written))
        assert bool((tick.state.done == tick.window.done).all())
    assert max(written) <= 37 + 30


def test_a_text_may_be_stopped_in_a_later_window(tmp_path, tiny):
    tokenizer = make_tokenizer("bytes", [], 0)
    words, sampler = tokenizer.vocabulary, SAMPLERS.get("confidence")()
    model = tiny(context=CONTEXT, vocab_size=tokenizer.vocab_size)
    asked = [fill_request([70], 40, words, settings("confidence"))]
    whole = list(frames(model, sampler, asked, words))
    with pytest.raises(KeyboardInterrupt), TraceWriter(tmp_path / "t", "confidence", asked, tokenizer, words) as writer:
        for place, (which, frame) in enumerate(frames(model, sampler, asked, words)):
            writer.write(which, frame)
            if place == 20:
                raise KeyboardInterrupt
    trace = read_trace(tmp_path / "t")
    assert not trace.whole and len(trace.frames) == 21
    shown = whole[20][1]
    assert torch.equal(trace.frames[-1][1].tokens[:, : shown.tokens.shape[1]], shown.tokens)


def test_a_stop_string_may_lie_across_a_border(sampler, tiny):
    model, name = small(sampler, tiny), sampler.Settings.name
    asked = [fill_request([5, 6 + i], 40, WORDS, settings(name), index=i) for i in range(3)]

    def decode(ids):
        return "".join(chr(ord("a") + i - 4) for i in ids if i > 3)

    whole = [decode(list(text.written)) for text in generate(model, sampler, asked, WORDS)]
    border = CONTEXT - 3
    stops = [[text[border - 2 : border + 2]] for text in whole]
    expected = [cut_at(text, stop) for text, stop in zip(whole, stops, strict=True)]
    for batch_size in (1, 3):
        assert generate_until(model, sampler, asked, stops, WORDS, decode, batch_size=batch_size) == expected
    assert max(map(len, expected)) < border


@over("pair", [pair for pair in PAIRS if pair.plain and pair.sizes in ((), (("output_shift", 1),))])
def test_every_network_and_process_write_two_and_a_half_contexts(pair):
    model = pair.network(max_position_embeddings=CONTEXT)
    for name in SAMPLERS:
        if drives(SAMPLERS.facts(name), pair.process):
            asked = [fill_request([5], 5 * CONTEXT // 2, VOCABULARY, settings(name), index=i) for i in range(2)]
            texts = generate(model, SAMPLERS.get(name)(), asked, VOCABULARY)
            assert [len(text.written) for text in texts] == [40, 40] and WORDS.mask not in texts[0].tokens


@pytest.mark.parametrize("given", WAYS)
def test_of_a_prompt_longer_than_the_context_the_end_is_seen(given):
    words, own = replace(WORDS, size=100), settings("autoregressive", **given)
    prompt = [*range(4, 34)]
    (text,) = generate(Counting(), SAMPLERS.get("autoregressive")(), [fill_request(prompt, 30, words, own)], words)
    assert list(text.written) == list(range(34, 64))
    assert text.tokens[1:31] == tuple(prompt)
    seen = seen_of(31, 30, own, CONTEXT)
    assert seen == 31 if given.get("beyond") == "stretch" else seen < CONTEXT
    assert seen_of(5, 400, own, CONTEXT) == 5


def test_what_cannot_go_on_says_so(tiny):
    model, sampler = tiny(context=CONTEXT), SAMPLERS.get("confidence")()
    with pytest.raises(Error, match="a canvas of 32 tokens with text behind what is written does not fit"):
        generate(model, sampler, [fill_request([5], 29, WORDS, suffix=[6])], WORDS)
    sinks = fill_request([5], 40, WORDS, settings("autoregressive", beyond="sinks"))
    heard = network("bytes", max_position_embeddings=CONTEXT)
    with pytest.raises(
        Error, match=f"beyond is sinks, and {type(heard).__name__} keeps no keys and values here .*; use reread"
    ):
        generate(heard, SAMPLERS.get("autoregressive")(), [sinks], WORDS)


def test_the_shell_writes_beyond_the_context_and_prints_the_object_alone(cli, run_folder):
    for process in ("causal", "masked"):
        run = run_folder(process)
        ran = cli("sample", run, "--max-tokens", "120", "-s", "ignore_eos=true", "--json")
        assert ran.status == 0 and json.loads(ran.out)["tokens"] == [120] and not ran.err
    ran = cli("sample", run, "--prompt", "the cat sat on the mat " * 20, "--max-tokens", "9", "--json")
    told = json.loads(ran.out)
    assert told["prompt_seen"] < told["prompt_tokens"] and f"{told['prompt_seen']} of them are in view" in ran.err


def test_a_long_text_is_streamed_as_it_is_sampled_and_its_progress_told(run_folder):
    for process in ("causal", "masked"):
        told, run = [], run_folder(process)
        asked = {"max_tokens": 100, "n": 2, "ignore_eos": True}
        texts = sample(run, "the", progress=told.append, **asked).texts
        last = {moment.number: moment for moment in stream(run, "the", **asked)}
        assert [last[number].text for number in (0, 1)] == texts and all(one.done for one in last.values())
        assert told[-1].done == told[-1].total == 200 and told[0].done < 10
