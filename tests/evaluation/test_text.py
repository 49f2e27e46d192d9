"""Text measures catch a collapsed generator, read every script, and compare at equal size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.evaluation.judge import NgramJudge, byte_model_bits, refuse_biased_judge
from unmask.evaluation.text import first_words, real_like, shuffled_words, text_quality, words

REAL = [
    "The old lighthouse keeper climbed the stairs each evening and lit the lamp before the ships came home.",
    "A boat with red sails passed the rocks, and its captain waved at the small bright window above.",
]


def test_words_keep_their_marks_in_every_script() -> None:
    assert words("यह हिन्दी है।") == ["यह", "हिन्दी", "है", "।"]
    assert words("क्\u200dष Don't stop-now café") == ["क्\u200dष", "don't", "stop", "-", "now", "café"]


def test_a_collapsed_text_shows_in_every_measure() -> None:
    texts = ["they " * 18, "they " * 19]
    collapsed, real = text_quality(texts), text_quality(real_like(texts, REAL))
    assert collapsed.words == pytest.approx(real.words, abs=1)
    assert collapsed.distinct_1 < 0.1 < 0.5 < real.distinct_1
    assert collapsed.distinct_2 < 0.1 < 0.9 < real.distinct_2
    assert collapsed.repeated_4 > 0.9 and real.repeated_4 == 0
    assert collapsed.entropy == 0 and real.entropy > 4


def test_a_judge_alone_is_pleased_by_collapse_and_not_by_shuffling() -> None:
    judge = NgramJudge(ByteNgram(5).fit([text.encode() for text in REAL * 3]))
    real, shuffled = judge.bits(REAL), judge.bits(shuffled_words(REAL, seed=1))
    assert shuffled > 1.3 * real
    assert text_quality(shuffled_words(REAL)).entropy == text_quality(REAL).entropy, "shuffling keeps every word"
    assert judge.bits(["before the ships came home " * 9]) < shuffled, "why a judge is never printed without distinct-n"
    assert judge.bits([""]) is None and judge.bits([]) is None


def test_a_generated_text_does_not_pay_for_an_end_it_does_not_have() -> None:
    model = ByteNgram(3).fit([b"abcabc"])
    assert NgramJudge(model).bits(["abc"]) < byte_model_bits(model, ["abc"])


@given(st.lists(st.text("ab .", max_size=60), min_size=1, max_size=6))
def test_real_text_is_cut_to_the_size_of_the_generated(texts: list[str]) -> None:
    long = ["one two three. " * 20, "four, five six " * 20]
    matched = real_like(texts, long)
    assert [len(words(text)) for text in matched] == [len(words(text)) for text in texts]
    for quality in (text_quality(texts), text_quality(matched)):
        assert all(
            0 <= share <= 1
            for share in (quality.distinct_1, quality.distinct_2, quality.distinct_3, quality.repeated_4)
        )


def test_real_documents_are_not_used_twice_before_all_were() -> None:
    assert sorted(real_like(["a b"] * 3, ["c d e", "f", "g h i"])) == ["c d", "f", "g h"]


def test_first_words_keeps_the_spaces() -> None:
    assert first_words("a  b,\nc d", 4) == "a  b,\nc"
    assert first_words("a b", 0) == "" and first_words("a b ", 9) == "a b"


def test_a_judge_that_read_a_rivals_text_is_refused_by_name() -> None:
    rivals = [("small", "aaa", "train"), ("large", "bbb", "train")]
    with pytest.raises(Error, match="judge arbiter .* as was large"):
        refuse_biased_judge("arbiter", "bbb", "train", rivals)
    refuse_biased_judge("arbiter", "bbb", "judge", rivals)
