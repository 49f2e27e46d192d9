"""Static embeddings load offline, are of length 1, and say what to install where they are missing."""

from __future__ import annotations

import numpy as np
import pytest

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.errors import Error


def test_vectors_have_length_1_and_know_what_belongs_together() -> None:
    embedder = WordLlamaEmbedder()
    a, b, c, empty = embedder.embed(["a ship on the sea", "the captain's boat", "bake a cake with sugar", ""])
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5) and empty.tolist() == [0] * 256
    assert a @ b > 0.1 + max(a @ c, b @ c)
    assert embedder.embed([]).shape == (0, 256) and embedder.embed(["a"]).dtype == np.float32
    assert embedder.name == "wordllama-256"


def test_a_texts_vector_does_not_depend_on_its_neighbours() -> None:
    embedder = WordLlamaEmbedder(64)
    alone = embedder.embed(["a short one"])[0]
    among = embedder.embed(["a much longer text that has many more words than the short one has " * 4, "a short one"])
    np.testing.assert_allclose(alone, among[1], atol=1e-6)
    assert alone.shape == (64,)
    with pytest.raises(Error, match="choose 64, 128, 256"):
        WordLlamaEmbedder(100)


def test_loading_leaves_the_log_and_the_network_alone(python) -> None:
    ran = python(
        "import logging, socket\n"
        "def refuse(*a, **k): raise SystemExit('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from unmask.data.embeddings import WordLlamaEmbedder\n"
        "WordLlamaEmbedder().embed(['a'])\n"
        "assert logging.getLogger().handlers == [] and logging.getLogger().level == logging.WARNING"
    )
    assert ran.status == 0, ran.err


@pytest.mark.parametrize(
    ("module", "extra", "call"),
    [
        ("wordllama", "index", "from unmask.data.embeddings import WordLlamaEmbedder; WordLlamaEmbedder()"),
        ("sacrebleu", "metrics", "from unmask.evaluation.overlap import self_bleu; self_bleu(['a', 'b'])"),
        ("rouge_score.rouge_scorer", "metrics", "from unmask.evaluation.overlap import rouge_l; rouge_l(['a'], ['b'])"),
    ],
)
def test_a_missing_library_is_one_line_that_says_what_to_install(python, module: str, extra: str, call: str) -> None:
    ran = python(
        f"import sys; sys.modules[{module!r}] = None\n"
        "from unmask.errors import Error\n"
        f"try:\n    {call}\nexcept Error as error:\n    print(error)"
    )
    assert f"pip install 'unmask[{extra}]'" in ran.out and ran.out.count("\n") == 1, ran.err
