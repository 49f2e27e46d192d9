"""The report's data from what the stages measured: a row a recipe, and how it all was made."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unmask import __version__
from unmask.evaluation.bits import BitsPerByte
from unmask.evaluation.intervals import interval, paired_interval, paired_ratio
from unmask.evaluation.judge import Judge
from unmask.models.cost import parameter_count
from unmask.reports.entrants import Entrant
from unmask.reports.fairness import BUDGETS, Budget
from unmask.reports.probes import Probed
from unmask.reports.rows import Row, TextRow
from unmask.reports.scope import Scope
from unmask.training.hardware import device_name


def stacked(scores: Sequence[BitsPerByte]) -> NDArray[np.float64]:
    """Return nats of each seed and document [S, N]."""
    return np.stack([score.per_document[0] for score in scores])


def make_row(
    entrant: Entrant,
    scores: Sequence[BitsPerByte],
    generation: list[TextRow],
    first: NDArray[np.float64] | None,
    probed: Probed,
) -> Row:
    """Put a row together.

    Args:
        entrant: The runs.
        scores: A score a seed.
        generation: Its texts, an entry a way to sample.
        first: The first row's nats [S, N], which this row is paired with; ``None`` for the first.
        probed: What it restored, knew and filled.
    """
    manifest, run = entrant.first.manifest, entrant.first
    nats, sizes = stacked(scores), scores[0].per_document[1]
    values = [score.value for score in scores]
    middle = float(np.mean(values))
    difference = ratio = None
    if first is not None:
        span = paired_interval(nats, first, sizes)
        base = float(first.sum(1).mean() / sizes.sum() / np.log(2))
        difference = None if span is None else (middle - base, *span)
        ratio = paired_ratio(nats, first)
    return Row(
        name=entrant.name,
        path=str(run.path),
        paths=[str(each.path) for each in entrant.runs],
        recipe=run.recipe.name,
        process=run.process.name,
        parameters=parameter_count(entrant.models[0]),
        tokens_seen=entrant.tokens_seen,
        bits_per_byte=middle,
        bound=scores[0].bound,
        perplexity=float(np.exp(np.mean([score.nats / score.tokens for score in scores]))),
        interval=interval(nats, sizes),
        per_seed=values,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        difference=difference,
        ratio=ratio,
        length_nats=scores[0].length_nats,
        draws=scores[0].draws,
        train_tokens_per_second=entrant.train_tokens_per_second,
        tokenizer=f"{run.tokenizer.name} ({run.tokenizer.vocab_size})",
        corpus_fingerprint=str(manifest.get("corpus_fingerprint")),
        split=run.recipe.data.split,
        device=f"{manifest.get('device')}, {manifest.get('threads')} threads, {manifest.get('precision')}",
        seed=run.recipe.seed,
        seeds=[each.recipe.seed for each in entrant.runs],
        training_flops=entrant.training_flops,
        train_seconds=entrant.train_seconds,
        status=str(manifest.get("status")),
        generation=generation,
        measures=probed.measures,
        measure_spread=probed.spread,
        denoising=probed.denoising,
        calibration=probed.calibration,
        infilling=probed.infilling,
    )


def make_setup(
    command: str, seed: int, scope: Scope, length: int, judges: Sequence[Judge], budget: Budget
) -> dict[str, Any]:
    """Say how the comparison was made."""
    return {
        "command": command,
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "device": device_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "quick": scope.quick,
        "timing": scope.timing,
        "precision": scope.precision,
        "seed": seed,
        "draws": scope.draws,
        "samples": scope.samples,
        "length": length,
        "budget": BUDGETS[budget][1],
        "judges": [judge.name for judge in judges],
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
