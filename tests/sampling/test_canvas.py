import io

import pytest
import torch
from rich.console import Console
from rich.text import Text

from unmask.cli.canvas import Canvas, check_speed, render
from unmask.cli.wrapped import lines
from unmask.data.visible import cells, clusters
from unmask.errors import Error
from unmask.sampling import Frame

BYTES = {
    1: b"",
    5: "न".encode(),
    6: b"\xe0",
    7: b"\xa4\xa8",
    8: b" cat",
    9: b"\xff",
    10: "ि".encode(),
    11: b"\x1b]0;x\x07",
}
HINDI = "हिन्दी में लिखी हुई यह कहानी बच्चों को बहुत अच्छी लगती है।"


def shown(tokens, committed, changed=None, confidence=None):
    n = len(tokens)
    return render(tokens, committed, changed or [False] * n, confidence or [1.0] * n, BYTES.__getitem__)


def plain(tokens, committed):
    return "".join(text for text, _ in shown(tokens, committed))


def frame(tokens, known):
    known = torch.tensor([known])
    return Frame(
        torch.tensor([1]), torch.tensor([tokens]), known, known, torch.ones_like(known, dtype=torch.bool), known.float()
    )


def test_characters_spread_over_tokens_are_put_together_and_open_positions_are_blocks():
    assert plain([1, 5, 6, 7, 8], [True] * 5) == "नन cat"
    assert plain([1, 6, 3, 8], [True, True, False, True]) == "\ufffd\u2591 cat"
    assert plain([6, 8, 9, 6], [True] * 4) == "\ufffd cat\ufffd\ufffd"


def test_what_a_later_block_writes_is_a_dot_and_the_legend_says_so():
    file, known = io.StringIO(), torch.tensor([[True, False, False, False]])
    tokens, nothing = torch.tensor([[8, 3, 3, 3]]), torch.zeros_like(known)
    told = Frame(torch.tensor([1]), tokens, known, nothing, ~nothing, known.float(), block=torch.tensor([[1, 3]]))
    with Canvas(Console(file=file, force_terminal=True, width=120), BYTES.__getitem__, speed=0) as canvas:
        canvas.show([0], told)
    assert (
        " cat\u2591\u2591\u00b7" in Text.from_ansi(file.getvalue()).plain
        and "\u00b7 in a later block" in file.getvalue()
    )


def test_a_vowel_sign_is_drawn_with_its_letter_and_alone_on_a_dotted_circle():
    assert [text for text, _ in shown([5, 10, 8], [True] * 3)] == ["नि", " cat"]
    assert plain([3, 10], [False, True]) == "\u2591\u25ccि"


def test_fresh_words_stand_out_and_doubt_is_shaded():
    styles = [style for _, style in shown([8, 8, 8], [True] * 3, [False, True, False], [1.0, 0.9, 0.1])]
    assert "bold underline" in styles[1] and "bold" not in styles[0] + styles[2] and len(set(styles)) == 3


def test_a_terminal_gets_an_animation_and_a_file_gets_lines():
    file = io.StringIO()
    with Canvas(Console(file=file), BYTES.__getitem__) as canvas:
        canvas.show((0,), frame([8, 3], [True, False]))
    assert file.getvalue() == "[1] step 1:  cat\u2591\n"
    terminal = io.StringIO()
    with Canvas(Console(file=terminal, force_terminal=True), BYTES.__getitem__, speed=0) as canvas:
        canvas.show((0,), frame([8, 3], [True, False]))
    assert "\x1b[" in terminal.getvalue() and "cat" in terminal.getvalue()


def test_the_last_picture_stays_on_the_screen_with_its_legend():
    terminal = io.StringIO()
    with Canvas(Console(file=terminal, force_terminal=True, width=90), BYTES.__getitem__, speed=0) as canvas:
        canvas.show((0,), frame([8, 3], [True, False]))
        canvas.show((0,), frame([8, 8], [True, True]))
    left = terminal.getvalue().rsplit("\x1b[1A", 1)[-1]  # what is written after the cursor went up for the last time
    assert left.count("cat") == 2 and "decided just now" in left and "confidence" in left
    assert "\x1b[2K" not in left.split("cat")[-1]  # and nothing is erased afterwards


def test_each_step_is_shown_for_its_time(monkeypatch):
    slept, now = [], [100.0]
    monkeypatch.setattr("unmask.cli.canvas.time.sleep", lambda seconds: slept.append(round(seconds, 6)))
    monkeypatch.setattr("unmask.cli.canvas.time.monotonic", lambda: now[0])
    with Canvas(Console(file=io.StringIO(), force_terminal=True), BYTES.__getitem__, speed=4) as canvas:
        for passed in (0.0, 0.1, 5.0):  # the network's own time counts
            now[0] += passed
            canvas.show((0,), frame([8, 3], [True, False]))
    assert slept == [0.0, 0.15, 0.0]
    assert check_speed(None) > 0 and check_speed(0) == 0
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(Error, match="steps a second"):
            check_speed(wrong)


@pytest.mark.parametrize("width", [7, 20, 33])
def test_no_line_is_wider_than_the_terminal_by_any_terminals_count_and_no_letter_is_split(width):
    def widest(text):  # a cell for each character that is not a mark over or under another: vowel signs take one
        return sum(1 for c in text if c not in "\u094d\u0902\u0947\u0941\u0901\u0948")

    broken = lines([(HINDI, ""), ("\n\n  end\t.", "bold")], width)
    assert all(widest(line.plain) <= width and cells(line.plain) <= width for line in broken)
    joined = [letter for line in broken for letter in clusters(line.plain) if letter != " "]
    assert joined == [letter for letter in clusters(HINDI + "end.") if letter != " "]
    assert "  end    ." in [line.plain for line in broken] or width < 10


def test_escape_sequences_of_a_text_never_reach_the_terminal():
    terminal = io.StringIO()
    with Canvas(Console(file=terminal, force_terminal=True), BYTES.__getitem__, speed=0) as canvas:
        canvas.show((0,), frame([11, 8], [True, True]))
    assert "\x1b]0" not in terminal.getvalue() and "\x07" not in terminal.getvalue() and "␛]0;x␇" in terminal.getvalue()
