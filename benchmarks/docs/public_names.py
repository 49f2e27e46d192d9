"""The reference page of Python: every public name, its signature, and where mkdocstrings reads the rest."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmarks.docs.keys import plain


def api() -> str:
    """Return the page of the public names of Python."""
    import unmask

    names = [name for name in unmask.__all__ if name != "__version__"]
    homes = {name: unmask._HOMES.get(name, "unmask.errors") for name in names}
    root = Path(unmask.__file__).parent.parent
    rows = "".join(f"| [`{name}`](#unmask{name.lower()}) | {_summary(root, homes[name], name)} |\n" for name in names)
    blocks = "\n".join(
        f"## unmask.{name}\n\n{_signature(root, homes[name], name)}::: {homes[name]}.{name}\n" for name in names
    )
    return (
        "# Python\n\n`import unmask` can do all that the command line can. A name is imported when it is first used,\n"
        "so the import is quick. A mistake in an argument raises `unmask.Error` with one line that says how to mend\n"
        f"it.\n\n| name | what |\n|---|---|\n{rows}\n{blocks}"
    )


def _summary(root: Path, home: str, name: str) -> str:
    return plain((ast.get_docstring(_definition(root, home, name)) or "").split("\n\n")[0])


def _definition(root: Path, home: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    file = root / (home.replace(".", "/") + ".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise LookupError(f"{home} has no {name}")


def _signature(root: Path, home: str, name: str) -> str:
    """Return a function's signature as a block of code, one argument a line where that is long; none of a class."""
    made = _definition(root, home, name)
    if isinstance(made, ast.ClassDef):
        return ""
    result = f" -> {ast.unparse(made.returns)}" if made.returns else ""
    short = f"{name}({ast.unparse(made.args)}){result}"
    if len(short) > 88:
        given = made.args
        firsts: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults))
        parts = [_one(arg, value) for arg, value in zip(given.args, [*firsts, *given.defaults], strict=True)]
        parts += [f"*{ast.unparse(given.vararg)}"] if given.vararg else ["*"] if given.kwonlyargs else []
        parts += [_one(arg, value) for arg, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
        parts += [f"**{ast.unparse(given.kwarg)}"] if given.kwarg else []
        short = f"{name}(\n    " + ",\n    ".join(parts) + f",\n){result}"
    return f"```text\n{short}\n```\n\n"


def _one(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default else "")
