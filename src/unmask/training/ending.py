"""The end of a run: its weights are written as soon as the last step is taken, all else comes behind them.

The last held-out score, the last checkpoint, trackers and pictures may fail, or be stopped by Ctrl-C: what was learnt
is in the folder by then, and the manifest says ``finished``.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unmask.data.cache import by_umask
from unmask.errors import Error
from unmask.models.network import Denoiser
from unmask.training.adapters import plain_weights
from unmask.training.arguments import first_line
from unmask.training.ema import EMA
from unmask.training.fingerprints import fingerprints
from unmask.training.monitor import Metrics, say
from unmask.training.run import MANIFEST, write_json
from unmask.training.trainer import ProcessTrainer


class Ending:
    """What is left to do for a run when its last step has been taken.

    Args:
        folder: The run folder.
        manifest: Its manifest, which is completed.
        metrics: What was counted.
        ema: The moving average, or ``None``.
        flops: Training FLOPs of a step.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], metrics: Metrics, ema: EMA | None, flops: float) -> None:
        self.folder = folder
        self.manifest = manifest
        self.metrics = metrics
        self.ema = ema
        self.flops = flops

    def keep(self, trainer: ProcessTrainer) -> None:
        """Write weights and manifest; once for a run."""
        if self.manifest["status"] != "running":
            return
        if trainer.is_world_process_zero():
            save_weights(
                trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False), self.ema, self.folder
            )
            self.manifest |= fingerprints(self.folder)
        step = trainer.state.global_step
        self.manifest |= {
            "status": "finished" if step >= trainer.args.max_steps else "interrupted",
            "steps": step,
            "skipped_steps": trainer.gradients.run.skipped,
            "tokens_seen": round(step * self.metrics.tokens_per_step),
            "tok_per_s": round(self.metrics.tokens_per_second, 1),
            "train_seconds": round(self.metrics.seconds, 1),
            "training_flops": self.flops * step,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        }
        self.tell(trainer)

    def tell(self, trainer: ProcessTrainer) -> None:
        """Write the manifest as it is now."""
        if trainer.is_world_process_zero():
            write_json(self.folder / MANIFEST, self.manifest)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Say of what fails behind the last step that the weights are there."""
        try:
            yield
        except BaseException as error:
            if self.manifest["status"] != "finished":
                raise
            there = f"the run is trained and its weights are in {self.folder}"
            if not isinstance(error, Exception):
                say(f"{there}; what comes behind them was cut short")
                raise
            raise Error(
                f"{there}, but what comes behind them failed: {first_line(error) or type(error).__name__}."
            ) from error


def save_weights(model: Denoiser, ema: EMA | None, folder: Path) -> None:
    """Write the weights that samplers use, and beside them the raw ones where an average was kept.

    Adapters are added to the weights beside which they stand.
    """
    if ema is None:
        _save(model, folder)
        return
    model.save_pretrained(folder / "raw", plain_weights(model))
    by_umask(folder / "raw")
    ema.swap(model)
    try:
        _save(model, folder)
    finally:
        ema.swap(model)


def _save(model: Denoiser, folder: Path) -> None:
    partial = folder / ".weights"
    try:
        model.save_pretrained(partial, plain_weights(model))
        for path in by_umask(partial).iterdir():
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
