"""How thoughts enter a network and leave it: cells are vectors beside the text, and as many keys for its attention.

    in      own cell                            W z_c + place_c + level(v_c)
            cell of age a on the stack          W_s r_c + place'_c + age_a
    out     x0                                  z_0_hat = W_out norm(h_c), h_c what the network made of the own cell
            v (arXiv 2202.00512)                z_0_hat = sqrt(1 - v) z - sqrt(v) W_out norm(h_c)

The vectors join the memory of the network (slots in ``eco``, positions of their own before the text in the
transformer), so no attention over them has a single key, which would add one constant to every token.

Letters: B batch, C cells, c cells of a reduced thought, E channels, N thoughts on a stack, D width, M = C + N c
vectors.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.diffusion.state import Prediction
from unmask.diffusion.thought import Reading, Thought, ThoughtOptions
from unmask.errors import Error
from unmask.models.fused import RMSNorm
from unmask.models.reader import Reader, read_losses
from unmask.models.side_vectors import Memories
from unmask.models.time import TimeEmbedding


class Thoughts(nn.Module):
    """The part of a network that takes thoughts in, gives them out, and reads them off finished text.

    Args:
        options: The recipe's section ``thought``, with a shape.
        width: Of the network (D).
        heads: Of the reader's attention.
        eps: Of the norms.
    """

    def __init__(self, options: ThoughtOptions, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.options = options
        cells, channels = options.cells, options.channels
        self.own = nn.Linear(channels, width, bias=False)
        self.own_place = nn.Parameter(torch.empty(cells, width))
        self.level = TimeEmbedding(width)
        self.kept = nn.Linear(channels, width, bias=False) if options.stack else None
        self.kept_place = nn.Parameter(torch.empty(options.reduced, width)) if options.stack else None
        self.age = nn.Parameter(torch.empty(options.stack, width)) if options.stack else None
        self.norm = RMSNorm(width, eps=eps)
        self.out = nn.Linear(width, channels)
        self.reader = Reader(options, width, heads, eps)

    def initialise(self, std: float) -> None:
        """Draw the parameters that belong to no layer."""
        self.reader.initialise()
        for part in (self.own_place, self.kept_place, self.age):
            if part is not None:
                nn.init.normal_(part, std=std)

    def into(self, thought: Thought) -> Memories:
        """Return the vectors that stand for thoughts, the own cells first.

        Raises:
            Error: cells or a stack of another shape than the network was made for.
        """
        options = self.options
        batch = len(thought.cells)
        wanted = (options.cells, options.channels)
        deep = tuple(thought.stack.shape[1:])
        if tuple(thought.cells.shape[1:]) != wanted or deep != (options.stack, options.reduced, options.channels):
            raise Error(
                f"the network's thoughts have {wanted[0]} cells of {wanted[1]} channels and a stack of "
                f"{options.stack}; it was given {list(thought.cells.shape[1:])} and a stack of shape {list(deep)}."
            )
        dtype = self.own.weight.dtype
        level = self.level(thought.level.flatten()).view(batch, options.cells, -1)
        vectors = [self.own(thought.cells.to(dtype)) + self.own_place + level]
        there = [torch.ones(thought.level.shape, dtype=torch.bool, device=level.device)]
        owners = [] if thought.owner is None else [thought.owner[:, None].expand(there[0].shape)]
        if self.kept is not None and self.kept_place is not None and self.age is not None:
            kept = self.kept(thought.stack.to(dtype)) + self.kept_place + self.age[:, None]
            vectors.append(kept.flatten(1, 2))
            there.append(thought.stack_valid.repeat_interleave(options.reduced, 1))
            if thought.stack_owner is not None:
                owners.append(thought.stack_owner[:, None].expand(there[1].shape))
        whose = torch.cat(owners, 1) if len(owners) == len(vectors) else None
        return Memories(torch.cat(vectors, 1), torch.cat(there, 1), whose)

    def predicted(self, thought: Thought, became: Float[Tensor, "B M D"]) -> Float[Tensor, "B C E"]:
        """Return the clean thought, from what became of the vectors."""
        found: Tensor = self.out(self.norm(became[:, : self.options.cells]))
        if self.options.predict == "x0":
            return found
        v = thought.level[..., None].to(found.dtype)
        return (1 - v).sqrt() * thought.cells.to(found.dtype) - v.sqrt() * found

    def read(self, embed: nn.Embedding, reading: Reading, training: bool) -> Prediction:
        """Answer a reading: the thoughts of its passages, and while training the reader's losses."""
        x = embed(reading.tokens)
        read, rebuilt = self.reader(x, reading)
        losses, metrics = {}, {}
        if training:
            losses, metrics = read_losses(self.reader, x, reading, read, rebuilt)
        return Prediction(x.new_zeros(0, embed.num_embeddings), read=read, losses=losses, metrics=metrics)
