"""What generated text is measured by: one yardstick for all runs and controls, each figure beside real text's own.

Several seeds of a recipe are measured each by itself, and their figures averaged; the spread is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from unmask.evaluation.judge import Judge
from unmask.evaluation.latency import Latency
from unmask.evaluation.text import TextQuality, real_like, text_quality
from unmask.reports.generation import Way, Written
from unmask.reports.rows import TextRow

Measure = Callable[[Sequence[str], Sequence[str]], tuple[float | None, float | None]]
"""(texts, real text of the same size) -> the texts' number, the real text's; ``None``: nothing to measure."""


@dataclass(frozen=True)
class Yardstick:
    """The measures of one comparison.

    Attributes:
        real: Real documents, from which text of equal size is cut.
        judges: Judges of likelihood.
        measures: Other measures, by name.
        shown: Texts that a row keeps to be read.
    """

    real: Sequence[str]
    judges: Sequence[Judge]
    measures: Mapping[str, Measure] = field(default_factory=dict)
    shown: int = 4

    def measure(
        self,
        name: str,
        texts: Sequence[str],
        *,
        sizes: Sequence[int] | None = None,
        way: Way | None = None,
        latency: Sequence[Latency] = (),
    ) -> TextRow:
        """Measure texts beside real text cut to the same number of words, text by text.

        ``sizes`` are the bytes that each stands for; default those of UTF-8.
        """
        matched = real_like(texts, self.real)
        pairs = {key: measure(texts, matched) for key, measure in self.measures.items()}
        return TextRow(
            name=name,
            sampler=way.sampler if way else "",
            steps=way.steps if way else None,
            quality=text_quality(texts, sizes),
            real=text_quality(matched),
            judges={judge.name: judge.bits(texts) for judge in self.judges},
            real_judges={judge.name: judge.bits(matched) for judge in self.judges},
            texts=list(texts[: self.shown]),
            latency=list(latency),
            measures={key: pair[0] for key, pair in pairs.items()},
            real_measures={key: pair[1] for key, pair in pairs.items()},
        )

    def measure_seeds(self, name: str, seeds: Sequence[Written], *, way: Way, latency: Sequence[Latency]) -> TextRow:
        """Measure the texts of each seed, and return the mean row; its texts are the first seed's."""
        rows = [self.measure(name, each.texts, sizes=each.sizes, way=way, latency=latency) for each in seeds]
        if len(rows) == 1:
            return rows[0]
        spread = {}
        for key in numbers(rows[0]):
            values = [value for row in rows if (value := numbers(row)[key]) is not None]
            if len(values) > 1:
                spread[key] = stdev(values)
        return replace(
            rows[0],
            quality=_mean_quality([row.quality for row in rows]),
            real=_mean_quality([row.real for row in rows]),
            judges=_means([row.judges for row in rows]),
            real_judges=_means([row.real_judges for row in rows]),
            measures=_means([row.measures for row in rows]),
            real_measures=_means([row.real_measures for row in rows]),
            spread=spread,
        )


def numbers(row: TextRow) -> dict[str, float | None]:
    """Return every measure of a row's text by name."""
    return {**row.quality.to_dict(), **row.judges, **row.measures}


def real_numbers(row: TextRow) -> dict[str, float | None]:
    """Return the same measures of the real text beside it."""
    return {**row.real.to_dict(), **row.real_judges, **row.real_measures}


def _mean_quality(parts: Sequence[TextQuality]) -> TextQuality:
    fields = [part.to_dict() for part in parts]
    means = {key: fmean(float(part[key]) for part in fields) for key in fields[0]}
    return replace(parts[0], **{**means, "texts": parts[0].texts})  # type: ignore[arg-type]


def _means(parts: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for key in parts[0]:
        values = [part[key] for part in parts]
        known = [value for value in values if value is not None]
        means[key] = fmean(known) if len(known) == len(values) else None
    return means
