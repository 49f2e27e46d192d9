"""Where the run of a name lies: ``runs/causal`` is found as ``causal``, and so is ``runs/demo/causal``.

``box`` is the model in the box, a run that comes with unmask, wherever no run of one's own has that name.
"""

from __future__ import annotations

from pathlib import Path

from unmask.errors import Error, closest
from unmask.lines import excerpt, shell

MANIFEST = "run.json"
HOME = Path("runs")
"""Where ``unmask train`` puts runs that are given no folder."""
BOX = "box"
"""The model in the box."""
_DEPTH = 3
"""Folders below it in which runs are looked for: a sweep's rows are two deep."""


def known_runs(home: Path = HOME) -> list[Path]:
    """Return the folders of runs below a folder, by name."""
    found = (one.parent for depth in range(1, _DEPTH + 1) for one in home.glob("*/" * depth + MANIFEST))
    return sorted(found)


def find_run(name: str | Path) -> Path | None:
    """Return the folder that a name stands for; ``None``: there is none here.

    A folder of that name comes first, then ``runs/NAME``, then the one run below ``runs`` whose path ends in it, then
    the model in the box.

    Raises:
        Error: it is a file, or several runs end in it.
    """
    path = Path(name)
    if path.is_file():
        raise Error(f"{path} is a file; give the run's folder.")
    beneath = None if path.is_absolute() or path.parts[:1] in ((), ("..",)) else HOME / path
    inside = beneath is not None and (beneath / MANIFEST).is_file()
    if path.is_dir() and ((path / MANIFEST).is_file() or not inside):
        return path
    if beneath is None:
        return None
    if inside:
        return beneath
    found = [run for run in known_runs() if run.parts[-len(path.parts) :] == path.parts]
    if len(found) > 1:
        raise Error(f"{name} is the name of several runs: {', '.join(map(str, found))}. Say which.")
    return found[0] if found else box() if str(name) == BOX else None


def box() -> Path:
    """Return the folder of the model in the box."""
    return Path(__file__).parents[1] / "packaged" / BOX


def own_folder(path: Path) -> Path:
    """Return a run's folder, to write into it.

    Raises:
        Error: it is the model in the box, which is a part of the installation.
    """
    if path.resolve() == box().resolve():
        copy = HOME / BOX
        raise Error(
            f"the model in the box is a part of unmask, and nothing is written into it. Copy it, and {copy} is what "
            f"the name {BOX} stands for: cp -r {shell(path)} {copy}"
        )
    return path


def missing_run(name: str | Path) -> str:
    """Say that there is no such run, which one may have been meant, and which there are."""
    path = Path(name)
    beside = [entry.parent for entry in path.parent.glob(f"*/{MANIFEST}")] if path.parent.is_dir() else []
    runs = {str(run): run for run in [*known_runs(), *sorted(beside)]}
    names = {**{run.name: text for text, run in reversed(runs.items())}, **{text: text for text in runs}}
    near = closest(str(name), names) or closest(path.name, names)
    text = f"there is no run folder {name}."
    if near is not None:
        return f"{text} Did you mean {names[near]}?"
    if runs:
        shown = list(runs)[:8]
        more = f" and {len(runs) - len(shown)} more" if len(runs) > len(shown) else ""
        return f"{text} There {'is' if len(runs) == 1 else 'are'}: {', '.join(shown)}{more}."
    return f"{text} Make one with: unmask train RECIPE --output {shell(name)}, or try the one in the box: {BOX}"


def check_folder(path: Path) -> None:
    """Refuse a folder that is no run.

    Raises:
        Error: it has no manifest.
    """
    if not (path / MANIFEST).is_file():
        raise Error(f"{path} is not a run folder (no {MANIFEST}); make one with: unmask train RECIPE --output DIR")


def is_hub_name(name: str) -> bool:
    """Tell whether a name may be that of a Hub repository (``owner/name``), and not of a run beside others."""
    beside = any(Path(name).parent.glob(f"*/{MANIFEST}"))
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not beside


def named_folder(home: Path, what: str, name: str) -> Path:
    """Return the folder of a name that a file gave: one that lies directly in ``home``.

    Raises:
        Error: the name is a path, or none that a folder can have.
    """
    if name in ("", ".", "..") or len(name.encode()) > 200 or any(sign in "/\\" or sign < " " for sign in name):
        raise Error(f"{what} is named {excerpt(name)!r}, which is no name of a folder; give --output DIR.")
    return home / name
