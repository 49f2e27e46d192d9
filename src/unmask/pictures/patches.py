"""Where a text is cut into patches, and how uncertain its next byte was: pictures of :mod:`unmask.data.patches`.

A bar is the entropy before its byte is read, dark where a patch begins; a row of blocks is a patcher, a block a patch.
A patcher that asks a model by the character has an entropy where one begins, of the whole character.

Letters: n bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from unmask.data import utf8
from unmask.data.patches.babylon import Babylon
from unmask.data.patches.patcher import Patcher

LINE = 90
"""Bytes of a line."""
ROOM = 4 * LINE
"""Bytes of a picture of one text."""
_NAMES = {"\n": "\u21b5", " ": "\u00b7", "\t": "\u21e5"}
_FONT = "DejaVu Sans Mono"  # comes with matplotlib, so that a picture is the same everywhere


@dataclass(frozen=True)
class CutText:
    """A text and its patches.

    Attributes:
        data: The text.
        starts: Whether each byte begins a patch.
        bits: Entropy before each byte, NaN inside a character that was asked for as a whole; ``None``: the patcher asks
            no model.
        theta: What the entropy of a first byte exceeds, in bits; ``None``: the rule is another.
        patcher: What cut it.
    """

    data: bytes
    starts: Bool[np.ndarray, " n"]
    bits: Float[np.ndarray, " n"] | None
    theta: float | None
    patcher: str


def cut_text(patcher: Patcher, text: str) -> CutText:
    """Cut the beginning of a text, as much as a picture has room for."""
    data = text.encode()[:ROOM].decode(errors="ignore").encode()  # whole characters
    bits = theta = None
    label = patcher.name
    if isinstance(patcher, Babylon):
        rule = patcher.options.rule
        label = f"{patcher.name}, {rule}"
        asked = patcher.options.model_copy(update={"rule": "threshold", "jump": 0.0})
        bits = Babylon(asked, patcher.entropy).scores(data) / np.log(2)
        if patcher.entropy.unit == "character":
            bits = np.where(utf8.free(data), bits, np.nan)
        if rule != "jump" and patcher.options.theta is not None:
            theta = patcher.options.theta / float(np.log(2))
    return CutText(data, patcher.starts(data), bits, theta, label)


def patches_figure(cut: CutText, title: str) -> Figure:
    """Draw a text in lines of :data:`LINE` bytes: entropies where there are any, letters, and blocks."""
    lines = -(-len(cut.data) // LINE)
    heights = [0.4] if cut.bits is None else [1.5, 0.3]
    height = 1.0 + lines * (0.6 if cut.bits is None else 1.7)
    figure = Figure(figsize=(13, height))
    figure.subplots_adjust(left=0.045, right=0.955, top=1 - 0.65 / height, bottom=0.15 / height)
    size = len(cut.data) / max(int(cut.starts.sum()), 1)
    about = f"{cut.patcher}: {size:.2f} bytes a patch here"
    if cut.bits is not None:
        about += "; bars: entropy before each byte, dark where a patch begins"
    figure.suptitle(f"{title}\n{about}", fontsize=10)
    space = {"height_ratios": heights * lines, "hspace": 0.45}
    panels = figure.subplots(lines * len(heights), 1, squeeze=False, gridspec_kw=space)[:, 0]
    top = 1.0 if cut.bits is None else max(float(np.nanmax(cut.bits)), cut.theta or 0.0, 1e-3)
    for line in range(lines):
        place = slice(line * LINE, (line + 1) * LINE)
        *bars, blocks = panels[line * len(heights) : (line + 1) * len(heights)]
        if cut.bits is not None:
            draw_entropy(bars[0], cut.bits[place], cut.starts[place], cut.theta)
            bars[0].set_ylim(0, 1.05 * top)
        draw_patches(blocks, {cut.patcher: cut.starts[place]})
        draw_letters((bars or [blocks])[0], letters(cut.data)[place])
        blocks.set_yticks([])
        for axes in (*bars, blocks):
            axes.set_xlim(-0.6, LINE - 0.4)
            axes.set_xticks([])
            axes.spines[["top", "right", "left"] if axes is blocks else ["top", "right"]].set_visible(False)
    return figure


def draw_letters(axes: Axes, shown: Sequence[str]) -> None:
    """Write what stands below each byte; hundreds of tick labels would take a second."""
    below = axes.get_xaxis_transform()
    for place, letter in enumerate(shown):
        if letter:
            axes.text(place, -0.05, letter, transform=below, ha="center", va="top", **_LETTERS)


_LETTERS: dict[str, Any] = {"fontsize": 8, "family": _FONT, "parse_math": False}


def draw_entropy(
    axes: Axes, bits: Float[np.ndarray, " n"], starts: Bool[np.ndarray, " n"], theta: float | None
) -> None:
    """Draw the entropy before each byte as a bar, and theta as a line (both in bits)."""
    axes.bar(range(len(bits)), bits, width=0.9, color=np.where(starts, "#1f4e79", "#a8c6e2"))
    if theta is not None:
        axes.axhline(theta, color="#b03a2e", linewidth=0.9)
        axes.text(len(bits) - 0.4, theta, " theta", color="#b03a2e", fontsize=8, va="center")
    axes.set_ylabel("H, bits")


def draw_patches(axes: Axes, cuts: Mapping[str, Bool[np.ndarray, " n"]]) -> None:
    """Draw a row for each patcher, and each of its patches as a block; what is cut off at an edge is a block too."""
    for row, starts in enumerate(cuts.values()):
        edges = [0, *(np.flatnonzero(starts[1:]) + 1).tolist(), len(starts)]
        lengths, left = np.diff(edges) - 0.12, np.array(edges[:-1]) - 0.44
        colours = [("#7fa7cc", "#c9dbeb")[number % 2] for number in range(len(left))]
        axes.barh(np.full(len(left), row), lengths, left=left, height=0.74, color=colours)
    axes.set_yticks(range(len(cuts)), cuts, fontsize=8)
    axes.invert_yaxis()
    axes.set_xticks([])


def letters(data: bytes) -> list[str]:
    """Return what stands below each byte: its character at the first one; hexadecimal where the font has none."""
    out = [f"{byte:02x}" for byte in data]
    start = 0
    while start < len(data):
        end = start + 1 + int(utf8.OWED[data[start]])
        try:
            letter = data[start:end].decode()
        except UnicodeDecodeError:
            start += 1
            continue
        if letter in _NAMES or (letter.isprintable() and ord(letter) in _drawable()):
            out[start:end] = [_NAMES.get(letter, letter), *[""] * (end - start - 1)]
        start = end
    return out


@cache
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(_FONT)).get_charmap())
