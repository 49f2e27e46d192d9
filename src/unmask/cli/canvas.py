"""Denoising in the terminal: open positions are dim blocks, fresh words stand out, doubtful ones are shaded.

An open position that carries candidates shows the likeliest of them, dim and slanted; one whose word was taken back
just now is underlined.

The shades run from blue to yellow like cividis (Nunez et al. 2018), which people with colour-blindness tell apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from torch import Tensor

    from unmask.sampling.state import Frame

BLOCK = "\u2591"
SHADES = ((0.2, "#5b7fd9"), (0.5, "#8f9bb3"), (0.8, "#c9b866"), (1.01, "#ffe945"))
"""Colour of a word whose confidence is below this."""


def render(
    tokens: Sequence[int],
    committed: Sequence[bool],
    changed: Sequence[bool],
    confidence: Sequence[float],
    text_of: Callable[[int], bytes],
    guesses: Sequence[int | None] | None = None,
) -> Text:
    """Return one text of a frame, up to its end.

    Args:
        tokens: Ids of the positions of the text.
        committed: Which are decided.
        changed: Which were decided just now: bold and underlined; or opened again: an underlined block.
        confidence: Probability of each; 1 has no shade (given words).
        text_of: Bytes of a token; a character may be spread over several, and special tokens have none.
        guesses: The likeliest candidate of each open position, ``None`` where there is none.
    """
    text, pending = Text(), bytearray()

    def flush() -> None:
        if pending:
            text.append(pending.decode("utf-8", "replace"), style)
            pending.clear()

    style = ""
    for place, (token, known, fresh, trust) in enumerate(zip(tokens, committed, changed, confidence, strict=True)):
        if not known:
            flush()
            guess = guesses[place] if guesses is not None else None
            word = "" if guess is None else text_of(guess).decode("utf-8", "replace")
            text.append(word or BLOCK, "dim italic" if word else "dim underline" if fresh else "dim")
            continue
        data = text_of(token)
        if pending and not _continues(data):
            flush()
        if not pending:
            shade = "" if trust >= 1 else next(colour for limit, colour in SHADES if trust < limit)
            style = f"{shade} bold underline".strip() if fresh else shade
        pending += data
        if _complete(pending):
            flush()
    flush()
    return text


def _guesses(frame: Frame, row: int, keep: Tensor) -> list[int | None] | None:
    """Return the likeliest candidate of each position of a text that has any."""
    if frame.candidates is None:
        return None
    best = frame.candidates.mass[row][keep].max(-1)
    tokens = frame.candidates.tokens[row][keep].gather(-1, best.indices[:, None])[:, 0]
    return [token if mass > 0 else None for token, mass in zip(tokens.tolist(), best.values.tolist(), strict=True)]


def _continues(data: bytes) -> bool:
    """Tell whether bytes go on with a character that other bytes began."""
    return bool(data) and data[0] & 0xC0 == 0x80


def _complete(data: bytes | bytearray) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return True


class Canvas:
    """Shows frames as they come; a context manager. In a terminal they replace each other, elsewhere they are lines.

    Args:
        console: Where to.
        text_of: Bytes of a token.
        pause: Seconds to rest at each frame in a terminal (replays).
    """

    def __init__(self, console: Console, text_of: Callable[[int], bytes], pause: float = 0.0) -> None:
        self._console, self._text_of, self._pause = console, text_of, pause
        self._rows: dict[int, tuple[int, Text]] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def show(self, which: Sequence[int], frame: Frame) -> None:
        """Show a frame whose rows are the texts ``which``."""
        for row, number in enumerate(which):
            keep = frame.valid[row]
            tokens, committed, changed, confidence = (
                x[row][keep].tolist() for x in (frame.tokens, frame.committed, frame.changed, frame.confidence)
            )
            text = render(tokens, committed, changed, confidence, self._text_of, _guesses(frame, row, keep))
            self._rows[number] = (int(frame.step[row]), text)
        if self._live is None:
            for number in which:
                step, text = self._rows[number]
                line = f"[{number + 1}] step {step}: {text.plain}".replace("\n", "\\n")
                self._console.print(line, markup=False, emoji=False, soft_wrap=True)
            return
        shown = [
            Text.assemble((f"[{n + 1}] step {step}  ", "dim"), text) for n, (step, text) in sorted(self._rows.items())
        ]
        self._live.update(Group(*shown), refresh=True)
        time.sleep(self._pause)

    def __enter__(self) -> Canvas:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
