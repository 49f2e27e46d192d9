"""A score that is not a finite number is no score: refused where it arises, with the name of what is not finite.

NaN compares with nothing. Left alone it would be printed, averaged, and picked as the best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unmask.errors import Error


def refuse_not_finite(values: Tensor | ArrayLike, what: str, model: Any) -> None:
    """Raise if a network's scores are not all finite.

    Args:
        values: The scores, of any shape.
        what: What they are of, such as "windows".
        model: The network, whose weights are looked through for the cause.

    Raises:
        Error: some are not; it names the first weight that is not finite, if there is one.
    """
    array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return
    shown = "nan" if np.isnan(array[wrong]).any() else "infinite"
    raise Error(f"the model's scores of {int(wrong.sum())} of {array.size} {what} are {shown}: {_cause(model)}")


def _cause(model: Any) -> str:
    for name, weight in model.named_parameters() if isinstance(model, torch.nn.Module) else ():
        count = int((~weight.detach().isfinite()).sum())
        if count:
            return (
                f"its weight {name} holds {count} of {weight.numel()} numbers that are not finite, so its training "
                "diverged or its file is damaged; use an earlier checkpoint, or train again with a lower learning rate."
            )
    return "its weights are finite, so what it computes overflows; score it in float32, or look for text it cannot say."
