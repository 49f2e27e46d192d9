"""Joining what the rows of sampler states carry besides their words: candidates, caches, thoughts, latents, memory.

Letters: B rows, T positions, n, m numbers of a row, M vectors of memory, W their width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from unmask.diffusion.noise import Noise
from unmask.diffusion.state import SparseState
from unmask.diffusion.thought import Thought
from unmask.errors import Error
from unmask.models.cache import Cache

Shape = tuple[int, int]
"""B and T of a state."""


def stacked_candidates(given: Sequence[SparseState | None], shapes: Sequence[Shape], length: int) -> SparseState | None:
    """Join candidates; a row that has none gets mass 0."""
    like = next((own for own in given if own is not None), None)
    if like is None:
        return None
    count = max(own.mass.shape[2] for own in given if own is not None)
    tokens, mass = [], []
    for own, shape in zip(given, shapes, strict=True):
        if own is None:
            own = SparseState(like.tokens.new_zeros(*shape, count), like.mass.new_zeros(*shape, count))
        grow = (0, count - own.mass.shape[2], 0, length - shape[1])
        tokens.append(pad(own.tokens, grow))
        mass.append(pad(own.mass, grow))
    return SparseState(torch.cat(tokens), torch.cat(mass))


def stacked_caches(caches: Sequence[Cache | None], shapes: Sequence[Shape]) -> Cache | None:
    """Join caches; a row that was not stepped yet gets an empty one."""
    like = next((cache for cache in caches if cache is not None), None)
    if like is None:
        return None
    own = [cache or like.emptied(*shape) for cache, shape in zip(caches, shapes, strict=True)]
    joined: Cache = like.stack(own)
    return joined


def stacked_thoughts(thoughts: Sequence[Thought | None], keys: Sequence[Int[Tensor, " B"]]) -> Thought | None:
    """Join the thoughts of states; rows that have none yet get the noise that they would begin with."""
    like = next((thought for thought in thoughts if thought is not None), None)
    if like is None:
        return None
    parts = [thought or _fresh_like(like, key) for thought, key in zip(thoughts, keys, strict=True)]
    cells, level, stack = (torch.cat([getattr(p, name) for p in parts]) for name in ("cells", "level", "stack"))
    valid = torch.cat([_valid(part) for part in parts])
    return Thought(cells, level, stack, valid)


def _valid(thought: Thought) -> Tensor:
    if thought.stack_valid is not None:
        return thought.stack_valid
    return torch.ones(thought.stack.shape[:2], dtype=torch.bool, device=thought.stack.device)


def _fresh_like(like: Thought, keys: Int[Tensor, " B"]) -> Thought:
    rows, shape = len(keys), like.cells.shape[1:]
    cells = Noise(0, keys).normal("thought", shape.numel()).view(rows, *shape)
    stack = like.stack.new_zeros(rows, *like.stack.shape[1:])
    valid = torch.zeros(stack.shape[:2], dtype=torch.bool, device=stack.device)
    return Thought(cells, torch.ones(rows, shape[0], device=cells.device), stack, valid)


def stacked_numbers(parts: Sequence[Tensor | None], rows: Sequence[int], length: int | None) -> Tensor | None:
    """Join tensors [B, n, m] of states; 0 where a state has none, and behind ``length`` if n grows with the text."""
    like = next((part for part in parts if part is not None), None)
    if like is None:
        return None
    size = like.shape[1] if length is None else length
    whole = []
    for part, count in zip(parts, rows, strict=True):
        part = like.new_zeros(count, size, like.shape[2]) if part is None else part
        whole.append(pad(part, (0, 0, 0, size - part.shape[1])))
    return torch.cat(whole)


def stacked_memory(
    given: Sequence[tuple[Float[Tensor, "B M W"], Bool[Tensor, "B M"]] | None], rows: Sequence[int]
) -> tuple[Float[Tensor, "B M W"] | None, Bool[Tensor, "B M"] | None]:
    """Join vectors of memory and which of them are there; a state without any has none that is there.

    Raises:
        Error: vectors of different widths.
    """
    held = [own for own in given if own is not None]
    if not held:
        return None, None
    if len({own[0].shape[2] for own in held}) > 1:
        raise Error("memories of different widths cannot share a batch; look them up in one index.")
    like, there = held[0]
    most = max(own[0].shape[1] for own in held)
    vectors, valid = [], []
    for own, count in zip(given, rows, strict=True):
        own = own or (like.new_zeros(count, 0, like.shape[2]), there.new_zeros(count, 0))
        room = most - own[0].shape[1]
        vectors.append(pad(own[0], (0, 0, 0, room)))
        valid.append(pad(own[1], (0, room)))
    return torch.cat(vectors), torch.cat(valid)
