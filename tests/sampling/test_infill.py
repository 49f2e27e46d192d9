import pytest
import torch

from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.sampling import Ancestral, Vocabulary, generate
from unmask.sampling.infill import (
    hand_over_space,
    hole_requests,
    hole_texts,
    layouts,
    parse_holes,
    parse_length,
    spaced_tokens,
)
from unmask.sampling.lengths import around_nats, posterior


def test_holes_are_runs_of_underscores_or_a_marker():
    assert parse_holes("the ____ sat on __.") == ["the ", " sat on ", "."]
    assert parse_holes("__init__ is a _name_", marker=None) == ["", "init", " is a _name_"]
    assert parse_holes("call __init__ with [] and []", marker="[]") == ["call __init__ with ", " and ", ""]
    for text, marker in (("no hole", None), ("____", "[]"), ("x", "")):
        with pytest.raises(Error, match="hole"):
            parse_holes(text, marker)


def test_lengths_are_numbers_or_ranges():
    assert parse_length(3) == (3, 3) and parse_length("4") == (4, 4) and parse_length(" 2 - 6 ") == (2, 6)
    for wrong in ("", "a", "0", "0-3", "5-2", "-1", "2-", 1.5):
        with pytest.raises(Error, match="hole length"):
            parse_length(wrong)


def test_every_combination_is_tried_until_there_are_too_many():
    assert layouts(2, 1, 2) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len(layouts(3, 1, 4)) == 64
    assert layouts(4, 2, 5) == [(2,) * 4, (3,) * 4, (4,) * 4, (5,) * 4]


class Knows:
    """Certain of one text of bytes."""

    def __init__(self, truth: list[int]) -> None:
        self.truth = truth

    def __call__(self, state, at=None):
        columns = at.nonzero()[:, 1].tolist()
        logits = torch.zeros(len(columns), 260)
        for i, column in enumerate(columns):
            logits[i, self.truth[column] if column < len(self.truth) else 4] = 12.0
        return Prediction(logits)


def test_holes_are_filled_at_the_given_lengths():
    tokenizer = make_tokenizer("bytes", [], 0)
    vocabulary = Vocabulary(spaced=spaced_tokens(tokenizer))
    model = Knows([vocabulary.bos, *tokenizer.encode("the cat sat on mats.")])
    pieces = parse_holes("the ____ sat on ____.")
    (asked,) = hole_requests(pieces, [(3, 4)], tokenizer, vocabulary, Ancestral.Settings(steps=4))
    (sample,) = generate(model, Ancestral(), [asked.request], vocabulary)
    assert tokenizer.decode(sample.tokens) == "the cat sat on mats."
    assert hole_texts(sample.tokens, asked, tokenizer) == ("cat", "mats")


def test_the_lengths_that_fit_the_words_around_are_the_likeliest():
    tokenizer = make_tokenizer("bytes", [], 0)
    vocabulary = Vocabulary(spaced=spaced_tokens(tokenizer))
    model = Knows([vocabulary.bos, *tokenizer.encode("the cat sat on mats.")])
    tried = layouts(2, 1, 5)
    each = hole_requests(parse_holes("the ____ sat on ____."), tried, tokenizer, vocabulary, Ancestral.Settings())
    p = posterior(around_nats(model, each, vocabulary, orders=1, batch_size=25))
    assert tried[p.index(max(p))] == (3, 4) and max(p) > 0.99


def test_a_word_tokenizer_writes_the_space_before_a_hole_as_part_of_the_word():
    tokenizer = make_tokenizer("bpe", ["the cat sat on the mat. "] * 50, 300)
    vocabulary = Vocabulary(spaced=spaced_tokens(tokenizer))
    assert hand_over_space("the ", vocabulary) == ("the", True)
    assert hand_over_space("un", vocabulary) == ("un", False)
    (asked,) = hole_requests(["the ", " on ", ""], [(1, 2)], tokenizer, vocabulary, Ancestral.Settings())
    given = tokenizer.encode("the") + [3] + tokenizer.encode(" on") + [3, 3]
    assert asked.request.tokens == (1, *given)
    assert asked.spans == ((2, 3), (4, 6)) and asked.request.lead == {2, 4}
    assert Vocabulary(spaced=spaced_tokens(make_tokenizer("bytes", [], 0))).spaced is None
    assert hand_over_space("the ", Vocabulary()) == ("the ", False)


def test_holes_side_by_side_keep_their_own_words():
    tokenizer = make_tokenizer("bytes", [], 0)
    model = Knows([1, *tokenizer.encode("abcd")])
    (asked,) = hole_requests(["a", "", "d"], [(1, 1)], tokenizer, Vocabulary(), Ancestral.Settings(steps=2))
    samples = generate(model, Ancestral(), [asked.request], Vocabulary())
    assert hole_texts(samples[0].tokens, asked, tokenizer) == ("b", "c")
