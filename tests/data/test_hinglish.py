"""Romanised Hindi against English, on 100 lines of the valid split that were labelled by hand, word by word."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.hinglish import roman_languages, roman_words
from unmask.data.switching import code_mixing_index, switch_rate, switches, tagged_words

LINES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "fixtures" / "hinglish-100.jsonl").read_text("utf-8").splitlines()[1:]
]


def pairs():
    """Each word that was labelled Hindi or English: its label, and whether it is taken for Hindi."""
    for line in LINES:
        for word, label in zip(roman_languages(line["text"]), line["labels"], strict=True):
            if label in "he":
                yield label == "h", word.hindi > 0.5


def test_every_word_of_the_hundred_lines_has_a_label():
    assert len(LINES) == 100
    assert all(len(roman_words(line["text"])) == len(line["labels"]) for line in LINES)
    assert {*"".join(line["labels"] for line in LINES)} == {*"henau"}


def test_labels_of_held_out_hinglish_are_as_accurate_as_the_docs_say():
    told = [label == guess for label, guess in pairs()]
    majority = [label for label, _ in pairs()]
    assert sum(told) / len(told) > 0.93 > sum(majority) / len(majority) + 0.2
    recall = {hindi: [label == guess for label, guess in pairs() if label == hindi] for hindi in (True, False)}
    assert sum(recall[True]) / len(recall[True]) > 0.98 and sum(recall[False]) / len(recall[False]) > 0.8


def test_neighbours_decide_words_of_both_languages():
    hindi = {"main": "main kal ghar nahi jaunga", "is": "is baar kya hua", "to": "to phir kya karein"}
    english = {"main": "the main reason for this", "is": "she is my friend", "to": "we want to go there"}
    for word in hindi:
        for text, wanted in ((hindi[word], True), (english[word], False)):
            found = {text[w.start : w.end]: w.hindi > 0.5 for w in roman_languages(text)}
            assert found[word] == wanted, text


def test_handles_hashtags_and_addresses_are_no_words():
    text = "@user_1 kya #DilSe http://x.in/kya pic.twitter.com/abc don't"
    assert [text[a:b] for a, b in roman_words(text)] == ["kya", "don't"]
    assert roman_words("कि की e\u0301क\u0303") == [(6, 8)], "a vowel sign of Devanagari is no Latin letter"


def test_a_text_switches_by_script_or_by_language():
    words = tagged_words("मैं office जा रहा हूँ")
    assert [(w.script, w.language) for w in words][:2] == [("devanagari", "hindi"), ("latin", "english")]
    assert switches(words) == [1, 2] and switch_rate(words) == 0.5 and code_mixing_index(words) == 20.0
    both = tagged_words("मैं ghar नहीं gaya")
    assert switches(both) == [] and switches(both, "script") == [1, 2, 3]
    assert code_mixing_index(both) == 0.0 and code_mixing_index(both, "script") == 50.0
    assert switch_rate([]) is None and code_mixing_index([]) is None


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_tagged(text):
    words = tagged_words(text)
    assert all(a.end <= b.start for a, b in zip(words, words[1:], strict=False))
    assert all(text[word.start : word.end] for word in words)


@pytest.mark.parametrize("text", ["", "123 !", "日本語"])
def test_a_text_without_words_of_either_language_has_none(text):
    assert tagged_words(text) == []
