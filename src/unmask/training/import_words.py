"""The tokenizer of open weights made a run's: what begins, ends, pads and masks, and which rows of weights these have.

A text of ours begins with BOS, which is never predicted, and ends with EOS, which is: they must differ. Where one token
does both there (``<|endoftext|>``), ours gets a new id for BOS with the same row of weights: the network answers as it
did. A mask that the weights never knew has the mean of all rows, and rows of no token are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from unmask.data.adopt import named_in
from unmask.data.json_file import read_object
from unmask.data.tokenizers import TEMPLATE, Tokenizer, adopted
from unmask.errors import Error
from unmask.models.families.convert import MEAN
from unmask.models.families.family import Family

_BETWEEN = "<|endoftext|>"
"""What stands between documents in the training of many."""
_TURN = "<|im_start|>"
"""Begins a turn of a talk, not a document, whatever it is called."""


@dataclass(frozen=True)
class Words:
    """A run's tokenizer, and the weights' rows of its tokens.

    Attributes:
        tokenizer: The tokenizer.
        rows: Of each id of ours, the row there; ``MEAN``: none.
        notes: What the user should know.
    """

    tokenizer: Tokenizer
    rows: tuple[int, ...]
    notes: tuple[str, ...]


def words_of(folder: Path, name: str, family: Family, told: Mapping[str, Any], bos: str | None = None) -> Words:
    """Return the tokenizer of open weights.

    Args:
        folder: Where its ``tokenizer.json`` lies.
        name: What the weights are called.
        family: Their family.
        told: Their ``config.json``.
        bos: The token that begins a text; ``None``: what their tokenizer puts there, or what stands between documents.

    Raises:
        Error: a tokenizer that is missing or changes texts, no mask where one is needed, or an unknown ``bos``.
    """
    backend = _backend(folder)
    size = max(backend.get_vocab(with_added_tokens=True).values()) + 1
    meant = {role: _meant(folder, told, backend, role) for role in ("eos", "bos", "pad")}
    meant["mask"] = _mask(folder, family, told, backend)
    meant["bos"] = _begins(folder, backend, meant["bos"], bos) or meant["eos"]
    named: dict[str, str | None] = {}
    for role in ("eos", "bos", "mask", "pad"):
        token = meant[role]
        named[role] = None if token in named.values() else token
    tokenizer = adopted(folder, name, named)
    tokenizer.chat_template = _template(folder)
    number = family.mask(told) if family.process != "causal" else None
    rows = list(range(size)) + [MEAN] * (tokenizer.vocab_size - size)
    ids = {"pad": tokenizer.pad_id, "bos": tokenizer.bos_id, "eos": tokenizer.eos_id, "mask": tokenizer.mask_id}
    notes = list(tokenizer.notes)
    for role, own in ids.items():
        token = meant[role]
        row = None if token is None else backend.token_to_id(token)
        if role == "mask" and number is not None:
            row = number
        if row is not None and row != own:
            rows[own] = row
    if ids["bos"] >= size and meant["bos"] is not None:
        notes.append(
            f"a text begins with {meant['bos']!r}, which also ends one: its beginning has an id of its own here"
        )
    if ids["mask"] >= size and number is None:
        notes.append("its weights never knew a mask; the one here has the mean of all embeddings")
    return Words(tokenizer, tuple(rows), tuple(notes))


def _backend(folder: Path) -> Backend:
    try:
        return Backend.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the backend raises bare Exception
        raise Error(f"{folder / 'tokenizer.json'} is no tokenizer ({error}). Name one with --tokenizer.") from error


def _meant(folder: Path, told: Mapping[str, Any], backend: Backend, role: str) -> str | None:
    """Return the token of a role: what the tokenizer's folder names, else what ``config.json`` numbers."""
    if (found := named_in(folder, role)) and backend.token_to_id(found) is not None:
        return found
    number = told.get(f"{role}_token_id")
    number = number[0] if isinstance(number, list) and number else number
    return backend.id_to_token(number) if isinstance(number, int) and number >= 0 else None


def _begins(folder: Path, backend: Backend, named: str | None, asked: str | None) -> str | None:
    """Return the token that a text begins with."""
    if asked is not None:
        if backend.token_to_id(asked) is None:
            raise Error(f"--bos {asked!r} is no token of that tokenizer.")
        return asked
    first = backend.encode("a", add_special_tokens=True).tokens[:1]
    if first and first != backend.encode("a", add_special_tokens=False).tokens[:1]:
        return first[0]
    between = _BETWEEN if backend.token_to_id(_BETWEEN) is not None else None
    if named is None or named == _TURN:
        return between
    return named


def _mask(folder: Path, family: Family, told: Mapping[str, Any], backend: Backend) -> str | None:
    """Return the mask's token; ``None``: it has none there.

    Raises:
        Error: the family's models need one.
    """
    if family.process == "causal":
        return None
    if (number := family.mask(told)) is not None:
        return backend.id_to_token(number)
    for token in (named_in(folder, "mask"), *family.masks):
        if token is not None and backend.token_to_id(token) is not None:
            return token
    raise Error(f"neither config.json (mask_token_id) nor the tokenizer says which token is the mask of {family.name}.")


def _template(folder: Path) -> str | None:
    """Return the template of talks that a folder gives."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text("utf-8")
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    told = read_object(path, "fetch it again").get("chat_template")
    if isinstance(told, list):
        told = next((one.get("template") for one in told if one.get("name") == "default"), None)
    return told if isinstance(told, str) else None
