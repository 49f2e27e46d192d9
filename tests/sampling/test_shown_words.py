"""Where open positions show words that may be wrong, nothing takes them for decided, nor looks for masks."""

import math

import pytest
import torch

from guards.parts import VOCABULARY, network
from unmask.cli.canvas import render
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.options import UniformOptions
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Thought, ThoughtOptions
from unmask.diffusion.uniform import Uniform
from unmask.evaluation.denoising import denoising_profile
from unmask.evaluation.predictions import predict_corrupted
from unmask.pictures.timeline import timelines
from unmask.sampling import fill_request, frames
from unmask.sampling.properties import keywords
from unmask.sampling.steering import Steered
from unmask.sampling.trace import TraceWriter, read_trace
from unmask.sampling.uniform import UniformReverse

pytestmark = pytest.mark.strangers


class Decided:
    """A network that knows nothing while there is much noise, and then is sure of one word."""

    def __init__(self, size, word):
        self.size, self.word = size, word

    def __call__(self, state, at):
        logits = torch.zeros(int(at.sum()), self.size)
        logits[:, self.word] = torch.where(state.level[at] < 0.6, 30.0, 0.0)
        return Prediction(logits)


def test_a_word_that_stays_has_the_confidence_of_the_step_that_chose_it_for_good():
    requests = [fill_request((5,), 60, VOCABULARY, UniformReverse.Settings(steps=2))]
    model = Decided(VOCABULARY.size, 7)
    *_, (_, before), (_, last) = frames(model, UniformReverse(), requests, VOCABULARY)
    stayed = (before.tokens == 7) & ~before.committed & last.committed
    assert stayed.any() and (before.confidence[stayed] < 0.1).all()
    assert (last.confidence[last.committed] > 0.99).all()


def test_a_trace_tells_the_last_confidence_and_its_picture_the_words_on_the_way(tmp_path):
    tokenizer = make_tokenizer("bytes", [], 0)
    words = tokenizer.vocabulary
    a = tokenizer.encode("a")[0]
    requests = [fill_request(tokenizer.encode("T"), 500, words, UniformReverse.Settings(steps=2))]
    with TraceWriter(tmp_path / "t.jsonl", "uniform", requests, tokenizer, words) as writer:
        for which, frame in frames(Decided(words.size, a), UniformReverse(), requests, words):
            writer.write(which, frame)
    trace = read_trace(tmp_path / "t.jsonl")
    was, last = (trace.frames[i][1] for i in (-2, -1))
    assert ((was.tokens == a) & ~was.committed).any() and (last.confidence[last.committed] > 0.99).all()
    places = timelines(trace)[0].places
    guesses = [m for place in places for m in place.moments if m.kind == "guess"]
    assert guesses and all(m.frame == 1 for m in guesses)
    tokens, open_ = tokenizer.encode("ab"), [False, False]
    parts = render(tokens, open_, open_, [0.0, 0.0], lambda t: tokenizer.decode_bytes([t]), tokens)
    assert [text for text, _ in parts] == ["a", "b"]


def test_a_keyword_pulls_at_words_that_are_open():
    options = ThoughtOptions(shape=(2, 3, 4), passage=10, stack=2)
    model = network("transformer", thought=options.model_dump(mode="json"), time_input=True)
    tokens = torch.tensor([[1, 8, 5, 6, 9, 4]])
    level = torch.tensor([[0, 0, 0.7, 0.7, 0, 0.7]])
    cells = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1))
    thought = Thought(cells, torch.full((1, 6), 0.6), torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, dtype=torch.bool))
    state = State(tokens, t=torch.tensor([0.4]), level=level, thought=thought)
    at = level > 0
    steered = Steered(model, keywords([[10]], VOCABULARY.mask), 1.0, VOCABULARY.mask)
    assert not torch.allclose(steered(state, at=at).logits, model(state, at=at).logits)
    found = keywords([[5]], VOCABULARY.mask)(state, model(state, at=at))
    assert float(found.detach()) < math.log(3), "an open word was taken for one that the text says"


class Silent(torch.nn.Module):
    """A network that answers every word alike."""

    device = torch.device("cpu")

    def __init__(self, size):
        super().__init__()
        self.config = type("Config", (), {"max_position_embeddings": 64, "vocab_size": size})

    def forward(self, state, at):
        return Prediction(torch.zeros(int(at.sum()), self.config.vocab_size))


def test_what_is_restored_is_told_with_the_word_in_view():
    tokenizer = make_tokenizer("bytes", [], 0)
    process = Uniform(UniformOptions(given=0.0), tokenizer.vocabulary)
    found = predict_corrupted(
        Silent(tokenizer.vocab_size), process, tokenizer, ["a text of some length"] * 8, window=60
    )
    for level in denoising_profile(found).levels:  # who knows nothing copies, and is as sure as the noise is little
        if level.positions and level.name != "(0.9, 1]":
            assert level.accuracy == level.copy_accuracy
            assert level.nats < math.log(tokenizer.vocab_size)
    confidence = found.at(0).confidence
    assert (confidence > 0.89).all()
