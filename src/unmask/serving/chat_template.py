"""Messages as a prompt: by the run's own chat template, else by a plain one. What users say stays text.

A template is Jinja, as transformers has it: ``tokenizer/chat_template.jinja`` of the run, or ``chat_template`` of its
``tokenizer_config.json``. It is rendered in a sandbox. Names of special tokens that the *template* writes become these
tokens; the same names in a message are taken out before and put back as letters, so nobody can end another's turn.

The plain one, for runs that were never taught to chat:

    System: ...
    User: ...
    Assistant:

and a text ends where the run begins to write the next ``User:``.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.training.own_text import own_text
from unmask.training.run import Run

STOP = "\nUser:"
"""What ends a text under the plain template."""
_NAMES = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant"}


@dataclass(frozen=True)
class Prompt:
    """Messages as a run reads them.

    Attributes:
        ids: Token ids, without BOS.
        stops: Where an answer ends besides the end of the text.
        plain: Whether the plain template was used.
    """

    ids: list[int]
    stops: list[str]
    plain: bool


def prompt_of(run: Run, messages: Sequence[Mapping[str, str]]) -> Prompt:
    """Return the prompt of a chat.

    Args:
        run: The run.
        messages: Each with ``role`` and ``content``.

    Raises:
        Error: messages that the template does not take.
    """
    source = template_of(run.path / "tokenizer")
    if source is None:
        said = [f"{_NAMES[one['role']]}: {one['content'].strip()}\n" for one in messages]
        return Prompt(run.tokenizer.encode(own_text("".join(said) + "Assistant:", run)), [STOP], True)
    names = run.tokenizer.specials
    hidden = {name: f"\ue000{secrets.token_hex(8)}\ue001" for name in names}
    own = [{**one, "content": _replaced(one["content"], hidden)} for one in messages]
    roles = {role: name for name, role in _roles(run.tokenizer).items()}
    try:
        text = (
            _environment()
            .from_string(source)
            .render(
                messages=own,
                add_generation_prompt=True,
                bos_token=roles.get("bos", ""),
                eos_token=roles.get("eos", ""),
                pad_token=roles.get("pad", ""),
            )
        )
    except (TemplateError, TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        why = " ".join(str(error).split())[:160]
        raise Error(f"the chat template of run {run.path} does not take these messages ({why}).") from error
    shown = {sign: name for name, sign in hidden.items()}
    ids: list[int] = []
    for part in _split(text, names):
        if part in names:
            ids.append(names[part])
        elif part:
            ids += run.tokenizer.encode(own_text(_replaced(part, shown), run))
    return Prompt(ids[1:] if ids[:1] == [run.tokenizer.bos_id] else ids, [], False)


@lru_cache(64)
def _read(path: Path, stamp: int) -> str | None:
    text = path.read_text("utf-8")
    if path.suffix != ".json":
        return text
    found = json.loads(text).get("chat_template")
    if isinstance(found, list):  # several by name
        found = next((one.get("template") for one in found if one.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def template_of(folder: Path) -> str | None:
    """Return the chat template beside a tokenizer; ``None``: it has none.

    Raises:
        Error: its file is damaged.
    """
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = folder / name
        if path.is_file():
            try:
                found = _read(path, path.stat().st_mtime_ns)
            except (OSError, ValueError, AttributeError) as error:
                raise Error(f"the chat template in {path} cannot be read ({error}).") from error
            if found is not None:
                return found
    return None


def _roles(tokenizer: Tokenizer) -> dict[str, str]:
    ids = {tokenizer.pad_id: "pad", tokenizer.bos_id: "bos", tokenizer.eos_id: "eos"}
    return {name: ids[token] for name, token in tokenizer.specials.items() if token in ids}


def _split(text: str, names: Mapping[str, int]) -> list[str]:
    if not names:
        return [text]
    longest_first = sorted(names, key=len, reverse=True)
    return re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)


def _replaced(text: str, by: Mapping[str, str]) -> str:
    if not by:
        return text
    pattern = "|".join(map(re.escape, sorted(by, key=len, reverse=True)))
    return re.sub(pattern, lambda found: by[found[0]], text)


@lru_cache(1)
def _environment() -> Any:
    def refuse(message: str) -> None:
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    made.globals["raise_exception"] = refuse
    made.filters["tojson"] = lambda value, **more: json.dumps(value, ensure_ascii=False, **more)
    return made
