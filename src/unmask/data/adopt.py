"""Tokenizers of strangers: what a folder with a ``tokenizer.json`` has to bring to be ours.

Its tokens stand for bytes (:mod:`unmask.data.token_bytes`), so that pieces of a text can be encoded apart and joined:
the space that sentencepiece puts before the first word is left out. A special token is one that no text can hold; what
the folder names and text holds too ("." as BOS, "!" as PAD) is text, and a special token of our own stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from unmask.data.token_bytes import parts, token_bytes
from unmask.errors import Error

ROLES = ("pad", "bos", "eos", "mask")
SPECIALS = ("<|pad|>", "<|bos|>", "<|eos|>", "<|mask|>")
PROBES = (
    "A plain sentence, with commas.",
    " leading and trailing ",
    "  two leading spaces",
    "two  spaces,\ttab,\nnewline,\r\nCRLF\n\n",
    "Don't 'quote' , or space before punctuation . [UNK] <s> <|endoftext|> <unk>",
    "[CLS] [SEP] [PAD] [MASK] <pad> </s> <mask> <bos> <eos> <|im_start|> <|mask|><|pad|>",
    "UPPER lower 1234567890",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u200d\u0937 \u0915\u094d\u200c\u0937",
    "\u0301 lone mark; cafe\u0301 caf\u00e9; \ufb01 \u00bd \uff21",
    "\u00a0\u2003\u3000\u200b\u2028\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1ee\U0001f1f3 \u4f60\u597d",
    "\u2581 \u2581the\u2581\u2581\u0120the <0x41> ##ing @@ Ġ",
    "\x00\x01\x7f",
    " ",
    "\n",
)
"""Texts that a tokenizer has to give back."""


def special(name: str) -> AddedToken:
    """Return a special token of ours."""
    return AddedToken(name, special=True, normalized=False)


def adopt(
    folder: Path, name: str, named: Mapping[str, str | None] | None = None
) -> tuple[Backend, list[int], list[str]]:
    """Take a foreign ``tokenizer.json``: keep its special tokens, add the missing ones.

    Args:
        folder: Where it lies.
        name: What the user calls it.
        named: The special token of each of :data:`ROLES`, ``None``: it has none; default: what the folder names.

    Returns:
        The tokenizer, the ids of :data:`ROLES`, and what to tell the user.

    Raises:
        Error: no such file, a damaged one, or one whose tokens are no pieces of a text.
    """
    path = folder / "tokenizer.json"
    try:
        backend = Backend.from_str(path.read_text("utf-8-sig"))
        tree = json.loads(backend.to_str())
    except FileNotFoundError as error:
        raise Error(f"{folder} holds no tokenizer.json. Name a folder or Hub model with a fast tokenizer.") from error
    except Exception as error:  # the backend raises bare Exception for a file that it cannot parse
        why = " ".join(str(error).split())
        raise Error(f"{path} is no tokenizer ({why}). Name a folder or Hub model that has one.") from error
    vocabulary = backend.get_vocab(with_added_tokens=True)
    if sorted(set(vocabulary.values())) != list(range(len(vocabulary))):
        far = max(vocabulary.values(), default=0)  # the backend would save the tokens before a gap, and no others
        raise Error(
            f"{path} has {len(vocabulary)} tokens and ids up to {far}: some have none, or one together. Use bpe."
        )
    notes = _straightened(tree, name)
    for token in tree["added_tokens"]:
        token["special"] |= named is not None and token["content"] in named.values()
    _open(tree, _held(_plain(tree)))
    backend = _plain(tree)
    ids: list[int] = []
    for role, own in zip(ROLES, SPECIALS, strict=True):
        known = None
        if found := named_in(folder, role) if named is None else named.get(role):
            known = backend.token_to_id(found)
            if known is not None and not _is_special(backend, known):
                known = None
                notes.append(f"{name} names {found!r} as its {role} token, which is text: unmask adds one of its own.")
        if known is None or known in ids:  # the four must differ: with EOS = BOS, EOS would never be a target
            fresh = _fresh(backend, own)
            backend.add_special_tokens([special(fresh)])
            known = backend.token_to_id(fresh)
        ids.append(known)
    if token_bytes(backend, max(backend.get_vocab(with_added_tokens=True).values()) + 1) is None:
        kinds = ", ".join(part["type"] for part in parts(backend.decoder, "decoders")) or "none"
        raise Error(
            f"the tokenizer {name!r} has tokens that are no pieces of a text (its decoder: {kinds}). Use bpe, or one "
            "that is byte-level or has byte fallback."
        )
    return backend, ids, notes


def _plain(tree: dict[str, Any]) -> Backend:
    """Return the tokenizer of a tree, to which the name of a special token inside a text is ordinary text."""
    backend = Backend.from_str(json.dumps(tree))
    backend.encode_special_tokens = True
    return backend


def _straightened(tree: dict[str, Any], name: str) -> list[str]:
    """Take out what makes a text's ids depend on chance or its place, and return what to tell."""
    tree["truncation"] = tree["padding"] = None
    if "dropout" in tree["model"]:
        tree["model"]["dropout"] = None
    for token in tree["added_tokens"]:
        token.update(lstrip=False, rstrip=False, single_word=False)  # they would swallow the spaces around it
    lead, composes = False, False
    for step, inside in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers"), ("decoder", "decoders")):
        kept = []
        for part in parts(tree[step], inside):
            leads = part["type"] == "Prepend" or (
                part["type"] == "Strip" and step == "decoder" and (part["content"], part["stop"]) == (" ", 0)
            )
            lead |= leads and part["type"] == "Prepend"
            if part["type"] == "Metaspace" and part.get("prepend_scheme") != "never":
                part["prepend_scheme"], lead = "never", True
            if part["type"] == "ByteLevel" and step == "pre_tokenizer" and part.get("add_prefix_space"):
                part["add_prefix_space"], lead = False, True
            composed = step == "normalizer" and part["type"] == "NFC"
            composes |= composed
            kept += [] if leads or composed else [part]
        tree[step] = {"type": "Sequence", inside: kept} if len(kept) > 1 else (kept or [None])[0]
    return [
        *[f"{name} puts a space before a text's first word; here it does not, so that texts can be joined."] * lead,
        *[f"{name} composes letters and their marks (NFC); here a text stays as it is."] * composes,
    ]


def _held(backend: Backend) -> set[int]:
    """Return the special ids that an ordinary text can hold, since the vocabulary has their names as words."""
    found = set()
    for i, token in backend.get_added_tokens_decoder().items():
        texts = [token.content, token.content.replace("\u0120", " "), f"a {token.content} b"]
        ids = {held for text in texts for held in backend.encode(text, add_special_tokens=False).ids}
        found |= {i} & ids if token.special else set()
    return found


def _open(tree: dict[str, Any], held: set[int]) -> None:
    """Let special tokens that a text can hold be text."""
    for token in tree["added_tokens"]:
        if token["id"] in held:
            token["special"] = False


def _is_special(backend: Backend, i: int) -> bool:
    added = backend.get_added_tokens_decoder()
    return i in added and bool(added[i].special)


def _fresh(backend: Backend, own: str) -> str:
    """Return a name for a special token that no token has."""
    names = (own if not n else f"{own[:-2]}_{n}|>" for n in count())
    return next(name for name in names if backend.token_to_id(name) is None)


def named_in(folder: Path, role: str) -> str | None:
    """Return the special token that a folder names for a role.

    Raises:
        Error: a damaged file.
    """
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder / file
        if not path.is_file():
            continue
        try:
            tree = json.loads(path.read_text("utf-8-sig"))
            if not isinstance(tree, dict):
                raise ValueError(f"a {type(tree).__name__} and no mapping")
        except (OSError, ValueError, RecursionError) as error:
            why = " ".join(str(error).split())
            raise Error(
                f"{path} is damaged ({why}). Fetch it again, or remove it: unmask then adds its own."
            ) from error
        entry = tree.get(f"{role}_token")
        if isinstance(entry, dict):
            entry = entry.get("content")
        if isinstance(entry, str):
            return entry
    return None
