"""Weights of others in safetensors, one file or several, mapped into memory: a tensor is read when it is asked for.

Pickles are refused: reading one runs its code.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from unmask.data.json_file import read_object
from unmask.errors import Error

INDEX = "model.safetensors.index.json"
_AGAIN = "fetch it again from where it is published"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class WeightFiles:
    """The safetensors of a folder.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each tensor.

        Raises:
            Error: there are none, pickles only, a damaged file, or an index of files that are not there.
        """
        if (index := self.folder / INDEX).is_file():
            told = read_object(index, _AGAIN).get("weight_map")
            if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
                raise Error(f"{index} has no weight_map of names and files; {_AGAIN}.")
            for name in sorted(set(told.values())):
                if "/" in name or "\\" in name or not (self.folder / name).is_file():
                    raise Error(f"{index} names {name!r}, which is not in {self.folder}; {_AGAIN}.")
            return {key: self.folder / name for key, name in told.items()}
        found = sorted(self.folder.glob("*.safetensors"))
        if not found:
            pickles = [path.name for kind in _PICKLES for path in self.folder.glob(kind)]
            if pickles:
                raise Error(
                    f"{self.folder} has its weights in {pickles[0]}, a pickle, which runs code when read. Ask for a "
                    "safetensors revision, or convert it where you trust it: "
                    "https://huggingface.co/docs/safetensors/convert-weights"
                )
            raise Error(f"{self.folder} holds no .safetensors; give a folder with config.json and weights.")
        if len(found) > 1 and (self.folder / "model.safetensors").is_file():
            found = [self.folder / "model.safetensors"]
        return {name: path for path in found for name in self._open(path).keys()}  # noqa: SIM118 - no mapping

    @property
    def names(self) -> frozenset[str]:
        """The names of the tensors."""
        return frozenset(self.files)

    def read(self, name: str) -> Tensor:
        """Return a tensor.

        Raises:
            Error: there is none of that name, or its file is damaged.
        """
        if name not in self.files:
            raise Error(f"the weights in {self.folder} have no {name}, which a network of their config.json has.")
        try:
            value: Tensor = self._open(self.files[name]).get_tensor(name)
        except SafetensorError as error:
            raise Error(f"{self.files[name]} has no readable {name} ({error}); {_AGAIN}.") from error
        return value

    def _open(self, path: Path) -> Any:
        if path not in self._opened:
            try:
                self._opened[path] = safe_open(path, "pt")
            except (SafetensorError, OSError, ValueError) as error:
                raise Error(f"{path} cannot be read ({' '.join(str(error).split())[:200]}); {_AGAIN}.") from error
        return self._opened[path]

    @cached_property
    def _opened(self) -> dict[Path, Any]:
        return {}
