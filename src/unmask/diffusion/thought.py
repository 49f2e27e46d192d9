"""A thought: a tensor that goes with a text, is denoised along with it, and is carried to what follows.

A text is cut into *passages* of one length. Each passage has a thought of n dimensions, ``shape`` = (d_1, ...,
d_(n-1), E): C = d_1 ... d_(n-1) *cells* of E channels. A finished passage's thought is read off its words; reduced
along one axis to n - 1 dimensions it is put on a stack, the newest first, where the passages that follow find it. The
passage that is being written has a thought that starts as pure noise and becomes clear along with the words.

Letters: B batch, S passages of a row, T tokens of a passage, C cells, c cells of a reduced thought, E channels, N
thoughts on a stack, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unmask.diffusion.carried import Carried, Texts
from unmask.diffusion.noise import Noise
from unmask.diffusion.thought_options import ThoughtOptions as ThoughtOptions
from unmask.diffusion.thought_options import ThoughtWeights as ThoughtWeights


@dataclass(frozen=True)
class Thought(Carried):
    """What a network sees of thoughts.

    Attributes:
        cells: The noised thought of the text itself.
        level: Share of noise in the variance of each cell, 1: pure noise. The network is told it.
        stack: Reduced thoughts of earlier passages, the newest first.
        stack_valid: False where there is none.
        owner: Document piece that the text's own thought goes with, where rows hold several; others do not see it.
        stack_owner: The same for the stack.
        believed: The clean thought that the last answer believed in, for who looks on; no network reads it. ``None``:
            there was no answer yet.
    """

    cells: Float[Tensor, "B C E"]
    level: Float[Tensor, "B C"]
    stack: Float[Tensor, "B N c E"]
    stack_valid: Bool[Tensor, "B N"]
    owner: Int[Tensor, " B"] | None = None
    stack_owner: Int[Tensor, " B"] | None = None
    believed: Float[Tensor, "B C E"] | None = None

    def blank(self, texts: Texts) -> Thought:
        """Return the noise that texts begin with, and nothing on their stacks."""
        rows, shape, device = len(texts.key), self.cells.shape[1:], self.cells.device
        cells = Noise(0, texts.key).normal("thought", shape.numel()).view(rows, *shape)
        stack = self.stack.new_zeros(rows, *self.stack.shape[1:])
        return Thought(
            cells, torch.ones(rows, shape[0], device=device), stack, torch.zeros_like(stack[:, :, 0, 0]).bool()
        )


@dataclass(frozen=True)
class Reading:
    """Finished passages of some rows, to be read into thoughts. ``model(reading)`` answers with ``Prediction.read``.

    Attributes:
        tokens: The passages of each row, in order.
        valid: The tokens that are read: those of the document that may go on in the next passage.
        follows: Whether what is read of a passage is the document of the one before it, from its first token on.
        before: Thought of the passage before the first, where ``follows`` says that there is one.
    """

    tokens: Int[Tensor, "B S T"]
    valid: Bool[Tensor, "B S T"]
    follows: Bool[Tensor, "B S"]
    before: Float[Tensor, "B C E"] | None = None


@dataclass(frozen=True)
class Read:
    """The thoughts of passages.

    Attributes:
        cells: Clean thoughts, of unit mean square.
        reduced: Each without one of its axes.
    """

    cells: Float[Tensor, "B S C E"]
    reduced: Float[Tensor, "B S c E"]


def stacks(
    reduced: Float[Tensor, "B S c E"], follows: Bool[Tensor, "B S"], through: Bool[Tensor, "B S"], depth: int
) -> tuple[Float[Tensor, "B S N c E"], Bool[Tensor, "B S N"]]:
    """Return what each passage finds on its stack: the passages before it of the same document, the newest first.

    Args:
        reduced: Reduced thoughts of a row's passages.
        follows: Whether a passage begins with the document of the one before it.
        through: Whether it belongs to that document as a whole.
        depth: N.
    """
    batch, passages = follows.shape
    found, there, linked = [], [], follows
    for age in range(1, depth + 1):
        shift = torch.arange(passages, device=follows.device) - age
        source = shift.clamp(min=0)
        # passage s - age ends in the document with which s begins if all between them belongs to it
        link = follows if age == 1 else linked & through[:, (shift + 1).clamp(min=0)]
        linked = link & (shift >= 0)
        found.append(reduced[:, source])
        there.append(linked)
    if not found:
        shape = (batch, passages, 0, *reduced.shape[2:])
        return reduced.new_zeros(shape), follows.new_zeros(batch, passages, 0)
    valid = torch.stack(there, 2)
    return torch.stack(found, 2) * valid[..., None, None], valid
