"""Tables of what is measured of a model besides its likelihood; every figure beside its controls."""

from __future__ import annotations

from unmask.evaluation.infilling import FillScore
from unmask.reports.cells import Table, number, span
from unmask.reports.rows import CompareResult


def restoring_table(comparison: CompareResult) -> Table:
    """Accuracy and calibration at corrupted positions, by noise level."""
    rows = []
    for row in comparison.rows:
        if row.denoising is None or row.calibration is None:
            continue
        for level, known in zip(row.denoising.levels, row.calibration.levels, strict=True):
            if not level.positions:
                continue
            scores = known.scores
            twin = known.controls.get("overconfident")
            rows.append(
                [
                    row.name,
                    level.name,
                    f"{level.positions:,}",
                    f"{number(level.accuracy)} {span(level.accuracy_interval)}",
                    f"{number(level.unigram_accuracy)} / {number(level.copy_accuracy)}",
                    f"{number(level.nats, 2)} ({number(level.unigram_nats, 2)})",
                    "-" if scores is None else f"{scores.ece:.3f} (floor {number(known.ece_floor)})",
                    "-" if twin is None else number(twin.ece),
                    "-" if scores is None else number(scores.brier),
                    "-" if scores is None else number(scores.auroc),
                ]
            )
    return Table(
        "Restoring hidden text",
        [
            "run",
            "share hidden",
            "positions",
            "accuracy",
            "unigram / copy",
            "nats (unigram)",
            "ECE",
            "ECE at T = 0.5",
            "Brier",
            "AUROC",
        ],
        rows,
        frozenset(),
        "At corrupted positions only, of the first seed. Controls: the most frequent token, and a copy of the token in "
        "view (for masks anything above 0 would mean that the state shows its answer). ECE: confidence against "
        "accuracy, beside what a calibrated model of these confidences would show by chance (floor) and the same model "
        "at half the temperature. AUROC: whether right answers are the surer ones, 0.5 is chance. Left to right there "
        "is one level.",
    )


def filling_table(comparison: CompareResult) -> Table:
    """Holes in held-out text, filled, against the removed text."""
    rows = []
    for row in comparison.rows:
        if row.infilling is None:
            continue
        if row.infilling.score is None:
            rows.append([row.name, "-", "-", "-", "-", "-", row.infilling.reason or ""])
        else:
            rows.append([row.name, *_fill(row.infilling.score), ""])
    runs = len(rows)
    about = {
        "unigram": "words by their frequency",
        "other document": "a span of as many words from another document",
        "removed text": "the upper end",
    }
    rows += [[name, *_fill(score), f"control: {about.get(name, '')}"] for name, score in comparison.fills.items()]
    return Table(
        "Filling holes",
        ["run", "ROUGE-L", "BLEU", "chrF", "exact", "holes", ""],
        rows,
        frozenset(range(runs, len(rows))),
        "The same holes of 1 to 8 words for all, the removed text as reference, its length in tokens told. There are "
        "many good fillings and one reference: only the distance to the controls says something.",
    )


def _fill(score: FillScore) -> list[str]:
    return [
        f"{score.rouge_l:.3f} {span(score.rouge_l_interval)}",
        f"{score.bleu:.1f}",
        f"{score.chrf:.1f}",
        f"{score.exact:.3f}",
        str(score.holes),
    ]
