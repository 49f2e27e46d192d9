"""Talks: lines of prompts and responses, and how a tokenizer's chat template makes tokens of them.

A line is ``{"prompt": ..., "response": ...}``, or OpenAI's ``{"messages": [{"role": ..., "content": ...}, ...]}``. A
corpus keeps a talk as one line of JSON, its messages alone, so that split, duplicates and fingerprint are those of any
document. What the assistant says is learned, and all else is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unmask.data.chat_template import turns
from unmask.errors import Error
from unmask.lines import excerpt

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer

Check = Callable[[object, str], str]
"""Returns a value of a field as text, or refuses it: ``(value, field's name)``."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
FORM = 'Write {"prompt": "...", "response": "..."} or {"messages": [{"role": "user", "content": "..."}, ...]}.'


def talk_of(record: Mapping[str, Any], where: str, text: Check) -> str:
    """Return the talk of a line as a corpus keeps it.

    Args:
        record: The line's object.
        where: Names the line.
        text: Takes texts.

    Raises:
        Error: it is no talk, or nothing can be learned of it.
    """
    if "messages" in record:
        found = record["messages"]
        if not isinstance(found, list) or not found:
            raise Error(f"{where}: messages must be a list of them. {FORM}")
        messages = [_message(one, number, where, text) for number, one in enumerate(found, 1)]
    elif "prompt" in record and "response" in record:
        said = (("user", "prompt"), ("assistant", "response"))
        messages = [{"role": role, "content": text(record[key], key)} for role, key in said]
    else:
        raise Error(f"{where} is no talk (fields: {excerpt(', '.join(sorted(record)), 160) or 'none'}). {FORM}")
    for one in messages:
        if one["role"] == "assistant" and not one["content"].strip():
            raise Error(f"{where}: a response is empty, and nothing can be learned of it. Write it, or drop the line.")
    if messages[-1]["role"] != "assistant":
        raise Error(f"{where}: the talk does not end with a response, which is what is learned. Add it, or cut there.")
    return json.dumps({"messages": messages}, ensure_ascii=False)


def _message(given: object, number: int, where: str, text: Check) -> dict[str, str]:
    if not isinstance(given, dict) or "content" not in given:
        raise Error(f"{where}: message {number} is no object with a role and content. {FORM}")
    if (role := given.get("role")) not in _ROLES:
        raise Error(f"{where}: message {number} has the role {role!r}; use system, user or assistant.")
    content = given["content"]
    if isinstance(content, list):
        kinds = [part.get("type") if isinstance(part, dict) else None for part in content]
        if odd := next((kind for kind in kinds if kind != "text"), "" if kinds else "none"):
            raise Error(f"{where}: message {number} has a part of type {odd!r}, and runs read text alone.")
        return {"role": _ROLES[role], "content": "".join(text(part.get("text"), "text") for part in content)}
    return {"role": _ROLES[role], "content": text(content, "content")}


def messages_of(talk: str) -> list[dict[str, str]]:
    """Return the messages of a talk that a corpus keeps."""
    found: list[dict[str, str]] = json.loads(talk)["messages"]
    return found


def talk_ids(tokenizer: Tokenizer, talk: str) -> tuple[list[int], list[bool]]:
    """Return the tokens of a talk between BOS and EOS, and which of them are learned.

    A response is learned up to the end of text that the template puts behind it. The end of the last one is the
    document's, and is left to it. Prompts have the tokens that ``unmask serve`` makes of them.

    Raises:
        Error: the template does not take it.
    """
    ids: list[int] = []
    learned: list[bool] = []
    for part, response in turns(tokenizer, messages_of(talk)):
        end = part.index(tokenizer.eos_id) + 1 if response and tokenizer.eos_id in part else len(part)
        ids += part
        learned += [response and place < end for place in range(len(part))]
    last = _last(learned)
    if ids[last : last + 1] == [tokenizer.eos_id]:
        last -= 1
    return ids[: last + 1], learned[: last + 1]


def _last(learned: Sequence[bool]) -> int:
    return max((place for place, each in enumerate(learned) if each), default=-1)
