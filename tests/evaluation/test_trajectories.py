"""A recorded run is the run itself: only answers are counted, and each number is what its name says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.passages import passages
from unmask.diffusion.thought import ThoughtOptions
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error
from unmask.evaluation.batches import batches, token_rows
from unmask.evaluation.thought_alignment import alignment
from unmask.evaluation.thought_measures import unit
from unmask.evaluation.thought_reading import read_documents
from unmask.evaluation.trajectories import OPEN, Trajectory, record
from unmask.evaluation.windows import cut_all
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import Ancestral, Vocabulary, fill_request, generate
from unmask.sampling.passages import read_passages

OPTIONS = ThoughtOptions(shape=(2, 3, 4), passage=16, stack=2)
VOCABULARY = Vocabulary()


@pytest.fixture(scope="module")
def thinker(byte_tokenizer):
    torch.manual_seed(0)
    config = TransformerConfig(
        vocab_size=byte_tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=48,
        initializer_range=0.3,
        thought=OPTIONS.model_dump(mode="json"),
    )
    return Transformer(config).eval()


def requests(count, steps=40):
    return [
        fill_request([], 11, VOCABULARY, Ancestral.Settings(steps=steps, ignore_eos=True), index=i)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def recorded(thinker, byte_tokenizer):
    return record(thinker, Ancestral(), requests(3), byte_tokenizer, VOCABULARY)


def test_recording_changes_no_text_and_batch_mates_no_trajectory(thinker, byte_tokenizer, recorded):
    written = generate(thinker, Ancestral(), requests(3), VOCABULARY)
    assert [each.text for each in recorded] == [byte_tokenizer.decode(sample.tokens) for sample in written]
    alone = record(thinker, Ancestral(), requests(3), byte_tokenizer, VOCABULARY, batch_size=1)
    for one, among in zip(alone, recorded, strict=True):
        assert (one.steps == among.steps).all() and one.texts == among.texts
        np.testing.assert_allclose(one.believed, among.believed, atol=1e-4)
        np.testing.assert_allclose(one.cells, among.cells, atol=1e-4)


def test_answers_are_the_steps_at_which_the_network_was_asked(thinker, recorded):
    """A thought goes on from answer to answer, so that every step until the text is finished asks."""
    written = generate(thinker, Ancestral(), requests(3), VOCABULARY)
    for each, sample in zip(recorded, written, strict=True):
        assert each.steps.tolist() == list(range(1, sample.forwards + 1)) and 11 < sample.forwards <= 40


def test_a_thought_goes_from_noise_to_the_last_belief_while_words_close(recorded):
    for each in recorded:
        closed, cleared = np.diff(each.open), np.diff(each.level)
        assert (closed <= 0).all() and each.open[-1] == 0 and (closed < 0).sum() >= 6, (
            "words close, one or more at a time"
        )
        assert (cleared[closed < 0] < 0).all(), "a thought gets clearer where words close"
        assert (cleared <= 1e-6).all() and each.level[-1] == 0 and each.level[0] <= 1
        beliefs = np.abs(np.diff(each.flat, axis=0)).max(1)
        assert (beliefs[1:][closed[:-1] < 0] > 0).all(), "the answer after words closed is another"
        np.testing.assert_allclose(each.cells[-1], each.believed[-1], atol=1e-5)
        assert each.to_end[-1] == pytest.approx(1)
        assert [text.count(OPEN) for text in each.texts] == [round(11 * share) for share in each.open]
        assert each.texts[-1] == each.text
    starts = np.concatenate([each.cells[0].ravel() for each in recorded])
    assert abs(starts.mean()) < 0.4 and 0.7 < starts.std() < 1.3  # 72 standard normals
    assert not np.allclose(recorded[0].cells[0], recorded[1].cells[0])


def test_the_read_thought_is_that_of_the_finished_text(thinker, recorded):
    written = generate(thinker, Ancestral(), requests(3), VOCABULARY)
    read = read_passages(thinker, [[sample.tokens] for sample in written], VOCABULARY).cells[:, 0].numpy()
    for each, own in zip(recorded, read, strict=True):
        np.testing.assert_allclose(each.read, own, atol=1e-5)
        cosine = each.flat[-1] @ own.ravel() / np.linalg.norm(each.flat[-1]) / np.linalg.norm(own)
        assert each.to_read[-1] == pytest.approx(cosine, abs=1e-5)


def made(steps):
    count = len(steps)
    believed = np.stack([np.full((2, 2), 3.0 * i + 1) * [[1, 1], [1, -1]] for i in range(count)])
    nothing = np.zeros(count)
    cells = np.zeros((count + 1, 2, 2))
    texts = tuple(str(step) for step in steps)
    return Trajectory(np.array(steps), nothing, nothing, cells, believed, believed[0], texts, "end", False)


def test_velocity_is_the_root_mean_square_of_the_change():
    each = made([1, 2, 5])
    assert np.isnan(each.velocity[0]) and each.velocity[1:] == pytest.approx([3.0, 3.0])
    assert each.moments()[0].velocity is None and each.to_end == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("every", "shown"), [(1, [1, 2, 3, 7, 8, 20]), (3, [1, 7, 20]), (4, [1, 7, 20]), (100, [1, 20])]
)
def test_moments_are_as_far_apart_as_asked_and_first_and_last_are_there(every, shown):
    assert [moment.step for moment in made([1, 2, 3, 7, 8, 20]).moments(every)] == shown


def test_a_distance_of_no_step_is_refused():
    with pytest.raises(Error, match="at least 1"):
        made([1, 2]).moments(0)


def test_a_network_without_thoughts_and_a_sampler_that_carries_none_are_refused(tiny, thinker, byte_tokenizer):
    with pytest.raises(Error, match="no thoughts"):
        record(tiny, Ancestral(), requests(1), byte_tokenizer, VOCABULARY)

    class Forgetful(Ancestral):
        def step(self, model, state):
            after, frame = super().step(model, state)
            return after, replace(frame, thought=None)

    with pytest.raises(Error, match="carries no thoughts"):
        record(thinker, Forgetful(), requests(1), byte_tokenizer, VOCABULARY)


def test_what_is_read_is_what_the_network_was_trained_to_read(thinker, byte_tokenizer):
    texts = ["the cat sat on the mat and the dog ran to th", "an owl is not a fox, so the hen may sleep at "]
    process = Thinking(Masked(MaskedOptions(), byte_tokenizer.vocabulary), OPTIONS)
    read = read_documents(thinker, process, byte_tokenizer, texts, window=46)
    assert read.cells.shape == (6, 6, 4) and read.reduced.shape == (6, 3, 4)
    assert sorted(read.document.tolist()) == [0, 0, 0, 1, 1, 1]
    assert sorted("".join(read.texts)) == sorted("".join(texts))
    rows = token_rows(cut_all(texts, 46), byte_tokenizer, 48, 46)
    ((_, batch),) = batches(rows, byte_tokenizer, 2)
    with torch.no_grad():
        thinker.train()
        answer = thinker(passages(batch, 16).reading)
        thinker.eval()
    told = answer.metrics
    error = np.square(read.rebuilt - read.cells).mean()
    assert float(told["thought_explained"]) == pytest.approx(1 - error, abs=1e-5)
    found = alignment(read.asks, read.words, read.document, among=6)
    assert float(told["thought_alignment"]) == pytest.approx(found.accuracy)
    score = torch.from_numpy(unit(read.asks) @ unit(read.words).T) / 0.2  # the temperature of the contrastive loss
    contrast = torch.nn.functional.cross_entropy(score, torch.arange(6))
    assert float(answer.losses["alignment"]) == pytest.approx(OPTIONS.weights.alignment * float(contrast), rel=1e-4)


def test_short_ends_are_not_read(thinker, byte_tokenizer):
    process = Thinking(Masked(MaskedOptions(), byte_tokenizer.vocabulary), OPTIONS)
    texts = ["the cat sat on the mat", "the dog ran home again"]  # 24 tokens: 16, and 8 of 16
    assert len(read_documents(thinker, process, byte_tokenizer, texts, window=46).texts) == 4
    texts = ["the cat sat on the m", "the dog ran home aga"]  # 16 and 6, and BOS before the second
    assert len(read_documents(thinker, process, byte_tokenizer, texts, window=46).texts) == 2
    with pytest.raises(Error, match="no thoughts"):
        read_documents(thinker, process.inner, byte_tokenizer, texts, window=46)
