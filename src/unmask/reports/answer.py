"""The answer of a comparison in one sentence: who is ahead, by how much, and whether that could be chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unmask.evaluation.intervals import paired_interval
from unmask.reports.decide import Evidence
from unmask.reports.rows import Control, Row


def answer(rows: Sequence[Row], controls: Sequence[Control], evidence: Evidence) -> str:
    """Say the result, the answer first.

    The two rows with the fewest bits per byte are held against each other on the same documents. Of a bound only its
    good news counts: a model may need less than its bound, so behind a bound nobody is shown to be worse.

    Args:
        rows: The rows.
        controls: The controls; a best row that needs more than counting n-grams is told so.
        evidence: Nats of each row, seed and document.
    """
    best, *others = sorted(rows, key=lambda row: row.bits_per_byte)
    ending = _beside_counting(best, controls)
    if not others:
        return f"{best.name} needs {_bits(best)} for a byte of text that it never saw{ending}."
    second = others[0]
    span = paired_interval(evidence.nats[second.name], evidence.nats[best.name], evidence.sizes)
    told = f"{best.name} needs {_bits(best)} a byte, {second.name} {_bits(second)}"
    gap = f"difference {second.bits_per_byte - best.bits_per_byte:.3f}"
    if span is not None:
        gap += f", 95 % interval {span[0]:.3f} to {span[1]:.3f}"
    rest = "".join(f"; {row.name} {_bits(row)}" for row in others[1:])
    if span is not None and span[0] <= 0 <= span[1]:
        return f"No difference shown: {told} ({gap}){rest}{ending}."
    if span is None:
        return f"Too little text to tell: {told} ({gap}){rest}{ending}."
    if second.bound == "upper bound":
        doubt = f"; a bound, so {second.name} may need less than that"
        if best.bound == "upper bound":
            doubt = "; both are bounds, and either may need less"
        return f"{best.name} is ahead by what can be shown: {told} ({gap}{doubt}){rest}{ending}."
    return f"{best.name} is ahead: {told} ({gap}){rest}{ending}."


def _bits(row: Row) -> str:
    at_most = "at most " if row.bound == "upper bound" else ""
    return f"{at_most}{row.bits_per_byte:.3f} bits"


def _beside_counting(best: Row, controls: Sequence[Control]) -> str:
    """Say so where counting byte n-grams does as well as the best row."""
    known = [c for c in controls if c.name == "order-5 n-gram" and c.bits_per_byte is not None]
    if not known:
        return ""
    bits = known[0].bits_per_byte or math.inf
    return f"; an order-5 n-gram needs {bits:.3f}" + (", less than any" if bits < best.bits_per_byte else "")
