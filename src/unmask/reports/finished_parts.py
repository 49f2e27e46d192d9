"""The finished parts of a comparison, kept in ``DIR/parts`` until the report is written.

A part is one JSON file, written aside and renamed. ``plan.json`` beside them says what decides their numbers: the runs
by their content, the held-out text, the settings, the versions. So an interrupted comparison goes on where it stopped,
and never with another one's parts.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from unmask.data.cache import writing
from unmask.data.json_file import read_object
from unmask.data.lock import LOCK
from unmask.errors import Error
from unmask.reports.dataclass_json import plain, rebuilt
from unmask.training.run import Run, write_json

PARTS, PLAN, REPORT = "parts", "plan.json", ("report.html", "table.md", "compare.json")
_NOT_THE_RUN = {"checkpoints", "raw", "plots", "metrics.jsonl"}
"""What lies in a run folder and does not decide a comparison's numbers."""

Value = TypeVar("Value")


def check_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Refuse a folder that holds a report, an interrupted comparison or something else, unless told to use it.

    Raises:
        Error: which of them, and the way on.
    """
    if resume and force:
        raise Error("--resume goes on with a comparison and --force starts it anew; give one of them.")
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    found = {path.name for path in folder.iterdir()} - {LOCK} if folder.is_dir() else set()
    begun = (folder / PARTS / PLAN).is_file()
    if PARTS in found and not begun:
        raise Error(f"{folder / PARTS} is in the way and no part of a comparison; choose another --output.")
    if resume and not begun:
        raise Error(f"{folder} holds no interrupted comparison to go on with; leave --resume out to start one.")
    if not found or resume or force:
        return
    anew = "start anew with --force, or choose another --output"
    if found & set(REPORT):
        raise Error(f"{folder} already holds a report; write over it with --force, or choose another --output.")
    if begun:
        raise Error(f"{folder} holds an interrupted comparison; go on with --resume, {anew}.")
    raise Error(f"{folder} is not empty and holds no report; choose another --output, or use it with --force.")


class Parts:
    """The parts of one comparison.

    Attributes:
        kept: Names of parts that were there already.
        measured: Names of parts that were measured now.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder / PARTS, say
        self.kept: list[str] = []
        self.measured: list[str] = []

    def begin(self, plan: dict[str, Any], *, resume: bool) -> None:
        """Write down what the parts are of; resumed, check that it is the same.

        Raises:
            Error: the interrupted comparison was another one; names what differs.
        """
        path = self._folder / PLAN
        if resume:
            then = read_object(path, "start anew with --force")
            now = json.loads(json.dumps(plan))
            if differ := [key for key in {**then, **now} if then.get(key) != now.get(key)]:
                told = "; ".join(f"{key} {_short(then.get(key))} then, {_short(now.get(key))} now" for key in differ)
                raise Error(
                    f"the comparison in {self._folder.parent} was another one ({told}). Give the same command, start "
                    "anew with --force, or choose another --output."
                )
            return
        with writing(self._folder, "give another --output"):
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            write_json(path, plan)

    def holds(self, name: str) -> bool:
        """Tell whether a part is here already."""
        return (self._folder / f"{name}.json").is_file()

    def get(self, name: str, kind: Any, measure: Callable[[], Value]) -> Value:
        """Return a part: the stored one, or measured now and stored.

        Args:
            name: Its name, a file's name.
            kind: Its type.
            measure: Makes it.
        """
        path = self._folder / f"{name}.json"
        if path.is_file():
            try:
                value: Value = rebuilt(kind, json.loads(path.read_text(encoding="utf-8")))
                self.kept.append(name)
                return value
            except (ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError):
                self._say(f"{path} cannot be read; measuring it again")
        value = measure()
        with writing(self._folder, "give another --output"):
            write_json(path, plain(value))
        self.measured.append(name)
        return value

    def abandon(self) -> None:
        """Leave nothing behind where nothing was measured yet; otherwise keep the parts."""
        if not (self.kept or self.measured):
            self.finish()
            if self._folder.parent.is_dir() and not any(self._folder.parent.iterdir()):
                self._folder.parent.rmdir()

    def finish(self) -> None:
        """Remove the parts: the report holds what they held."""
        shutil.rmtree(self._folder, ignore_errors=True)


def digest(run: Run) -> str:
    """Return a hash of what decides a run's numbers: every file of its folder but checkpoints, pictures and its log."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(run.path.rglob("*")):
        inside = path.relative_to(run.path)
        if path.is_file() and inside.parts[0] not in _NOT_THE_RUN:
            found.update(f"{inside.as_posix()} {path.stat().st_size} ".encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "blake2b").digest())
    return found.hexdigest()


def digest_texts(texts: list[str]) -> str:
    """Return a hash of texts in their order."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=8).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
