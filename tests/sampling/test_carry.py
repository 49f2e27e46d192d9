"""Candidates are carried from step to step, shown in frames, kept in traces, and gone where a word is decided."""

import io

import pytest
import torch
from rich.console import Console

from unmask.cli.canvas import Canvas
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.process import PROCESSES
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS, Vocabulary, drives, fill_request, generate, ticks
from unmask.sampling.state import rows, stack
from unmask.sampling.trace import TraceWriter, read_trace

VOCABULARY = Vocabulary()
SAMPLERS_OF_MASKS = [name for name in SAMPLERS if drives(SAMPLERS.facts(name), PROCESSES.get("sparse"))]


@pytest.fixture(params=["pooled", "full"])
def model(request):
    torch.manual_seed(0)
    sizes = {"vocab_size": 260, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = TransformerConfig(**sizes, initializer_range=0.3, candidate_input=request.param, candidates=3)
    return Transformer(config).eval()


def requests(name="confidence", **settings):
    wanted = {"steps": 6, "remask_strength": 0.5, "ignore_eos": True}
    given = {k: v for k, v in wanted.items() if k in SAMPLERS.facts(name).model_fields}
    return [fill_request([70], 8, VOCABULARY, SAMPLERS.facts(name)(**given, **settings), index=i) for i in range(3)]


@pytest.mark.parametrize("name", SAMPLERS_OF_MASKS)
def test_open_positions_carry_the_models_last_answer_and_decided_ones_nothing(model, name):
    answers = []

    def spy(state, at):
        answer = model(state, at=at)
        answers.append((state, at, answer.logits))
        return answer

    spy.config = model.config
    seen = 0
    for tick in ticks(spy, SAMPLERS.get(name)(), requests(name), VOCABULARY, batch_size=1):
        given = tick.frame.candidates
        if given is None:
            continue
        state = tick.state
        assert (given.mass[~state.open] == 0).all()
        view, at, logits = answers[-1]
        logits = logits.index_fill(1, torch.tensor([VOCABULARY.mask]), -torch.inf).float().softmax(-1)
        still = state.open & at
        for place in still.nonzero().tolist():
            row, column = place
            p = logits[int(at[row, :column].sum())]
            assert torch.allclose(given.mass[row, column], p.topk(3).values, atol=1e-6)
            seen += 1
        assert view.candidates is None or (view.candidates.mass[view.tokens != VOCABULARY.mask] == 0).all()
    assert seen > 5


@pytest.mark.parametrize("name", SAMPLERS_OF_MASKS)
def test_a_request_may_carry_fewer_candidates_or_none_beside_others(model, name):
    sampler = SAMPLERS.get(name)()
    asked = [requests(name, candidates=k)[0] for k in (None, 0, 1, 3)]
    together = generate(model, sampler, asked, VOCABULARY)
    alone = [generate(model, sampler, [request], VOCABULARY)[0] for request in asked]
    assert [s.tokens for s in together] == [s.tokens for s in alone]
    assert together[0].tokens == together[3].tokens, "None is as many as the model was trained with"
    assert len({s.tokens for s in together}) > 1, "candidates change what is written"


def test_states_with_and_without_candidates_stack(model):
    sampler = SAMPLERS.get("confidence")()
    fresh = sampler.start(requests()[:1], VOCABULARY)
    stepped, _ = sampler.step(model, sampler.start(requests()[1:2], VOCABULARY))
    both = stack([fresh, stepped])
    assert (both.candidates.mass[0] == 0).all() and torch.equal(both.candidates.mass[1], stepped.candidates.mass[0])
    assert torch.equal(rows(both, [1]).candidates.mass, stepped.candidates.mass)


def test_a_trace_keeps_candidates_and_the_terminal_shows_the_likeliest(model, tmp_path):
    tokenizer = make_tokenizer("bytes", [], 0)
    asked = requests()
    frames = []
    with TraceWriter(tmp_path / "t.jsonl", "confidence", asked, tokenizer, VOCABULARY) as trace:
        for tick in ticks(model, SAMPLERS.get("confidence")(), asked, VOCABULARY):
            trace.write(tick.which, tick.frame)
            frames.append((tick.which, tick.frame))
    played = read_trace(tmp_path / "t.jsonl")
    assert played.whole and len(played.frames) == len(frames)
    for (_, old), (_, new) in zip(frames, played.frames, strict=True):
        if old.candidates is None or not bool(old.candidates.mass.any()):
            assert new.candidates is None
            continue
        best, again = old.candidates.mass.amax(-1), new.candidates.mass.amax(-1)
        assert torch.allclose(best[:, : again.shape[1]], again, atol=1e-4)
    which, frame = frames[1]
    place = int((frame.candidates.mass[0].amax(-1) > 0).nonzero()[0])
    word = int(frame.candidates.tokens[0, place, frame.candidates.mass[0, place].argmax()])
    out = io.StringIO()
    with Canvas(Console(file=out, width=200), lambda token: f"<{token}>".encode()) as canvas:
        canvas.show(which, frame)
    assert f"<{word}>" in out.getvalue()
