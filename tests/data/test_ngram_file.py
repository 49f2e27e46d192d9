"""A stored n-gram model is the model, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from unmask.data.ngram import ByteNgram
from unmask.data.ngram_file import FORMAT, load_ngram, save_ngram
from unmask.errors import Error

TEXTS = [b"the cat sat", "नमस्ते".encode(), bytes(range(256)), b""]
META = {"format": str(FORMAT), "kind": "unmask byte n-gram, Witten-Bell", "order": "3"}


@pytest.mark.parametrize("order", [1, 3, 7])
def test_a_stored_model_gives_the_same_probabilities_to_the_bit(order: int, tmp_path: Path) -> None:
    model = ByteNgram(order).fit(TEXTS)
    save_ngram(model, tmp_path / "run" / "a.safetensors")
    again = load_ngram(tmp_path / "run" / "a.safetensors")
    assert again.order == order
    for text in (b"the cog", "नम".encode(), b""):
        np.testing.assert_array_equal(again.nats(text), model.nats(text))
    assert again.sample(2, 9, seed=1) == model.sample(2, 9, seed=1)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.safetensors"], "something was left behind"


def damaged(tmp_path: Path, meta: dict[str, str] | None = None, **changes: np.ndarray) -> Path:
    save_ngram(ByteNgram(3).fit(TEXTS), tmp_path / "good")
    save_file({**load_file(tmp_path / "good"), **changes}, tmp_path / "bad", META | (meta or {}))
    return tmp_path / "bad"


GRAMS = np.arange(5, dtype=np.uint64)
ONES = np.ones(5, np.uint32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grams": GRAMS[::-1].copy(), "counts": ONES}, "not sorted"),
        ({"grams": GRAMS.astype(np.int64), "counts": ONES}, "types"),
        ({"grams": GRAMS, "counts": ONES[:4].copy()}, "shapes"),
        ({"grams": GRAMS[:0].copy(), "counts": ONES[:0].copy()}, "shapes"),
        ({"grams": GRAMS, "counts": 0 * ONES}, "not numbers of bytes"),
        ({"grams": GRAMS + np.uint64(1 << 40), "counts": ONES}, "longer than 3"),
        ({"grams": GRAMS + np.uint64(300), "counts": ONES}, "symbols are not bytes"),
        ({"grams": GRAMS + np.uint64(300 << 9), "counts": ONES}, "contexts are not bytes"),
        ({"grams": GRAMS + np.uint64((65 << 18) | (257 << 9)), "counts": ONES}, "contexts are not bytes"),
        ({"more": ONES}, "parts"),
        ({"meta": {"order": "9"}}, "parts"),
    ],
)
def test_impossible_counts_are_refused(changes: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Error, match=reason):
        load_ngram(damaged(tmp_path, **changes))


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Error, match="no n-gram model"):
        load_ngram(tmp_path / "nothing")
    (tmp_path / "text").write_bytes(b"garbage" * 50)
    (tmp_path / "short").write_bytes(b"")
    for name in ("text", "short"):
        with pytest.raises(Error, match="is no n-gram model"):
            load_ngram(tmp_path / name)
    with pytest.raises(Error, match="holds weights, not a byte n-gram"):
        load_ngram(damaged(tmp_path, {"kind": "weights"}))
    with pytest.raises(Error, match=f"has format {FORMAT + 1}, .* Upgrade"):
        load_ngram(damaged(tmp_path, {"format": str(FORMAT + 1)}))
