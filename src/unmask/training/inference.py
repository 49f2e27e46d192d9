"""Which precision a run samples or scores in: what is asked for; ``auto``: bf16 where it was measured to be faster.

What bf16 gains hangs on how many positions a network is asked about at once, and a text must not hang on its batch. So
what counts is what one text asks: a step left to right one position, a block its words, a canvas all it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from unmask.errors import Error

if TYPE_CHECKING:
    from unmask.sampling.settings import Settings
    from unmask.training.precision import Precision
    from unmask.training.run import Run

Asked = Literal["auto", "fp32", "bf16"]


def check_precision(asked: str) -> None:
    """Refuse what is no precision.

    Raises:
        Error: it is none.
    """
    if asked not in get_args(Asked):
        raise Error(f"unknown precision {asked!r}. Choose auto, fp32 or bf16.")


def precision_of(run: Run, asked: str, settings: Settings | None = None) -> Precision:
    """Return what a run computes in here.

    Args:
        run: The run.
        asked: ``auto``, ``fp32`` or ``bf16``.
        settings: How it writes; ``None``: it scores.

    Raises:
        Error: ``UNMASK_PRECISION`` says neither fp32 nor bf16, or bf16 is asked of 8-bit weights.
    """
    from unmask.training.precision import Precision, answers

    check_precision(asked)
    if run.stored_as == "int8":
        if asked == "bf16":
            raise Error(f"{run.name} has int8 weights, which are computed in float32; leave --precision out.")
        return Precision(False, "its weights are int8")
    if asked != "auto":
        return Precision(asked == "bf16", "asked for")
    return answers(run.recipe, _positions(run, settings))


def _positions(run: Run, settings: Settings | None) -> int:
    """Return how many positions one text asks about at once."""
    if settings is None or settings.visibility == "bidirectional":
        return run.recipe.data.length
    if settings.visibility == "causal":
        return 1
    return int(getattr(settings, "block_size", None) or run.recipe.process_options().network()["block_size"])
