"""The tables of ``--measures script``: what keeps its script after prompts, and what was put into the holes."""

from __future__ import annotations

from unmask.reports.cells import Table, number, span
from unmask.reports.rows import CompareResult, Continued


def script_tables(comparison: CompareResult) -> list[Table]:
    """Return the table of texts, and that of filled holes."""
    return [_texts(comparison), _holes(comparison)]


def _texts(comparison: CompareResult) -> Table:
    runs = {row.name for row in comparison.rows}
    rows, controls = [], set()
    for name, classes in comparison.scripts.items():
        for kind, found in classes.items():
            if found.quality.words:
                controls |= set() if name in runs else {len(rows)}
                rows.append([name, kind, *_cells(found)])
    return Table(
        "Keeping the script",
        [
            "text",
            "prompts",
            "words",
            "script errors",
            "mixed words",
            "broken letters",
            "broken UTF-8",
            "Devanagari",
            "Latin",
            "script distance",
            "switch distance",
            "spelt two ways",
        ],
        rows,
        frozenset(controls),
        "What runs write after prompts in Hindi, Hinglish and mixed script (own sampler, of the first seed). "
        "Script errors: words with two scripts inside, a letter that cannot be written, or half a character; shares of "
        "words, letters (grapheme clusters) and characters. Distances are to whole sentences of the same class that "
        "people wrote: 0 is like them. Spelt two ways: of words said again in a text.",
    )


def _cells(found: Continued) -> list[str]:
    quality = found.quality
    shares = [quality.shares.get(name) for name in ("devanagari", "latin")]
    errors = (quality.script_errors, quality.mixed_words, quality.broken_letters, quality.broken_utf8)
    return [
        f"{quality.words:,}",
        *map(_percent, errors),
        *map(_percent, shares),
        number(found.script_distance),
        number(found.switch_distance),
        _percent(quality.two_ways),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _holes(comparison: CompareResult) -> Table:
    runs = {row.name for row in comparison.rows}
    rows, controls = [], set()
    for name, classes in comparison.scripts.items():
        for kind, found in classes.items():
            if (score := found.fill) is not None:
                controls |= set() if name in runs else {len(rows)}
                rows.append(
                    [
                        name.removeprefix("holes: "),
                        kind,
                        f"{score.rouge_l:.3f} {span(score.rouge_l_interval)}",
                        f"{score.chrf:.1f}",
                        f"{score.exact:.3f}",
                        str(score.holes),
                    ]
                )
    return Table(
        "Filling holes in Hindi, Hinglish and mixed script",
        ["text", "sentences", "ROUGE-L", "chrF", "exact", "holes"],
        rows,
        frozenset(controls),
        "Sentences written by hand, a span of words taken out, its length in tokens told. Runs that write left to "
        "right fill no holes. One reference, many good fillings: only the distance to the controls says something.",
    )
