from itertools import pairwise

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.scripts import SCRIPTS, clusters, script_of, script_of_cluster, spans

ANY = st.text(st.characters(exclude_categories=()))  # all of Unicode, lone surrogates and unassigned code points too
INDIC = st.text(st.sampled_from("कखजरषa1aé \u093c\u094d\u093f\u0947\u0902\u200c\u200d।১ি\ud800\ufffd"))


def cut(text: str) -> list[tuple[str, str]]:
    return [(text[start:end], script) for start, end, script in spans(text)]


@given(ANY | INDIC)
def test_spans_of_any_text_join_back_to_it_are_whole_clusters_and_as_long_as_can_be(text):
    found = spans(text)
    assert "".join(text[span.start : span.end] for span in found) == text
    assert {span.start for span in found} <= {*clusters(text)}
    assert all(a.script != b.script for a, b in pairwise(found))
    assert {span.script for span in found} <= {*SCRIPTS}


@given(ANY | INDIC)
def test_clusters_are_where_the_unicode_rules_say(text):
    assert [text[a:b] for a, b in pairwise([*clusters(text), len(text)])] == regex.findall(r"\X", text)


@given(st.characters(exclude_categories=()))
def test_a_character_alone_is_a_cluster_of_its_own_script(character):
    assert script_of(character) == script_of_cluster(character) != "mixed"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("क्ष", ["क्ष"]),
        ("स्त्री", ["स्त्री"]),
        ("विद्यार्थियों", ["वि", "द्या", "र्थि", "यों"]),
        ("क्\u200dष", ["क्\u200dष"]),  # a ZWJ asks for the half form: still one letter
        ("क्\u200cष", ["क्\u200c", "ष"]),  # a ZWNJ asks for a visible virama: two
        ("ज\u093c\u094dय", ["ज\u093c\u094dय"]),  # nukta, then virama
        ("ज\u094d\u093cय", ["ज\u094d\u093cय"]),  # the same out of canonical order
        ("\u095bा", ["\u095bा"]),  # precomposed nukta
        ("क्", ["क्"]),
        ("क् ष", ["क्", " ", "ष"]),
        ("ক্ষ", ["ক্ষ"]),
        ("ક્ષ", ["ક્ષ"]),
        ("க்ஷ", ["க்", "ஷ"]),  # GB9c leaves Tamil apart
        ("ಕ್ಷ", ["ಕ್", "ಷ"]),  # and Kannada
    ],
)
def test_conjuncts_are_one_cluster_as_rule_gb9c_has_it(text, letters):
    assert [text[a:b] for a, b in pairwise([*clusters(text), len(text)])] == letters


def test_a_sentence_in_two_scripts_is_cut_where_the_script_changes():
    assert cut("मैं office गया।") == [
        ("मैं", "devanagari"),
        (" ", "common"),
        ("office", "latin"),
        (" ", "common"),
        ("गया", "devanagari"),
        ("।", "common"),
    ]


@pytest.mark.parametrize(
    ("text", "spans_of_it"),
    [
        ("downloadकरो", [("downloadकरो", "mixed")]),
        ("10वीं", [("10", "digit"), ("वीं", "devanagari")]),  # digits end a word and mix nothing
        ("१२", [("१२", "digit")]),
        ("aि", [("aि", "mixed")]),  # a sign on another script's letter
        ("e\u0301क\u0951", [("e\u0301क\u0951", "mixed")]),
        ("e\u0301 क\u0951", [("e\u0301", "latin"), (" ", "common"), ("क\u0951", "devanagari")]),  # inherited signs
        ("かな漢字カナ", [("かな漢字カナ", "other")]),
        ("KΩ", [("KΩ", "mixed")]),
        (" \u093f", [(" \u093f", "common")]),  # a sign that stands on a blank is broken, and no word
    ],
)
def test_what_a_span_is(text, spans_of_it):
    assert cut(text) == spans_of_it
