import io

import torch
from rich.console import Console

from unmask.cli.canvas import Canvas, render
from unmask.sampling import Frame

BYTES = {1: b"", 5: "न".encode(), 6: b"\xe0", 7: b"\xa4\xa8", 8: b" cat", 9: b"\xff"}


def shown(tokens, committed, changed=None, confidence=None):
    n = len(tokens)
    return render(tokens, committed, changed or [False] * n, confidence or [1.0] * n, BYTES.__getitem__)


def test_characters_spread_over_tokens_are_put_together_and_open_positions_are_blocks():
    assert shown([1, 5, 6, 7, 8], [True] * 5).plain == "नन cat"
    assert shown([1, 6, 3, 8], [True, True, False, True]).plain == "\ufffd\u2591 cat"
    assert shown([6, 8, 9, 6], [True] * 4).plain == "\ufffd cat\ufffd\ufffd"


def test_fresh_words_stand_out_and_doubt_is_shaded():
    text = shown([8, 8, 8], [True] * 3, [False, True, False], [1.0, 0.9, 0.1])
    styles = [str(span.style) for span in text.spans]
    assert "bold underline" in styles[0] and "bold" not in styles[1] and len(set(styles)) == 2


def test_a_terminal_gets_an_animation_and_a_file_gets_lines():
    known = torch.tensor([[True, False]])
    frame = Frame(
        torch.tensor([1]), torch.tensor([[8, 3]]), known, known, torch.ones(1, 2, dtype=torch.bool), known.float()
    )
    plain = io.StringIO()
    with Canvas(Console(file=plain), BYTES.__getitem__) as canvas:
        canvas.show((0,), frame)
    assert plain.getvalue() == "[1] step 1:  cat\u2591\n"
    terminal = io.StringIO()
    with Canvas(Console(file=terminal, force_terminal=True), BYTES.__getitem__) as canvas:
        canvas.show((0,), frame)
    assert "\x1b[" in terminal.getvalue() and "cat" in terminal.getvalue()
