import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.scripts import spans
from unmask.evaluation.indic_set import CLASSES, indic_holes, indic_prompts, sentences
from unmask.evaluation.script_quality import script_controls, script_distance, script_quality, switch_distance

REAL = {name: sentences(holes) for name, holes in indic_holes().items()}


def test_every_error_is_counted_once_a_word():
    found = script_quality(["घर downloadकरो कि\u093f half\ufffd officeअि, ok 12"])
    assert found.words == 6  # a number is no word
    assert found.script_errors == pytest.approx(4 / 6) and found.mixed_words == pytest.approx(2 / 6)
    assert found.broken_utf8 == pytest.approx(1 / 46) or found.broken_utf8 > 0
    assert found.broken_letters > 0


def test_nothing_is_a_share_of_nothing():
    found = script_quality([" 1 !"])
    assert (found.words, found.script_errors, found.switch_rate, found.two_ways, found.shares) == (
        0,
        None,
        None,
        None,
        {},
    )
    assert script_distance(found, found) is None and switch_distance(found, found) is None


def test_a_name_that_is_spelt_in_two_ways_is_seen_across_scripts():
    one = script_quality(["शर्मा ने कहा। शर्मा हँसा।"])
    two = script_quality(["शर्मा ने कहा। Sharma हँसा।"])
    assert (one.two_ways, two.two_ways) == (0.0, 1.0)


@pytest.mark.parametrize("name", CLASSES)
def test_controls_tell_what_the_numbers_mean(name):
    like = script_quality(REAL[name])
    found = {kind: script_quality(texts) for kind, texts in script_controls(indic_prompts()[name]).items()}
    apart = {kind: script_distance(each, like) for kind, each in found.items()}
    assert found["real text"].script_errors == found["shuffled words"].script_errors == 0
    assert apart["real text"] == pytest.approx(apart["shuffled words"]) and apart["real text"] < 0.1
    assert apart["flipped scripts"] > 3 * apart["real text"] + 0.1


@pytest.mark.parametrize("name", CLASSES)
def test_the_evaluation_set_is_whole(name):
    prompts, holes = indic_prompts()[name], indic_holes()[name]
    assert len(prompts) == len({*prompts}) == 60 and len(holes) == len({*sentences(holes)}) == 40
    assert script_quality([*prompts, *sentences(holes)]).script_errors == 0
    scripts = {span.script for text in prompts for span in spans(text)} - {"common", "digit"}
    assert scripts == {"hindi": {"devanagari"}, "hinglish": {"latin"}, "mixed": {"devanagari", "latin"}}[name]
    assert all(hole.left.strip() and hole.removed.strip() and hole.words for hole in holes)


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=3))
def test_any_text_can_be_measured_and_again_gives_the_same(texts):
    assert script_quality(texts) == script_quality(texts)
