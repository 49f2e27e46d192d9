"""Byte-level tokenizers without a ``tokenizer.json``, from lists of tokens and merges.

GGUF files have them so, and older folders (``vocab.json``, ``merges.txt``). How a text is cut into words before merging
is not in these lists; each way has its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from unmask.data.adopt import special
from unmask.errors import Error

_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CUTS = {
    "gpt-2": [],
    "smollm": [pre_tokenizers.Digits(individual_digits=True)],
    "qwen2": [pre_tokenizers.Split(Regex(_QWEN), "isolated")],
    "llama-bpe": [pre_tokenizers.Split(Regex(_QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")), "isolated")],
}


def byte_level(tokens: Sequence[str], merges: Sequence[str], cut: str, specials: Sequence[str]) -> Backend:
    """Return the tokenizer of a list of tokens.

    Args:
        tokens: The tokens, by id.
        merges: The merges, the first one first, each ``"a b"``.
        cut: How a text is cut into words: ``gpt-2``, ``smollm``, ``qwen2`` or ``llama-bpe``.
        specials: Tokens that no text can hold.

    Raises:
        Error: a way of cutting that is not known, or merges of tokens that are not there.
    """
    if cut not in _CUTS:
        raise Error(f"its tokenizer cuts words by {cut!r}; known: {', '.join(_CUTS)}. Give another with --tokenizer.")
    pairs = [tuple(merge.split(" ", 1)) for merge in merges if merge and not merge.startswith("#version")]
    try:
        backend = Backend(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=pairs))
    except Exception as error:  # the backend raises bare Exception
        raise Error(f"its tokenizer's merges are of tokens that it has not ({error}).") from error
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut in ("gpt-2", "smollm"))
    backend.pre_tokenizer = pre_tokenizers.Sequence([*_CUTS[cut], byte])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([special(name) for name in specials])
    return backend
