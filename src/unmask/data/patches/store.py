"""A fitted patcher in a folder (of a run): ``patcher.json``, and beside it the n-gram model that it asks.

A patcher whose entropies come from another model than an n-gram is stored without it, but with its fingerprint where it
has one; whoever loads it gives the model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unmask.data.cache import writing
from unmask.data.entropy import ByteEntropy
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.ngram_file import load_ngram, save_ngram
from unmask.data.patches.babylon import Babylon, Calibration
from unmask.data.patches.patcher import Patcher, make_patcher
from unmask.errors import Error

FORMAT = 1
FILE = "patcher.json"
NGRAM = "patcher.safetensors"


def save_patcher(patcher: Patcher, folder: str | Path) -> None:
    """Write a patcher, and its n-gram model where it has one.

    Raises:
        Error: the disk is full or not writable.
    """
    folder = Path(folder)
    state: dict[str, Any] = {"format": FORMAT, "name": patcher.name, "options": patcher.options.model_dump()}
    with writing(folder, "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(patcher, Babylon):
            state["calibration"] = asdict(patcher.calibration) if patcher.calibration else None
            state |= {"entropy": "given", "fingerprint": getattr(patcher.entropy, "fingerprint", None)}
            if isinstance(patcher.entropy, NgramEntropy):
                save_ngram(patcher.entropy.model, folder / NGRAM)
                del state["fingerprint"]
                state |= {"entropy": "ngram", "unit": patcher.entropy.unit, "sha256": _digest(folder / NGRAM)}
        part = folder / f".{FILE}.part"
        part.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
        part.replace(folder / FILE)


def load_patcher(folder: str | Path, entropy: ByteEntropy | None = None) -> Any:
    """Read a patcher that :func:`save_patcher` wrote.

    Args:
        folder: Where it lies.
        entropy: The model of a patcher that was stored without one.

    Raises:
        Error: a file is missing, damaged or of a newer version, or the entropy model is missing or for nothing.
    """
    folder = Path(folder)
    path = folder / FILE
    try:
        state = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise Error(f"no patcher in {folder}: {FILE} is missing.") from error
    except (ValueError, RecursionError) as error:
        raise Error(f"{path} is damaged ({error}). Copy it again from the run that made it.") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise Error(f"{path} has format {found}, this unmask reads {FORMAT}. Upgrade unmask.")
    stored = state.get("entropy")
    if stored == "ngram":
        if entropy is not None:
            raise Error(f"the patcher in {folder} brings its own entropy model. Give none.")
        if not (folder / NGRAM).is_file() or _digest(folder / NGRAM) != state.get("sha256"):
            raise Error(f"{folder / NGRAM} is not the model that {FILE} was stored with. Copy both from the run.")
        if state.get("unit") not in ("byte", "character"):
            raise Error(f"{path} is damaged (unit {state.get('unit')}). Copy it again from the run that made it.")
        entropy = NgramEntropy(load_ngram(folder / NGRAM), state["unit"])
    elif stored == "given" and entropy is None:
        raise Error(f"the patcher in {folder} was stored without its entropy model. Give the model.")
    elif stored == "given" and (own := state.get("fingerprint")) not in (None, getattr(entropy, "fingerprint", None)):
        raise Error(
            f"the entropy model of the patcher in {folder} is not {own}, which it was fitted with. Give that one."
        )
    try:
        if not isinstance(state["name"], str):
            raise TypeError("its name is no text")
        patcher = make_patcher(state["name"], state["options"], entropy)
        if isinstance(patcher, Babylon) and state["calibration"]:
            patcher.calibration = Calibration(**state["calibration"])
    except (KeyError, TypeError, ValueError) as error:
        raise Error(f"{path} is damaged ({error!r}). Copy it again from the run that made it.") from error
    return patcher


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
