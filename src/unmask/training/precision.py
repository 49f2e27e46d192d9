"""Whether bf16 is worth it on this machine: supported is not the same as fast."""

from __future__ import annotations

import torch


def fast_bf16() -> bool:
    """Tell whether bf16 matrix products beat float32 here: on a GPU that has them, on a CPU with AMX tiles."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.backends.mps.is_available():
        return False
    return bool(torch.cpu._is_amx_tile_supported())


def use_bf16(precision: str) -> bool:
    """Resolve a recipe's ``training.precision``."""
    return fast_bf16() if precision == "auto" else precision == "bf16"
