"""The folder of a run that is about to be trained: may it be used, and what does a resumed run leave unused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from unmask.data.lock import LOCK, held_by, only_one
from unmask.data.sources import check_source, parts_of
from unmask.errors import Error
from unmask.lines import leads
from unmask.training.checkpoints import PARTIAL
from unmask.training.entropy_run import entropy_run
from unmask.training.lora_options import check_peft
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, RECIPE
from unmask.training.warm_start import START, warm_start

CHECKPOINTS = "checkpoints"
_BEFORE = {
    *("tokenizer", RECIPE, "run.partial", "patcher.json", "patcher.safetensors", "entropy.json", "entropy.safetensors"),
    START,
}
"""What a run's folder may hold before its manifest."""
_BUSY, _FIX = "another training is at work in {}", "wait for it, or choose another --output"


@contextmanager
def claimed(folder: Path, resume: bool) -> Iterator[None]:
    """Hold a run's folder for training: no other training begins or goes on there meanwhile.

    A run that could not start leaves nothing behind; what a killed start had left is cleared away, and so is a
    checkpoint that was half written. Of processes that train together the first one holds it for all.

    Raises:
        Error: the folder cannot take this run, or another process trains there.
    """
    if not leads():
        yield
        return
    check_folder(folder, resume)
    with only_one(folder, "training", _BUSY.format(folder), _FIX, make=not resume):
        check_folder(folder, resume, held=True)
        if resume:
            shutil.rmtree(folder / CHECKPOINTS / PARTIAL, ignore_errors=True)
        else:
            _clear(folder)
        try:
            yield
        except BaseException:
            if not (folder / MANIFEST).is_file():
                _clear(folder)
            raise


def _clear(folder: Path) -> None:
    """Remove what a run writes before its manifest, and nothing else."""
    for path in filter(_prepared, list(folder.iterdir())):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _prepared(path: Path) -> bool:
    return path.name in _BEFORE or path.name.endswith(".part")


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
    if leads():
        check_folder(folder, resume)
    if resume:
        return  # the run goes on with its own recipe
    for source in filter(None, (recipe.data.source, recipe.data.valid)):
        check_source(source, recipe.data.binary)
        _check_apart(folder, source)
    if recipe.lora is not None:
        check_peft()
    tokenizer, balance = recipe.data.tokenizer, recipe.data.balance
    elsewhere = recipe.training.init is None and tokenizer not in ("bytes", "bpe")  # else it is the other run's
    if (elsewhere and not tokenizer.startswith("hf:")) or (balance and tokenizer != "bpe"):
        from unmask.data.tokenizers import make_tokenizer

        make_tokenizer(tokenizer, (), 0, balance=balance)
    entropy_run(str((recipe.backbone.model_extra or {}).get("entropy", "")))
    _, start = warm_start(recipe)
    if start is not None:
        start.check_files()


def _check_apart(folder: Path, source: str) -> None:
    """Refuse a run inside the folder of its text, which would be another text from then on."""
    for part in map(Path, parts_of(source)):
        place = part.expanduser() if part.parts[:1] == ("~",) else part
        if place.is_dir() and folder.resolve().is_relative_to(place.resolve()):
            raise Error(
                f"--output {folder} lies in the folder of the text, {part}, and would become a part of it; choose "
                "another --output, or name the files in data.source."
            )


def check_folder(folder: Path, resume: bool, held: bool = False) -> None:
    """Refuse a folder that cannot take this run: one in use, none to resume, or one that holds something else.

    Args:
        folder: The folder.
        resume: A run is to go on there.
        held: This process holds it already.
    """
    begun = (folder / MANIFEST).is_file()
    if begun and not resume:
        raise Error(f"{folder} already holds a run; continue it with --resume, or choose another --output.")
    if not held and (other := held_by(folder)) is not None:
        raise Error(f"{_BUSY.format(folder)} ({other}); {_FIX}.")
    if resume and not begun:
        raise Error(f"{folder} holds no run to resume; leave --resume out to start one.")
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    if begun or not folder.is_dir():
        return
    found = [path for path in folder.iterdir() if path.name != LOCK]
    killed = (folder / LOCK).is_file() and all(map(_prepared, found))  # a start that got no further
    if found and not killed:
        raise Error(f"{folder} is not empty and holds no run; choose another --output.")
