"""Passes over the corpus instead of steps: how many steps they are is known once the blocks are packed.

    max_steps = ceil(epochs * blocks / rows of a step)

The last step may read a few blocks of the next pass. A stored recipe says the steps; the manifest keeps the epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unmask.data.blocks import Blocks
from unmask.lines import counted, sized
from unmask.training.recipe import Recipe


def steps_of(epochs: float, blocks: int, rows: int) -> int:
    """Return the steps that read ``blocks`` blocks ``epochs`` times, ``rows`` of them a step; at least one."""
    return max(1, math.ceil(epochs * blocks / rows))


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """Return the recipe with a number of steps, and no epochs."""
    training = recipe.training.model_copy(update={"max_steps": steps, "epochs": None})
    return recipe.model_copy(update={"training": training})


def as_begun(recipe: Recipe, begun: Mapping[str, Any], stored: Recipe) -> Recipe:
    """Return a recipe as the run that it resumes has settled it, where it asks for as many epochs as then."""
    epochs = recipe.training.epochs
    same = epochs is not None and epochs == begun.get("epochs")
    return with_steps(recipe, stored.training.max_steps) if same else recipe


MOST_PASSES = 4
"""Passes after which repeated text is worth less and less to a left-to-right model (arXiv:2305.16264)."""


def passes_told(recipe: Recipe, blocks: Blocks, rows: int, bidirectional: bool) -> str:
    """Say how often the steps of a recipe read the corpus, and what to do where that is more than is worth it.

    passes = steps * rows / blocks
    """
    passes = recipe.training.max_steps * rows / len(blocks)
    often = f"{passes:,.1f}" if passes >= 0.05 else f"{passes:.1g}"
    text = f"{recipe.name}: {often} passes over {sized(blocks.bytes)} of text ({counted(len(blocks), 'block')})"
    if passes <= MOST_PASSES:
        return text
    bears = "; models that see both sides bear more, arXiv:2507.15857" if bidirectional else ""
    return (
        f"{text}\nhint: beyond about {MOST_PASSES} passes text is worth less and less (arXiv:2305.16264{bears}); "
        f"give more text, or fewer steps: -o training.epochs={MOST_PASSES}"
    )
