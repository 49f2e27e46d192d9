"""What thoughts cost: the vectors beside a passage, and the reading of it.

Letters: T tokens of a passage, C cells, c cells of a reduced thought, E channels, N thoughts on a stack, D width, M = C
+ N c vectors.
"""

from __future__ import annotations

from typing import Any

from unmask.diffusion.thought import ThoughtOptions

_TAPS = 7


def beside(config: Any) -> tuple[int, int]:
    """Return C and M of a network's configuration; 0 and 0 without thoughts."""
    options = ThoughtOptions(**config.thought) if config.thought else ThoughtOptions()
    return options.cells, options.cells + options.stack * options.reduced


def reader_flops(config: Any, length: int) -> float:
    """Return floating-point operations a token of reading a passage, and of its thought's way in and out.

    Args:
        config: Of a network with thoughts.
        length: Tokens of the passage (T).
    """
    options = ThoughtOptions(**config.thought)
    width, cells, vectors = config.hidden_size, *beside(config)
    channels = options.channels
    words = options.reader_layers * (_TAPS * width + 4 * width**2) + 2 * width**2 + 2 * cells * width
    found = cells * channels * (width + (2 * channels if options.persist else 0))
    rebuilt = 8 * cells * channels**2 + options.reduced * channels**2
    ways = (vectors + cells) * channels * width + cells * width * (64 + width)
    return 2.0 * (words + (found + rebuilt + ways) / length)
