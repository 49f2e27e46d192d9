"""``--help`` of a module without what it imports: its first words and its options, read from its source."""

from __future__ import annotations

import ast

from benchmarks.lib.places import ROOT


def told(module: str) -> str:
    """Return the help of ``benchmarks....``: its words, its options, and those that it takes from a module of ours."""
    tree = _tree(module)
    near = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    trees = [tree, *(_tree(name) for name in near if name.startswith("benchmarks."))]
    calls = [node for each in trees for node in ast.walk(each) if isinstance(node, ast.Call)]
    options = [_option(call) for call in calls if getattr(call.func, "attr", "") == "add_argument"]
    lines = [ast.get_docstring(tree) or "", "", *options]
    if module.startswith("benchmarks.speed.") and not options:
        lines.append("python -m benchmarks.speed --only NAME runs it; --list has the names.")
    return "\n".join(lines).rstrip()


def _option(call: ast.Call) -> str:
    names = ", ".join(ast.unparse(name).strip("'") for name in call.args)
    given = {key.arg: key.value for key in call.keywords}
    told = [ast.unparse(given["help"]).strip("'\"")] if "help" in given else []
    default = given.get("default")
    if isinstance(default, ast.Constant) and default.value not in (None, ""):
        told.append(f"default {default.value}")
    return f"  {names:<24}{'; '.join(told)}".rstrip()


def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))
