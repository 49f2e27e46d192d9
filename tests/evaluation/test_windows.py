"""Windows hold every byte once, cut no character, and fit every rival."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.evaluation.windows import common_window, cut, cut_all

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(text=TEXT, window=st.integers(4, 40))
def test_windows_cover_every_byte_exactly_once(text: str, window: int) -> None:
    pieces = cut(text, window)
    assert "".join(pieces) == text
    assert all(window - 3 <= len(piece.encode()) <= window for piece in pieces[:-1])
    assert len(pieces[-1].encode()) <= window


def test_only_a_documents_last_window_ends_it() -> None:
    windows = cut_all(["abcdefgh", "", "नमस्ते"], 4)
    assert [(w.document, w.last) for w in windows][:3] == [(0, False), (0, True), (1, True)]
    assert sum(w.last for w in windows) == 3
    assert sum(w.bytes for w in windows) == 8 + len("नमस्ते".encode())


def test_the_common_window_fits_every_rival_and_the_next_does_not() -> None:
    texts = ["a plain line of text that repeats itself " * 20, "कुछ हिंदी " * 30]
    byte, bpe = make_tokenizer("bytes", [], 0), make_tokenizer("bpe", texts, 400)
    assert common_window(texts, [byte], [128]) == 126  # BOS + 126 bytes + EOS
    alone = common_window(texts, [bpe], [64])
    assert alone > 62, "a merged vocabulary holds more text than bytes do"
    both = common_window(texts, [bpe, byte], [64, 128])
    assert both == min(126, alone)
    for window in cut_all(texts, both):
        for tokenizer, context in ((bpe, 64), (byte, 128)):
            assert 1 + len(tokenizer.encode(window.text)) + window.last <= context


def test_a_context_that_holds_no_window_is_refused() -> None:
    with pytest.raises(Error, match="longer context"):
        common_window(["some text"], [make_tokenizer("bytes", [], 0)], [4])
    with pytest.raises(Error, match="at least 4"):
        cut("text", 3)
