"""The tables of docs/studies/hindi-languages.md, hindi-text.md and hindi-tokenizers.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, percent

LANGUAGES = {
    "control: all Hindi": "majority",
    "control: the stories' odds alone, unknown words Hindi": "stories",
    "word alone": "word alone",
    "**with neighbours**": "with neighbours",
}


def languages(found: Any) -> Rows:
    """Return how often a word's language is told right."""
    held, dev = found["results"]["100"], found["results"]["dev"]
    columns = {
        "held out": lambda row: percent(held[row]["accuracy"], 1),
        "Hindi": lambda row: percent(held[row]["hindi"], 1),
        "English": lambda row: percent(held[row]["english"], 1),
        "dev": lambda row: percent(dev[row]["accuracy"], 1),
    }
    return grid("accuracy", LANGUAGES, columns)


def floors(found: Any) -> Rows:
    """Return what text without a network scores."""
    rows = {
        f"{corpus}, {kind}": entry
        for corpus in ("stories-hi", "hinglish", "mixed-hi-en", "stories-en")
        for kind, entry in found["results"][corpus].items()
    }
    columns = {
        "words with an error": lambda entry: percent(entry["script_errors"], 2),
        "broken letters": lambda entry: percent(entry["broken_letters"], 3),
        "broken UTF-8": lambda entry: percent(entry["broken_utf8"], 2),
        "script distance": lambda entry: f"{entry['distance']['script']:.3f}",
        "switch distance": lambda entry: f"{entry['distance']['switch']:.3f}",
        "spelt two ways": lambda entry: percent(entry["two_ways"], 1),
    }
    return grid("text", rows, columns)


def tokenizers(found: Any) -> Rows:
    """Return tokens a letter by script."""
    kinds = {"Devanagari": "devanagari", "Latin": "latin", "digits": "digit", "common": "common"}
    made = []
    for name, entry in found["results"].items():
        text, _, vocabulary = name.partition(", ")
        made.append(
            {"trained on": text, "vocabulary": vocabulary.replace("048", ",048", 1).replace("8192", "8,192") or "256"}
            | {label: f"{entry[kind]['tokens_per_cluster']:.3f}" for label, kind in kinds.items()}
            | {"tokens in all": f"{sum(kind['tokens'] for kind in entry.values()):,}"}
        )
    return made


def _said(name: str) -> dict[str, str]:
    return {
        "command": "python -m " + f"{__package__}.{name} DATA -o benchmarks/results/hindi_{name}.json",
        "repeats": "nothing is drawn" if name != "floors" else "",
    }


TABLES = {
    "hindi-languages": Table("hindi_languages.json", languages, said=_said("languages")),
    "hindi-text": Table("hindi_floors.json", floors, said=_said("floors")),
    "hindi-tokenizers": Table("hindi_tokenizers.json", tokenizers, said=_said("tokenizers")),
}
