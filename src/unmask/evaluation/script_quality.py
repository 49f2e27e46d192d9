"""Whether a text keeps its script: counts that need no model and give the same number every time.

* mixed words: share of words with two scripts inside (``unmask.data.scripts``);
* broken letters: share of grapheme clusters that the script's rules do not let be written (``unmask.data.broken``);
* broken UTF-8: share of characters that are U+FFFD, what decoding makes of half a character;
* script errors: share of words with any of the three;
* script shares: letters in Devanagari, Latin, other and mixed words, and how far two texts are apart in them
  (total variation, 0 to 1);
* switch rate: changes of language a pair of words (``unmask.data.switching``), and how far two texts are apart in it;
* spelt in two ways: share of words said again in a text (names among them) that the text spells in more than one way.
  Spellings of one word share a key (``unmask.data.romanise``), शर्मा and Sharma too; keys of fewer than four letters are
  left out, for too many short words differ in a vowel's length alone.

Words are what stands between blanks and holds a letter. Texts are counted together.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from unmask.data.broken import is_broken
from unmask.data.romanise import flipped, key
from unmask.data.scripts import clusters, spans
from unmask.data.switching import switches, tagged_words
from unmask.evaluation.text import shuffled_words

_LETTERS = ("devanagari", "latin", "other", "mixed")
_SHORTEST_KEY = 4


@dataclass(frozen=True)
class ScriptQuality:
    """Counts over a set of texts; a share of nothing is ``None``.

    Attributes:
        words: Words.
        script_errors: Share of words with a script error.
        mixed_words: Share of words with two scripts inside.
        broken_letters: Share of clusters that are broken.
        broken_utf8: Share of characters that are U+FFFD.
        shares: Share of letters by script: devanagari, latin, other, mixed.
        switch_rate: Changes of language a pair of neighbouring words.
        two_ways: Share of repeated words that are spelt in more than one way.
    """

    words: int
    script_errors: float | None
    mixed_words: float | None
    broken_letters: float | None
    broken_utf8: float | None
    shares: dict[str, float]
    switch_rate: float | None
    two_ways: float | None


def script_quality(texts: Sequence[str]) -> ScriptQuality:
    """Count the scripts, and the errors in them, of texts."""
    letters, count = Counter[str](), Counter[str]()
    for text in texts:
        count["characters"] += len(text)
        count["broken utf8"] += text.count("\ufffd")
        for word in text.split():
            _count_word(word, letters, count)
        tagged = tagged_words(text)
        count["pairs"] += max(0, len(tagged) - 1)
        count["switches"] += len(switches(tagged))
        repeated, several = _spellings(text)
        count["repeated"] += repeated
        count["two ways"] += several
    total = sum(letters.values())
    return ScriptQuality(
        words=count["words"],
        script_errors=_share(count["wrong words"], count["words"]),
        mixed_words=_share(count["mixed words"], count["words"]),
        broken_letters=_share(count["broken"], count["clusters"]),
        broken_utf8=_share(count["broken utf8"], count["characters"]),
        shares={name: letters[name] / total for name in _LETTERS} if total else {},
        switch_rate=_share(count["switches"], count["pairs"]),
        two_ways=_share(count["two ways"], count["repeated"]),
    )


def script_distance(ours: ScriptQuality, theirs: ScriptQuality) -> float | None:
    """Return how far two sets of texts are apart in their scripts, 0 to 1; ``None`` where one has no letter."""
    if not (ours.shares and theirs.shares):
        return None
    return sum(abs(ours.shares[name] - theirs.shares[name]) for name in _LETTERS) / 2


def switch_distance(ours: ScriptQuality, theirs: ScriptQuality) -> float | None:
    """Return how far two sets of texts are apart in their switch rates; ``None`` where one has no two words."""
    if ours.switch_rate is None or theirs.switch_rate is None:
        return None
    return abs(ours.switch_rate - theirs.switch_rate)


def script_controls(real: Sequence[str], seed: int = 0) -> dict[str, list[str]]:
    """Return texts that show what the numbers mean: real ones, their words shuffled, and in the other script."""
    return {
        "real text": list(real),
        "shuffled words": shuffled_words(real, seed),
        "flipped scripts": [flipped(text) for text in real],
    }


def _count_word(word: str, letters: Counter[str], count: Counter[str]) -> None:
    """Count what stands between two blanks."""
    parts = spans(word)
    for part in parts:
        if part.script in _LETTERS:
            letters[part.script] += len(clusters(word[part.start : part.end]))
    starts = [*clusters(word), len(word)]
    broken = sum(is_broken(word[a:b]) for a, b in zip(starts, starts[1:], strict=False))
    count["clusters"] += len(starts) - 1
    count["broken"] += broken
    if broken or "\ufffd" in word or any(part.script in _LETTERS for part in parts):
        mixed = any(part.script == "mixed" for part in parts)
        count["words"] += 1
        count["mixed words"] += mixed
        count["wrong words"] += bool(mixed or broken or "\ufffd" in word)


def _spellings(text: str) -> tuple[int, int]:
    """Return how many words a text says again, and how many of them it spells in more than one way."""
    found = defaultdict[str, Counter[str]](Counter)
    for part in spans(text):
        if part.script in ("devanagari", "latin"):
            word = unicodedata.normalize("NFC", text[part.start : part.end].casefold())
            found[key(word)][word] += 1
    again = [spelt for name, spelt in found.items() if len(name) >= _SHORTEST_KEY and spelt.total() > 1]
    return len(again), sum(len(spelt) > 1 for spelt in again)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
