import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.broken import invisible_characters, is_broken, odd_characters

ANY = st.text(st.characters(exclude_categories=()))


WHOLE = "क कि क् क्ष स्त्री ज़ \u095b ड़े ऑ अॅ हूँ दुः र्\u200dय क्\u200d ॐ १ ঙ্ক é e\u0301 \u25ccि 1\ufe0f\u20e3 👩\u200d👧".split()
BROKEN = "\u093f a\u093f !\u093e १\u093f किि काि अि क्ि कि् डे\u093c कंं \u0903क \u0301".split()


@pytest.mark.parametrize("letter", WHOLE)
def test_a_letter_that_people_write_is_whole(letter):
    assert not any(map(is_broken, regex.findall(r"\X", letter)))


@pytest.mark.parametrize("letter", [*BROKEN, " \u093f"])
def test_a_sign_that_stands_on_nothing_or_twice_is_broken(letter):
    assert any(map(is_broken, regex.findall(r"\X", letter)))


def test_odd_and_invisible_characters_are_counted_by_name():
    text = "a\ufffd\ufffd\x07\tb\ue000\ud800\u0378क्\u200dष\u200c\ufeff\n"
    assert odd_characters(text) == {
        "U+FFFD": 2,
        "control": 1,
        "private use": 1,
        "lone surrogate": 1,
        "unassigned": 1,
    }
    assert invisible_characters(text) == {"ZWJ": 1, "ZWNJ": 1, "byte order mark": 1}


@given(ANY)
def test_any_text_can_be_counted(text):
    for letter in regex.findall(r"\X", text):
        assert is_broken(letter) in (True, False)
    assert odd_characters(text).total() + invisible_characters(text).total() <= 2 * len(text)
