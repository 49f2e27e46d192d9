"""A network rounded to 8 bits, and what that costs: bits per byte of one text before and after.

The text is small, English and the same for all: the prompts of stories that lie in the package. Texts of one's own say
more: ``unmask evaluate`` scores a run of either kind.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from unmask.data.tokenizers import Tokenizer
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import common_window
from unmask.models.int8 import in_int8
from unmask.models.transformer import Transformer
from unmask.training.combination import make_process
from unmask.training.recipe import Recipe

_TEXTS = 3
_DRAWS = 4


def round_to_int8(network: Transformer, recipe: Recipe, tokenizer: Tokenizer) -> dict[str, Any]:
    """Round a network to 8 bits, in place.

    Args:
        network: It, in float32.
        recipe: Of its run.
        tokenizer: Of its run.

    Returns:
        ``before`` and ``after``, bits per byte; ``bound``, what they are; ``bytes``, of how much text.
    """
    process, texts = make_process(recipe, tokenizer.vocabulary), _texts()
    window = common_window(texts, [tokenizer], [network.config.max_position_embeddings])

    def score() -> Any:
        return bits_per_byte(network, process, tokenizer, texts, window=window, draws=_DRAWS, seed=0)

    before = score()
    in_int8(network)
    after = score()
    return {
        "before": round(before.value, 6),
        "after": round(after.value, 6),
        "bound": before.bound,
        "bytes": before.bytes,
    }


def told_rounding(found: dict[str, Any]) -> str:
    """Return the line that tells what rounding did."""
    more = 100 * (found["after"] / found["before"] - 1)
    text = f"{found['bound']}, {found['bytes']:,} bytes of English story openings"
    return f"int8: {found['before']:.4f} bits per byte before, {found['after']:.4f} after ({more:+.2f} %; {text})"


def _texts() -> list[str]:
    """Return the text, in a few documents."""
    lines = (files("unmask.packaged.prompts") / "stories.jsonl").read_text("utf-8").splitlines()
    openings = [json.loads(line)["prompt"] for line in lines]
    return [" ".join(openings[first::_TEXTS]) for first in range(_TEXTS)]
