"""Thoughts kept, taken up again, blended, steered and multiplied, through the public functions."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import unmask
from thought_runs import LONG, PASSAGE, thought_run
from unmask.api import parallel
from unmask.api import steer as steering
from unmask.api.thought_run import opened, read_all, read_text
from unmask.errors import Error
from unmask.evaluation.closeness import closeness, word_overlap
from unmask.sampling.blend import mixed
from unmask.sampling.thought_file import read_thought

QUICK = {"steps": 3, "seed": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return unmask.load_run(thought_run(tmp_path_factory.mktemp("thoughts") / "run"))


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return unmask.load_run(thought_run(tmp_path_factory.mktemp("thoughts") / "causal", process="causal"))


@pytest.mark.parametrize("prompt", ["the cat", "the cat ", LONG, LONG.strip()])
def test_a_kept_thought_goes_on_as_the_text_would_have(run, tmp_path, prompt):
    whole = unmask.sample(run, prompt, max_tokens=20, n=2, **QUICK)
    kept = unmask.thoughts_save(run, prompt, tmp_path / "t.safetensors")
    found = unmask.thoughts_resume(run, tmp_path / "t.safetensors", max_tokens=20, n=2, **QUICK)
    for part in ("texts", "completions", "ended", "tokens", "steps", "forwards", "sampler", "settings"):
        assert getattr(found, part) == getattr(whole, part), part
    assert found.text == prompt and kept.text == prompt and kept.shape == [2, 2, 4]
    assert kept.passages == (kept.tokens + 1) // PASSAGE and kept.stack == min(2, kept.passages)


@pytest.mark.slow
def test_another_process_takes_the_thought_up(run, tmp_path, python):
    path = tmp_path / "t.safetensors"
    unmask.thoughts_save(run, LONG, path)
    here = unmask.sample(run, LONG, max_tokens=20, **QUICK)
    ran = python(
        "import json, unmask\n"
        f"found = unmask.thoughts_resume({str(run.path)!r}, {str(path)!r}, max_tokens=20, **{QUICK!r})\n"
        "print(json.dumps(found.to_dict()))"
    )
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["texts"] == here.texts


def test_left_to_right_a_thought_is_kept_too(causal, tmp_path):
    whole = unmask.sample(causal, LONG, max_tokens=14, seed=4)
    unmask.thoughts_save(causal, LONG, tmp_path / "t.safetensors")
    assert unmask.thoughts_resume(causal, tmp_path / "t.safetensors", max_tokens=14, seed=4).texts == whole.texts
    toward = unmask.thoughts_steer(causal, toward="the cat sat", n=2, directions=1, max_tokens=3, seed=4)
    assert [row.kind for row in toward.rows] == ["unsteered", "steered", "random"]


def test_texts_grow_beyond_the_context_thought_by_thought(run, tmp_path):
    first, path = tmp_path / "0.safetensors", tmp_path / "1.safetensors"
    unmask.thoughts_save(run, LONG, first)
    unmask.thoughts_resume(run, first, max_tokens=60, output=path, ignore_eos=True, **QUICK)
    found = unmask.thoughts_resume(run, path, max_tokens=60, output=path, ignore_eos=True, **QUICK)
    kept = read_thought(path).kept
    assert len(kept.tokens) > run.model().config.max_position_embeddings and len(kept.stack) == 2
    assert found.texts == [run.tokenizer.decode(kept.tokens)] and found.texts[0].startswith(LONG)


def test_a_kept_thought_holds_the_numbers_of_the_network_and_no_path(run, tmp_path):
    path = tmp_path / "t.safetensors"
    unmask.thoughts_save(run, LONG, path)
    mind = opened(run, None, {})
    assert torch.equal(load_file(path)["cells"], read_text(mind, LONG).cells)
    assert float(load_file(path)["cells"].square().mean()) == pytest.approx(1, abs=1e-3)
    assert str(tmp_path).encode() not in path.read_bytes()


def test_a_thought_of_another_run_is_refused(run, causal, tmp_path):
    path = tmp_path / "t.safetensors"
    unmask.thoughts_save(run, LONG, path)
    for other, why in (
        (thought_run(tmp_path / "weights", seed=1), "other weights"),
        (thought_run(tmp_path / "words", tokenizer="bytes"), "another tokenizer"),
        (thought_run(tmp_path / "shape", shape=[2, 2, 2]), "thought.shape"),
    ):
        with pytest.raises(Error, match=why):
            unmask.thoughts_resume(other, path)


def test_runs_without_thoughts_say_so(tiny_masked_run, tmp_path):
    for call in (
        lambda: unmask.thoughts_save(tiny_masked_run, "a", tmp_path / "t.safetensors"),
        lambda: unmask.thoughts_interpolate(tiny_masked_run, "a", "b"),
        lambda: unmask.thoughts_steer(tiny_masked_run, keywords=["a"]),
        lambda: unmask.thoughts_parallel(tiny_masked_run),
    ):
        with pytest.raises(Error, match="has no thoughts; train one that has"):
            call()


def test_the_way_between_two_texts_begins_at_one_and_ends_at_the_other(run, tmp_path):
    a, b = "the cat sat on the mat", "a red boat under the old bridge"
    path = tmp_path / "b.safetensors"
    unmask.thoughts_save(run, b, path)
    found = unmask.thoughts_interpolate(run, a, b, points=3, n=3, noise=0.2, **QUICK)
    assert [p.share for p in found.points] == [0.0, 0.5, 1.0] and found.random.share is None
    assert unmask.thoughts_interpolate(run, a, path, points=3, n=3, noise=0.2, **QUICK) == found
    back = unmask.thoughts_interpolate(run, b, a, points=3, n=3, noise=0.2, **QUICK)
    assert [p.texts for p in back.points[::2]] == [p.texts for p in found.points[::-2]]
    assert back.points[1].texts == found.points[1].texts, "the middle is the middle from both sides"
    assert back.points[0].to_a == found.points[2].to_b and back.random.texts == found.random.texts
    assert len({tuple(p.texts) for p in [*found.points, found.random]}) == 4, "another thought, other words"
    nothing = unmask.thoughts_interpolate(run, a, b, points=3, n=2, noise=1.0, **QUICK)
    assert len({tuple(p.texts) for p in [*nothing.points, nothing.random]}) == 1, "pure noise knows no way"


def test_closeness_is_that_of_texts_and_of_thoughts_read_again(run):
    mind = opened(run, None, {})
    a = read_text(mind, "the cat sat")
    same = closeness(["the cat sat"], read_all(mind, [a.tokens]), "the cat sat", a.cells)
    assert same.thought == pytest.approx(1, abs=1e-5) and same.words == 1 and same.topic is None
    nothing = closeness([""], read_all(mind, [(1,)]), "the cat sat", a.cells)
    assert (nothing.thought, nothing.words) == (0, 0)
    assert word_overlap("The cat, the DOG", "a dog") == pytest.approx(1 / 5)

    class Fixed:
        name, width = "fixed", 2

        def embed(self, texts):
            return np.array([[1, 0], [0, 1], [0.6, 0.8]][: len(texts)], dtype=np.float32)

    found = closeness(["x", "y"], torch.ones(2, 4, 4), "z", torch.ones(4, 4), Fixed())
    assert found.topic == pytest.approx(0.7)


def test_steered_texts_stand_beside_both_controls_and_share_their_noise(run):
    found = unmask.thoughts_steer(run, keywords=["cat", "dog"], strengths=[0.0, 1.0], n=4, directions=2, **QUICK)
    kinds = [("unsteered", 0.0), ("steered", 0.0), ("random", 0.0), ("steered", 1.0), ("random", 1.0)]
    assert [(r.kind, r.strength) for r in found.rows] == kinds
    plain, *rest = [r.texts for r in found.rows]
    assert rest[0] == rest[1] == plain, "no strength, no difference"
    assert rest[2] != plain and rest[3] != plain and rest[2] != rest[3]
    assert all(0 <= r.share <= 1 and r.judge is None and len(r.texts) == 4 for r in found.rows)
    assert found.property == "says cat or dog"


def test_the_random_control_deals_its_texts_to_as_many_directions_as_it_says(run):
    one = unmask.thoughts_steer(run, keywords=["cat"], n=3, directions=1, strengths=[1.0], **QUICK).rows[2].texts
    two = unmask.thoughts_steer(run, keywords=["cat"], n=3, directions=2, strengths=[1.0], **QUICK).rows[2].texts
    assert one[::2] == two[::2] and one[1] != two[1]


def test_the_share_counts_texts_that_have_the_property(run):
    found = unmask.thoughts_steer(run, keywords=["the cat"], prompt="a", n=6, strengths=[1.0], **QUICK)
    for row in found.rows:
        own = [text.removeprefix("a") for text in row.texts]
        assert row.share == sum("the cat" in " ".join(text.split()) for text in own) / 6 or row.share == 0
    assert steering._says(["a", "red", "boat"], ["red", "boat"]) and not steering._says(["a", "boat"], ["red", "boat"])
    whole = unmask.thoughts_steer(
        run, score=lambda s, a: a.thought.mean((1, 2)), has=lambda text: len(text) > 0, n=3, **QUICK
    )
    assert {row.share for row in whole.rows} == {1.0}


def test_a_text_has_the_property_of_thinking_like_another_if_its_thought_is_nearer(run):
    mind = opened(run, None, {})
    a, b, c = (read_text(mind, text) for text in ("the cat sat on the mat", "a red boat", "the old bridge"))
    _, nearer, name = steering._property(mind, (), "the cat sat on the mat", "a red boat", None, None, [])
    assert nearer(["", "", ""], [a.tokens, b.tokens, c.tokens])[:2] == [True, False]
    away = [(c.cells - end.cells).square().sum() for end in (a, b)]
    assert nearer([""], [c.tokens]) == [bool(away[0] < away[1])]
    assert "'the cat sat on the mat'" in name and "'a red boat'" in name
    _, nearer, _ = steering._property(mind, (), "the cat sat on the mat", None, None, None, [b.tokens, b.tokens])
    assert nearer(["", ""], [a.tokens, b.tokens]) == [True, False], "else away from what is written unsteered"


def test_a_judge_tells_what_steering_costs(run, tiny_run):
    found = unmask.thoughts_steer(run, keywords=["cat"], n=2, judge=tiny_run, max_tokens=6, **QUICK)
    assert all(row.judge is not None and 1 < row.judge < 20 for row in found.rows)


@pytest.mark.parametrize("by", ["bound", "confidence"])
@pytest.mark.parametrize("prompt", ["", LONG])
def test_of_several_hypotheses_the_best_is_kept_beside_what_one_is_worth(run, by, prompt):
    found = unmask.thoughts_parallel(run, prompt, hypotheses=3, by=by, draws=4, ignore_eos=True, **QUICK)
    scores = [one.score for one in found.hypotheses]
    assert found.text == found.hypotheses[found.best].text and scores[found.best] == max(scores)
    assert found.mean == pytest.approx(sum(scores) / 3) and found.blended is None
    assert len({one.text for one in found.hypotheses}) == 3
    assert all(one.text == prompt + one.completion for one in found.hypotheses)
    assert sum(one.weight for one in found.hypotheses) == pytest.approx(1)
    alone = unmask.thoughts_parallel(run, prompt, hypotheses=3, by=by, draws=4, batch_size=1, ignore_eos=True, **QUICK)
    assert [one.text for one in alone.hypotheses] == [one.text for one in found.hypotheses]
    assert [one.score for one in alone.hypotheses] == pytest.approx(scores, rel=1e-4)
    logs = [math.log(one.weight) for one in found.hypotheses]
    assert [10 * (s - scores[0]) for s in scores] == pytest.approx([w - logs[0] for w in logs], abs=1e-3)


def test_hypotheses_are_what_sample_writes(run):
    found = unmask.thoughts_parallel(run, "the cat", hypotheses=2, draws=1, max_tokens=5, **QUICK)
    assert [h.text for h in found.hypotheses] == unmask.sample(run, "the cat", max_tokens=5, n=2, **QUICK).texts


def test_a_blend_is_written_from_the_thoughts_and_with_all_weight_on_one_from_that_one(run, monkeypatch):
    """What it is written from is asked, and not the words: near thoughts may say the same."""
    read, begun, own, from_ = parallel.read_all, parallel.begun, [], []
    monkeypatch.setattr(parallel, "read_all", lambda *texts: own.append(read(*texts)) or own[-1])
    monkeypatch.setattr(parallel, "begun", lambda to, clean, *rest: from_.append(clean) or begun(to, clean, *rest))
    asked = {"hypotheses": 3, "draws": 2, "noise": 0.1, "ignore_eos": True, **QUICK}
    even = unmask.thoughts_parallel(run, LONG, blend=True, sharpness=0.0, **asked)
    sharp = unmask.thoughts_parallel(run, LONG, blend=True, sharpness=1e6, **asked)
    assert even.text == even.blended.text and even.text.startswith(LONG)
    assert [h.weight for h in even.hypotheses] == pytest.approx([1 / 3] * 3)
    assert sharp.hypotheses[sharp.best].weight == pytest.approx(1)
    assert [h.text for h in even.hypotheses] == [h.text for h in sharp.hypotheses]
    mean, one = from_
    torch.testing.assert_close(mean, mixed(own[0], torch.full((3,), 1 / 3)))
    torch.testing.assert_close(one, mixed(own[1], torch.eye(3)[sharp.best]))
    assert (mean - one).abs().max() > 0.01


@pytest.mark.parametrize(
    "call, why",
    [
        (lambda run, to: unmask.thoughts_save(run, "", to / "t.safetensors"), "no text"),
        (lambda run, to: unmask.thoughts_save(run, "a", to / "t.thought"), "NAME.safetensors"),
        (lambda run, to: unmask.thoughts_resume(run, to / "none.safetensors"), "there is no thought"),
        (lambda run, to: unmask.thoughts_resume(run, to / "none.safetensors", n=0), "n is 0"),
        (lambda run, to: unmask.thoughts_resume(run, "x", n=2, output=to / "t.safetensors"), "keeps one thought"),
        (lambda run, to: unmask.thoughts_interpolate(run, "a", "b", points=1), "points is 1"),
        (lambda run, to: unmask.thoughts_interpolate(run, "a", "b", noise=2), "noise is 2"),
        (lambda run, to: unmask.thoughts_interpolate(run, "a", "", n=1), "no text"),
        (lambda run, to: unmask.thoughts_interpolate(run, "a", "b", max_tokens=40), "one passage of 12"),
        (lambda run, to: unmask.thoughts_interpolate(run, "a", to / "none.safetensors"), "there is no thought"),
        (lambda run, to: unmask.thoughts_steer(run), "one property"),
        (lambda run, to: unmask.thoughts_steer(run, keywords=["a"], toward="b"), "one property"),
        (lambda run, to: unmask.thoughts_steer(run, keywords=["a"], away="b"), "with --toward"),
        (lambda run, to: unmask.thoughts_steer(run, keywords=["a", " "]), "keyword is empty"),
        (lambda run, to: unmask.thoughts_steer(run, score=lambda s, a: a), "needs has"),
        (lambda run, to: unmask.thoughts_steer(run, keywords=["a"], strengths=[-1]), "strength is -1"),
        (lambda run, to: unmask.thoughts_steer(run, toward="a", away="a"), "same thought"),
        (lambda run, to: unmask.thoughts_parallel(run, hypotheses=1), "hypotheses is 1"),
        (lambda run, to: unmask.thoughts_parallel(run, by="luck"), "Choose from bound, confidence"),
        (lambda run, to: unmask.thoughts_parallel(run, sharpness=-1), "sharpness is -1"),
        (lambda run, to: unmask.thoughts_parallel(run, "the cat", max_tokens=30), "room for 1 to"),
    ],
)
def test_a_mistake_is_answered_in_one_line(run, tmp_path, call, why):
    with pytest.raises(Error, match=why) as refused:
        call(run, tmp_path)
    assert "\n" not in str(refused.value)
