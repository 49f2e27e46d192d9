"""The controls: what the same numbers are for things that nobody would call a language model, and for real text.

* uniform: every byte equally likely, 8 bits.
* unigram, order-5 n-gram: byte models counted on the rivals' training split.
* untrained: the first run's network with fresh weights.
* real text and shuffled words: texts only, for the measures of generated text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from unmask.data.corpus import Corpus, documents
from unmask.data.ngram import ByteNgram
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.intervals import interval
from unmask.evaluation.text import shuffled_words
from unmask.reports.generation import Way, write_texts
from unmask.reports.rows import Control
from unmask.reports.yardstick import Yardstick
from unmask.training.network import make_model
from unmask.training.run import Run

NGRAM_CHARACTERS = 64_000_000
"""At most this much of a split is counted by an n-gram."""


def fit_ngram(corpus: Corpus, split: str, order: int) -> ByteNgram:
    """Count the first 64 million characters of a split."""
    texts = _until(documents(corpus.split(split)), NGRAM_CHARACTERS)
    return ByteNgram(order).fit(corpus.raw(text) for text in texts)


def _until(texts: Iterable[str], limit: int) -> Iterator[str]:
    for text in texts:
        if limit <= 0:
            return
        limit -= len(text)
        yield text


def model_controls(
    corpus: Corpus | None,
    split: str,
    texts: Sequence[str],
    yardstick: Yardstick,
    *,
    samples: int,
    size: int,
    seed: int,
) -> list[Control]:
    """Score the byte models on the held-out text, and let them write.

    Args:
        corpus: What the byte models count; ``None``: there is nothing, and no such model.
        split: The part of it that is counted.
        texts: Held-out documents; the byte models read each of them whole, which is to their advantage.
        yardstick: Measures of generated text.
        samples: Texts to write.
        size: Bytes of each.
        seed: Of the samples.
    """
    controls = [Control("uniform", "every byte equally likely", 8.0, "exact")]
    if corpus is None:
        return controls
    for order, name in ((1, "unigram"), (5, "order-5 n-gram")):
        model = fit_ngram(corpus, split, order)
        nats = np.array([model.nats(corpus.raw(text)).sum() for text in texts])
        sizes = np.array([len(corpus.raw(text)) for text in texts], dtype=np.float64)
        written = [text.decode("utf-8", "replace") for text in model.sample(samples, size, seed)]
        controls.append(
            Control(
                name,
                f"bytes counted on the {split} split, Witten-Bell",
                float(nats.sum() / math.log(2) / sizes.sum()),
                "exact",
                interval(nats, sizes),
                yardstick.measure(name, written),
            )
        )
    return controls


def untrained_control(
    run: Run,
    way: Way,
    texts: Sequence[str],
    yardstick: Yardstick,
    *,
    window: int,
    draws: int,
    length: int,
    samples: int,
    seed: int,
) -> Control:
    """Measure a run's network with fresh weights: what the numbers are before anything was learned."""
    model = make_model(run.recipe, run.tokenizer.vocab_size).eval()
    score = bits_per_byte(model, run.process, run.tokenizer, texts, window=window, draws=draws, seed=seed)
    written = write_texts(run, model, way, length=length, samples=samples, seed=seed)
    return Control(
        "untrained",
        f"the network of {run.name} with fresh weights",
        score.value,
        score.bound,
        score.interval,
        yardstick.measure("untrained", written.texts, sizes=written.sizes),
    )


def text_controls(pieces: Sequence[str], yardstick: Yardstick, seed: int) -> list[Control]:
    """Measure real text as if it had been generated, and the same text with its words shuffled."""
    shuffled = shuffled_words(pieces, seed)
    return [
        Control("real text", "held-out text itself", text=yardstick.measure("real text", list(pieces))),
        Control(
            "shuffled words",
            "the same, words in random order",
            text=yardstick.measure("shuffled words", shuffled),
        ),
    ]
