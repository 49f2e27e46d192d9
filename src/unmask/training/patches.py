"""Fitting what cuts a network's bytes into patches, before it trains: an n-gram model and a threshold of entropy.

Every twentieth text is kept from the n-gram model, and the threshold is calibrated there: on text that it has seen, a
model is surer than it will ever be again. A few megabytes are enough for both. A network that tells entropies
(``backbone.entropy: run:DIR``) was fitted before, and only the threshold is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from unmask.data.binary import raw
from unmask.data.entropy import ByteEntropy
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import Patcher, make_patcher
from unmask.data.patches.babylon import Babylon
from unmask.data.patches.calibrate import calibrate
from unmask.models.byte_entropy import load_cutter, save_cutter
from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.models.network import Denoiser
from unmask.training.entropy_run import entropy_of, entropy_run

BYTES = 4 << 20
"""Bytes that are read for it, at most."""
_EVERY = 20


def fit_patcher(config: BytesConfig, texts: Iterable[str], binary: bool = False) -> Patcher:
    """Return the patcher of a byte network, fitted where it has to be.

    Args:
        config: Names it, its settings and the patch size.
        texts: Documents of the training split.
        binary: They are bytes, a character each (see :mod:`unmask.data.binary`).

    Raises:
        Error: the patch size cannot be reached on this text, or the run that tells entropies is unfit.
    """
    ready = config.ready_patcher()
    if ready is not None:
        return ready
    fitted, kept = _shares(texts, binary)
    run = entropy_run(config.entropy)
    unit: Literal["byte", "character"] = "byte" if binary else "character"
    entropy: ByteEntropy
    if run is None:
        entropy = NgramEntropy(ByteNgram(config.entropy_order).fit(fitted), unit)
    else:
        entropy = entropy_of(run)
    patcher: Babylon = make_patcher(config.patcher, config.patcher_options, entropy)
    return patcher if config.patch_size is None else calibrate(patcher, kept, config.patch_size)


def give_patcher(
    model: Denoiser,
    texts: Callable[[], Iterable[str]],
    folder: Path,
    fresh: bool,
    binary: bool = False,
    other: Path | None = None,
) -> None:
    """Give a byte network its patcher: fitted, or another run's, and stored in the run folder at first; read later."""
    if not isinstance(model, Bytes) or model.patcher is not None:
        return
    if fresh:
        model.patcher = fit_patcher(model.config, texts(), binary) if other is None else load_cutter(other)
        save_cutter(model.patcher, folder)
    else:
        model.patcher = load_cutter(folder)
    if model.config.entropy.startswith(ENTROPY_RUN):  # the run has its own copy now; where it came from is the recipe's
        model.config.entropy = ENTROPY_RUN + Path(model.config.entropy.removeprefix(ENTROPY_RUN)).name


def _shares(texts: Iterable[str], binary: bool) -> tuple[list[bytes], list[bytes]]:
    """Return what is fitted on and what is kept from it; of a single text its last part."""
    read: list[bytes] = []
    left = BYTES
    for text in texts:
        read.append(raw(text, binary)[:left])
        left -= len(read[-1])
        if left <= 0:
            break
    if len(read) == 1:
        part = len(read[0]) * (_EVERY - 1) // _EVERY
        return [read[0][:part]], [read[0][part:]]
    return [text for n, text in enumerate(read) if n % _EVERY], read[::_EVERY]
