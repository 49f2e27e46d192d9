"""A run on held-out text: the canvases that fit, choose and measure a calibration, and what the run says on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.progress import Counter, Progress
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.evaluation.confidences import Confidences, Kind, Text
    from unmask.sampling.calibrated import Calibration

_STAGES = 6


def sampler_of(run: Run) -> str:
    """Return the sampler whose order a run's confidence decides.

    Raises:
        Error: there is none.
    """
    from unmask.diffusion.registry import PROCESSES
    from unmask.sampling.registry import SAMPLERS, drives

    process = PROCESSES.facts(run.recipe.process.name)
    found = [name for name in ("confidence", "block") if drives(SAMPLERS.facts(name), process)]
    if not found:
        raise Error(
            f"run {run.path} was trained as {run.recipe.process.name}: no sampler of it orders words by confidence. "
            "Calibrate a run of the processes masked, sparse or block."
        )
    return found[0]


def split(texts: Sequence[Text]) -> dict[str, list[Text]]:
    """Return the texts that fit, choose and measure: half of them, a fifth, the others."""
    fit, chosen = len(texts) // 2, len(texts) // 2 + len(texts) // 5
    return {"fit": list(texts[:fit]), "choose": list(texts[fit:chosen]), "measure": list(texts[chosen:])}


def texts_of(run: Run, model: Any, texts: Sequence[str]) -> list[Text]:
    """Return the beginning of each document, as much as the context (or a passage of a run with thoughts) holds."""
    from unmask.evaluation.confidences import Text
    from unmask.sampling.thought_steps import passages_of

    tokenizer, options = run.tokenizer, passages_of(model)
    room = int(model.config.max_position_embeddings) if options is None else options.passage
    rows = [[tokenizer.bos_id, *ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(list(texts))]
    return [Text(number, row[:room]) for number, row in enumerate(rows) if len(row) > 3]


class Collector:
    """Collects confidences of a run on held-out texts.

    Args:
        run: The run.
        model: Its network.
        sampler: The sampler's name.
        seed: Of what is hidden, drawn and kept.
        progress: Told of every batch.
    """

    def __init__(
        self, run: Run, model: Any, sampler: str, seed: int, progress: Callable[[Progress], None] = lambda told: None
    ) -> None:
        self._run, self._model, self._seed, self._progress = run, model, seed, progress
        self._sampler = sampler
        self._done = 0

    def __call__(
        self, stage: str, texts: Sequence[Text], kind: Kind, calibration: Calibration | None = None
    ) -> Confidences:
        """Return what the network says on the states of a kind; see :func:`unmask.evaluation.confidences.collect`."""
        from unmask.evaluation.confidences import collect
        from unmask.sampling import SAMPLERS

        self._done += 1
        total = len(texts) * (4 if kind == "corrupted" else 1)
        told = Counter(stage, self._progress, unit="texts", what=self._run.name, place=(self._done, _STAGES))
        block = int(getattr(self._model.config, "block_size", 0)) if self._sampler == "block" else 0
        return collect(
            self._model,
            SAMPLERS.get(self._sampler)(),
            texts,
            self._run.tokenizer.vocabulary,
            kind,
            block=block,
            calibration=calibration,
            seed=self._seed,
            progress=lambda done: told(done, total),
        )
