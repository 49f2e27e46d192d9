"""The second half of the table of a run with thoughts: how it predicts text, and what it writes.

Bits per byte, perplexity a token, and bits per byte of later passages with the thoughts of the passages before, without
them, and with others; BLEU and ROUGE-L of infilled spans; semantic coherence of the texts.

The original holds its own beside GPT-2 small. A row of it would need a causal model of the Hub scored in bits per byte,
which nothing here does: it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.errors import Error
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.coherence import coherence, coherence_controls
from unmask.evaluation.holes import make_holes
from unmask.evaluation.infilling import infilling, infilling_controls
from unmask.evaluation.text import real_like
from unmask.evaluation.thought_bits import later_bits
from unmask.evaluation.thought_reading import thinking
from unmask.evaluation.windows import common_window
from unmask.lines import counted
from unmask.reports.thought_table import Measure
from unmask.sampling import Sampler, Settings
from unmask.training.network import make_model
from unmask.training.run import Run

HOLES = 32
"""Holes that are filled."""


def likelihood_measures(
    run: Run,
    model: Any,
    texts: Sequence[str],
    *,
    window: int,
    draws: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Measure]:
    """Score held-out text: bits per byte, perplexity a token, and what thoughts are worth to later passages.

    ``progress`` is called with (windows done, windows in all) of the first score; the others take as long again.
    """
    own = bits_per_byte(
        model, run.process, run.tokenizer, texts, window=window, draws=draws, seed=seed, progress=progress
    )
    fresh = make_model(run.recipe, run.tokenizer.vocab_size).to(model.device).eval()
    bare = bits_per_byte(fresh, run.process, run.tokenizer, texts, window=window, draws=draws, seed=seed)
    of = f"{own.bound}, {counted(own.documents, 'document')}, {counted(own.bytes, 'byte')}"
    controls = (("untrained", bare.value), ("uniform bytes", 8.0))
    rows = [
        Measure("likelihood", "bits per byte", own.value, own.interval, controls, of),
        Measure(
            "likelihood",
            "perplexity a token",
            math.exp(own.nats / own.tokens),
            None,
            (("untrained", math.exp(bare.nats / bare.tokens)),),
            "this tokenizer's alone",
        ),
    ]
    name = "bits per byte of later passages"
    try:
        later = later_bits(model, run.process, run.tokenizer, texts, window=window, draws=draws, seed=seed)
    except Error as error:
        return [*rows, Measure("likelihood", name, None, note=str(error))]
    found = later.pop("own")
    of = f"{found.bound}, {counted(found.documents, 'document')}, {counted(found.bytes, 'byte')}"
    others = tuple((change, bits.value) for change, bits in later.items())
    return [*rows, Measure("likelihood", name, found.value, found.interval, others, of)]


def text_measures(
    run: Run,
    model: Any,
    sampler: Sampler,
    settings: Settings,
    texts: Sequence[str],
    written: Sequence[str],
    *,
    seed: int,
) -> list[Measure]:
    """Measure what the run writes: infilled spans against the removed text, and whether texts stay with their subject.

    Args:
        run: The run.
        model: Its network.
        sampler: How to sample.
        settings: How to sample.
        texts: Held-out documents.
        written: Texts that the run wrote.
        seed: Of holes and controls.
    """
    jobs: tuple[tuple[str, str, Callable[[], list[Measure]]], ...] = (
        ("infilling", "BLEU and ROUGE-L", lambda: _infilled(run, model, sampler, settings, texts, seed)),
        ("coherence", "gap to other texts", lambda: _coherent(written, texts, seed)),
    )
    rows: list[Measure] = []
    for group, name, job in jobs:
        try:
            rows += job()
        except Error as error:
            rows.append(Measure(group, name, None, note=str(error)))
    return rows


def _infilled(
    run: Run, model: Any, sampler: Sampler, settings: Settings, texts: Sequence[str], seed: int
) -> list[Measure]:
    context = min(int(model.config.max_position_embeddings), thinking(model, run.process).passage)
    window = common_window(texts, [run.tokenizer], [context])
    holes = make_holes(texts, window=window, count=HOLES, seed=seed)
    found = infilling(model, run.process, run.tokenizer, sampler, settings, holes)
    if found.score is None:
        raise Error(f"{found.reason}.")
    controls = infilling_controls(holes, texts, seed=seed)
    of = f"{len(holes)} holes of 1 to 8 words"
    return [
        Measure("infilling", "BLEU", found.score.bleu, None, tuple((n, c.bleu) for n, c in controls.items()), of),
        Measure(
            "infilling",
            "ROUGE-L",
            found.score.rouge_l,
            found.score.rouge_l_interval,
            tuple((name, control.rouge_l) for name, control in controls.items()),
            of,
        ),
    ]


def _coherent(written: Sequence[str], texts: Sequence[str], seed: int) -> list[Measure]:
    embedder = WordLlamaEmbedder()
    own = coherence(written, embedder, seed=seed)
    if own.gap is None:
        raise Error("it needs two texts or more of at least 24 words; ask for more texts, or a longer thought.passage.")
    controls = coherence_controls(real_like(written, texts), embedder, seed=seed)
    of = f"{counted(own.texts, 'text')}, {counted(own.pairs, 'pair')} of 16 words"
    others = tuple((name, control.gap) for name, control in controls.items())
    return [
        Measure("coherence", "cosine of neighbouring chunks above other texts'", own.gap, own.gap_interval, others, of)
    ]
