"""What the memory slots of an eco network are used for: who writes to them, who reads them, and what hangs on them.

* ``slot_use``: the attention by which tokens read each slot, and each slot reads the tokens, block by block.
* ``changed_slots``: the network with its slots zeroed, or those of another text. A prediction that comes out the same
  did not need them.

The weights are worked out again from what each layer was given, and are those that it used, whichever order of
products it took (tested). Rows hold one document each.

Letters: B batch, T tokens, N blocks, M slots of all banks, the slow ones first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.eco import Eco
from unmask.models.routing import kept
from unmask.models.slots import MemoryAttention, Read
from unmask.models.token_places import HIDDEN, Layout

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SlotUse:
    """How the tokens of some texts and their slots attended to each other, mean over the heads.

    Attributes:
        read: Share of its reading that a token gave to each slot [N, B, T, M]. Without routing a token's shares sum to
            1; at padding they mean nothing.
        write: Share of its reading that a slot of the fast bank gave to each token [N-1, B, M, T]: the last block
            writes nothing. A slot's shares sum to 1; padding has 0.
    """

    read: Float[Tensor, "N B T M"]
    write: Float[Tensor, "N-1 B M T"]


@torch.no_grad()
def slot_use(model: Any, state: State) -> SlotUse:
    """Run a network once and return how its slots were used.

    Args:
        model: An eco network.
        state: Texts, one document a row.

    Raises:
        Error: a network without slots, or rows that hold several documents.
    """
    blocks = _blocks(model)
    reads: list[Tensor] = []
    writes: list[Tensor] = []

    def reading(layer: Read, given: tuple[Any, ...]) -> None:
        x, memory, layout, hidden = given
        _one_document(layout)
        weights = _weights(layer, x, memory, hidden)
        if layer.top_k:
            weights = kept(weights.transpose(1, 2), layer.top_k, layer.own, None, 1)[0].transpose(1, 2)
        reads.append(weights.mean(1))

    def writing(layer: MemoryAttention, given: tuple[Any, ...]) -> None:
        memory, x, layout = given
        hidden = None if layout.present is None else ((1 - layout.present) * HIDDEN).transpose(1, 2)[:, None]
        writes.append(_weights(layer, memory, x, hidden).mean(1))

    with ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.read.register_forward_pre_hook(reading).remove)
            if block.update is not None:
                hooks.callback(block.update.write.register_forward_pre_hook(writing).remove)
        model(state)
    empty = reads[0].new_zeros(0, *reads[0].transpose(1, 2).shape)
    return SlotUse(torch.stack(reads), torch.stack(writes) if writes else empty)


@contextmanager
def changed_slots(model: Any, change: Change) -> Iterator[None]:
    """Let every layer of a network read changed slots, e.g. :func:`zeroed` or :func:`of_another_text`.

    Raises:
        Error: a network without slots.
    """

    def reading(layer: Read, given: tuple[Any, ...]) -> tuple[Any, ...]:
        x, memory, *rest = given
        return x, change(memory), *rest

    with ExitStack() as hooks:
        for block in _blocks(model):
            hooks.callback(block.read.register_forward_pre_hook(reading).remove)
        yield


def zeroed(memory: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
    """Return slots that hold nothing: what is read from them is 0."""
    return torch.zeros_like(memory)


def of_another_text(memory: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
    """Return the slots of the next text of the batch."""
    return memory.roll(1, 0)


def _weights(layer: MemoryAttention, asks: Tensor, answers: Tensor, hidden: Tensor | None) -> Float[Tensor, "B H q k"]:
    """Return the attention of a layer between normed tokens and slots."""

    def by_head(x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], layer.heads, -1).transpose(1, 2)

    query, key = by_head(layer.query(asks)), by_head(layer.key_value(answers).chunk(2, dim=-1)[0])
    score = (query @ key.transpose(2, 3)) * layer.scale
    return (score if hidden is None else score + hidden).softmax(-1)


def _blocks(model: Any) -> Any:
    if not isinstance(model, Eco):
        raise Error("this network has no memory slots; give a run that was trained with backbone eco.")
    return model.blocks


def _one_document(layout: Layout) -> None:
    if not layout.whole:
        raise Error("the use of slots is shown for one text a row; leave packed documents out.")
