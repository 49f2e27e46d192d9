"""What has collapsed is written again by a causal run, passage by passage; what has not, and what was given, stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unmask
from thought_runs import LONG, PASSAGE, thought_run
from unmask.api import fallback
from unmask.api.fallback import mended, pieces
from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.training.run import Run

BYTES = make_tokenizer("bytes", [], 260)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return thought_run(tmp_path_factory.mktemp("fallback") / "run", tokenizer="bytes")


@given(st.integers(2, 60), st.integers(1, 59), st.integers(0, 20), st.sampled_from([None, 5, 12, 100]))
def test_the_pieces_are_what_was_written_cut_at_passages(length, given_, behind, size):
    given_ = min(given_, length)
    behind = min(behind, length - given_)
    spans = pieces(range(length), given_, behind, size)
    assert [p for _, a, b in spans for p in range(a, b)] == list(range(given_, length - behind))
    assert all(size is None or a // size == (b - 1) // size == passage for passage, a, b in spans)


def test_only_the_passage_that_has_collapsed_is_written_again(tiny_run):
    text = "The old hen went to the bri" + "aaaaaaaaaaaaaaaaaaaaaa" + "dge, where a red fox sang."
    tokens = [1, *BYTES.encode(text)]
    asked = []

    def write(other, before, count, seed):
        asked.append((before, count, seed))
        return "नमस्ते"

    spans = [(0, 5, 28), (1, 28, 50), (2, 50, len(tokens) - 4)]
    found = mended(tokens, spans, BYTES, Run.open(tiny_run), write, 7)
    assert found.passages == [1] and found.text == text.replace("a" * 22, "नमस्ते")
    assert asked == [(text[2:27], 22, 7)], "as much of the text before as fits into a context of 48 with BOS"


def test_nothing_is_written_again_where_nothing_has_collapsed(run, tiny_run, monkeypatch):
    monkeypatch.setattr(fallback, "collapse", lambda text: None)
    plain = unmask.sample(run, "the cat", max_tokens=40, n=2, steps=4)
    found = unmask.sample(run, "the cat", max_tokens=40, n=2, steps=4, fallback=tiny_run)
    assert found.texts == plain.texts and found.rewritten == [[], []] and plain.rewritten is None


def test_given_words_and_sound_passages_outlive_the_fallback(run, tiny_run, monkeypatch):
    checked = []

    def second(text):
        checked.append(text)
        return "it repeats" if len(checked) % 3 == 2 else None

    monkeypatch.setattr(fallback, "collapse", second)
    prompt, suffix = LONG[:20], " the end."
    plain = unmask.sample(run, prompt, suffix=suffix, max_tokens=3 * PASSAGE - 9, n=2, steps=4)
    found = unmask.sample(run, prompt, suffix=suffix, max_tokens=3 * PASSAGE - 9, n=2, steps=4, fallback=tiny_run)
    assert found.rewritten == [[2], [2]] and len(checked) == 6
    for before, after in zip(plain.texts, found.texts, strict=True):
        assert after != before and after.startswith(prompt) and after.endswith(suffix)
    again = unmask.sample(run, prompt, suffix=suffix, max_tokens=3 * PASSAGE - 9, n=2, steps=4, fallback=tiny_run)
    assert again.texts == found.texts


def test_a_sampler_that_repeats_itself_is_caught_on_the_command_line(cli, tiny_masked_run, tiny_run):
    asked = ("sample", tiny_masked_run, "--prompt", "The ", "--max-tokens", 36, "--temperature", 0, "--steps", 1)
    ran = cli(*asked, "-s", "ignore_eos=true", "--fallback", tiny_run, "--json")
    found = json.loads(ran.out)
    assert ran.status == 0 and found["rewritten"] == [[0]], found
    assert found["texts"][0].startswith("The ") and len(found["texts"][0]) > 20
    assert "text 1: the fallback wrote passage 1 again" in ran.err


def test_a_fallback_writes_left_to_right(run):
    with pytest.raises(Error, match="does not write left to right"):
        unmask.sample(run, "the cat", max_tokens=4, fallback=run)
