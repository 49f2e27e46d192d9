"""Each token reads some of the memory slots only: the top k, with a loss that keeps all of them in use.

With a_hm the attention of head h of a token to slot m (a softmax over all slots) and p_m its mean over heads,

    keep      the k largest p_m;  the token reads sum over kept m of a_hm v_m

As in a Switch layer (Fedus et al. 2021, arXiv 2101.03961) the kept weights stay what they were, so that even k = 1 has
a gradient in what is chosen, and k = M is the attention without routing. The loss is theirs for one document,

    balance   M sum_m f_m P_m,   f_m the share of its tokens' choices that fell on m, P_m the mean p_m

1 when all slots are used alike, M when one is; averaged over the tokens of a batch, by a constant, so that a batch is
the mean of its parts. Choosing slots for the tokens of each document apart is what sequence-wise balance does for
experts (DeepSeek-V3, arXiv 2412.19437).

This saves no arithmetic at these sizes: with tens of slots, all scores are one small matrix product.

Letters: G documents, L tokens of the longest, H heads, M slots, m slots of the network's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Routing:
    """How the tokens of a batch used the slots, in one block.

    Attributes:
        balance: The loss, to be weighted.
        share: Share of all choices that fell on each of the network's own slots.
    """

    balance: Float[Tensor, ""]
    share: Float[Tensor, " m"]

    @property
    def entropy(self) -> Float[Tensor, ""]:
        """Entropy of the shares over its largest value: 1 when all slots are used alike, 0 when one is."""
        if len(self.share) < 2:
            return self.share.new_ones(())
        return torch.special.entr(self.share).sum() / torch.log(self.share.new_tensor(float(len(self.share))))


def kept(
    weights: Float[Tensor, "G L H M"], count: int, own: int, present: Float[Tensor, "G L 1"] | None, positions: int
) -> tuple[Float[Tensor, "G L H M"], Routing]:
    """Return the weights of the ``count`` slots that each token reads, others 0, and how slots were used.

    Args:
        weights: Attention over all slots.
        count: Slots a token reads (k).
        own: Slots of the network's own, which stand first: the others are not balanced.
        present: 1 at tokens, 0 elsewhere.
        positions: Positions of the batch, padding included: the constant that the loss is divided by.
    """
    mean = weights.mean(2)
    chosen = torch.zeros_like(mean).scatter(-1, mean.topk(min(count, mean.shape[-1]), dim=-1).indices, 1.0)
    ours, probability = chosen[..., :own], mean[..., :own]
    probability = probability / probability.sum(-1, keepdim=True).clamp(min=1e-9)
    if present is not None:
        ours, probability = ours * present, probability * present
    picks, mass = ours.sum(1), probability.sum(1)  # of each document; mass is P times its tokens
    fraction = picks / picks.sum(-1, keepdim=True).clamp(min=1)
    balance = own * (fraction * mass).sum() / positions
    share = picks.sum(0) / picks.sum().clamp(min=1)
    return weights * chosen[:, :, None], Routing(balance, share.detach())
