"""Block Gibbs sampling: one colour after another, all its nodes and all chains at once.

    s_i ~ softmax_v( beta * logits_i(v) )  for all i of a colour, the rest fixed        (Geman & Geman 1984)

Each colour's move satisfies detailed balance, so a sweep through the colours keeps exp(-beta E) as its law. beta = inf
takes the best value, ties at random, and the energy never rises. A sweep costs O(edges x chains).

Noise comes from (seed, chain, sweep, node): a chain depends neither on its batch mates nor on the order of colours'
numbers. Time a sweep with ``python -m benchmarks.studies.energies.known``.

Letters: B chains, N nodes, n nodes of a block, Q values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from unmask.diffusion.noise import Noise
from unmask.roots.energies.discrete import Block, Discrete, checked, make_blocks

CELLS = 1 << 22
"""Logits that are held at once: blocks are split so that n x B x Q stays below."""


def conditional(
    energy: Discrete, block: Block, state: Num[Tensor, "N B"], beta: float
) -> tuple[Float[Tensor, "n B Q"], Float[Tensor, "n B Q"]]:
    """Return the logits of a block's nodes, and the weight of each value: its probability times a constant a node."""
    logits = energy.logits(block, state)
    below = logits - logits.amax(-1, keepdim=True)
    # inf * 0 is not a number: at beta = inf the best values keep weight 1 each.
    return logits, torch.where(below == 0, 1.0, (beta * below).exp())


def sweep(
    energy: Discrete,
    blocks: Sequence[Block],
    state: Num[Tensor, "N B"],
    beta: float,
    uniform: Float[Tensor, "N B"],
) -> Float[Tensor, " B"]:
    """Move every block once, in place.

    Args:
        energy: Of the states.
        blocks: From ``make_blocks``.
        state: Nodes by chains, contiguous; it is changed.
        beta: Inverse temperature, up to ``math.inf``.
        uniform: A number in [0, 1) for each node and chain, float64.

    Returns:
        By how much each chain's energy changed, float64. The nodes of a block do not interact, so changes add up.
    """
    change = torch.zeros(state.shape[1], dtype=torch.float64, device=state.device)
    values = energy.values
    for block in blocks:
        logits, weights = conditional(energy, block, state, beta)
        upto = weights.cumsum(-1, dtype=torch.float64)
        chosen = (uniform[block.nodes, :, None] * upto[..., -1:] >= upto[..., :-1]).sum(-1)
        before = torch.searchsorted(values, state[block.nodes])
        state[block.nodes] = values[chosen]
        pick = torch.stack([before, chosen], -1)
        change += (logits.gather(-1, pick) @ logits.new_tensor([1.0, -1.0])).sum(0, dtype=torch.float64)
    return change


def gibbs(
    energy: Discrete,
    state: Num[Tensor, "B N"],
    sweeps: int,
    noise: Noise,
    *,
    beta: float = 1.0,
    clamped: Bool[Tensor, " N"] | None = None,
    colour: Int[Tensor, " N"] | None = None,
) -> Iterator[Num[Tensor, "B N"]]:
    """Yield the chains after each sweep.

    Args:
        energy: ``Ising``, ``Potts``, or another with a graph.
        state: Where the chains start, e.g. ``random_states``.
        sweeps: How many.
        noise: One row a chain. To go on with the same chains, fold it first.
        beta: Inverse temperature.
        clamped: Nodes that keep the values they have in ``state``, which may differ from chain to chain.
        colour: The graph's ``greedy_coloring``, if it is at hand.

    Raises:
        Error: the state does not fit the energy.
    """
    moving, blocks = start(energy, state, clamped, colour)
    for k in range(sweeps):
        sweep(energy, blocks, moving, beta, uniforms(energy, noise, k))
        yield moving.T.clone(memory_format=torch.contiguous_format)


def start(
    energy: Discrete,
    state: Num[Tensor, "B N"],
    clamped: Bool[Tensor, " N"] | None,
    colour: Int[Tensor, " N"] | None,
) -> tuple[Num[Tensor, "N B"], list[Block]]:
    """Return a copy of the chains as a sweep wants them, and the blocks."""
    moving = checked(energy, state).T.clone(memory_format=torch.contiguous_format)
    most = max(1, CELLS // max(1, len(state) * len(energy.values)))
    return moving, make_blocks(energy, clamped, colour, most=most)


def uniforms(energy: Discrete, noise: Noise, k: int) -> Float[Tensor, "N B"]:
    """Return the numbers of sweep ``k``."""
    return noise.fold(torch.tensor(k)).uniform("gibbs", energy.graph.nodes).T
