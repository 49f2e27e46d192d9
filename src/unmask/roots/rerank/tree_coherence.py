"""Tree coherence: sentences near in the tree get codes near to each other, and others are kept apart.

    z_i  = sum_t,n e[row_n(t)] / sqrt(number of terms)           linear in the sentence's byte n-grams
    pull = mean over pairs of one document of  (1 - d_ij) |z_i - z_j|^2
    push = mean over pairs of two documents of max(0, m - |z_i - z_j|)^2
    loss = pull + repulsion * push                               repulsion: 3

d is the distance in the tree. ``pull`` alone is least, 0, where all codes are equal: an optimum that knows nothing of
the text. ``push`` (a margin: Hadsell, Chopra & LeCun 2006) makes a constant cost m^2.

As the energy of a text, ``incoherence`` is the pull between its own sentences: low where they belong together.

Letters: N sentences, D width of a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn
from torch.nn.functional import relu

from unmask.errors import Error
from unmask.roots.rerank.byte_bags import ROWS, Bags, bags
from unmask.roots.rerank.text_tree import TextTree, text_tree, tree_distance

CODE_ORDERS = (3, 4, 5, 6)
_STEP = 1 / 32  # of an int8 code; the margin is 1


class TreeCoder(nn.Module):
    """Sentences -> codes.

    Args:
        width: D.
        orders: Lengths of the n-grams.
        rows: Of the table.
        seed: Of the initial table. It is small, so that n-grams that nothing was learned of say little: begun at ten
            times the size, codes of unseen sentences stay where chance put them.
    """

    def __init__(
        self, width: int = 32, *, orders: Sequence[int] = CODE_ORDERS, rows: int = ROWS, seed: int = 0
    ) -> None:
        super().__init__()
        self.orders, self.rows = tuple(orders), rows
        self.table = nn.EmbeddingBag(rows, width, mode="sum")
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.table.weight, std=0.1 * width**-0.5, generator=generator)

    def forward(self, x: Bags) -> Float[Tensor, "N D"]:
        """Return the codes of sentences."""
        found: Tensor = self.table(x.rows, x.starts[:-1]) / (x.starts.diff().clamp(min=1)[:, None]).sqrt()
        return found

    def of(self, sentences: Sequence[bytes]) -> Float[Tensor, "N D"]:
        """Return the codes of sentences, without gradient."""
        with torch.no_grad():
            return self(bags(sentences, self.orders, self.rows)) if sentences else torch.zeros(0, self.width)

    @property
    def width(self) -> int:
        """D."""
        return int(self.table.weight.shape[1])


def small(codes: Float[Tensor, "N D"]) -> Int8[Tensor, "N D"]:
    """Return codes as one byte a number, in steps of 1/32."""
    return (codes / _STEP).round().clamp(-127, 127).to(torch.int8)


def coherence_loss(
    codes: Float[Tensor, "N D"], distance: Float[Tensor, "N N"], *, margin: float = 1.0, repulsion: float = 3.0
) -> Float[Tensor, ""]:
    """Return the loss above.

    Args:
        codes: Of sentences.
        distance: d, from :func:`~unmask.roots.rerank.text_tree.tree_distance`.
        margin: m.
        repulsion: Weight of the push; 0 is the original's loss.
    """
    squared = (codes[:, None] - codes).square().sum(-1)
    near, far = (distance > 0) & (distance < 1), distance == 1
    pull = ((1 - distance) * squared)[near].sum() / near.sum().clamp(min=1)
    length = (squared + 1e-12).sqrt()  # its slope at 0 is finite
    push = relu(margin - length)[far].square().sum() / far.sum().clamp(min=1)
    return pull + repulsion * push


def learn_coder(
    coder: TreeCoder,
    documents: Sequence[bytes],
    *,
    steps: int = 300,
    batch: int = 64,
    each: int = 4,
    rate: float = 1e-2,
    repulsion: float = 3.0,
    seed: int = 0,
) -> list[float]:
    """Train a coder in place and return the loss of each step.

    Args:
        coder: Learns.
        documents: Those of fewer than two sentences are left out.
        steps: Of Adam, its rate falling to 0 on a cosine.
        batch: Documents a step.
        each: Neighbouring sentences of each document, at most.
        rate: Of Adam.
        repulsion: Weight of the push.
        seed: Of the order.

    Raises:
        Error: there are fewer than two documents with two sentences.
    """
    trees = [(document, text_tree(document)) for document in documents]
    trees = [(document, tree) for document, tree in trees if len(tree.sentences) > 1]
    if len(trees) < 2:
        raise Error("tree coherence needs at least two documents of two sentences or more.")
    counts = torch.tensor([len(tree.sentences) for _, tree in trees])
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    held = bags([text for document, tree in trees for text in tree.texts(document)], coder.orders, coder.rows)
    document = torch.arange(len(trees)).repeat_interleave(counts)
    section = torch.tensor([number for _, tree in trees for number in tree.section])
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(coder.parameters(), rate, eps=1e-4)  # else rare rows move by the rate on any gradient
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    losses = []
    for _ in range(steps):
        chosen = torch.randperm(len(trees), generator=generator)[:batch]
        free = (counts[chosen] - each).clamp(min=0)
        begin = (torch.rand(len(chosen), generator=generator) * (free + 1)).long()
        places = first[chosen, None] + begin[:, None] + torch.arange(each)
        places = places[places < first[chosen + 1, None]]
        loss = coherence_loss(
            coder(held.take(places)), tree_distance(document[places], section[places]), repulsion=repulsion
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def incoherence(codes: Float[Tensor, "N D"], tree: TextTree) -> float:
    """Return the mean of (1 - d) |z_i - z_j|^2 over pairs of a text's sentences; 0 where there is no pair."""
    if len(codes) < 2:
        return 0.0
    same = torch.zeros(len(codes), dtype=torch.int64)
    return float(coherence_loss(codes, tree_distance(same, torch.tensor(tree.section)), repulsion=0))
