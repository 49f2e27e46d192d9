"""What of a text that is being written can no longer change: all that may be told of it before it is finished.

A text's *firm* tokens are those from its first open position's place on, up to the first that is still open, once the
sampler takes nothing back. Of these the words count up to the first token that holds a part of a broken character: when
a text is finished, such tokens are decided anew (:mod:`unmask.sampling.whole_characters`). What may be the beginning of
a stop string waits, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unmask.data.whole_text import broken
from unmask.sampling.until import cut_at

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer
    from unmask.sampling.loop import Tick
    from unmask.sampling.request import Vocabulary

_BEHIND = 32
"""Characters before new ones that say whether a sign has a letter to stand on."""


@dataclass
class Firm:
    """The firm text of one canvas, told as it grows.

    Args:
        tokenizer: The run's.
        vocabulary: Its special tokens.
        start: Where in the canvas writing begins.
        end: Where it ends at most.
        lead: Whether the first word's space is the prompt's.
        before: The text before.
        stops: Strings at which the text stops.

    Attributes:
        text: The firm text.
        told: Characters of it that were told.
        stopped: Whether it has come to a stop string.
        seen: Tokens that it is made of.
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    start: int
    end: int
    lead: bool
    before: str
    stops: Sequence[str] = ()
    text: str = field(default="", init=False)
    told: int = field(default=0, init=False)
    stopped: bool = field(default=False, init=False)
    seen: int = field(default=0, init=False)

    @property
    def whole(self) -> bool:
        """Whether a part of a text is the text of a part: where no token's bytes are known it waits for the end."""
        return self.vocabulary.table is not None

    def look(self, tick: Tick, row: int) -> bool:
        """Take in a moment. Returns whether a stop string stands in the firm text."""
        if self.stopped or not self.whole or not bool(tick.window.settled[row]):
            return self.stopped
        frame = tick.frame
        firm = frame.committed[row][self.start : self.end].cpu().numpy()
        count = len(firm) if firm.all() else int(np.argmin(firm))
        if count > self.seen:
            tokens = frame.tokens[row][self.start + self.seen : self.start + count].tolist()
            self._take(tokens)
        return self.stopped

    def _take(self, tokens: Sequence[int]) -> None:
        parts = [self.tokenizer.decode_bytes([token]) for token in tokens]
        behind = (self.before + self.text)[-_BEHIND:].encode("utf-8", "surrogateescape")
        wrong, (begun, _) = broken(behind + b"".join(parts), complete=False)
        wrong = wrong[len(behind) :]
        if begun:
            wrong[len(wrong) - min(len(begun), len(wrong)) :] = True
        taken, at = b"", 0
        for part in parts:
            if wrong[at : at + len(part)].any():
                break
            taken, at, self.seen = taken + part, at + len(part), self.seen + 1
        self.text += taken.decode("utf-8", "replace")
        self.stopped = self.stop_text != self._shown

    @property
    def stop_text(self) -> str:
        """The firm text before the first stop string."""
        return cut_at(self._shown, self.stops)

    @property
    def _shown(self) -> str:
        return self.text.removeprefix(" ") if self.lead else self.text

    def news(self) -> str:
        """Return what can be told now and was not told before."""
        text = self.stop_text
        until = len(text) if self.stopped else len(text) - _begun(text, self.stops)
        new = text[self.told : until]
        self.told = max(self.told, until)
        return new

    def rest(self, text: str) -> str:
        """Return what of the finished text was not told.

        Raises:
            RuntimeError: what was told is no beginning of it, which is a fault of ours.
        """
        if text[: self.told] != self.stop_text[: self.told]:
            raise RuntimeError("a text was told that is not the one that was written")
        new = text[self.told :]
        self.told = len(text)
        return new


def _begun(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=0) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops):
            return size
    return 0
