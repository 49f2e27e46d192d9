"""The embedded corpus: the prose in the documentation of this Python and of the libraries that unmask stands on.

Documentation topics (``pydoc_data.topics``) and docstrings, found by parsing source files with ``ast``; nothing is
imported or run. What is not prose (doctests, signatures, tables, parameter lists, markup) is left out, and a paragraph
that occurs twice is kept once. The result depends on the versions of Python and of ``LIBRARIES`` alone.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import importlib.util
import inspect
import json
import platform
import re
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from unmask.data.cache import built, cache_folder
from unmask.progress_line import shown

FORMAT = 1
# unmask's own dependencies and theirs, so that the pinned constraints give everybody the same corpus
LIBRARIES = (
    "accelerate", "click", "datasets", "fsspec", "huggingface_hub", "jinja2", "jaxtyping", "markdown_it", "matplotlib",
    "mpmath", "networkx", "numpy", "pandas", "PIL", "psutil", "pyarrow", "pydantic", "rich", "sympy", "torch",
    "tokenizers", "transformers", "typer",
)  # fmt: skip
_SKIPPED_FOLDERS = {
    "test", "tests", "testing", "_vendor", "vendor", "idlelib", "lib2to3", "site-packages", "dist-packages",
    "__pycache__", "turtledemo", "_examples", "examples", "_dynamo", "_inductor",
}  # fmt: skip
_LIBRARY_BYTES = 8 << 20  # source read from one library; only torch and transformers have more
_SHORTEST = 200  # characters of prose that make a document


def identity() -> list[object]:
    """Return what decides the corpus: the versions of Python and of the libraries."""
    return [FORMAT, platform.python_version(), *_versions()]


def documents() -> Iterator[str]:
    """Yield the documents: a topic, or the prose of one module, function, or class with its methods."""
    for record in _records("documents"):
        yield record[1]


def pydocs_pairs() -> list[tuple[str, str]]:
    """Return (query, document) pairs for retrieval: a docstring's first sentence, and the prose that follows it."""
    return [(query, document) for query, document in _records("pairs")]


def _records(name: str) -> Iterator[list[str]]:
    key = "-".join(str(part) for part in (FORMAT, platform.python_version(), _fingerprint()))
    folder = built(cache_folder() / "pydocs" / key, _gather)
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _versions() -> list[str]:
    found = []
    names = metadata.packages_distributions()
    for library in LIBRARIES:
        for distribution in sorted(set(names.get(library, []))):
            found.append(f"{distribution}=={metadata.version(distribution)}")
    return found


def _fingerprint() -> str:
    return hashlib.sha256(json.dumps(identity()).encode()).hexdigest()[:12]


def _gather(folder: Path) -> None:
    seen: set[str] = set()
    with (
        (folder / "documents.jsonl").open("w", encoding="utf-8") as document_file,
        (folder / "pairs.jsonl").open("w", encoding="utf-8") as pair_file,
    ):
        for name, docstrings in shown(_groups(), "gathering", unit="modules and classes", what="pydocs"):
            kept: list[str] = []
            for docstring in docstrings:
                fresh = [text for text in paragraphs(docstring) if text not in seen]
                seen.update(fresh)
                kept += fresh
                if len(fresh) > 1 and len(fresh[0]) <= 200 and sum(map(len, fresh[1:])) >= _SHORTEST // 2:
                    pair_file.write(json.dumps([fresh[0], "\n\n".join(fresh[1:])], ensure_ascii=False) + "\n")
            text = "\n\n".join(kept)
            if len(text) >= _SHORTEST:
                document_file.write(json.dumps([name, text], ensure_ascii=False) + "\n")


def _groups() -> Iterator[tuple[str, list[str]]]:
    """Yield (qualified name, docstrings) of each topic, module, top-level function and class."""
    yield from _topics()
    for root, name in _roots():
        budget = _LIBRARY_BYTES
        for path in _source_files(root):
            budget -= path.stat().st_size
            if budget < 0:
                break
            dotted = ".".join([name, *path.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
            yield from _module_groups(_parsed(path), dotted.removeprefix("."))


def _topics() -> Iterator[tuple[str, list[str]]]:
    topics = importlib.util.find_spec("pydoc_data.topics")
    if topics is None or topics.origin is None:  # some distributions package it apart
        return
    for node in ast.walk(_parsed(Path(topics.origin))):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                    yield f"topic {key.value!s}", [str(value.value)]


def _roots() -> Iterator[tuple[Path, str]]:
    yield Path(sysconfig.get_paths()["stdlib"]), ""
    for library in LIBRARIES:
        spec = importlib.util.find_spec(library)
        if spec and spec.origin:
            yield Path(spec.origin).parent, library


def _source_files(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name not in _SKIPPED_FOLDERS:
            yield from _source_files(path)
        elif path.suffix == ".py" and not path.name.startswith("test_") and path.parent.name != "pydoc_data":
            yield path


def _parsed(path: Path) -> ast.Module:
    try:
        source = path.read_text("utf-8")
        if '"""' not in source and "'''" not in source and path.parent.name != "pydoc_data":
            return ast.Module([], [])
        with warnings.catch_warnings(), _uncollected():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, UnicodeDecodeError, ValueError):  # templates, and files kept broken on purpose
        return ast.Module([], [])


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage in cycles: a tree has none, and its million nodes would start one again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _module_groups(module: ast.Module, name: str) -> Iterator[tuple[str, list[str]]]:
    if docstring := ast.get_docstring(module):
        yield name, [docstring]
    for node in module.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = node.body if isinstance(node, ast.ClassDef) else []
            holders = [node, *(part for part in inside if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)))]
            docstrings = [docstring for holder in holders if (docstring := ast.get_docstring(holder))]
            if docstrings:
                yield f"{name}.{node.name}", docstrings


_ROLE = re.compile(r":[\w:+-]+:`~?([^`<]+?)(?:\s*<[^`>]*>)?`")
_CODE = re.compile(r"``([^`]*)``|`([^`]*)`_{0,2}")
_MARKS = re.compile(r"\*\*([^*\n]+)\*\*|(?<![\w*])\*([^*\n]+)\*(?![\w*])")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_NOT_PROSE = re.compile(r"^\s*(>>>|\.\. |:\w+|\||\+[-=+]+|@|[#$%] |[-=~^*\"'`]{3,}|\[\d+\]|[A-Z]\w+:$)", re.MULTILINE)
_ODD = re.compile(r"[^\w ,.']|[\d_]")
_ENDS = re.compile(r"[.!?:][)\"']?$")


def paragraphs(docstring: str) -> list[str]:
    """Return the prose paragraphs of a docstring, unwrapped and without markup.

    Indented text (parameter descriptions, code), doctests, tables, headings, directives and lists are left out.
    """
    found = []
    for raw in _PARAGRAPHS.split(inspect.cleandoc(docstring).expandtabs()):
        lines = raw.strip("\n").split("\n")
        if any(line.startswith((" ", "- ", "* ")) for line in lines) or _NOT_PROSE.search(raw):
            continue
        text = " ".join(" ".join(lines).split())
        text = _MARKS.sub(lambda m: m[1] or m[2], _CODE.sub(lambda m: m[1] or m[2] or "", _ROLE.sub(r"\1", text)))
        if len(text) >= 30 and _ENDS.search(text) and _wordy(text):
            found.append(text.rstrip(":") + "." if text.endswith(":") else text)  # what the colon led to is left out
    return found


def _wordy(text: str) -> bool:
    """Tell prose from code and formulas by its characters."""
    return len(_ODD.findall(text)) <= 0.1 * len(text) and text.count(" ") >= 4
