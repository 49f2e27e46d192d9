"""What a corpus is written in: shares of scripts and languages, switches, and characters that are odd or broken."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.data.broken import invisible_characters, is_broken, odd_characters
from unmask.data.scripts import SCRIPTS, Span, clusters, spans
from unmask.data.switching import code_mixing_index, switches, tagged_words
from unmask.data.tokenizers import Tokenizer

MOST = 1_000_000
"""Characters that are looked at: enough for shares in tenths of a percent, in seconds."""
_SHOWN = 5


def script_stats(texts: Iterable[str], most: int = MOST) -> dict[str, Any]:
    """Count the scripts of texts.

    Args:
        texts: Documents.
        most: Documents are read until they hold so many characters.

    Returns:
        ``documents`` and ``characters`` read, ``clusters`` in all, ``share`` of clusters and ``words`` (spans) by
        script, ``hindi`` words by script (Latin: told by the classifier), ``cmi`` (mean over documents, ``None``
        without words), ``switch_rate`` by language and by script (over all neighbours), ``broken`` clusters with
        the most frequent of them, ``invisible`` and ``odd`` characters by name, and ``not_nfc`` documents.
    """
    sizes, words, hindi = Counter[str](), Counter[str](), Counter[str]()
    broken, invisible, odd, changes = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    mixing: list[float] = []
    read = documents = pairs = not_nfc = 0
    for text in texts:
        documents += 1
        read += len(text)
        starts = np.array([*clusters(text), len(text)])
        for span in spans(text):
            words[span.script] += 1
            sizes[span.script] += int(np.searchsorted(starts, span.end) - np.searchsorted(starts, span.start))
        broken.update(cluster for a, b in zip(starts[:-1], starts[1:], strict=True) if is_broken(cluster := text[a:b]))
        invisible += invisible_characters(text)
        odd += odd_characters(text)
        not_nfc += not unicodedata.is_normalized("NFC", text)
        tagged = tagged_words(text)
        hindi.update(word.script for word in tagged if word.language == "hindi")
        hindi["english"] += sum(word.language == "english" for word in tagged)
        pairs += max(0, len(tagged) - 1)
        changes["language"] += len(switches(tagged))
        changes["script"] += len(switches(tagged, "script"))
        if (index := code_mixing_index(tagged)) is not None:
            mixing.append(index)
        if read >= most:
            break
    total = sum(sizes.values())
    languages = {
        "hindi in devanagari": hindi["devanagari"],
        "hindi in latin": hindi["latin"],
        "english": hindi["english"],
    }
    return {
        "documents": documents,
        "characters": read,
        "clusters": total,
        "share": {script: sizes[script] / max(total, 1) for script in SCRIPTS},
        "words": {script: words[script] for script in SCRIPTS if script != "common"},
        "languages": languages,
        "cmi": float(np.mean(mixing)) if mixing else None,
        "switch_rate": {by: changes[by] / pairs if pairs else None for by in ("language", "script")},
        "broken": {
            "clusters": sum(broken.values()),
            "share": sum(broken.values()) / max(total, 1),
            "most": dict(broken.most_common(_SHOWN)),
        },
        "invisible": dict(invisible.most_common()),
        "odd": dict(odd.most_common()),
        "not_nfc": not_nfc,
    }


def fertility(texts: Iterable[str], tokenizer: Tokenizer, most: int = MOST) -> dict[str, dict[str, float | int]]:
    """Count what a tokenizer makes of each script.

    A token counts where its last byte lies: a word's token with the blank before it is the word's.

    Args:
        texts: Documents.
        tokenizer: The tokenizer.
        most: Documents are read until they hold so many characters.

    Returns:
        For each script that is there: ``tokens``, ``clusters``, ``bytes``, ``tokens_per_cluster``,
        ``tokens_per_byte``.
    """
    table = np.array([len(tokenizer.decode_bytes([i])) for i in range(tokenizer.vocab_size)])
    counts = np.zeros((len(SCRIPTS), 3), np.int64)
    read = 0
    for text in texts:
        read += len(text)
        parts = spans(text)
        if not parts:
            continue
        kinds = np.array([SCRIPTS.index(part.script) for part in parts])
        bytes_each = np.array([len(text[part.start : part.end].encode()) for part in parts])
        starts = np.array([*clusters(text), len(text)])
        edges = np.searchsorted(starts, [part.start for part in parts] + [len(text)])
        np.add.at(counts[:, 0], kinds, _tokens(text, parts, bytes_each, tokenizer, table))
        np.add.at(counts[:, 1], kinds, np.diff(edges))
        np.add.at(counts[:, 2], kinds, bytes_each)
        if read >= most:
            break
    return {
        script: {
            "tokens": int(tokens),
            "clusters": int(letters),
            "bytes": int(size),
            "tokens_per_cluster": float(tokens / letters),
            "tokens_per_byte": float(tokens / size),
        }
        for script, (tokens, letters, size) in zip(SCRIPTS, counts, strict=True)
        if letters
    }


def _tokens(
    text: str, parts: list[Span], bytes_each: NDArray[np.int64], tokenizer: Tokenizer, table: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the tokens whose last byte lies in each span."""
    ends = np.cumsum(table[tokenizer.encode(text)])
    if ends[-1] != bytes_each.sum():  # a tokenizer whose tokens are no parts of the text, such as one that adds blanks
        return np.array([len(tokenizer.encode(text[part.start : part.end])) for part in parts])
    where = np.searchsorted(np.cumsum(bytes_each), np.maximum(ends, 1), side="left")
    return np.bincount(where, minlength=len(parts))
