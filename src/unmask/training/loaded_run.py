"""A run that keeps its weights: read once, for all that is done with it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.arguments import checked
from unmask.training.recipe import Recipe
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.models.network import Denoiser


class Held(Run):
    """A run whose weights are read when they are first asked for, and kept.

    Whatever takes a run takes it. Its network is one object: who changes it changes it for all who hold the run.
    """

    @checked
    def __init__(
        self,
        path: Path,
        manifest: dict[str, Any],
        recipe: Recipe,
        allow_code: bool = False,
        device: str | None = None,
        half: bool = False,
    ) -> None:
        super().__init__(path, manifest, recipe, allow_code=allow_code)
        self._device, self._half = device, half
        self._network: Denoiser | None = None

    @checked
    def model(self, device: str | None = None, *, half: bool | None = None) -> Denoiser:
        """Return the network, in evaluation mode.

        Args:
            device: Where to; default where it is. On another device than that it is a copy.
            half: Whether it is to compute in bfloat16; default what the run is held in.

        Raises:
            Error: the weights are damaged, or are not those of ``config.json`` or of ``run.json``.
        """
        from unmask.models.half import halved

        if self._network is None:
            self._network = super().model(self._device or device)
        network = self._network
        if self._half if half is None else half:
            network = halved(network)  # anew: the weights may have been changed since
        return network if device is None or _on(network, device) else _copied(network, device)

    def stand_before(self, network: Any) -> None:
        """Have a network that asks the run's own answer in its place, from here on; nothing is kept of its texts."""
        self._network, self.cache = network, None


def held(run: str | Path | Run, *, half: bool = False) -> Held:
    """Return a run that keeps its weights; one that does, as it is.

    Args:
        run: A run folder, a Hub name or an opened run.
        half: Whether its network is to compute in bfloat16 where nothing else is said.

    Raises:
        Error: not a run.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    if isinstance(run, Held) and run._half == half:
        return run
    return Held(run.path, run.manifest, run.recipe, run.allow_code, half=half)


def _on(network: Denoiser, device: str) -> bool:
    import torch

    wanted, there = torch.device(device), network.device
    return wanted.type == there.type and wanted.index in (None, there.index)


def _copied(network: Denoiser, device: str) -> Denoiser:
    return copy.deepcopy(network).to(device)
