"""The bytes that each token stands for, so that decoding is concatenation: a text may be cut between any two tokens.

Two kinds of tokenizers have them: byte-level ones (a printable character a byte, Radford et al. 2019), and those of
sentencepiece with byte fallback (a space is U+2581, a token ``<0xE2>`` one byte; Kudo and Richardson 2018).
"""

from __future__ import annotations

import json
import re
from typing import Any

from tokenizers import Tokenizer as Backend

SPACE = "\u2581"
"""What stands for a space in tokens of sentencepiece."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_WHOLE = {"Replace", "ByteFallback", "Fuse"}


def byte_characters() -> list[str]:
    """Return the printable character that byte-level tokenizers write for each byte (the GPT-2 table)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    rest = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(rest)) for byte in range(256)]


CHARACTERS = byte_characters()
_BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def parts(step: Any, inside: str) -> list[dict[str, Any]]:
    """Return the parts of a normaliser, pre-tokenizer or decoder as its JSON has them, sequences taken apart.

    Args:
        step: The step, or its JSON.
        inside: What a sequence calls its list: ``normalizers``, ``pretokenizers`` or ``decoders``.
    """
    if step is None:
        return []
    tree = step if isinstance(step, dict) else json.loads(step.__getstate__())
    if tree["type"] != "Sequence":
        return [tree]
    return [part for each in tree[inside] for part in parts(each, inside)]


def token_bytes(backend: Backend, size: int) -> tuple[list[bytes], list[int]] | None:
    """Return each id's bytes (special tokens: none), and the ids that spell U+2581 where a token has it for a space.

    Args:
        backend: The tokenizer.
        size: Number of ids.

    Returns:
        ``None`` where the text of several tokens is not that of each behind the other.
    """
    decoder = parts(backend.decoder, "decoders")
    kinds = {part["type"] for part in decoder}
    if kinds == {"ByteLevel"}:
        spaced = False
    elif _is_spaced(decoder, kinds) and not _prepends(backend):
        spaced = True
    else:
        return None
    added = backend.get_added_tokens_decoder()
    table = [b""] * size
    for token, i in backend.get_vocab(with_added_tokens=True).items():
        if i in added:
            own = added[i].content
            table[i] = b"" if added[i].special else (own.replace(SPACE, " ") if spaced else own).encode()
        elif spaced:
            byte = _BYTE.fullmatch(token)
            table[i] = bytes([int(byte[1], 16)]) if byte else token.replace(SPACE, " ").encode()
        elif all(character in _BYTES for character in token):
            table[i] = bytes([_BYTES[character] for character in token])
        else:
            table[i] = token.encode()
    sign = [backend.token_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()] if spaced else []
    return table, [] if None in sign else sign


def _is_spaced(decoder: list[dict[str, Any]], kinds: set[str]) -> bool:
    """Tell whether a decoder puts tokens one behind the other, with spaces for U+2581."""
    meta = [part for part in decoder if part["type"] == "Metaspace"]
    if meta:
        return kinds <= {"Metaspace", *_WHOLE} and all(part.get("prepend_scheme") == "never" for part in meta)
    replaced = [(part["pattern"].get("String"), part["content"]) for part in decoder if part["type"] == "Replace"]
    return replaced == [(SPACE, " ")] and kinds <= _WHOLE and "Fuse" in kinds


def _prepends(backend: Backend) -> bool:
    """Tell whether a text gets a space before its first word."""
    before = parts(backend.pre_tokenizer, "pretokenizers")
    return any(part["type"] == "Prepend" for part in parts(backend.normalizer, "normalizers")) or any(
        part["type"] == "Metaspace" and part.get("prepend_scheme") != "never" for part in before
    )
