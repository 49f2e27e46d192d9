"""The house is what CONTRIBUTING says of it: every file is reached by somebody, and no folder hides a function."""

import ast
import re
import tomllib
from pathlib import Path

import unmask
from unmask.cli.app import GROUPS, VERBS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "unmask"
DOTTED = re.compile(r"(unmask(?:\.\w+)+)(?::\w+)?")


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def named_in(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it, and those that its registry lines and other strings name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := DOTTED.fullmatch(node.value)):
            found.add(match[1])
    return found & FILES.keys()


def reached() -> set[str]:
    """Modules to which a verb, a public name or ``python -m`` leads; a package's registry leads to its parts."""
    open_ = {"unmask", *(f"unmask.cli.{verb}" for verb in (*VERBS, *GROUPS))}
    open_ |= {name for name in FILES if name.endswith(".__main__")}
    seen = set[str]()
    while open_:
        name = open_.pop()
        seen.add(name)
        package = name.rpartition(".")[0]
        open_ |= (named_in(FILES[name]) | ({package} & FILES.keys())) - seen
    return seen


def test_every_file_is_reached_by_a_verb_or_a_public_name():
    assert sorted(FILES.keys() - reached()) == []


def test_no_folder_is_named_like_a_public_function():
    folders = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.*") if "__pycache__" not in path.parts}
    assert sorted(folders & {*unmask.__all__, *VERBS, *GROUPS} - {"data"}) == []


def test_what_the_map_of_the_house_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = set(re.findall(r"`((?:src|tests|benchmarks)/[\w/.]+)`", text))
    assert len(places) > 30 and [place for place in sorted(places) if not (ROOT / place).exists()] == []


def test_the_picture_of_the_house_has_every_layer_in_its_order():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [
        name for layer in linter["contracts"][0]["layers"] for name in re.findall(r"\w+", re.sub(r"\(\w+\)", "", layer))
    ]
    drawn = re.findall(r"<tspan font-weight=\"600\">(\w+)", (ROOT / "docs" / "img" / "house.svg").read_text("utf-8"))
    assert drawn[:-1] == [name for name in layers if (PACKAGE / name).is_dir()]
