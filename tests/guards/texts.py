"""The guard of tokenizers: a text is never changed."""

from __future__ import annotations

from typing import Any

from guards.guard import guard


@guard("decoding gives the text back exactly")
def tokenizer_is_lossless(tokenizer: Any, text: str) -> None:
    """Every Unicode text comes back to the byte, whether it was encoded alone or among others."""
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids)
    assert back == text, f"{text!r} came back as {back!r}"
    assert tokenizer.decode_bytes(ids) == text.encode(), f"the bytes of {text!r} changed"
    assert tokenizer.encode_batch([text, "x"])[0] == ids, f"{text!r} is encoded in another way among others"
