"""What is measured of a model besides its likelihood: restoring hidden text, knowing what it knows, filling holes.

All rivals meet the same windows and the same holes of the same held-out documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from unmask.errors import Error
from unmask.evaluation.calibration import Calibration, calibration
from unmask.evaluation.denoising import DenoisingProfile, denoising_profile
from unmask.evaluation.holes import Hole, make_holes
from unmask.evaluation.infilling import FillScore, Infilling, infilling, infilling_controls
from unmask.evaluation.predictions import predict_corrupted
from unmask.reports.entrants import Entrant
from unmask.sampling import SAMPLERS
from unmask.training.run import Run

Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Probed:
    """A row's answers.

    Attributes:
        denoising: Accuracy and nats by noise level, of the first seed.
        calibration: Of the first seed.
        infilling: Of the first seed; ``None`` if holes were not asked for.
        measures: Numbers by the names that rules use, means over seeds; ``None``: does not apply.
        spread: Their standard deviation over seeds.
    """

    denoising: DenoisingProfile
    calibration: Calibration
    infilling: Infilling | None
    measures: Numbers
    spread: dict[str, float]


@dataclass
class Probes:
    """The questions, the same for all.

    Attributes:
        texts: Held-out documents.
        window: Bytes of a window.
        holes: Holes to fill; empty where they could not be made.
        controls: What needs no model makes of the holes.
        seed: Of noise, holes and draws.
    """

    texts: Sequence[str]
    window: int
    holes: list[Hole] = field(default_factory=list)
    controls: dict[str, FillScore] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def make(
        cls, texts: Sequence[str], window: int, holes: int, seed: int, warn: Callable[[str], None], documents: int
    ) -> Probes:
        """Choose documents and holes; what cannot be measured is said.

        Args:
            texts: Held-out documents.
            window: Bytes of a window.
            holes: How many holes at most; 0: none.
            seed: Of noise, holes and draws.
            warn: Called with what cannot be measured, and why.
            documents: Documents that are probed at most: a model is asked at six noise levels in each of their windows.
        """
        probes = cls(texts[:documents], window, seed=seed)
        if holes:
            try:
                probes.holes = make_holes(texts, window=window, count=holes, seed=seed)
                probes.controls = infilling_controls(probes.holes, texts, seed=seed)
            except Error as error:
                probes.holes = []
                warn(f"no infilling scores: {error}")
        return probes

    def ask(self, entrant: Entrant, inside: Callable[[float], None] = lambda share: None) -> Probed:
        """Probe every seed of a row; ``inside`` is called with the share that is done."""
        answers = []
        for place, (run, model) in enumerate(zip(entrant.runs, entrant.models, strict=True)):
            answers.append(self._one(run, model))
            inside((place + 1) / len(entrant.runs))
        each = [_numbers(*answer) for answer in answers]
        means: Numbers = {}
        spread = {}
        for name in each[0]:
            known = [value for numbers in each if (value := numbers[name]) is not None]
            means[name] = fmean(known) if len(known) == len(each) else None
            if len(known) == len(each) > 1:
                spread[name] = stdev(known)
        return Probed(*answers[0], means, spread)

    def _one(self, run: Run, model: Any) -> tuple[DenoisingProfile, Calibration, Infilling | None]:
        predictions = predict_corrupted(
            model, run.process, run.tokenizer, self.texts, window=self.window, seed=self.seed
        )
        filled = None
        if self.holes:
            settings = run.recipe.sampler_settings().but(seed=self.seed)
            sampler = SAMPLERS.get(settings.name)()
            filled = infilling(model, run.process, run.tokenizer, sampler, settings, self.holes)
        return denoising_profile(predictions), calibration(predictions), filled


def _numbers(denoising: DenoisingProfile, known: Calibration, filled: Infilling | None) -> Numbers:
    accuracy = [level.accuracy for level in denoising.levels if level.accuracy is not None]
    scores = known.overall.scores
    fill = None if filled is None else filled.score
    return {
        "accuracy": fmean(accuracy) if accuracy else None,
        "ece": None if scores is None else scores.ece,
        "brier": None if scores is None else scores.brier,
        "auroc": None if scores is None else scores.auroc,
        "infill_bleu": None if fill is None else fill.bleu,
        "infill_chrf": None if fill is None else fill.chrf,
        "infill_rouge": None if fill is None else fill.rouge_l,
    }
