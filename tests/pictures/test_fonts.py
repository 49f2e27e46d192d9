"""A label that a picture's font cannot show falls back to one that can, where there is one."""

from matplotlib.figure import Figure
from matplotlib.font_manager import FontManager

from unmask.pictures import fonts

HINDI = "\u0915\u094d\u0937"


def test_a_label_of_another_script_gets_a_font_that_has_it_and_others_keep_theirs(monkeypatch):
    asked = []
    monkeypatch.setattr(fonts, "font_for", lambda characters: asked.append(characters) or "Some Devanagari")
    figure = Figure()
    plain, other = figure.text(0, 0, "bits per byte"), figure.text(0, 1, f"run {HINDI}")
    before = plain.get_fontfamily()
    fonts.fall_back(figure)
    assert plain.get_fontfamily() == before
    assert other.get_fontfamily() == [*before, "Some Devanagari"] and set(asked[0]) == set(HINDI)


def test_a_font_is_found_by_its_glyphs_and_boxes_are_none():
    assert isinstance(fonts.fontManager, FontManager)
    assert "resort" not in (fonts.font_for("abc") or "resort").lower()
    assert fonts.font_for("\U0010fffd") is None
