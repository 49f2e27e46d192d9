"""The original's section "Evaluation Metrics" as one table: every measure of a run with thoughts beside its controls.

Here are the table and its first half: compression, alignment and diversity of the thoughts of held-out passages, and
the stability of thoughts while texts are written. The second half is in ``thought_scores``. What cannot be measured is
a row that says why, and has no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unmask.data.embeddings import WordLlamaEmbedder
from unmask.errors import Error
from unmask.evaluation.thought_alignment import Alignment, alignment, probe_alignment
from unmask.evaluation.thought_measures import Collapse, collapse_check, compression, diversity
from unmask.evaluation.thought_reading import Thoughts
from unmask.evaluation.thought_stability import STABLE, stability
from unmask.evaluation.trajectories import Trajectory
from unmask.lines import counted
from unmask.reports.cells import Table, interval
from unmask.result import Result


@dataclass(frozen=True, repr=False)
class Measure(Result):
    """A row of the table.

    Attributes:
        group: Heading of the original's section.
        name: What is measured.
        value: The number; ``None``: not measured, or not defined.
        interval: 95 % over documents or texts.
        controls: The same number of something that nobody would call a success, or of the real thing, by name.
        note: What it was measured on, or why it was not.
    """

    group: str
    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    controls: tuple[tuple[str, float | None], ...] = ()
    note: str = ""

    def _facts(self) -> tuple[str, ...]:
        return (self.name, "" if self.value is None else f"{self.value:.3f}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; controls by name."""
        return super().to_dict() | {"controls": dict(self.controls)}


def to_table(measures: Sequence[Measure]) -> Table:
    """Lay out the measures."""
    rows = [
        [
            each.group,
            each.name,
            "-" if each.value is None else f"{each.value:.3f}",
            interval(each.interval),
            "; ".join(f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in each.controls) or "-",
            each.note or "-",
        ]
        for each in measures
    ]
    note = (
        "No number speaks alone: read it beside its controls. Probes are judged on documents that they were not fitted "
        "on. Gaussian: as many random thoughts. Intervals are over documents or texts, and speak of this very run."
    )
    return Table("Thoughts", ["group", "measure", "value", "95 % interval", "controls", "of"], rows, frozenset(), note)


def code_measures(read: Thoughts, *, seed: int = 0) -> tuple[list[Measure], Collapse]:
    """Measure thoughts as a code: compression, alignment, diversity; and judge whether they have collapsed.

    Args:
        read: Thoughts of held-out documents.
        seed: Of folds, groups and controls.
    """
    count, document = len(read.cells), read.document
    full = read.cells.reshape(count, -1)
    found = compression(full, read.reduced.reshape(count, -1), read.rebuilt.reshape(count, -1), document, seed=seed)
    of = f"{counted(count, 'passage')}, {counted(len(set(document.tolist())), 'document')}"
    group = "compression"
    own, probe = found.own, found.probe
    ratio = found.ratio
    rows = [
        Measure(group, "R^2, own head", own, found.own_interval, (("other document", found.own_shuffled),), of),
        Measure(
            group,
            "R^2, ridge probe",
            probe,
            found.probe_interval,
            (("shuffled", found.probe_shuffled), ("random projection", found.probe_random)),
            of,
        ),
        Measure(
            group,
            "ratio, own head: R^2 / share of numbers kept",
            ratio(own),
            None,
            (("other document", ratio(found.own_shuffled)), ("all kept", 1 / found.kept)),
            f"{found.kept:.3f} of the numbers kept",
        ),
        Measure(
            group,
            "ratio, ridge probe",
            ratio(probe),
            None,
            (("shuffled", ratio(found.probe_shuffled)), ("random projection", ratio(found.probe_random))),
            f"{found.kept:.3f} of the numbers kept",
        ),
    ]
    rows.append(_aligned("retrieval of its passage, own space", alignment(read.asks, read.words, document, seed=seed)))
    name = "retrieval of its passage, ridge to static embeddings"
    try:
        vectors = WordLlamaEmbedder().embed(read.texts)
        rows.append(_aligned(name, probe_alignment(full, vectors, document, seed=seed)))
    except Error as error:
        rows.append(Measure("alignment", name, None, note=str(error)))
    spread = diversity(full, document, seed=seed)
    verdict = collapse_check(spread)
    of = f"{spread.passages} thoughts of {spread.numbers} numbers"
    gaussian = (
        ("participation ratio", spread.participation, spread.gaussian_participation),
        ("effective rank, entropy-based", spread.rank, spread.gaussian_rank),
        ("mean cosine of different documents", spread.cosine, spread.gaussian_cosine),
    )
    rows += [Measure("diversity", name, value, None, (("Gaussian", other),), of) for name, value, other in gaussian]
    return rows, verdict


def course_measures(trajectories: Sequence[Trajectory]) -> list[Measure]:
    """Measure how steady beliefs are over the answers to a text."""
    name = "cosine of consecutive beliefs"
    try:
        found = stability([(each.steps, each.flat) for each in trajectories])
    except Error as error:
        return [Measure("stability", name, None, note=str(error))]
    of = f"{counted(found.texts, 'text')}, {counted(found.pairs, 'pair')}"
    return [
        Measure("stability", name, found.mean, found.interval, (("other text, same step", found.other_mean),), of),
        Measure("stability", f"share above {STABLE}", found.above, None, (("other text", found.other_above),), of),
        Measure(
            "stability",
            "correlation of first and last belief",
            found.first_last,
            None,
            (("other text", found.other_first_last),),
            of,
        ),
    ]


def _aligned(name: str, found: Alignment) -> Measure:
    controls = (("shuffled", found.shuffled), ("chance", found.chance))
    of = f"{counted(found.passages, 'passage')}, {found.among} at a time"
    return Measure("alignment", name, found.accuracy, found.interval, controls, of)
