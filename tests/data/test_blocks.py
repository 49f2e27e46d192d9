"""Blocks hold every token of every document once, with the borders marked."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data import blocks as module
from unmask.data.blocks import Blocks, pack
from unmask.data.corpus import load_corpus
from unmask.data.tokenizers import Tokenizer, make_tokenizer
from unmask.errors import Error

BYTES = make_tokenizer("bytes", [], 0)
BPE = make_tokenizer("bpe", ["the cat sat on the mat and the hat"] * 3, 280)


def _read_back(blocks: Blocks, tokenizer: Tokenizer) -> list[str]:
    """Undo the packing from what a model sees: pieces by segment, documents by EOS."""
    documents: list[str] = []
    open_ids: list[int] = []
    for row, numbers in zip(*blocks.rows(range(len(blocks))), strict=True):
        for number in range(1, int(numbers.max()) + 1):
            piece = row[numbers == number].tolist()
            assert piece[0] == tokenizer.bos_id and tokenizer.bos_id not in piece[1:] and len(piece) > 1
            open_ids += piece[1:]
            if piece[-1] == tokenizer.eos_id:
                assert tokenizer.eos_id not in piece[1:-1]
                documents.append(tokenizer.decode(open_ids))
                open_ids = []
    assert not open_ids
    return documents


@pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=lambda t: t.name)
@given(
    texts=st.lists(st.text("abc \u0928\u200d", min_size=0, max_size=30), min_size=1, max_size=12),
    length=st.integers(2, 17),
)
@settings(deadline=None, max_examples=60)
def test_the_documents_can_be_read_back_from_the_blocks(tokenizer: Tokenizer, texts: list[str], length: int) -> None:
    ids = [tokenizer.encode(text) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unmask.data.packing.ROWS", 4)  # several pages
        try:
            blocks = pack(datasets.Dataset.from_dict({"text": texts}), tokenizer, length)
        except Error:
            assert sum(map(len, ids)) + 2 * len(ids) < length
            return
        assert _read_back(blocks, tokenizer) == texts
        tokens, segments = blocks.rows(range(len(blocks)))
    assert blocks.tokens == sum(map(len, ids)) + len(ids) == int(((segments > 0) & (tokens != 1)).sum())
    assert blocks.bytes == sum(len(text.encode()) for text in texts)
    assert blocks.documents == len(texts)
    assert torch.equal(segments == 0, tokens == 0)
    padding = (segments == 0).sum(1)
    assert (padding[:-1] <= (1 if tokenizer is BPE else 4)).all()  # only the last block may be unfinished
    steps = segments.diff(dim=1)
    assert ((steps >= 0) | (segments[:, 1:] == 0)).all() and (steps <= 1).all() and (segments[:, 0] == 1).all()


@pytest.mark.parametrize("length", range(6, 30))
def test_no_piece_of_bytes_begins_inside_a_character(length: int) -> None:
    texts = ["a\u0928\u0928b\U0001f600" * 9, "\u0928"] * 3
    blocks = pack(datasets.Dataset.from_dict({"text": texts}), BYTES, length)
    tokens, _ = blocks.rows(range(len(blocks)))
    first = tokens[:, 1:][tokens[:, :-1] == BYTES.bos_id] - 4
    assert len(first) >= len(blocks) and not ((first >= 0x80) & (first < 0xC0)).any()
    assert _read_back(blocks, BYTES) == texts


def test_rows_picks_blocks_in_any_order(lines: Callable[..., str], stories: list[str]) -> None:
    blocks = pack(load_corpus(lines(stories)).split("train"), BYTES, 32)
    tokens, segments = blocks.rows(np.array([5, 0, 5]))
    assert tokens.dtype == segments.dtype == torch.int64 and tokens.shape == (3, 32)
    assert torch.equal(tokens[0], tokens[2]) and torch.equal(tokens[1:2], blocks.rows([0])[0])
    assert BYTES.decode(tokens[1].tolist()).startswith("Story ")
    for index in (-1, len(blocks)):
        with pytest.raises(IndexError):
            blocks.rows([index])


def test_blocks_are_cached_by_split_tokenizer_and_length(
    lines: Callable[..., str], stories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = load_corpus(lines(stories))
    train = corpus.split("train")
    first = pack(train, BYTES, 32)
    others = [pack(corpus.split("valid"), BYTES, 32), pack(train, BPE, 32), pack(train, BYTES, 33)]
    others.append(pack(train.select(range(50)), BYTES, 32))
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 5
    monkeypatch.setattr(module, "_build", lambda *_: pytest.fail("built again"))
    again = pack(load_corpus(lines(stories)).split("train"), BYTES, 32)
    assert torch.equal(again.rows(range(len(again)))[0], first.rows(range(len(first)))[0])


def test_a_vocabulary_beyond_sixteen_bits_is_stored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    big = make_tokenizer("bytes", [], 0)
    big.vocab_size, big.mask_id = 70_000, 69_999
    ids = np.array([65_540, 69_000, 4], np.int32)
    monkeypatch.setattr(big, "arrays", lambda texts: [ids for _ in texts])
    blocks = pack(datasets.Dataset.from_dict({"text": ["x"]}), big, 5)
    assert blocks.rows([0])[0].tolist() == [[1, 65_540, 69_000, 4, 2]]


def test_a_corpus_shorter_than_one_block_is_refused(lines: Callable[..., str], stories: list[str]) -> None:
    valid = load_corpus(lines(stories)).split("valid")
    with pytest.raises(Error, match="shorter than one block"):
        pack(valid, BYTES, 100_000)
    with pytest.raises(Error, match="at least 2"):
        pack(valid, BYTES, 1)
