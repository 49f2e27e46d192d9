"""The folder of a run that is about to be trained: may it be used, and what does a resumed run leave unused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from unmask.data.sources import check_source
from unmask.errors import Error
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, Run


@contextmanager
def started(folder: Path, fresh: bool) -> Iterator[None]:
    """Make a fresh run's folder; if the run cannot start, leave nothing behind."""
    created = fresh and not folder.exists()
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if fresh:
            shutil.rmtree(folder if created else folder / "tokenizer", ignore_errors=True)
        raise


def differences(given: Recipe, stored: Recipe) -> str:
    """Name the keys in which two recipes differ, names and descriptions aside."""
    pairs = [(section, getattr(given, section), getattr(stored, section)) for section in type(given).model_fields]
    found = []
    for section, one, other in pairs:
        if isinstance(one, BaseModel) and isinstance(other, BaseModel):
            ours, theirs = one.model_dump(), other.model_dump()
            found += [f"{section}.{k}" for k in {**ours, **theirs} if ours.get(k) != theirs.get(k)]
        elif section not in ("name", "about") and one != other:
            found.append(section)
    return ", ".join(found)


def check_start(recipe: Recipe, folder: Path, resume: bool) -> None:
    """Refuse what can be known to be missing or in the way before torch is imported: the folder, the text, a run."""
    if int(os.environ.get("RANK", "0")) == 0:
        check_folder(folder, resume)
    if resume:
        return  # the run goes on with its own recipe
    for source in filter(None, (recipe.data.source, recipe.data.valid)):
        check_source(source, recipe.data.binary)
    entropy = str((recipe.backbone.model_extra or {}).get("entropy", ""))
    if entropy.startswith(ENTROPY_RUN):
        Run.open(entropy.removeprefix(ENTROPY_RUN))


def check_folder(folder: Path, resume: bool) -> None:
    """Refuse a folder that cannot take this run: one in use, none to resume, or one that holds something else."""
    begun = (folder / MANIFEST).is_file()
    if begun and not resume:
        raise Error(f"{folder} already holds a run; continue it with --resume, or choose another --output.")
    if resume and not begun:
        raise Error(f"{folder} holds no run to resume; leave --resume out to start one.")
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    if not begun and folder.is_dir() and any(folder.iterdir()):
        raise Error(f"{folder} is not empty and holds no run; choose another --output.")
