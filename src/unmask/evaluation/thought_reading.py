"""The thoughts of held-out passages, as arrays: what the measures of thoughts are taken from.

Documents are cut into windows and passages as for their likelihood. Passages of less than half their length are left
out: what is read off five words says little about the reader.

Letters: N passages, C cells, c cells of a reduced thought, E channels, D width, B batch, S passages of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unmask.diffusion.passages import Passages, passages
from unmask.diffusion.thought import Reading, ThoughtOptions
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error
from unmask.evaluation.batches import batch_size_for, batches, token_rows
from unmask.evaluation.windows import cut_all, reads_bytes
from unmask.models.reader import sides


@dataclass(frozen=True)
class Thoughts:
    """Thoughts of passages.

    Attributes:
        cells: Clean thoughts.
        reduced: Their reductions.
        rebuilt: What the network makes of those.
        asks: Thoughts in the space where the network matches them with words.
        words: The passages' words there.
        texts: The passages.
        document: Document of each.
    """

    cells: Float[np.ndarray, "N C E"]
    reduced: Float[np.ndarray, "N c E"]
    rebuilt: Float[np.ndarray, "N C E"]
    asks: Float[np.ndarray, "N D"]
    words: Float[np.ndarray, "N D"]
    texts: list[str]
    document: Int[np.ndarray, " N"]


def thinking(model: Any, process: Any) -> ThoughtOptions:
    """Return how a network's thoughts are made.

    Raises:
        Error: it has none.
    """
    if not isinstance(process, Thinking) or getattr(model, "thoughts", None) is None:
        raise Error("this run has no thoughts; train one with the recipe nano-thought, or set thought=[4,4,16].")
    return process.options_of_thought


def read_documents(model: Any, process: Any, tokenizer: Any, texts: Sequence[str], *, window: int) -> Thoughts:
    """Read the thoughts of documents.

    Args:
        model: The network.
        process: A process over passages.
        tokenizer: The run's.
        texts: Documents.
        window: Bytes of a row, see :func:`unmask.evaluation.windows.common_window`.

    Raises:
        Error: a network without thoughts, or no passage that is long enough.
    """
    options = thinking(model, process)
    windows = cut_all(texts, window, reads_bytes(tokenizer))
    rows = token_rows(windows, tokenizer, int(model.config.max_position_embeddings), window)
    found: list[dict[str, Tensor]] = []
    pieces: list[str] = []
    document: list[int] = []
    model.eval()
    with torch.inference_mode():
        for index, batch in batches(rows, tokenizer, batch_size_for(rows, model)):
            cut = passages(batch, options.passage)
            keep = cut.reading.valid.flatten(0, 1).sum(1) >= options.passage / 2
            parts = _read(model, cut)
            found.append({name: part[keep].float().cpu() for name, part in parts.items()})
            document += np.array([windows[i].document for i in index]).repeat(cut.count)[keep.numpy()].tolist()
            valid = cut.reading.valid.flatten(0, 1)
            pieces += [tokenizer.decode(cut.batch.tokens[row][valid[row]].tolist()) for row in keep.nonzero()[:, 0]]
    if len(document) < 2:
        raise Error("fewer than two passages are long enough to read; give more text, or a smaller thought.passage.")
    joined = {name: torch.cat([part[name] for part in found]).numpy() for name in found[0]}
    return Thoughts(**joined, texts=pieces, document=np.array(document))


def _read(model: Any, cut: Passages) -> dict[str, Tensor]:
    """Return what is read of each passage, [B*S, ...] each; both sides of the matching as in training."""
    given = cut.reading
    reading = Reading(given.tokens.to(model.device), given.valid.to(model.device), given.follows.to(model.device))
    reader = model.thoughts.reader
    x = model.get_input_embeddings()(reading.tokens)
    read, rebuilt = reader(x, reading)
    asks, words = sides(reader, x, reading, read)
    parts = {"cells": read.cells, "reduced": read.reduced, "rebuilt": rebuilt}
    return {**{name: part.flatten(0, 1) for name, part in parts.items()}, "asks": asks, "words": words}
