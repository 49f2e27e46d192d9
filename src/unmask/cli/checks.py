"""What a command line has wrong that names, files and options alone can tell: said before torch is imported.

A verb whose parameter is called as one here is checked as the others are; nothing is to be written for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Parameters = Mapping[str, Any]
"""Name of a verb's parameter -> what was given."""
Verb = TypeVar("Verb", bound=Callable[..., object])
_REFUSE = "refuse"


def refused_by(refuse: Callable[[Parameters], None]) -> Callable[[Verb], Verb]:
    """Give a verb what refuses combinations of its options: asked before any run or file is looked up."""

    def mark(verb: Verb) -> Verb:
        vars(verb)[_REFUSE] = refuse
        return verb

    return mark


def check(given: Parameters, verb: Callable[..., object] | None = None) -> None:
    """Refuse a verb's parameters if they cannot work: first what is wrong whatever is on the disk.

    Raises:
        Error: which one, and how to mend it.
    """
    if (refuse := getattr(verb, _REFUSE, None)) is not None:
        refuse(given)
    for name, part in _CHECKS.items():
        if given.get(name):
            part(given[name], given)


def _run(name: str, given: Parameters) -> None:
    """A run that is there; where it is to write, with a sampler and settings that go with it."""
    from unmask.api.settings import choose
    from unmask.sampling.registry import SAMPLERS
    from unmask.sampling.request import Settings

    if given.get("sampler"):
        SAMPLERS.check(given["sampler"])
    if _there(name) and "sampler" in given:
        named = {key: given[key] for key in Settings.__dataclass_fields__ if key in given}
        choose(name, given["sampler"], {key: value for key, value in named.items() if value is not False})


def _there(name: str, given: Parameters | None = None) -> bool:
    """Refuse what is no run; tell whether it is here, or still has to be fetched from the Hub."""
    from unmask.training.find_run import find_run
    from unmask.training.run import Run, is_hub_name, open_folder

    folder = find_run(name)
    if folder is not None:
        open_folder(folder)
    elif not is_hub_name(name):
        Run.open(name)
    return folder is not None


def _runs(names: list[str], given: Parameters) -> None:
    if not given.get("blind_results"):  # then they are files of choices
        for name in names:
            _there(name)


def _samplers(names: list[str], given: Parameters) -> None:
    from unmask.sampling.registry import SAMPLERS

    for name in names:
        SAMPLERS.check(name)


def _source(name: str, given: Parameters) -> None:
    from unmask.data.sources import check_source

    check_source(name, bool(given.get("binary")))


def _index(folder: str | Path, given: Parameters) -> None:
    from unmask.retrieval.manifest import read_manifest

    read_manifest(Path(folder))


def _indexes(folders: list[str | Path], given: Parameters) -> None:
    for folder in folders:
        _index(folder, given)


def _plan(name: str, given: Parameters) -> None:
    from unmask.compare.plan_files import load_plan

    load_plan(name)


def _partition(name: str, given: Parameters) -> None:
    from unmask.retrieval.registry import PARTITIONERS

    PARTITIONERS.check(name)


def _router(name: str, given: Parameters) -> None:
    from unmask.retrieval.registry import ROUTERS

    ROUTERS.check(name)


def _replay(path: str | Path, given: Parameters) -> None:
    from unmask.errors import Error

    if not Path(path).exists():
        raise Error(f"there is no trace {path}; make one with: unmask sample RUN --trace {path}")


def _file(path: str | Path, given: Parameters) -> None:
    from unmask.errors import Error

    if not Path(path).exists():
        raise Error(f"there is no file {path}.")


_CHECKS: dict[str, Callable[[Any, Parameters], object]] = {
    "replay": _replay,
    "run": _run,
    "runs": _runs,
    "fallback": _there,
    "samplers": _samplers,
    "source": _source,
    "index": _index,
    "indexes": _indexes,
    "like": _index,
    "plan": _plan,
    "partition": _partition,
    "router": _router,
    "prompt_file": _file,
    "rules": _file,
    "rubric": _file,
}
