"""Nothing of the user's is written over: what an option says that a verb writes must not be there yet, without --force.

The rule is asked of every verb with an option of such a name; those listed here have a narrower one of their own, where
they write (a run that is resumed, an index that lies there).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.errors import Error

WRITTEN = ("output", "trace", "copy")
"""Names of parameters that say what a verb writes."""
Force = Annotated[bool, typer.Option("--force", help="Replace what lies where this is to write.")]
OWN_RULE = {
    *(
        "train.train.output",
        "adapt.adapt.output",
        "distill.distill.output",
        "sweep.sweep.output",
        "compare.compare.output",
        "demo.demo.output",
        "export.export.output",
        "import.import_weights.output",
    ),
    *("data.fetch.output", "data.convert.output", "index.build.output", "index.merge.output", "index.link.output"),
    # an older trace or thought is replaced, and no other file
    *("sample.sample.trace", "infill.infill.trace", "thought_file.save.output", "thought_file.resume.output"),
    "recipes.recipes.copy",
}
_FOLDERS = {"certify.certify.output", "plot.plot.output", "analyse.analyse.output"}


def check_outputs(given: Mapping[str, Any], verb: Callable[..., object] | None) -> None:
    """Refuse what would be written over.

    Args:
        given: The verb's parameters.
        verb: Its function.

    Raises:
        Error: a file that is there, or a folder that is not empty, and no ``--force``.
    """
    verbs = f"{getattr(verb, '__module__', '').rpartition('.')[2]}.{getattr(verb, '__name__', '')}"
    for option in WRITTEN:
        name = f"{verbs}.{option}"
        if given.get(option) is not None and name not in OWN_RULE:
            _check(Path(given[option]), option, name in _FOLDERS, bool(given.get("force")))


def _check(path: Path, option: str, folder: bool, force: bool) -> None:
    if path.is_dir() and not folder:
        raise Error(f"{path} is a folder. Name a file in --{option}.")
    if force or (folder and path.is_file()):  # the verb refuses a file itself
        return
    if path.is_file():
        raise Error(f"{path} exists. Name another file in --{option}, or add --force to replace it.")
    if path.is_dir() and any(path.iterdir()):
        raise Error(f"{path} is not empty. Name another folder in --{option}, or add --force to write into it.")
