"""What a run's manifest says of the files beside it, and whether they are those: a run is not mixed of two."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unmask.errors import Error
from unmask.training.find_run import MANIFEST

WEIGHTS = "model.safetensors"
_OTHER = {
    "tokenizer": "another tokenizer than the one there",
    "weights": "other weights than those there",
    "patcher": "another patcher than the one there",
}
_PATCHER = ("patcher.json", "patcher.safetensors", "entropy.json", "entropy.safetensors")


def weights_fingerprint(folder: Path) -> str:
    """Return 16 hex digits over a run's weights."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def patcher_fingerprint(folder: Path) -> str | None:
    """Return 16 hex digits over what was fitted to cut a run's bytes; ``None``: nothing was."""
    there = [folder / name for name in _PATCHER if (folder / name).is_file()]
    content = hashlib.sha256()
    for path in there:
        with path.open("rb") as file:
            content.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()[:16] if there else None


def fingerprints(folder: Path) -> dict[str, str]:
    """Return what the manifest of a trained run says of its files."""
    patcher = patcher_fingerprint(folder)
    return {"weights_fingerprint": weights_fingerprint(folder)} | (
        {} if patcher is None else {"patcher_fingerprint": patcher}
    )


def check_fingerprint(folder: Path, manifest: Mapping[str, Any], part: str, found: str | None) -> None:
    """Refuse a part of a run that is not the one its manifest names; a manifest that names none is of an older version.

    Args:
        folder: The run.
        manifest: Its manifest.
        part: ``tokenizer``, ``weights`` or ``patcher``.
        found: The fingerprint of what lies there.

    Raises:
        Error: it is another.
    """
    key = f"{part}_fingerprint"
    then = manifest.get(key)
    if then is not None and then != found:
        raise Error(
            f"run {folder} was trained with {_OTHER[part]} ({then} in {MANIFEST}, {found or 'none'} "
            f"now); copy it again from where it was made, or, if it is meant, take {key} out of {MANIFEST}."
        )
