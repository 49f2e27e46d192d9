"""People's text as a run's own: in the form of its data (``data.normalize``), of bytes a character each.

Runs of bytes (``data.binary``) read any: see :mod:`unmask.data.binary`. Whoever gives text to a run asks
:func:`own_text`; whoever counts its bytes, ``run.tokenizer.raw`` (of a text) or ``run.tokenizer.decode_bytes`` (of
tokens); whoever shows it, :func:`shown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unmask.data.binary import as_text
from unmask.data.corpus import normalized
from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer
    from unmask.training.run import Run


def own_text(given: str | bytes, run: Run) -> str:
    """Return a text as the run's own.

    Raises:
        Error: bytes that are no text, for a run of text; lone surrogates.
    """
    if run.recipe.data.binary:
        return as_text(given if isinstance(given, bytes) else _bytes(given))
    if isinstance(given, str):
        run.tokenizer.raw(given)  # it refuses lone surrogates
        return normalized(given, run.recipe.data.normalize)
    try:
        return normalized(given.decode("utf-8-sig"), run.recipe.data.normalize)
    except UnicodeDecodeError as error:
        raise Error(
            f"the prompt is not UTF-8 (byte {error.start}), and this run models text. Give UTF-8, or take a run with "
            "data.binary=true."
        ) from error


def _bytes(text: str) -> bytes:
    """Return the bytes of a text from Python or the shell, which has a surrogate for a byte that is not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Error(f"character {error.start} of the text is a lone surrogate and no byte. Give bytes.") from error


def shown(text: str, tokenizer: Tokenizer) -> str:
    """Return a run's text for people: bytes that are not UTF-8 become U+FFFD."""
    return tokenizer.raw(text).decode("utf-8", "replace") if tokenizer.binary else text
