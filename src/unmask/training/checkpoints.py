"""Checkpoints that are whole or not there: written aside, listed in a manifest, renamed.

A checkpoint counts only if every file in its manifest exists with its size and checksum. One that does not is
reported, and the one before it is used.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import PositiveInt, TypeAdapter
from safetensors import SafetensorError

from unmask.data.cache import by_umask, checksum, to_disk
from unmask.data.json_file import read_object
from unmask.errors import Error
from unmask.lines import excerpt

MANIFEST = "complete.json"
PARTIAL = ".partial"
STATE = "trainer_state.json"
_LONGEST = 255
"""Letters of a file's name at most."""


@dataclass
class _State:
    """What the Trainer counts with of its state."""

    global_step: int
    max_steps: PositiveInt
    logging_steps: PositiveInt
    eval_steps: PositiveInt
    save_steps: PositiveInt
    total_flos: float
    log_history: list[dict[str, Any]]


def seal(partial: Path, final: Path) -> None:
    """Write the manifest of a folder, flush it all to disk and rename it into place."""
    listing = {
        str(p.relative_to(partial)): {"bytes": p.stat().st_size, "crc32": checksum(p)}
        for p in sorted(partial.rglob("*"))
        if p.is_file()
    }
    (partial / MANIFEST).write_text(json.dumps(listing, indent=1))
    to_disk(by_umask(partial))
    final.parent.mkdir(parents=True, exist_ok=True)
    older = partial.with_name(f"older-{final.name}")
    if final.exists():
        final.rename(older)  # removing it takes longer, and may be interrupted
    partial.rename(final)
    shutil.rmtree(older, ignore_errors=True)


def fault(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or ``None`` if it is whole."""
    try:
        listing = read_object(checkpoint / MANIFEST, "")
    except Error:
        return "its manifest is missing or unreadable"
    for name, entry in listing.items():
        if not isinstance(entry, dict) or not {"bytes", "crc32"} <= entry.keys():
            return "its manifest is missing or unreadable"
        path = checkpoint / name
        if len(name) > _LONGEST or not path.is_file():
            return f"{excerpt(name)} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{name} is truncated ({path.stat().st_size} of {entry['bytes']} bytes)"
        if checksum(path) != entry["crc32"]:
            return f"{name} is damaged (its checksum is wrong)"
    return None


def listing(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first."""
    found = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdecimal()]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint is of."""
    return int(checkpoint.name.rpartition("-")[2])


def check_state(checkpoint: Path) -> None:
    """Check what the Trainer counts on from: it takes any value, and fails by it within training.

    Raises:
        ValueError: it is of another step, or holds values of other kinds.
        TypeError: it holds other keys.
    """
    from transformers import TrainerState

    told = json.loads((checkpoint / STATE).read_text("utf-8"))
    TrainerState(**told)
    state = TypeAdapter(_State).validate_python(told)
    if state.global_step != step_of(checkpoint):
        raise ValueError(f"its {STATE} is of step {state.global_step}")


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest whole checkpoint (or ``None``) and a line for each newer one that is not whole.

    Raises:
        Error: there are checkpoints, but none is whole.
    """
    problems: list[str] = []
    for checkpoint in listing(folder):
        wrong = fault(checkpoint)
        if wrong is None:
            return checkpoint, problems
        problems.append(f"{checkpoint.name} cannot be used: {wrong}")
    if problems:
        why = "; ".join(problems)
        raise Error(f"no usable checkpoint in {folder} ({why}); start again in another --output, or remove the folder.")
    return None, problems


_ODD = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError),
    *(AssertionError, SafetensorError, pickle.UnpicklingError),
)
"""What is raised by a file of a checkpoint that is whole, and holds something else than ours do."""


@contextmanager
def reading(checkpoint: Path) -> Iterator[None]:
    """Say in one line that a checkpoint does not hold what one of ours does: plain numbers alone are taken from it.

    Args:
        checkpoint: Which.

    Raises:
        Error: it does not.
    """
    try:
        yield
    except _ODD as error:
        why = "it names code, which is not run" if "Unsupported global" in str(error) else excerpt(str(error), 160)
        raise Error(
            f"{checkpoint} cannot be resumed from ({why}); remove it and resume from the one before."
        ) from error


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints, and leftovers of interrupted writes."""
    for old in listing(folder)[keep:]:
        shutil.rmtree(old)
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
