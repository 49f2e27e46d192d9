"""A grammar over tokens: a regular expression or a JSON schema says which may follow a text, and where it may end.

``llguidance`` (extra ``serve``) reads the grammar byte by byte, and answers for a whole vocabulary at once. A token may
follow if the text with it is still the beginning of a text of the grammar, so there is always a way on; the end may
follow where the text is one of the grammar. Characters may be cut into tokens anywhere. Where one text alone can
follow, it is spelled as the tokenizer spells it.

A grammar answers about any beginning, in any order: texts that share one take turns, go back, or are written twice.
What was read of the last ones is kept, so that a text that goes on word by word is read once.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.sampling.finite_schema import has_end

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

MOST_CHARACTERS = 20_000
"""Characters of a regular expression; forced text is spelled anew at every token."""

_KEPT = 256
"""Beginnings of which it is remembered how they were read."""

_SPACES = " ?"
"""White space between the parts of a JSON text: some networks would write no end of it."""


class Grammar:
    """What texts may be, in the tokens of one tokenizer.

    Args:
        tokenizer: The tokenizer.
        source: In the language of ``llguidance``.
        what: What it is, in words: ``the regular expression 'a+'``.

    Attributes:
        source: The same.
        fingerprint: What it depends on besides: the tokenizer's.

    Raises:
        Error: it cannot be read, no text can fit it, or the tokenizer's tokens are not bytes.
    """

    def __init__(self, tokenizer: Tokenizer, source: str, what: str) -> None:
        guidance = _guidance()
        self.source, self.fingerprint = source, tokenizer.fingerprint
        self._what, self._eos, self._size = what, tokenizer.eos_id, tokenizer.vocab_size
        self._lock = RLock()
        first = guidance.LLMatcher(_tokens_of(tokenizer), source, log_level=0)
        if first.is_error():
            raise Error(f"{what} cannot be used: {_line(first.get_error())}")
        self._read: OrderedDict[tuple[int, ...], LLMatcher] = OrderedDict({(): first})
        self._first = first
        if not self.allowed(()).any():
            raise Error(f"no text fits {what}; change it.")

    def allowed(self, text: tuple[int, ...]) -> Bool[np.ndarray, " V"]:
        """Return which tokens may follow, the end of the text among them where it may end.

        Args:
            text: Tokens from where the grammar begins.

        Raises:
            Error: a text that is no beginning of a text of the grammar, or a grammar too large to be followed.
        """
        with self._lock:
            at = self._after(text)
            if at is None:
                raise Error(f"the text so far does not fit {self._what}: no word can make it fit.")
            bits = np.frombuffer(at.compute_bitmask(), np.uint8)
            if at.is_error():  # its answer is then the end of the text, which would be wrong
                reason = at.get_error()
                self._read.pop(text, None)
                if reason.startswith("NoExtension"):
                    raise Error(f"no text fits {self._what}; change it.")
                raise Error(f"{self._what} is too large to be followed ({_line(reason)}); make it simpler.")
            return np.unpackbits(bits, count=self._size, bitorder="little").astype(bool)

    def fits(self, text: tuple[int, ...]) -> bool:
        """Tell whether a text may end here."""
        with self._lock:
            at = self._after(text)
            return at is not None and at.is_accepting()

    def begins(self, text: tuple[int, ...]) -> bool:
        """Tell whether a text is the beginning of one that fits."""
        with self._lock:
            return self._after(text) is not None

    def _after(self, text: tuple[int, ...]) -> LLMatcher | None:
        """Return what has read a text; ``None``: it does not fit."""
        if (found := self._read.get(text)) is not None:
            self._read.move_to_end(text)
            return found
        before = self._read.get(text[:-1])
        at = (self._first if before is None else before).deep_copy()
        fresh = list(text if before is None else text[-1:])
        if self._eos in fresh or at.is_error() or not at.consume_tokens(fresh):
            return None
        self._read[text] = at
        if len(self._read) > _KEPT:
            self._read.popitem(last=False)
        return at


def regex_grammar(tokenizer: Tokenizer, pattern: str, *, space: bool = False) -> Grammar:
    r"""Return the texts that a regular expression matches as a whole.

    Args:
        tokenizer: The tokenizer.
        pattern: In the syntax of Rust's ``regex``, without look-around and references; ``.`` is all but a line feed,
            ``\d`` is 0 to 9, ``\w`` and ``\s`` are Unicode's.
        space: Whether a space stands before: the one that a word's token begins with, taken off the prompt.

    Raises:
        Error: as :class:`Grammar`.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise Error(f"the regular expression has {len(pattern)} characters; it may have {MOST_CHARACTERS}.")
    try:
        pattern.encode()
    except UnicodeEncodeError as error:
        raise Error("the regular expression holds a lone surrogate, which is no Unicode text; remove it.") from error
    rule = _guidance().regex_to_lark(pattern or "(?:)", "d")
    source = f"{_start(space)} rule\nrule: /{rule}/"
    return Grammar(tokenizer, source, f"the regular expression {_short(pattern)!r}")


def json_grammar(tokenizer: Tokenizer, schema: Mapping[str, Any], *, space: bool = False) -> Grammar:
    """Return the JSON texts that are valid under a schema, with at most one space between their parts.

    Args:
        tokenizer: The tokenizer.
        schema: An object of JSON Schema (draft 2020-12). A keyword that cannot be followed is refused.
        space: As of :func:`regex_grammar`.

    Raises:
        Error: as :class:`Grammar`; what is no JSON.
    """
    how = {"lenient": False, "whitespace_pattern": _SPACES}
    try:
        text = json.dumps(dict(schema) | {"x-guidance": how}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Error(f"the JSON schema cannot be written as JSON ({error}).") from error
    made = Grammar(tokenizer, f"{_start(space)} value\nvalue: %json {text}", "the JSON schema")
    if not has_end(schema):
        raise Error("no text fits the JSON schema: it asks for itself inside itself, without end; change it.")
    return made


def _start(space: bool) -> str:
    return 'start: " "' if space else "start:"


def _guidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise Error("llguidance, which reads grammars, is not installed; pip install 'unmask[serve]'") from error
    return llguidance


class _Tokens:
    """A tokenizer as ``llguidance`` asks for it."""

    def __init__(self, tokenizer: Tokenizer, table: list[bytes]) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = tokenizer.eos_id
        self.bos_token_id = tokenizer.bos_id
        self.special_token_ids = [tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id]
        # 0xff stands in no text, so no grammar asks for a special token
        self.tokens = [b"\xff<%d>" % i if i in self.special_token_ids else own for i, own in enumerate(table)]

    def __call__(self, text: str | bytes) -> list[int]:
        if isinstance(text, bytes):
            raise TypeError("text is asked for")
        return self._tokenizer.encode(text)


@lru_cache(maxsize=8)
def _tokens_of(tokenizer: Tokenizer) -> LLTokenizer:
    table = tokenizer.vocabulary.table
    if table is None:
        kind = "models bytes of any kind" if tokenizer.binary else f"has the tokenizer {tokenizer.name!r}"
        raise Error(f"a grammar is over the bytes of tokens that are text, and this run {kind}; leave it out.")
    guidance = _guidance()
    own = guidance.TokenizerWrapper(_Tokens(tokenizer, list(table)))
    made: LLTokenizer = guidance.LLTokenizer(own, n_vocab=len(table), eos_token=tokenizer.eos_id, slices=[])
    return made


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."


def _line(text: str) -> str:
    """Return what of an error message is worth telling, in one line."""
    told = text.split("<state>")[0].split("error:")[-1] if "regex parse error" in text else text.split("<state>")[0]
    return " ".join(told.split("\n   1 |")[0].split())[:200].removesuffix(".")
