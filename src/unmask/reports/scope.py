"""How much a comparison measures: the full one, whose numbers can be quoted, and a quick one for a first look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unmask.errors import Error, check_texts, nearest


@dataclass(frozen=True)
class Scope:
    """How much is measured; the defaults are the full comparison.

    Attributes:
        quick: Whether this is the quick comparison; the report says so.
        timing: Whether generation is timed, and its memory taken.
        documents: Most held-out documents.
        draws: Network calls a window, where a number is a bound.
        samples: Texts that each way to sample writes, each seed.
        holes: Holes that each run fills, where it can; 0: none.
        length: Tokens of a generated text; ``None``: what the shortest context holds, at most ``longest``.
        longest: Most tokens of a generated text, where ``length`` does not say.
        rivals: Whether other samplers than a run's own write, too, and are timed.
        divergence: Whether texts are held against real ones as two clouds of points, which takes many of both.
        steps: Steps of samplers that have them; more than there are tokens are cut to that.
        batches: Texts at once, where generation is timed.
        repeats: Most timed generations a cell.
        seconds: No new repeat starts after this time.
        precision: What the networks compute in.
        probed: Documents in which a model is asked at every noise level, and its calibration is taken.
        measures: What is measured besides; see :data:`MEASURES`.
        prompts: Most prompts, and holes, of each class of the evaluation set for Hindi, where ``script`` is measured.
    """

    quick: bool = False
    timing: bool = True
    documents: int = 200
    draws: int = 8
    samples: int = 32
    holes: int = 64
    length: int | None = None
    longest: int = 256
    rivals: bool = True
    divergence: bool = True
    steps: tuple[int, ...] = (8, 32, 128)
    batches: tuple[int, ...] = (1, 8, 32)
    repeats: int = 5
    seconds: float = 5.0
    precision: str = "fp32"
    probed: int = 16
    measures: tuple[str, ...] = ()
    prompts: int = 60


MEASURES = {"script": "script errors, shares and switches after prompts in Hindi, Hinglish and mixed script"}
"""What can be asked for besides."""
LEFT_OUT = "samplers other than a run's own, divergence"
"""What a quick comparison does not measure at all, whatever is given."""
FULL = Scope()
QUICK = Scope(
    quick=True,
    documents=60,
    draws=4,
    samples=12,
    holes=16,
    longest=64,
    rivals=False,
    divergence=False,
    steps=(8, 32),
    batches=(1,),
    repeats=3,
    seconds=1.0,
    probed=4,
    prompts=10,
)


def choose(
    quick: bool = False,
    timing: bool = True,
    *,
    documents: int | None = None,
    draws: int | None = None,
    samples: int | None = None,
    holes: int | None = None,
    length: int | None = None,
    steps: Sequence[int] | None = None,
    batches: Sequence[int] | None = None,
    precision: str = "fp32",
    measures: Sequence[str] = (),
) -> Scope:
    """Return the quick or the full scope with what was given in place of its own numbers.

    Raises:
        Error: a number below 1 (holes: below 0), batches to be timed where timing is off, or an unknown measure.
    """
    for name in measures:
        if name not in MEASURES:
            raise Error(f"unknown measures {name!r}.{nearest(name, MEASURES)} Choose from {', '.join(MEASURES)}.")
    for name, values in (("steps", steps), ("batches", batches)):
        if values is not None and (not values or min(values) < 1):
            raise Error(f"{name} must be numbers of at least 1, got {list(values)}.")
    for name, count in (("documents", documents), ("draws", draws), ("samples", samples), ("length", length)):
        if count is not None and count < 1:
            raise Error(f"{name} is {count}; it must be at least 1.")
    if samples is not None:
        check_texts(samples, "samples")
    if holes is not None and holes < 0:
        raise Error(f"holes is {holes}; it must be 0 or more.")
    if batches is not None and not timing:
        raise Error("batches say what is timed, and timing is off; leave one of the two out.")
    given = {
        "documents": documents,
        "draws": draws,
        "samples": samples,
        "holes": holes,
        "length": length,
        "steps": None if steps is None else tuple(steps),
        "batches": None if batches is None else tuple(batches),
    }
    known = {name: value for name, value in given.items() if value is not None}
    known |= {"measures": tuple(dict.fromkeys(measures)), "precision": precision}
    return replace(QUICK if quick else FULL, timing=timing, **known)  # type: ignore[arg-type]
