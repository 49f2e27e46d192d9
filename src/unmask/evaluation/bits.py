"""Bits per byte: the one number that compares models of any tokenizer.

    BPB = (nats of all tokens, end-of-text included) / ln 2 / (bytes: those of the file, of text in UTF-8)

Documents are cut into the same windows of bytes for all rivals (see ``windows``). A network that sees both sides is
told how many tokens a window has, which left to right has to be predicted. So the number is coded, too, and every
window of such a process pays for it (see ``lengths``): without that a bound can fall below the entropy of the text.

Letters: B batch, T tokens, V vocabulary, N documents, K draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unmask.diffusion.likelihood import Likelihood
from unmask.errors import Error
from unmask.evaluation.batches import Scorer, batch_size_for, batches, token_rows
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.intervals import interval
from unmask.evaluation.lengths import told_nats
from unmask.evaluation.windows import cut_all, reads_bytes

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class BitsPerByte:
    """A score and what it is made of.

    Attributes:
        value: Bits per byte.
        bound: ``exact``, ``upper bound``, or ``exact for ...``: kinds that are never mixed.
        interval: 95 % interval over documents; ``None`` for a single document.
        bytes: Bytes of the documents; of text, in UTF-8.
        documents: Number of documents (N).
        tokens: Tokens scored, end-of-text included.
        nats: Nats in all, ``length_nats`` included.
        length_nats: The part that was paid for the lengths of windows, which the network is told; 0 where it is not.
        draws: Network calls a window that a bound was averaged over.
        window: Bytes of a window.
        per_document: Nats and bytes of each document, each [N].
    """

    value: float
    bound: str
    interval: tuple[float, float] | None
    bytes: int
    documents: int
    tokens: int
    nats: float
    length_nats: float
    draws: int
    window: int
    per_document: tuple[Reals, Reals]


def bits_per_byte(
    model: Any,
    process: Any,
    tokenizer: Scorer,
    texts: Sequence[str],
    *,
    window: int,
    draws: int = 8,
    seed: int = 0,
    batch_size: int | None = None,
    likelihood: Literal["default", "duel", "causal"] = "default",
    end: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> BitsPerByte:
    """Score a model on documents.

    Args:
        model: A network of ours, on its device.
        process: The process it was trained with: it says what its likelihood is.
        tokenizer: The model's tokenizer.
        texts: Documents.
        window: Bytes of a window, see :func:`unmask.evaluation.windows.common_window`.
        draws: Network calls a window for a bound (K).
        seed: Of the bound's noise.
        batch_size: Windows a batch; by default as many as keep the logits near 128 MB.
        likelihood: ``default``, what the process says; ``duel``, exact for deterministic unmasking (a call a token);
            ``causal``, exact left to right, of a model that writes so, too.
        end: Whether end-of-text is scored. Texts that were cut off at a token budget have none.
        progress: Called with (windows done, windows in all).

    Raises:
        Error: no text; a window that does not fit the context; ``duel`` with a process that has none; a score that is
            not finite.
    """
    windows = cut_all(texts, window, reads_bytes(tokenizer))
    if draws < 1:
        raise Error(f"draws is {draws}; it must be at least 1.")
    context = int(model.config.max_position_embeddings)
    rows = token_rows(windows, tokenizer, context, window, end=end)
    score = scorer(process, likelihood, draws, seed)
    size = batch_size or batch_size_for(rows, model)
    nats = np.zeros(len(rows))
    done, kind, calls = 0, "", 0
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for index, batch in batches(rows, tokenizer, size):
                result = score(model, batch.to(model.device))
                nats[index] = result.nats.double().cpu().numpy()
                kind, calls, done = result.bound, result.draws, done + len(index)
                if progress is not None:
                    progress(done, len(rows))
    finally:
        model.train(was_training)
    refuse_not_finite(nats, "windows", model)
    told = told_nats(process, [len(row) - 1 for row in rows], context - 1, shortest=int(end))
    document = np.array([w.document for w in windows])
    per_nats = np.bincount(document, nats + told, minlength=len(texts)).astype(np.float64)
    per_bytes = np.bincount(document, [w.bytes for w in windows], minlength=len(texts)).astype(np.float64)
    total, size_bytes = float(per_nats.sum()), int(per_bytes.sum())
    return BitsPerByte(
        value=total / math.log(2) / size_bytes,
        bound=kind,
        interval=interval(per_nats, per_bytes),
        bytes=size_bytes,
        documents=len(texts),
        tokens=sum(len(row) - 1 for row in rows),
        nats=total,
        length_nats=float(told.sum()),
        draws=calls,
        window=window,
        per_document=(per_nats, per_bytes),
    )


def scorer(process: Any, likelihood: str, draws: int, seed: int) -> Callable[..., Likelihood]:
    """Return what scores a batch: ``score(model, batch)``, or with ``scored=`` a part of it given the rest.

    Raises:
        Error: no such likelihood.
    """
    if likelihood == "default":
        return partial(process.likelihood, draws=draws, seed=seed)
    if likelihood not in ("duel", "causal"):
        raise Error(f"unknown likelihood {likelihood!r}; choose default or duel.")
    if likelihood not in process.likelihoods:
        raise Error(
            f"process {process.name} has no {likelihood} likelihood (its own is what it is); use --likelihood default."
        )
    found: Callable[..., Likelihood] = getattr(process, likelihood)
    return found
