"""The installed package: light to import, every public name there, versions pinned."""

from __future__ import annotations

import ast
import itertools
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import unmask

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ["torch", "transformers", "datasets", "pandas", "matplotlib", "numpy"]


@pytest.mark.parametrize("source", ["import unmask", "from unmask.cli.app import run; run(['--help'])"])
def test_importing_and_asking_for_help_load_nothing_heavy(python, source):
    ran = python(f"{source}\nimport sys\nsys.exit(str([m for m in {HEAVY} if m in sys.modules]))")
    assert ran.err.strip() == "[]"


@pytest.mark.parametrize("name", unmask.__all__)
def test_every_public_name_resolves(name):
    assert getattr(unmask, name) is not None
    assert name in dir(unmask)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = unmask.nonesuch


def test_type_checkers_see_the_names_that_users_get():
    tree = ast.parse(Path(unmask.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    told = "a public name stands three times in src/unmask/__init__.py: under TYPE_CHECKING, in _HOMES, in __all__"
    assert sorted(seen.items() ^ unmask._HOMES.items()) == [], told
    assert sorted({*seen, "Error", "__version__"} ^ {*unmask.__all__}) == [], told


def test_constraints_pin_every_direct_dependency_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in map(Requirement, [*project["dependencies"], *itertools.chain(*extras)]):
        name = canonicalize_name(requirement.name)
        if name != "unmask":
            assert requirement.specifier.contains(pins[name]), f"{requirement} is pinned to {pins[name]}"
            assert {clause.operator for clause in requirement.specifier} == {">=", "<"}, f"{requirement} is open-ended"
