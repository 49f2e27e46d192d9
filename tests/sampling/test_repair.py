"""What a verifier finds unlikely is written again; nothing else changes."""

import pytest
import torch

from guards.parts import VOCABULARY
from unmask.errors import Error
from unmask.sampling import SAMPLERS, fill_request, generate, ticks
from unmask.sampling.block import Blocks
from unmask.sampling.checks import ACCEPTED, REWRITTEN, SKIPPED
from unmask.sampling.repair import Repair
from unmask.sampling.verifier_settings import RepairSettings

WRITERS = {
    "ancestral": {"steps": 5},
    "confidence": {"steps": 5},
    "entropy-bound": {"entropy_budget": 0.5},
    "remasking": {"steps": 6, "remask_strength": 0.3},
    "block": {"rule": "confidence", "block_size": 4, "steps": 2},
    "block of remasking": {"rule": "remasking", "block_size": 4, "steps": 3, "remask_strength": 0.3},
}
HOW = RepairSettings(span=3, suspect=0.6, unlikely=0.0, rounds=2)


@pytest.fixture(params=list(WRITERS))
def writer(request):
    """A sampler, and requests for it."""
    name = request.param.split(" ")[0]
    sampler, settings = SAMPLERS.get(name)(), SAMPLERS.facts(name)(**WRITERS[request.param], ignore_eos=True)
    suffix = () if name == "block" else (7, 9)
    asked = [
        fill_request(tuple(range(5, 6 + i)), 11 + i, VOCABULARY, settings.but(seed=i), suffix=suffix, index=i)
        for i in range(4)
    ]
    return sampler, asked


def test_only_rewritten_words_differ_from_what_the_writer_writes_alone(tiny, writer):
    sampler, asked = writer
    model, verifier = tiny(), tiny(seed=1)
    alone = generate(model, sampler, asked, VOCABULARY)
    changed = 0
    for one, other in zip(generate(model, Repair(sampler, verifier, HOW), asked, VOCABULARY), alone, strict=True):
        assert len(one.tokens) == len(other.tokens)
        for mine, theirs, verdict in zip(one.tokens, other.tokens, one.checked.verdicts, strict=True):
            assert mine == theirs or verdict == REWRITTEN
            changed += mine != theirs
        assert {ACCEPTED, REWRITTEN, SKIPPED} & set(one.checked.verdicts)
    assert changed


def test_a_verifier_that_suspects_nothing_is_never_asked(tiny, writer):
    sampler, asked = writer
    alone = generate(tiny(), sampler, asked, VOCABULARY)
    found = generate(tiny(), Repair(sampler, None, RepairSettings(suspect=0.0)), asked, VOCABULARY)
    assert [s.tokens for s in found] == [s.tokens for s in alone]
    assert all(s.checked.calls == s.checked.read == 0 and set(s.checked.verdicts) == {0, SKIPPED} for s in found)


def test_a_text_depends_on_no_batch_mate(tiny, writer):
    sampler, asked = writer
    repair = Repair(sampler, tiny(seed=1), HOW)
    alone = [generate(tiny(), repair, [r], VOCABULARY)[0] for r in asked]
    together = generate(tiny(), repair, asked, VOCABULARY, batch_size=3)
    assert [(s.tokens, s.checked) for s in together] == [(s.tokens, s.checked) for s in alone]


def test_words_are_written_again_no_more_often_than_there_are_rounds(tiny, writer):
    sampler, asked = writer
    strict = RepairSettings(span=2, suspect=1.0, unlikely=0.0, rounds=3)
    times = [0] * len(asked)
    for tick in ticks(tiny(), Repair(sampler, tiny(seed=1), strict), asked, VOCABULARY):
        for row, number in enumerate(tick.which):
            assert int(tick.window.checks.round.number[row]) <= 3
            times[number] = max(times[number], int(tick.window.checks.calls[row]))
    assert max(times) == 3 and min(times) >= 1


def test_the_verifier_reads_up_to_the_last_suspect_span_and_later_from_what_changed(tiny):
    sampler, settings = SAMPLERS.get("confidence")(), SAMPLERS.facts("confidence")(steps=4, ignore_eos=True)
    (request,) = [fill_request((5, 6, 7), 24, VOCABULARY, settings)]
    half = RepairSettings(span=4, suspect=0.2, unlikely=0.0, rounds=2)
    for tick in ticks(tiny(), Repair(sampler, tiny(seed=1), half), [request], VOCABULARY):
        checks = tick.window.checks
        if int(checks.calls[0]) == 1 and int(checks.round.number[0]) == 1 and int(tick.window.open.sum()):
            read = (checks.places.verdict[0] == ACCEPTED) | (checks.places.verdict[0] == REWRITTEN)
            assert int(checks.read[0]) == int(read.nonzero()[-1, 0]) + 1
            first = int(checks.places.again[0].nonzero()[0, 0])
            assert int(checks.cache.lengths[0]) <= first, "what was read behind it was read with the old word"


def test_texts_end_where_the_writer_ended_them(tiny):
    sampler, settings = SAMPLERS.get("ancestral")(), SAMPLERS.facts("ancestral")(steps=6)
    asked = [fill_request((5,), 30, VOCABULARY, settings, index=i) for i in range(12)]
    alone = generate(tiny(), sampler, asked, VOCABULARY)
    found = generate(tiny(), Repair(sampler, tiny(seed=1), HOW), asked, VOCABULARY)
    assert [len(s.tokens) for s in found] == [len(s.tokens) for s in alone]
    assert any(s.ended for s in alone) and [s.ended for s in found] == [s.ended for s in alone]


def test_a_block_run_repairs_with_a_cache_as_without(tiny):
    settings = SAMPLERS.facts("block")(rule="confidence", block_size=4, steps=2, ignore_eos=True)
    asked = [fill_request((5, 6), 18 + i, VOCABULARY, settings, index=i) for i in range(3)]
    texts = [
        [s.tokens for s in generate(tiny(), Repair(Blocks(use_cache=use), tiny(), HOW), asked, VOCABULARY)]
        for use in (True, False)
    ]
    assert texts[0] == texts[1]


def test_the_surprise_of_the_verifiers_own_words_is_nothing_on_the_mean():
    from unmask.sampling.repair import _surprise
    from unmask.sampling.state import begin

    logits = torch.randn(1, 23, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(23, -1)
    state = begin([fill_request((5,), 2, VOCABULARY)], VOCABULARY)
    special = [VOCABULARY.mask, VOCABULARY.bos, VOCABULARY.pad]
    p = logits[0].index_fill(0, torch.tensor(special), -torch.inf).softmax(-1)
    words = [i for i in range(23) if i not in special]
    surprise = _surprise(state, logits[: len(words)], torch.tensor(words))
    assert float((p[words] * surprise).sum()) == pytest.approx(0, abs=1e-12)


def test_what_shows_words_cannot_be_opened_again():
    with pytest.raises(Error, match="opens words again"):
        Repair(SAMPLERS.get("uniform")(), None).start([fill_request((5,), 3, VOCABULARY)], VOCABULARY)
