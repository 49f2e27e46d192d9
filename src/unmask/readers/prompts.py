"""Prompt sets and rubrics for people: packaged ones by name, or the user's own files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from unmask.data.yaml_text import load_yaml
from unmask.errors import Error, nearest

_SET_FORM = 'one prompt a line (.txt), or JSON lines such as {"prompt": "Once upon a time"} (.jsonl)'
_RUBRIC_FORM = 'criteria: [{name: grammar, question: "Which text has fewer mistakes?"}]'


@dataclass(frozen=True)
class Criterion:
    """What a reader is asked about a pair of texts."""

    name: str
    question: str


RUBRIC = (
    Criterion("coherence", "Which text hangs together better, sentence by sentence?"),
    Criterion("grammar", "Which text has fewer mistakes of grammar and spelling?"),
    Criterion("follows the prompt", "Which text goes on better from the beginning that it was given?"),
)
"""The rubric where the user gives none."""


def prompt_sets() -> list[str]:
    """Return the names of the packaged prompt sets."""
    return sorted(
        p.name.removesuffix(".jsonl") for p in files("unmask.packaged.prompts").iterdir() if p.name.endswith(".jsonl")
    )


def load_prompts(name: str | Path) -> list[str]:
    """Return the prompts of a packaged set or of a file, each once.

    Raises:
        Error: no such set or file, a file of another form, or no prompts.
    """
    path = Path(name)
    if not path.is_file():
        packaged = files("unmask.packaged.prompts") / f"{name}.jsonl"
        if str(name) not in prompt_sets():
            known = prompt_sets()
            raise Error(
                f"no prompts {str(name)!r}.{nearest(str(name), known)} Give {' or '.join(known)}, "
                f"or a file with {_SET_FORM}."
            )
        text, lines = packaged.read_text(encoding="utf-8"), True
    else:
        text, lines = _read(path), path.suffix == ".jsonl"
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found.append(_prompt(line, path, number) if lines else line.strip())
    if not found:
        raise Error(f"{path} holds no prompts; give a file with {_SET_FORM}.")
    return list(dict.fromkeys(found))


def load_rubric(path: str | Path) -> tuple[Criterion, ...]:
    """Return the criteria of a rubric, a YAML file.

    Raises:
        Error: no such file, another form, or a name that stands twice.
    """
    path = Path(path)
    try:
        tree: Any = load_yaml(_read(path), lambda keys: True)
        criteria = tuple(Criterion(_words(item["name"]), _words(item["question"])) for item in tree["criteria"])
    except yaml.YAMLError as error:
        raise Error(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise Error(f"{path} is no rubric ({type(error).__name__}); write: {_RUBRIC_FORM}") from error
    names = [criterion.name for criterion in criteria]
    if not names or len(set(names)) < len(names):
        raise Error(f"{path} must name at least one criterion, and each only once: {_RUBRIC_FORM}")
    return criteria


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise Error(f"there is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise Error(f"{path} is not UTF-8 (byte offset {error.start}); save it as UTF-8.") from error


def _prompt(line: str, path: Path, number: int) -> str:
    try:
        row = json.loads(line)
        return _words(row["prompt"])
    except (ValueError, TypeError, KeyError) as error:
        raise Error(f"{path}, line {number}, has no text in a field 'prompt'; give {_SET_FORM}.") from error


def _words(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no text")
    return value
