"""Denoising in the terminal: open positions are dim blocks, fresh words stand out, doubtful ones are shaded.

Where a text is written in blocks, what a later block writes is a dot. An open position's likeliest candidate, or the
word there that may be wrong, is dim and slanted; one whose word was taken back just now is underlined. A legend stands
below, and the last picture stays.

The shades run from blue to yellow like cividis (Nunez et al. 2018), which people with colour-blindness tell apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from unmask.cli.wrapped import lines
from unmask.data.pieces import pieces, words
from unmask.errors import Error

if TYPE_CHECKING:
    from torch import Tensor

    from unmask.sampling.state import Frame

BLOCK = "\u2591"
WAITING = "\u00b7"
"""An open position of a block that was not begun yet."""
SHADES = ((0.2, "#5b7fd9"), (0.5, "#8f9bb3"), (0.8, "#c9b866"), (1.01, "#ffe945"))
"""Colour of a word whose confidence is below this."""
SPEED = 6.0
"""Steps a second, where nothing else is asked for: 30 steps take five seconds."""

Parts = list[tuple[str, str]]
"""Text and its style."""


def render(
    tokens: Sequence[int],
    committed: Sequence[bool],
    changed: Sequence[bool],
    confidence: Sequence[float],
    text_of: Callable[[int], bytes],
    guesses: Sequence[int | None] | None = None,
    waiting: Sequence[bool] | None = None,
) -> Parts:
    """Return one text of a frame, up to its end.

    Args:
        tokens: Ids of the positions of the text.
        committed: Which are decided.
        changed: Which were decided just now: bold and underlined; or opened again: an underlined block.
        confidence: Probability of each; 1 has no shade (given words).
        text_of: Bytes of a token; a character may be spread over several, and special tokens have none.
        guesses: The likeliest candidate of each open position, ``None`` where there is none.
        waiting: Which open positions are those of a block that was not begun yet.
    """
    parts: Parts = []
    for piece in pieces(tokens, committed, text_of):
        fresh = any(changed[piece.start : piece.end])
        if piece.text is None:
            guess = guesses[piece.start] if guesses is not None else None
            word = "" if guess is None else words(text_of(guess))
            sign = WAITING if waiting is not None and waiting[piece.start] else BLOCK
            parts.append((word or sign, "dim italic" if word else "dim underline" if fresh else "dim"))
            continue
        trust = min(confidence[piece.start : piece.end])
        shade = "" if trust >= 1 else next(colour for limit, colour in SHADES if trust < limit)
        parts.append((piece.text, f"{shade} bold underline".strip() if fresh else shade))
    return parts


def _guesses(frame: Frame, row: int, keep: Tensor) -> list[int | None] | None:
    """Return the likeliest candidate of each position of a text that has any, or the words that may be wrong."""
    if frame.doubtful:
        return list(frame.tokens[row][keep].tolist())
    if frame.candidates is None:
        return None
    best = frame.candidates.mass[row][keep].max(-1)
    tokens = frame.candidates.tokens[row][keep].gather(-1, best.indices[:, None])[:, 0]
    return [token if mass > 0 else None for token, mass in zip(tokens.tolist(), best.values.tolist(), strict=True)]


def check_speed(speed: float | None) -> float:
    """Return how many steps are shown in a second; 0: as they come.

    Raises:
        Error: below 0, or no number.
    """
    if speed is None:
        return SPEED
    if not (math.isfinite(speed) and speed >= 0):
        raise Error(f"--watch-speed is {speed:g}; give steps a second, such as {SPEED:g}, or 0 for no pause.")
    return speed


class Canvas:
    """Shows frames as they come; a context manager. In a terminal they replace each other, elsewhere they are lines.

    Args:
        console: Where to.
        text_of: Bytes of a token.
        speed: Most steps shown in a second in a terminal; 0: as they come.
    """

    def __init__(self, console: Console, text_of: Callable[[int], bytes], speed: float = SPEED) -> None:
        self._console, self._text_of = console, text_of
        self._pause, self._shown_at = 1 / speed if speed else 0.0, -math.inf
        self._rows: dict[int, tuple[int, Parts]] = {}
        self._guessing = self._in_blocks = False
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def show(self, which: Sequence[int], frame: Frame) -> None:
        """Show a frame whose rows are the texts ``which``, once the last one has been seen for its time."""
        for row, number in enumerate(which):
            keep = frame.valid[row]
            tokens, committed, changed, confidence = (
                x[row][keep].tolist() for x in (frame.tokens, frame.committed, frame.changed, frame.confidence)
            )
            guesses = _guesses(frame, row, keep)
            self._guessing |= guesses is not None
            waiting = None if frame.block is None else frame.waiting[row][keep].tolist()
            self._in_blocks |= waiting is not None
            parts = render(tokens, committed, changed, confidence, self._text_of, guesses, waiting)
            self._rows[number] = (int(frame.step[row]), parts)
        if self._live is None:
            for number in which:
                step, parts = self._rows[number]
                line = f"[{number + 1}] step {step}: {''.join(text for text, _ in parts)}".replace("\n", "\\n")
                self._console.print(line, markup=False, emoji=False, soft_wrap=True)
            return
        time.sleep(max(0.0, self._shown_at + self._pause - time.monotonic()))
        self._live.update(self._picture(self._console.height - 1), refresh=True)
        self._shown_at = time.monotonic()

    def __enter__(self) -> Canvas:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            if self._rows:
                self._live.update(self._picture(None))
            self._live.stop()

    def _picture(self, height: int | None) -> Group:
        """Return the texts with a legend below; of more lines than there is room for, the last."""
        width = self._console.width - 1
        shown = [
            line
            for number, (step, parts) in sorted(self._rows.items())
            for line in lines([(f"[{number + 1}] step {step}  ", "dim"), *parts], width)
        ]
        legend = lines(_legend(self._guessing, self._in_blocks), width)
        if height is not None:
            shown = shown[-max(1, height - len(legend)) :]
        return Group(*shown, *legend)


def _legend(guessing: bool, in_blocks: bool) -> Parts:
    """Return what the signs mean."""
    limits = [limit for limit, _ in SHADES[:-1]]
    spans = [f"below {limits[0]:g}", *(f"below {limit:g}" for limit in limits[1:]), "above"]
    parts = [("decided just now", "bold underline"), (f"   {BLOCK} open", "dim")]
    parts += [(f"   {WAITING} in a later block", "dim")] if in_blocks else []
    parts += [("   ", ""), ("candidate", "dim italic")] if guessing else []
    parts += [("   confidence ", "dim")]
    for (_, colour), span in zip(SHADES, spans, strict=True):
        parts += [(f"\u25a0\u00a0{span.replace(' ', chr(0xA0))}", colour), (" ", "")]
    return parts
