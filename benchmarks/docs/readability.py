"""How a page reads, in three numbers: words a sentence, share of long sentences, share of long lines.

    python -m benchmarks.docs.readability masked sampling            # the pages of these names, in any folder of docs
    python -m benchmarks.docs.readability masked --at REVISION       # as they were then
    python -m benchmarks.docs.readability --record before --at REVISION   # ten pages, into benchmarks/results

Sentences are those of prose and of list items: code, mathematics, tables and headings have none. Lines are all that are
not empty and not in a block of code; a line is long from 121 characters on, a sentence from 31 words on.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.docs.links import DOCS, ROOT

TEN: dict[str, tuple[str, ...]] = {
    "masked": ("masked", "masked-against-causal"),
    "sampling": ("sampling", "sample", "choose-a-sampler", "infill", "watch-a-text", "long-texts", "equal-calls"),
    "likelihood": ("likelihood", "score-a-text", "window-lengths"),
    "sparse": ("sparse", "sparse-original"),
    "eco": ("eco", "eco-slots", "eco-speed"),
    "thoughts": ("thoughts", "thoughts-latent", "thoughts-measures", "thoughts-memory", "thoughts-steering"),
    "roots": ("roots", "search-an-index", "build-an-index-in-parts", "roots-grep", "roots-workers"),
    "bytes": ("bytes", "train-on-bytes"),
    "few-steps": ("few-steps",),
    "training": ("train-on-my-text", "start-from-another-run", "threads-and-precision", "threads", "training-memory"),
}
"""Pages whose reading is told before and after they were written anew, and those that they were cut into."""
RESULTS = ROOT / "benchmarks" / "results" / "readability.json"
LONG_LINE, LONG_SENTENCE = 120, 30


@dataclass(frozen=True)
class Reading:
    """How a page reads.

    Attributes:
        words: Of its prose.
        sentences: Of its prose.
        words_a_sentence: Their ratio.
        long_sentences: Share of sentences of more than 30 words.
        long_lines: Share of lines of more than 120 characters.
    """

    words: int
    sentences: int
    words_a_sentence: float
    long_sentences: float
    long_lines: float


def read(*pages: str) -> Reading:
    """Return how one or more pages read, taken together."""
    lengths = [len(one.split()) for page in pages for one in sentences(page)]
    lines = [line for page in pages for line in _outside_code(page).splitlines() if line.strip()]
    count, words = max(len(lengths), 1), sum(lengths)
    return Reading(
        words=words,
        sentences=len(lengths),
        words_a_sentence=round(words / count, 1),
        long_sentences=round(sum(length > LONG_SENTENCE for length in lengths) / count, 3),
        long_lines=round(sum(len(line) > LONG_LINE for line in lines) / max(len(lines), 1), 3),
    )


def sentences(page: str) -> list[str]:
    """Return the sentences of a page's prose."""
    text = re.sub(r"^( {4,}|\t|#|\|).*$", "", _outside_code(page), flags=re.MULTILINE)
    text = re.sub(r"^\s*(?:[-*+]|\d+\.) +", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$|`[^`]*`", "x", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = [part for block in re.split(r"\n\s*\n", text) for part in re.split(r"(?<=[.!?])[*_)\"]*\s+", block)]
    return [" ".join(part.split()) for part in parts if re.search(r"\w", part)]


def _outside_code(page: str) -> str:
    text = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    return re.sub(r"^( *)```.*?^\1```[^\n]*$", "", text, flags=re.MULTILINE | re.DOTALL)


def pages_of(name: str, at: str | None = None) -> list[str]:
    """Return the texts of the pages of a name, in any folder of ``docs``, now or at a revision."""
    if at is None:
        return [path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob(f"{name}.md"))]
    listed = _git("ls-tree", "-r", "--name-only", at, "docs").splitlines()
    return [_git("show", f"{at}:{path}") for path in listed if Path(path).name == f"{name}.md"]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, and keep it where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="Names of pages; default: the ten.")
    parser.add_argument("--at", help="A revision; default: what lies there.")
    parser.add_argument("--record", choices=["before", "after"], help="Keep the ten in benchmarks/results.")
    given = parser.parse_args(arguments)
    cut = {name: (name,) for name in given.names} or {
        name: tuple(dict.fromkeys((name, *to))) for name, to in TEN.items()
    }
    found = {name: [text for one in names for text in pages_of(one, given.at)] for name, names in cut.items()}
    found = {name: texts for name, texts in found.items() if texts}
    rows = {name: read(*texts) for name, texts in found.items()}
    rows["all"] = read(*(text for texts in found.values() for text in texts))
    print("| page | words | words a sentence | sentences over 30 words | lines over 120 characters |")
    print("|---|---|---|---|---|")
    for name, row in rows.items():
        shares = [f"{100 * share:.1f} %" for share in (row.long_sentences, row.long_lines)]
        print(f"| {' | '.join([name, str(row.words), str(row.words_a_sentence), *shares])} |")
    if given.record:
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        kept[given.record] = {name: asdict(row) for name, row in rows.items()}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
