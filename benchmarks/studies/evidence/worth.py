"""What evidence is worth: bits per byte of the text behind the query, with its own evidence, another's, and none.

    BPB = nats of the tokens behind the query, given the query and the evidence / ln 2 / their UTF-8 bytes

A row is a document's first tokens, as many as the context holds; end-of-text is scored where it ends there. The same
bytes are scored under every condition, with the same noise, so the differences are paired: their intervals are over
documents. *none* gives the query all the same, so that only the evidence differs. Where the network is told how many
tokens stand behind the query, each row pays for that (see ``lengths``), the same under every condition.

Letters: N documents, M texts, E width of their vectors, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.batch import Batch
from unmask.data.evidence import Evidence
from unmask.errors import Error
from unmask.evaluation.batches import Scorer, batch_size_for, batches
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.intervals import Reals, interval, paired_interval
from unmask.evaluation.lengths import told_nats


@dataclass(frozen=True)
class Worth:
    """Bits per byte behind the query under one condition.

    Attributes:
        value: Bits per byte.
        bound: ``exact``, ``upper bound``, or ``exact for ...``.
        interval: 95 % interval over documents.
        gain: Bits per byte that *none* has more.
        gain_interval: Its 95 % interval, paired by document; ``None`` for *none* itself.
        nats: Of each document [N].
    """

    value: float
    bound: str
    interval: tuple[float, float] | None
    gain: float
    gain_interval: tuple[float, float] | None
    nats: Reals


def heads(tokenizer: Scorer, texts: Sequence[str], context: int, query: int) -> list[list[int]]:
    """Return BOS and the first tokens of each text, EOS where it ends within the context.

    Args:
        tokenizer: The model's tokenizer.
        texts: Documents; those that end within their query are left out, as an empty row.
        context: Most tokens of a row.
        query: Tokens of a query.
    """
    rows = []
    for ids in tokenizer.encode_batch(list(texts)):
        whole = [tokenizer.bos_id, *ids, tokenizer.eos_id]
        rows.append(whole[:context] if len(ids) > query else [])
    return rows


def worth_of_evidence(
    model: Any,
    process: Any,
    tokenizer: Any,
    rows: Sequence[list[int]],
    memories: Mapping[str, Sequence[Float[Tensor, "M E"] | None]],
    *,
    query: int,
    draws: int = 8,
    seed: int = 0,
    batch_size: int | None = None,
) -> dict[str, Worth]:
    """Score texts behind their queries under several conditions, *none* among them.

    Args:
        model: A network of ours, in eval mode.
        process: The process it was trained with, evidence included.
        tokenizer: The model's tokenizer.
        rows: From :func:`heads`, none of them empty.
        memories: Condition -> one set of vectors a row, or ``None`` where a row has none.
        query: Tokens of a query.
        draws: Network calls a row for a bound.
        seed: Of the bound's noise.
        batch_size: Rows a batch.

    Raises:
        Error: no rows, or a score that is not finite.
    """
    if not rows:
        raise Error(f"no document goes on behind its query of {query} tokens; lower evidence.query.")
    size = batch_size or batch_size_for(rows, model)
    width = int(model.config.memory_width)
    behind = [[token for token in row[1 + query :] if token != tokenizer.eos_id] for row in rows]
    sizes = np.array([len(tokenizer.decode_bytes(ids)) for ids in behind], np.float64)
    told = told_nats(
        process, [len(row) - 1 - query for row in rows], int(model.config.max_position_embeddings) - 1 - query
    )
    nats: dict[str, Reals] = {}
    kind = ""
    for name, given in {"none": [None] * len(rows), **memories}.items():
        nats[name] = told.copy()
        with torch.inference_mode():
            for index, batch in batches(rows, tokenizer, size):
                own = with_memory(batch, [given[place] for place in index], width, query)
                found = process.likelihood(model, own.to(model.device), draws=draws, seed=seed)
                nats[name][index] += found.nats.double().cpu().numpy()
                kind = found.bound
    refuse_not_finite(np.stack(list(nats.values())), "documents", model)
    return {name: _worth(own, nats["none"], sizes, kind, name == "none") for name, own in nats.items()}


def with_memory(batch: Batch, memory: Sequence[Float[Tensor, "M E"] | None], width: int, query: int) -> Batch:
    """Return a batch of one document a row with vectors beside it, its queries given.

    Args:
        batch: BOS first in each row.
        memory: Vectors of each row, or ``None``.
        width: Of vectors (E).
        query: Tokens of a query.
    """
    most = max(1, *(0 if own is None else len(own) for own in memory))
    vectors = torch.zeros(len(memory), most, width)
    valid = torch.zeros(len(memory), most, dtype=torch.bool)
    for row, own in enumerate(memory):
        if own is not None:
            vectors[row, : len(own)], valid[row, : len(own)] = own, True
    place = torch.arange(batch.tokens.shape[1])
    given = batch.predictable & (place <= query)
    return replace(batch, evidence=Evidence(vectors, valid, torch.ones_like(valid, dtype=torch.int64), given))


def _worth(nats: Reals, none: Reals, sizes: Reals, kind: str, control: bool) -> Worth:
    total = max(float(sizes.sum()), 1.0) * math.log(2)
    return Worth(
        value=float(nats.sum()) / total,
        bound=kind,
        interval=interval(nats, sizes),
        gain=float((none - nats).sum()) / total,
        gain_interval=None if control else paired_interval(none, nats, sizes),
        nats=nats,
    )
