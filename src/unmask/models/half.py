"""A network that computes in bfloat16 what training computes in it, for those who only ask it.

The products of its layers take bfloat16 weights, which are rounded once; sums, norms, what enters and the head stay in
float32, as they are under autocast, where the head is not: a logit of 12 would be rounded to a sixteenth, and tokens
within that would tie. So logits are float32, and what is drawn from them is drawn as ever.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from unmask.errors import Error
from unmask.models.int8 import has_int8

if TYPE_CHECKING:
    from unmask.models.network import Denoiser

Part = TypeVar("Part", bound=nn.Module)


def halved(network: Denoiser) -> Denoiser:
    """Return a network that answers in bfloat16; all weights but those of products are shared with the first.

    Args:
        network: One in float32.

    Raises:
        Error: its matrices have 8 bits.
    """
    if has_int8(network):
        raise Error("int8 weights are computed in float32, not in bf16; leave the precision out.")
    made = half_products(network)
    made.in_half = True
    made.head = _Whole(network.head)
    return made


def half_products(part: Part) -> Part:
    """Return a copy whose linear layers have bfloat16 weights, to be called under autocast; other weights are shared.

    Args:
        part: A network, or a block of one.
    """
    shared = {id(value): value for value in (*part.parameters(), *part.buffers())}
    made = copy.deepcopy(part, shared)  # type: ignore[arg-type]  # what was copied already: nothing of these is
    for layer in made.modules():
        if isinstance(layer, nn.Linear):
            for name, value in list(layer.named_parameters()):
                setattr(layer, name, nn.Parameter(value.detach().bfloat16(), requires_grad=False))
    return made


class _Whole(nn.Module):
    """A head in float32, whatever it stands in."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> Any:
        with torch.autocast(x.device.type, enabled=False):
            return self.head(x.float())
