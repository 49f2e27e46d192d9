"""Fit the classifier of romanised Hindi against English, and measure it on lines labelled by hand.

    python -m benchmarks.studies.hindi.languages DATA -o benchmarks/results/hindi_languages.json

DATA holds hinglish.train, stories-hi.train, stories-en.train and storybooks-en, each .jsonl.gz. Nothing in them is
labelled:

1. How often a word stands in English stories, and how often Hindi stories have a word of the same key in Devanagari
   (``unmask.data.romanise``), gives its odds; words of neither are left open.
2. A logistic regression on hashed character n-grams is fitted to that, types counted once; what it takes for the share
   of Hindi among them is taken out again.
3. Three times: each token of the code-mixed lines gets the chance that the regression and its neighbours give it (a
   chain of two states, whose moves are counted anew). The regression is fitted to these, in equal parts with the odds
   of step 1 where there are any; types count by the square root of their number. Words of the stories alone keep
   their odds.
4. Soft labels make log-odds small, and a chain that was counted on them drowns single English words: what is kept is
   the log-odds times ``SHARP``, and a chain that stays with ``STAYS``.

The 100 lines of ``tests/fixtures/hinglish-100.jsonl`` (from the valid split) are read to measure, never to fit.
Controls: the majority, the odds of step 1 (an unknown word is Hindi), the regression without neighbours (of a word of
both languages: Hindi).
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from unmask.data.hinglish import (
    BUCKETS,
    TABLE,
    Table,
    features,
    in_company,
    odds_of,
    packaged_table,
    roman_languages,
    roman_words,
)
from unmask.data.romanise import key, romanise
from unmask.data.scripts import spans

LABELLED = {name: Path(f"tests/fixtures/hinglish-{name}.jsonl") for name in ("100", "dev")}
ROUNDS, KNOWN, PENALTY = 3, 3, 0.3
"""Rounds of step 3; occurrences that make a word known; L2 penalty of the regression."""
STAYS, SHARP = 0.6, 3.0
"""Of step 4; both were chosen on ``tests/fixtures/hinglish-dev.jsonl``, 35 other lines."""

Reals = NDArray[np.float64]


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def words(text: str) -> list[str]:
    return [text[a:b].casefold() for a, b in roman_words(text)]


def fit(types: list[str], hindi: Reals, weight: Reals) -> tuple[Reals, float]:
    """Fit the regression to the share of Hindi of each type; return weights, and the bias were that share a half."""
    rows = [features(word) for word in types]
    ends = np.cumsum([0, *map(len, rows)])
    x = csr_matrix((np.ones(ends[-1]), np.concatenate(rows), ends), (len(types), BUCKETS))

    def loss(at: Reals) -> tuple[float, Reals]:
        odds = x @ at[:-1] + at[-1]
        error = weight * (expit(odds) - hindi)
        value = (weight * (np.logaddexp(0, odds) - hindi * odds)).sum() + PENALTY / 2 * (at[:-1] ** 2).sum()
        return value, np.append(x.T @ error + PENALTY * at[:-1], error.sum())

    found = minimize(loss, np.zeros(BUCKETS + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return found[:-1], float(found[-1] - logit(np.average(hindi, weights=weight)))


def known_odds(data: Path) -> tuple[Callable[[str], float | None], list[str]]:
    """Return what gives the log-odds of a word by the two languages' stories (``None``: neither has it), and words."""
    english, names, hindi, typed = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for name in ("stories-en.train.jsonl.gz", "storybooks-en.jsonl.gz"):
        for text in lines(data / name):
            for a, b in roman_words(text):
                english[text[a:b].casefold()] += 1
                names[text[a:b].casefold()] += text[a].isupper()
    for word, count in names.items():
        if count > 0.7 * english[word] and word != "i":
            del english[word]
    for text in lines(data / "stories-hi.train.jsonl.gz"):
        found = [text[a:b] for a, b, script in spans(text) if script == "devanagari"]
        hindi.update(map(key, found))
        typed.update(map(romanise, found))
    size = sum(hindi.values()) / sum(english.values())

    def odds(word: str) -> float | None:
        ours, theirs = hindi[key(word)], english[word]
        if max(ours, theirs) < KNOWN:
            return None
        return float(np.log((ours + 0.5) / (theirs + 0.5) / size))

    return odds, sorted(word for word, count in (english + typed).items() if count >= KNOWN)


def learn(data: Path) -> tuple[Table, Callable[[str], float | None]]:
    """Return the classifier, and the odds that it began with."""
    odds, vocabulary = known_odds(data)
    mixed = [words(text) for text in lines(data / "hinglish.train.jsonl.gz")]
    counts = Counter(word for line in mixed for word in line)
    types = sorted({*counts, *vocabulary})
    place = {word: at for at, word in enumerate(types)}
    coded = [np.array([place[word] for word in line]) for line in mixed if line]
    number = np.array([max(counts[word], 1) for word in types], float)
    seen = np.array([word in counts for word in types])
    first = [odds(word) for word in types]
    known = np.array([each is not None for each in first])
    prior = expit(np.array([0.0 if each is None else each for each in first]))
    table = Table(*fit(types, prior, known.astype(float)), (0.8, 0.6))
    for _ in range(ROUNDS):
        alone = np.array([odds_of(word, table) for word in types])
        chance, moves = np.zeros(len(types)), np.zeros((2, 2))
        for line in coded:
            p = np.array(in_company(alone[line].tolist(), table))
            np.add.at(chance, line, p)
            both = np.stack([p, 1 - p])
            moves += both[:, :-1] @ both[:, 1:].T
        stays = moves.diagonal() / moves.sum(axis=1)
        target = np.where(known, (chance / number + prior) / 2, chance / number)
        target = np.where(seen, target, prior)
        table = Table(*fit(types, target, np.sqrt(number)), (float(stays[0]), float(stays[1])))
    return Table(SHARP * table.weights, SHARP * table.bias, (STAYS, STAYS)), odds


def packed(table: Table, path: Path) -> None:
    """Write the classifier as it is shipped: a byte a weight."""
    scale = np.abs(table.weights).max() / 127
    weights = np.round(table.weights / scale).astype(np.int8)
    np.savez_compressed(path, weights=weights, scale=scale, bias=table.bias, stays=np.array(table.stays))


def accuracy(guesses: list[NDArray[np.bool_]], labels: list[str]) -> dict[str, float | int]:
    """Return the share of words that are right among those labelled Hindi or English, and of each."""
    right = {"h": 0, "e": 0}
    known = Counter("".join(labels))
    for guess, line in zip(guesses, labels, strict=True):
        for hindi, label in zip(guess, line, strict=True):
            if label in right:
                right[label] += int(hindi == (label == "h"))
    recall = {label: right[label] / known[label] for label in right}
    share = sum(right.values()) / sum(known[label] for label in right)
    return {"accuracy": share, "hindi": recall["h"], "english": recall["e"], "words": known["h"] + known["e"]}


def measure(
    labelled: Path, table: Table, by_stories: Callable[[str], float | None]
) -> dict[str, dict[str, float | int]]:
    rows = [json.loads(line) for line in labelled.read_text("utf-8").splitlines()[1:]]
    labels = [row["labels"] for row in rows]
    split = [words(row["text"]) for row in rows]
    odds = [np.array([odds_of(word, table) for word in line]) for line in split]
    ways = {
        "majority": [np.ones(len(line), bool) for line in split],
        "stories": [np.array([(by_stories(word) or 1.0) > 0 for word in line], bool) for line in split],
        "word alone": [line >= 0 for line in odds],
        "with neighbours": [np.array(in_company(line.tolist(), table)) > 0.5 for line in odds],
    }
    return {name: accuracy(guess, labels) for name, guess in ways.items()}


def unmixed(table: Table, data: Path) -> dict[str, float]:
    """Return the share of words that are taken for Hindi in text of one language: English, and romanised Hindi."""
    found = {}
    for name, turned in (("stories-en.valid", str), ("mixed-hi-en.valid", str), ("stories-hi.valid", romanise)):
        texts = [turned(text) for text in lines(data / f"{name}.jsonl.gz")][:100]
        guesses = [word.hindi > 0.5 for text in texts for word in roman_languages(text, table)]
        found[name] = float(np.mean(guesses))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--table", type=Path, default=Path("src/unmask/packaged") / TABLE)
    given = parser.parse_args()
    began = time.time()
    table, by_stories = learn(given.data)
    packed(table, given.table)
    packaged_table.cache_clear()
    found = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "seconds": round(time.time() - began),
        "hardware": "one core",
        "seeds": "none: nothing is drawn",
        "stays": table.stays,
        "table bytes": given.table.stat().st_size,
        "share taken for Hindi": unmixed(packaged_table(), given.data),
        "results": {name: measure(path, packaged_table(), by_stories) for name, path in LABELLED.items()},
    }
    given.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
