import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.romanise import flipped, key, romanise
from unmask.data.scripts import spans


@pytest.mark.parametrize(
    ("text", "roman"),
    [
        ("मैं आज घर जा रहा हूँ।", "main aaj ghar jaa rahaa hoon."),
        ("करता", "kartaa"),
        ("सड़क", "sadak"),
        ("विद्यार्थियों", "vidyaarthiyon"),
        ("\u095bरूरत", "zaroorat"),  # composed and decomposed nukta are one
        ("ज\u093cरूरत", "zaroorat"),
        ("व न", "va na"),
        ("१२ files", "12 files"),
    ],
)
def test_devanagari_is_written_as_people_type_it(text, roman):
    assert romanise(text) == roman


@pytest.mark.parametrize(
    "spellings",
    [
        ("मैं", "main", "mai"),
        ("नहीं", "nahi", "nahin", "Nahee"),
        ("ज़रूरत", "जरूरत", "zaroorat", "jarurat"),
        ("लिए", "liye", "lie"),
        ("शर्मा", "Sharma"),
        ("राम", "Ram"),
    ],
)
def test_spellings_of_a_word_share_their_key(spellings):
    assert len({*map(key, spellings)}) == 1


def test_words_that_differ_do_not():
    assert len({*map(key, ["कर", "करे", "करना", "राम", "रमेश", "school"])}) == 6


def test_flipped_text_has_no_letter_left_in_its_script():
    assert {span.script for span in spans(flipped("मैं घर गया"))} == {"latin", "common"}
    assert {span.script for span in spans(flipped("main office gaya, OK!"))} == {"devanagari", "common"}


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_romanised_and_flipped(text):
    romanise(text), flipped(text), key(text)
