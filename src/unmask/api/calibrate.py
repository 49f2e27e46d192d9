"""Fit a run's confidence to how often it is right, on text that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.api.held_out_states import Collector, sampler_of, split, texts_of
from unmask.errors import Error, check_seed, nearest
from unmask.lines import counted
from unmask.progress import Progress
from unmask.result import Result
from unmask.training.calibration_file import StoredCalibration, write_calibration
from unmask.training.find_run import own_folder
from unmask.training.fingerprints import weights_fingerprint
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.evaluation.calibration import Calibration as Reliability
    from unmask.evaluation.calibration_gain import Measured
    from unmask.evaluation.calibrators import Tried
    from unmask.evaluation.confidences import Confidences, Text
    from unmask.sampling.calibrated import Calibration

METHODS = ("auto", "none", "temperature", "platt", "isotonic", "head")
_LEAST = 12
"""Documents, of which half fit, a fifth choose and the rest measure."""


@dataclass(frozen=True, repr=False)
class CalibrateResult(Result):
    """A run's calibration, and what it is worth.

    Attributes:
        run: The run's folder.
        name: Its name.
        process: Its process.
        path: The file that was written.
        method: The map that was chosen, or asked for.
        asked: ``auto``, or the map that was asked for.
        tried: What each map scores on the documents that choose.
        measured: What the chosen one is worth, by the states it is measured on.
        documents: How many of them fit, choose and measure.
        positions: How many positions of them did.
        source: Where the held-out text comes from.
        split: The part of it.
        corpus_fingerprint: Of that text.
        seed: Of the documents, of what was hidden, and of the head.
        notes: What to know about the text.
    """

    run: str
    name: str
    process: str
    path: Path
    method: str
    asked: str
    tried: list[Tried]
    measured: list[Measured]
    documents: dict[str, int]
    positions: dict[str, int]
    source: str
    split: str
    corpus_fingerprint: str
    seed: int
    notes: list[str]

    def _facts(self) -> tuple[str, ...]:
        before, after = (one.overall.scores for one in (self.measured[0].before, self.measured[0].after))
        ece = "" if before is None or after is None else f"ECE {before.ece:.4f} -> {after.ece:.4f}"
        return (f"{self.name}: {self.method}", ece, counted(self.positions["measure"], "position"))


def calibrate(
    run: str | Path | Run,
    *,
    method: str = "auto",
    source: str | None = None,
    documents: int = 400,
    seed: int = 0,
    progress: Callable[[Progress], None] = lambda told: None,
) -> CalibrateResult:
    """Fit a run's confidence, and write ``calibration.json`` into its folder; an older one is replaced.

    Args:
        run: A run folder, or an opened run, that the sampler ``confidence`` or ``block`` writes with.
        method: ``auto``: what is best on documents that nothing was fitted to; or ``none``, ``temperature``, ``platt``,
            ``isotonic``, ``head``.
        source: Held-out text; default the valid split of the run's own corpus. Documents it was trained on are dropped.
        documents: Most documents: half of them fit, a fifth choose, the others measure.
        seed: Of the documents, of what is hidden, and of the head's first weights.
        progress: Called with where it stands.

    Raises:
        Error: no such run or method, a run that no sampler orders by confidence, a head for a network that does not
            tell its hidden states, too few documents, or a folder that cannot be written.
    """
    check_seed(seed)
    if method not in METHODS:
        raise Error(f"unknown method {method!r}.{nearest(method, METHODS)} Choose from {', '.join(METHODS)}.")
    if documents < _LEAST:
        raise Error(f"documents is {documents}; it must be at least {_LEAST}: some fit, some choose, some measure.")
    run = run if isinstance(run, Run) else Run.open(run)
    own_folder(run.path)
    name = sampler_of(run)
    from unmask.data.cache import writing
    from unmask.evaluation.calibrators import METHODS as MAPS
    from unmask.evaluation.calibrators import choose, fit
    from unmask.training.held_out import held_out

    text = held_out([run], source, documents, seed)
    model = run.model()
    texts = texts_of(run, model, text.texts)
    if len(texts) < _LEAST:
        raise Error(f"{counted(len(texts), 'held-out document')} cannot fit, choose and measure; give --source more.")
    collector = Collector(run, model, name, seed, progress)
    parts = split(texts)
    fitting, choosing = (collector(part, parts[part], "forced") for part in ("fit", "choose"))
    maps = (
        [one for one in MAPS if one != "head" or fitting.states is not None] if method == "auto" else ["none", method]
    )
    fitted = [fit(one, fitting, seed=seed) for one in dict.fromkeys(maps)]
    best, tried = choose(fitted, choosing)
    best = best if method == "auto" else fitted[-1]
    measured, seen = measure(collector, parts["measure"], best)
    counts = {part: len({one.document for one in own}) for part, own in parts.items()}
    positions = {"fit": len(fitting.right), "choose": len(choosing.right), "measure": seen}
    result = CalibrateResult(
        run=str(run.path),
        name=run.name,
        process=run.process.name,
        path=run.path,
        method=best.method,
        asked=method,
        tried=tried,
        measured=measured,
        documents=counts,
        positions=positions,
        source=text.source,
        split=text.split,
        corpus_fingerprint=text.fingerprint,
        seed=seed,
        notes=list(text.notes),
    )
    weights = run.manifest.get("weights_fingerprint") or weights_fingerprint(run.path)
    with writing(run.path, "copy the run to a folder of your own"):
        path = write_calibration(run.path, best, weights, _kept(result))
    model.calibration = StoredCalibration(run.path, weights)
    return replace(result, path=path)


def measure(collector: Collector, texts: Sequence[Text], calibration: Calibration) -> tuple[list[Measured], int]:
    """Return what a calibration is worth on each kind of states, and the positions of the first."""
    from unmask.evaluation.calibration_gain import measured

    forced = collector("measure", texts, "forced")
    data: dict[str, Confidences] = {
        "forced": forced,
        "calibrated": collector("measure", texts, "forced", calibration),
        "corrupted": collector("measure", texts, "corrupted"),
        "written": collector("measure", texts, "written"),
    }
    found = [measured(name, one, calibration) for name, one in data.items()]
    return [*found, measured("drawn", forced, calibration)], len(forced.right)


def _kept(result: CalibrateResult) -> dict[str, Any]:
    """Return what the file says of how it was fitted and what it is worth; no place of this machine."""
    from unmask.api.public import public_name
    from unmask.result import plain

    def short(found: Reliability) -> dict[str, Any]:
        return {one.name: one.scores and {"ece": one.scores.ece, "brier": one.scores.brier, "auroc": one.scores.auroc}
                for one in [found.overall, *found.levels]}  # fmt: skip

    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fitted": {
            "source": public_name(result.source),
            "split": result.split,
            "corpus_fingerprint": result.corpus_fingerprint,
            "documents": result.documents,
            "positions": result.positions,
            "seed": result.seed,
            "asked": result.asked,
            "tried": plain(result.tried),
        },
        "measured": {
            one.states: {"before": short(one.before), "after": short(one.after), "cut": one.cut}
            for one in result.measured
        },
    }
