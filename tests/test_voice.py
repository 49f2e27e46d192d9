"""One voice: systems are called by their names, results share a base, arguments are from one vocabulary."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import unmask

ROOT = Path(__file__).parent.parent
WORDS = re.compile(r"\bseeds? 00\d|\bthe seed's\b|\bseed systems?\b", re.IGNORECASE)
"""What was said of the five systems of docs/origins.md; a seed is a random seed."""
TEXTS = [
    page
    for folder, ends in {"": "*.md", "docs": "*.md", "src": "*.*", "tests": "*.py", "benchmarks": "*.*"}.items()
    for page in ((ROOT / folder).rglob(ends) if folder else ROOT.glob(ends))
    if page.suffix in {".md", ".py", ".yaml", ".json", ".html"} and page != Path(__file__)
]


def test_a_seed_is_a_random_seed_everywhere() -> None:
    assert len(TEXTS) > 500
    wrong = [f"{page.relative_to(ROOT)}: {found}" for page in TEXTS for found in WORDS.findall(page.read_text("utf8"))]
    assert not wrong


FUNCTIONS = {name: getattr(unmask, name) for name in unmask.__all__ if inspect.isfunction(getattr(unmask, name))}
SUBJECTS = """a b choices file index indexes name options pattern plan prompt query recipe run run_a run_b runs samplers
source text
trace"""
"""What a function is about, which comes first and needs no name; besides, ``overrides`` of a recipe or plan."""
SHARED = {
    "run": {"str | Path", "str | Path | Run"},
    "index": {"str | Path", "str | Path | Index", "str | Path | Index | None"},
    "overrides": {"Iterable[str]", "Iterable[str | tuple[str, Any]]"},
    "output": {"str | Path", "str | Path | None"},
    "sampler": {"str | None"},
    "n": {"int"},
    "seed": {"int"},
    "batch_size": {"int"},
    "max_tokens": {"int | None"},
    "draws": {"int", "int | None"},
    "documents": {"int", "int | None"},
    "device": {"str | None"},
    "force": {"bool"},
    "allow_code": {"bool"},
    "workers": {"int | None", "int | Workers | None"},
    "say": {"Callable[[str], None]"},
    "progress": {"Callable[[Progress], None]"},
}
"""One name for one thing, with what it may be, in every function that has it."""
OTHERS = {"to", "path_to", "out", "folder_out", "num", "count", "rng", "batch", "callback", "log", "verbose"}
"""Names that would be a second word for one of these."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_in_one_order_and_have_one_name(name: str) -> None:
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    places = [key for key, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    optional = [key for key in places if parameters[key].default is not inspect.Parameter.empty]
    last = [key for key in places if key in ("overrides", "output", "folder")]
    assert set(places) <= {*SUBJECTS.split(), *last} and places[len(places) - len(last) :] == last
    assert len(optional) <= 1, "what may be left out has a name"
    assert not OTHERS & set(parameters)
    for key, kinds in SHARED.items():
        assert key not in parameters or parameters[key].annotation in kinds, key
