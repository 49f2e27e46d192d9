"""One of our own runs as an embedder: the mean of its final hidden states over a text.

The network sees the clean text (no noise level, nothing hidden). What exceeds its context is not read, so index with
passages that fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from unmask.errors import Error
from unmask.evaluation.features import NetworkFeatures
from unmask.training.run import Run


class RunReader:
    """A run's network.

    Attributes:
        name: ``run:`` and the folder.
        width: Its hidden size.

    Raises:
        Error: no run, or one that is damaged.
    """

    def __init__(self, folder: str) -> None:
        run = Run.open(folder)
        network = run.model()
        if not hasattr(network.config, "max_position_embeddings"):
            raise Error(f"the network of run {folder} has no bounded context; use another run to embed texts.")
        self.name, self.width = f"run:{folder}", int(network.config.hidden_size)
        self._features = NetworkFeatures(network, run.process, run.tokenizer)

    def means(self, texts: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Return the mean hidden state of each text; zeros for an empty one."""
        found = np.zeros((len(texts), self.width), np.float32)
        there = [place for place, text in enumerate(texts) if text]
        if there:
            found[there] = self._features([texts[place] for place in there]).numpy()
        return found
