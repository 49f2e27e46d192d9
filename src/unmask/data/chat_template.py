"""Messages as tokens: by a tokenizer's own chat template, else by a plain one. What people say stays text.

A template is Jinja, as transformers has it: ``chat_template.jinja`` beside a tokenizer, or ``chat_template`` of its
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer

STOP = "\nUser:"
"""What ends a text under the plain template."""
_NAMES = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant"}
Messages = Sequence[Mapping[str, str]]
"""Each with ``role`` and ``content``."""


def as_it_is(text: str) -> str:
    """Return a text."""
    return text


def prompt_ids(
    tokenizer: Tokenizer, template: str | None, messages: Messages, own: Callable[[str], str] = as_it_is
) -> list[int]:
    """Return the tokens of a prompt that asks for the next response, without BOS.

    Args:
        tokenizer: Of the run.
        template: Its own; ``None``: the plain one.
        messages: What was said.
        own: Makes the run's text of a text.

    Raises:
        Error: messages that the template does not take.
    """
    if template is None:
        return tokenizer.encode(own(_plain(messages) + "Assistant:"))
    writer = _Writer(tokenizer, template, own)
    return _without_bos(writer.ids(writer.text(messages, True)), tokenizer)


def turns(tokenizer: Tokenizer, messages: Messages) -> Iterator[tuple[list[int], bool]]:
    """Yield the tokens of a talk piece by piece, without BOS: what leads to a response, and the response (``True``).

    The text that leads to a response is that of :func:`prompt_ids`.

    Raises:
        Error: messages that the template does not take, or a template that changes a turn once it is answered.
    """
    writer = None if tokenizer.chat_template is None else _Writer(tokenizer, tokenizer.chat_template, as_it_is)
    done, first = "", True
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        if writer is None:
            before = _plain(messages[:place]) + "Assistant:"
            after = f"{before} {message['content'].strip()}"
            ids = tokenizer.encode
        else:
            before, after = writer.text(messages[:place], True), writer.text(messages[: place + 1], False)
            ids = writer.ids
        if not before.startswith(done) or not after.startswith(before):
            raise Error(
                "the chat template writes a turn otherwise once it is answered, so that a talk does not go on as it "
                "began; give talks of one response, or another chat_template.jinja beside the tokenizer."
            )
        led = ids(before[len(done) :])
        yield (_without_bos(led, tokenizer) if first else led), False
        yield ids(after[len(before) :]), True
        done, first = after, False


def _plain(messages: Messages) -> str:
    return "".join(f"{_NAMES[one['role']]}: {one['content'].strip()}\n" for one in messages)


def _without_bos(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    return ids[1:] if ids[:1] == [tokenizer.bos_id] else ids


class _Writer:
    """Writes messages by a template: first as text in which each special token of people's text has a sign."""

    def __init__(self, tokenizer: Tokenizer, template: str, own: Callable[[str], str]) -> None:
        self.tokenizer, self.template, self.own = tokenizer, template, own
        self.names = tokenizer.specials
        self.hidden = {name: f"\ue000{secrets.token_hex(8)}\ue001" for name in self.names}
        self.shown = {sign: name for name, sign in self.hidden.items()}

    def text(self, messages: Messages, asks: bool) -> str:
        """Return what the template writes."""
        from jinja2 import TemplateError

        said = [{**one, "content": _replaced(one["content"], self.hidden)} for one in messages]
        roles = {role: name for name, role in _roles(self.tokenizer).items()}
        try:
            found: str = (
                _environment()
                .from_string(self.template)
                .render(
                    messages=said,
                    add_generation_prompt=asks,
                    bos_token=roles.get("bos", ""),
                    eos_token=roles.get("eos", ""),
                    pad_token=roles.get("pad", ""),
                )
            )
        except (TemplateError, TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
            why = " ".join(str(error).split())[:160]
            raise Error(f"the chat template does not take these messages ({why}).") from error
        return found

    def ids(self, text: str) -> list[int]:
        """Return the tokens of what the template wrote."""
        found: list[int] = []
        for part in _split(text, self.names):
            if part in self.names:
                found.append(self.names[part])
            elif part:
                found += self.tokenizer.encode(self.own(_replaced(part, self.shown)))
        return found


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
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    made.globals["raise_exception"] = refuse
    made.filters["tojson"] = lambda value, **more: json.dumps(value, ensure_ascii=False, **more)
    return made
