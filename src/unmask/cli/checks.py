"""What a command line has wrong that names, files and options alone can tell: said before torch is imported.

A verb whose parameter is called as one here is checked as the others are; nothing is to be written for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from unmask.cli.outputs import check_outputs
from unmask.errors import Error, wrong_count

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
    for name, least in _COUNTS.items():
        if isinstance(given.get(name), int) and (wrong := wrong_count(name, given[name], least)):
            raise Error(f"n is {given[name]}; ask for at least 1 text." if name == "n" and given[name] < 1 else wrong)
    check_outputs(given, verb)
    for name, part in _CHECKS.items():
        if given.get(name):
            part(given[name], given)


def _run(name: str, given: Parameters) -> None:
    """A run that is there; where it is to write, with a sampler and settings that go with it."""
    there = _there(name)
    from unmask.api.settings import choose
    from unmask.api.verifier import OWN, choose_verified
    from unmask.cli.settings import how_to_write
    from unmask.sampling.registry import SAMPLERS

    if given.get("sampler"):
        SAMPLERS.check(given["sampler"])
    how = how_to_write(given) if "sampler" in given else {}
    if there and how:
        verifier, default = given.get("verifier"), "repair" if "hole" in given else "lossless"
        if verifier is None:
            run, settings = choose(name, how.pop("sampler"), how, preset=bool(given.get("preset")))
        elif verifier == OWN or _there(verifier):
            plan = choose_verified(name, verifier, given["verify"], how.pop("sampler"), how, default)
            run, settings = plan.writer, plan.settings
        else:  # has to be fetched first
            return
        if settings.visibility == "causal" and (given.get("suffix") or "hole" in given):
            what = "fill holes" if "hole" in given else "take a suffix or fill holes"
            raise Error(f"run {run.path} writes left to right and cannot {what}; use a run of the masked process.")


def _there(name: str, given: Parameters | None = None) -> bool:
    """Refuse what is no run; tell whether it is here, or still has to be fetched from the Hub."""
    from unmask.training.find_run import check_folder, find_run, is_hub_name, missing_run

    folder = find_run(name)
    if folder is None:
        if not is_hub_name(name):
            raise Error(missing_run(name))
        return False
    check_folder(folder)
    from unmask.training.run import open_folder  # what a recipe may hold takes a second to import

    open_folder(folder)
    return True


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
    from unmask.roots.manifest import read_manifest

    read_manifest(Path(folder))


def _indexes(folders: list[str | Path], given: Parameters) -> None:
    for folder in folders:
        _index(folder, given)


def _plan(name: str, given: Parameters) -> None:
    from unmask.sweeps.plan_files import load_plan

    load_plan(name)


def _output(path: str | Path, given: Parameters) -> None:
    """A place that what is written can be opened at again: safetensors takes names in UTF-8 alone."""
    from unmask.errors import Error

    try:
        str(Path(path).absolute()).encode()
    except UnicodeEncodeError as error:
        raise Error(f"--output {path} lies under a name that is not UTF-8. Choose another place.") from error


def _partition(name: str, given: Parameters) -> None:
    from unmask.roots.registry import PARTITIONERS

    PARTITIONERS.check(name)


def _router(name: str, given: Parameters) -> None:
    from unmask.roots.registry import ROUTERS

    ROUTERS.check(name)


def _trace(path: str | Path, given: Parameters) -> None:
    from unmask.sampling.trace_header import refuse_other

    refuse_other(Path(path))


def _replay(path: str | Path, given: Parameters) -> None:
    from unmask.sampling.trace_header import check_trace

    check_trace(Path(path))


def _texts(count: int, given: Parameters) -> None:
    from unmask.errors import check_texts

    check_texts(count)


def _file(path: str | Path, given: Parameters) -> None:
    if not Path(path).exists():
        raise Error(f"there is no file {path}.")


_COUNTS = {"n": 1, "batch_size": 1, "documents": 1, "draws": 1, "orders": 1, "max_tokens": 1, "seed": -(2**63)}
"""Counts -> the least that works."""
_CHECKS: dict[str, Callable[[Any, Parameters], object]] = {
    "output": _output,
    "replay": _replay,
    "n": _texts,
    "trace": _trace,
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
