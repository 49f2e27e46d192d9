"""What an energy has to learn of texts, learned once and kept in the cache: the correction and the codes of the tree.

The folder's name is a hash of the texts, so whatever index holds them, and wherever it lies, learns once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from unmask.data.cache import built, cache_folder
from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.lines import tell
from unmask.roots.rerank.correction import Correction
from unmask.roots.rerank.nce import learn_correction
from unmask.roots.rerank.text_tree import text_tree
from unmask.roots.rerank.tree_coherence import TreeCoder, learn_coder
from unmask.roots.shelves import tensors

FORMAT = 1
_ORDER = 5  # of the byte model that is corrected
_BYTES = 128  # of a text that is told from a sample, at most
_STEPS = 100
_FILE = "energy.safetensors"


def learned(texts: Sequence[bytes]) -> tuple[Correction, TreeCoder]:
    """Return the linear correction and the codes that these texts teach, from the cache where they are in it.

    Fewer than two texts of several sentences teach no codes, and leave them as they begin.

    Raises:
        Error: there is too little text, or the cache cannot be written.
    """
    name = hashlib.blake2b(b"".join(len(text).to_bytes(8, "little") + text for text in texts), digest_size=16)
    folder = built(cache_folder() / "energy" / f"{FORMAT}-{name.hexdigest()}", lambda place: _learn(texts, place))
    held = tensors.read(folder / _FILE, f"Remove {folder}, and it is made again.")
    parts = Correction("linear"), TreeCoder()
    for part, begins in zip(parts, ("correction.", "coder."), strict=True):
        part.load_state_dict(
            {key.removeprefix(begins): torch.tensor(np.array(a)) for key, a in held.items() if key.startswith(begins)}
        )
    return parts


def _learn(texts: Sequence[bytes], folder: Path) -> None:
    tell("note: learning what is usual in these texts, once; it takes some seconds.")
    correction, coder = Correction("linear"), TreeCoder()
    size = min(_BYTES, int(np.median([len(text) for text in texts])))
    real = [text[:size] for text in texts if len(text) >= size]
    drawn = ByteNgram(_ORDER).fit(texts).sample(4 * len(real), size)
    try:
        learn_correction(correction, real, [text for text in drawn if len(text) == size], steps=_STEPS)
    except Error as error:
        raise Error("the index holds too little text to learn an energy from; use rerank surprisal or bm25.") from error
    if sum(len(text_tree(text).sentences) > 1 for text in texts) > 1:
        learn_coder(coder, texts, steps=2 * _STEPS)
    states = {"correction.": correction.state_dict(), "coder.": coder.state_dict()}
    arrays = {begins + key: value.numpy() for begins, state in states.items() for key, value in state.items()}
    tensors.write(folder / _FILE, arrays)
