"""One file of weights: its header read without torch, and written so that its tensors can be used where they lie.

The format is eight bytes with the header's length, the header in JSON, and the numbers. The header is filled up with
spaces to a multiple of 64 bytes, so that the numbers lie in a mapped file as they would lie in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.models.config_file import AGAIN

if TYPE_CHECKING:
    from torch import Tensor

ALIGNED = 64
"""Bytes: where a tensor has to begin for the fastest products."""
_LONGEST = 100_000_000
"""Bytes of a header at most, as the library has it."""
_NAMES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "bool": "BOOL", "uint8": "U8"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"},
}
_TYPES = {name: kind for kind, name in _NAMES.items()}


@dataclass(frozen=True)
class Form:
    """What a tensor in a file has to have in common with the network's: its shape, and whether it has 8 bits."""

    shape: tuple[int, ...]
    small: bool


def forms(path: Path) -> dict[str, Form]:
    """Return the forms of the tensors in a file, by their names.

    Raises:
        Error: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                part = file.get_slice(name)
                found[name] = Form(tuple(part.get_shape()), part.get_dtype() == "I8")
    except (SafetensorError, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise Error(f"the weights {path} cannot be read ({why}); {AGAIN}.") from error
    return found


def stored_as(path: Path) -> str:
    """Return the type that the matrices of a file are stored in, such as ``float32`` or ``int8``; known without torch.

    Raises:
        Error: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            told = json.loads(file.read(length)) if length <= _LONGEST else None
        kinds = [part["dtype"] for name, part in told.items() if name != "__metadata__"]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise Error(f"the weights {path} cannot be read ({type(error).__name__}); {AGAIN}.") from error
    known = {_TYPES.get(kind, str(kind).lower()) for kind in kinds}
    return min(known, key=lambda kind: (kind != "int8", kind != "bfloat16", kind != "float16", kind), default="float32")


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors; a file that is there is replaced, never written over: a network may lie in its pages."""
    import torch

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    order, end = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)), 0
    for name in order:
        value, begin = tensors[name], end
        end += value.numel() * value.element_size()
        kind = _NAMES[str(value.dtype).removeprefix("torch.")]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNED)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            value = tensors[name].detach().cpu().contiguous()
            file.write(memoryview(value.reshape(-1).view(torch.uint8).numpy()))
    os.replace(partial, path)
