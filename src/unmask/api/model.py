"""``unmask.load``: a run to use again and again, its weights, tokenizer and process read once.

Its methods are the verbs, with the run filled in: ``load(RUN).sample("the cat")`` is ``sample(load(RUN), "the cat")``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from unmask.api.calibrate import calibrate
from unmask.api.choose import choose
from unmask.api.evaluate import evaluate
from unmask.api.export import export
from unmask.api.infill import infill
from unmask.api.likelihood import likelihood
from unmask.api.sample import sample
from unmask.api.stream import stream
from unmask.arguments import checked
from unmask.errors import Error, wrong_count
from unmask.lines import counted, line
from unmask.sampling.result_cache import ResultCache
from unmask.training.loaded_run import Held
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.models.network import Denoiser


class Model(Held):
    """A run that is loaded, made by :func:`load`. Whatever takes a run takes it, and reads no weights again.

    Attributes:
        path: Its folder, and all else that a :class:`unmask.Run` has: ``manifest``, ``recipe``, ``tokenizer``,
            ``process``.
    """

    mapped = False  # it lives long, and somebody may copy other weights over the file meanwhile

    sample = checked(sample)
    stream = checked(stream)
    infill = checked(infill)
    choose = checked(choose)
    evaluate = checked(evaluate)
    likelihood = checked(likelihood)
    calibrate = checked(calibrate)
    save = checked(export)

    @property
    def network(self) -> Denoiser:
        """The network, in evaluation mode."""
        return self.model()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    def __repr__(self) -> str:
        size = counted(self.network.num_parameters(), "parameter")
        return line("Model", str(self.path), self.recipe.process.name, size, f"on {self.device}")


def load(run: str | Path | Run, *, device: str | None = None, allow_code: bool = False, cache: int = 0) -> Model:
    """Load a run: its weights, tokenizer and process are read once, and kept for all that is done with it.

    Args:
        run: A run folder, ``runs/NAME`` by its name, a Hub name or an opened run; a loaded one is returned as it is.
        device: Where the weights go, such as ``cpu`` or ``cuda:1``; default a GPU if there is one.
        allow_code: Import code that its recipe names (a schedule ``module:function``): for runs of people whom you
            trust.
        cache: Bytes of memory for texts that were written before: a request that was asked already (its prompt, all
            settings, seed and number) is answered from it, equal to the letter. 0: none are kept, and of a model that
            is loaded already what it has stays.

    Raises:
        Error: no such run or device, a damaged run, or less than no memory.
    """
    if wrong := wrong_count("cache", cache, 0, "nothing is kept"):
        raise Error(wrong)
    if device is not None:
        _check_device(device)
    elif isinstance(run, Model):
        run.cache = ResultCache(cache) if cache else run.cache
        return run
    opened = run if isinstance(run, Run) else Run.open(run, allow_code=allow_code)
    model = Model(opened.path, opened.manifest, opened.recipe, opened.allow_code or allow_code, device)
    _ = model.network, model.tokenizer, model.process  # what is damaged is told here
    model.cache = ResultCache(cache) if cache else None
    return model


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Error(
            f"there is no device {device!r} for weights ({str(error).splitlines()[0]}); leave it out, or give cpu."
        ) from error
