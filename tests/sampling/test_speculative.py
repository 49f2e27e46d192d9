"""Drafts that a verifier reads: with a cache and without, alone and together, and, greedily, whoever drafts."""

import pytest
import torch

from guards.parts import VOCABULARY
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import Autoregressive, fill_request, frames, generate, rows, split, stack
from unmask.sampling.checks import ACCEPTED, ADDED, REWRITTEN
from unmask.sampling.drafters import Copies, Drawn
from unmask.sampling.speculative import Speculative
from unmask.sampling.trace import TraceWriter, read_trace
from unmask.sampling.until import cut_at, generate_until
from unmask.sampling.verifier_settings import SpeculativeSettings


class Alphabet:
    """Says the next letter, whatever stands before, and an end after the last one; keeps nothing."""

    def __init__(self, last=22):
        self.last = last
        self.asked = []

    def __call__(self, state, at):
        before = state.tokens.roll(1, 1)
        after = torch.where(before >= self.last, VOCABULARY.eos, before.clamp(min=4) + 1)
        self.asked.append(int(at.sum()))
        return Prediction(torch.nn.functional.one_hot(after[at], 23).double() * 80)


@pytest.fixture(params=["copies", "own", "block", "bidirectional", "causal"])
def drafter(request, tiny):
    made = {"copies": Copies(), "own": Drawn(None, "block")}
    return made.get(request.param) or Drawn(tiny(seed=1), request.param)


def asked(count=5, **settings):
    own = {"span": 3, **settings}
    return [
        fill_request(tuple(range(5, 6 + 2 * i)), 9 + 3 * i, VOCABULARY, SpeculativeSettings(seed=i, **own), index=i)
        for i in range(count)
    ]


def test_the_most_probable_text_is_the_verifiers_whoever_drafts(tiny, drafter):
    model = tiny()
    cold = asked(temperature=0.0)
    plain = generate(model, Autoregressive(), [_plain(r) for r in cold], VOCABULARY)
    found = generate(model, Speculative(drafter), cold, VOCABULARY)
    assert [s.tokens for s in found] == [s.tokens for s in plain]
    for one, other in zip(found, plain, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)


def _plain(request):
    return type(request)(
        request.tokens, Autoregressive.Settings(temperature=0.0, seed=request.settings.seed), request.index
    )


def test_a_text_depends_on_no_batch_mate_and_no_cache(tiny, drafter):
    model, requests = tiny(), asked(ignore_eos=True)
    alone = [generate(model, Speculative(drafter), [r], VOCABULARY)[0] for r in requests]
    together = generate(model, Speculative(drafter), requests, VOCABULARY, batch_size=3)
    assert [(s.tokens, s.checked) for s in together] == [(s.tokens, s.checked) for s in alone]
    without = generate(model, Speculative(drafter, use_cache=False), requests, VOCABULARY)
    assert [s.tokens for s in without] == [s.tokens for s in alone]
    assert len({s.tokens for s in alone}) > 1


def test_rows_leave_and_come_back_between_steps(tiny, drafter):
    model, sampler, requests = tiny(), Speculative(drafter), asked(4, ignore_eos=True)
    alone = [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in requests]
    state = sampler.start(requests[:2], VOCABULARY)
    state, _ = sampler.step(model, state)
    state = stack([state, sampler.start(requests[2:], VOCABULARY)])
    while not bool(state.done.all()):
        state, _ = sampler.step(model, state)
        state = rows(stack(split(state)), [0, 1, 2, 3])
    assert [tuple(row.tokens[row.valid].tolist()) for row in split(state)] == alone


def test_every_word_has_a_verdict_and_calls_are_counted(tiny, drafter):
    for sample in generate(tiny(), Speculative(drafter), asked(ignore_eos=True), VOCABULARY):
        told = sample.checked
        given = len(sample.tokens) - len(sample.written)
        assert told.calls == sample.steps and told.verdicts[:given] == (0,) * given
        assert set(told.verdicts[given:]) <= {ACCEPTED, REWRITTEN, ADDED}
        assert told.verdicts.count(REWRITTEN) + told.verdicts.count(ADDED) <= told.calls
        assert told.verdicts.count(ACCEPTED) <= told.proposed
        spans = told.spans
        assert sum(end - first for _, first, end in spans) == len(sample.written)


def test_what_has_stood_before_is_copied_and_kept_as_far_as_it_holds():
    """The text counts up, and so does what followed the same word before."""
    model = Alphabet()
    prompt = (5, 6, 7, 8, 9, 10, 5)
    own = SpeculativeSettings(span=4, temperature=0.0)
    (sample,) = generate(model, Speculative(), [fill_request(prompt, 5, VOCABULARY, own)], VOCABULARY)
    assert sample.written == (6, 7, 8, 9, 10) and sample.forwards == 1 and sample.checked.proposed == 4
    assert sample.checked.verdicts[-5:] == (ACCEPTED,) * 4 + (ADDED,)
    (sample,) = generate(model, Speculative(), [fill_request((5, 6, 7, 9, 10, 6), 3, VOCABULARY, own)], VOCABULARY)
    assert sample.written == (7, 8, 9)
    assert sample.checked.verdicts[-3:] == (ACCEPTED, REWRITTEN, ADDED), "7 is right, 9 is not, and 8 is new"


def test_an_end_inside_a_draft_ends_the_text_and_nothing_stands_behind():
    model = Alphabet(last=8)
    own = SpeculativeSettings(span=6, temperature=0.0)
    (sample,) = generate(
        model, Speculative(Drawn(model, "causal")), [fill_request((5,), 12, VOCABULARY, own)], VOCABULARY
    )
    assert sample.ended and sample.written == (6, 7, 8) and sample.tokens[-1] == VOCABULARY.eos
    assert sample.checked.calls == 1 and len(sample.checked.verdicts) == len(sample.tokens)


def test_a_row_leaves_at_a_stop_string_inside_an_accepted_span():
    model = Alphabet()
    own = SpeculativeSettings(span=6, temperature=0.0)
    decode = lambda ids: "".join(chr(ord("a") + i - 4) for i in ids if i > 3)  # noqa: E731
    request = fill_request((5,), 17, VOCABULARY, own)
    sampler = Speculative(Drawn(model, "causal"))
    whole = decode(list(generate(model, sampler, [request], VOCABULARY)[0].written))
    before = len(model.asked)
    (text,) = generate_until(model, sampler, [request], [[whole[3]]], VOCABULARY, decode)
    assert text == cut_at(whole, [whole[3]]) == whole[:3]
    assert len(model.asked) - before == 7, "one draft of six words, and one call that reads it"


def test_texts_longer_than_the_context_are_counted_whole(tiny):
    model = tiny(context=16)
    own = SpeculativeSettings(span=3, ignore_eos=True)
    (sample,) = generate(model, Speculative(), [fill_request((5, 6), 60, VOCABULARY, own)], VOCABULARY)
    assert len(sample.written) == 60 and len(sample.checked.verdicts) == len(sample.tokens)
    assert sample.checked.calls == sample.steps == sum(v in (REWRITTEN, ADDED) for v in sample.checked.verdicts)


def test_frames_and_traces_tell_the_verdicts(tiny, tmp_path):
    byte_tokenizer = make_tokenizer("bytes", [], 0)
    words = byte_tokenizer.vocabulary
    own = SpeculativeSettings(span=4, ignore_eos=True)
    requests = [fill_request((70, 71, 70), 12, words, own, index=i) for i in range(2)]
    with TraceWriter(tmp_path / "t.jsonl", "speculative", requests, byte_tokenizer, words) as writer:
        shown = []
        for which, frame in frames(tiny(vocab_size=260), Speculative(), requests, words):
            writer.write(which, frame)
            shown.append(frame)
    read = read_trace(tmp_path / "t.jsonl")
    for (_, frame), own in zip(read.frames, shown, strict=True):
        assert torch.equal(frame.verdict, own.verdict)
    assert set(shown[-1].verdict[0].tolist()) >= {0, ADDED}


def test_given_words_behind_open_ones_are_refused():
    with pytest.raises(Error, match="writes left to right"):
        Speculative().start([fill_request((5,), 3, VOCABULARY, suffix=(7,))], VOCABULARY)
