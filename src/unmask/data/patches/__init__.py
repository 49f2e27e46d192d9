"""Patchers: a text of bytes cut into patches, losslessly and before each byte is read."""

from unmask.data.patches import babylon, chance, marks, stride  # noqa: F401 - they register themselves
from unmask.data.patches.patcher import PATCHERS, Patcher, PatchStream, make_patcher

__all__ = ["PATCHERS", "PatchStream", "Patcher", "make_patcher"]
