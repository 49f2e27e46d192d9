"""Text for a tokenizer that is to see scripts evenly: words of the rarer scripts are shown more often.

BPE merges what is frequent, so that a script of a tenth of the text gets about a tenth of the merges, and its words are
spelt in more tokens. Here each word is counted w times as often, w = (letters of the largest script) / (letters of its
own), with letters as grapheme clusters. Merges stay inside words, so nothing but the counts of words matters: what is
yielded are words, no text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from unmask.data.scripts import Script, clusters, spans

_SCRIPTS = ("devanagari", "latin", "other")
_LEAST = 0.01
"""A script of fewer of the letters is left as it is: a few foreign names are no second language."""
_SHOWN = 20_000_000
"""Most words that are yielded; counts are scaled to it, and no word is lost."""
_AT_ONCE = 1000


def balanced(texts: Iterable[str], words_of: Callable[[str], list[str]]) -> Iterator[str]:
    """Yield the words of texts, each as often as it shall count.

    Args:
        texts: The texts.
        words_of: Cuts a text into the pieces within which tokens are merged.

    Yields:
        Texts that hold one word, many times, with line feeds between.
    """
    counts = Counter(word for text in texts for word in words_of(text))
    script = {word: _script(word) for word in counts}
    letters = Counter[str]()
    for word, count in counts.items():
        letters[script[word]] += count * len(clusters(word.lstrip()))
    known = {name: letters[name] for name in _SCRIPTS if letters[name] > _LEAST * letters.total()}
    weight = {name: max(known.values()) / size for name, size in known.items()}
    shown = sum(count * weight.get(script[word], 1.0) for word, count in counts.items())
    scale = min(1.0, _SHOWN / max(shown, 1))
    for word, count in counts.items():
        left = max(1, round(count * weight.get(script[word], 1.0) * scale))
        while left > 0:
            yield "\n".join([word] * min(left, _AT_ONCE))
            left -= _AT_ONCE


def _script(word: str) -> Script:
    return next((span.script for span in spans(word) if span.script != "common"), "common")
