"""Energies against known answers, and the time of a Gibbs sweep.

    OMP_NUM_THREADS=1 python -m benchmarks.studies.energies.known [--quick] [--results FOLDER]

Every sampler is held against the truth of a world that can be computed, with its control beside it: the unadjusted
chain beside the adjusted one, one noise level beside annealing, descent beside annealing, the Gaussian beside the
network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.lib.measure import timed
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import table
from benchmarks.studies.energies.continuous import annealed, chains, continuous, row
from benchmarks.studies.energies.contrastive import contrastive_loss, gibbs_move
from benchmarks.studies.energies.enumeration import Law, exact_law
from benchmarks.studies.energies.maxcut import cut, max_cut
from benchmarks.studies.energies.potts import Potts
from unmask.roots.energies.annealing import anneal, cooling
from unmask.roots.energies.coloring import greedy_coloring
from unmask.roots.energies.discrete import Discrete, random_states
from unmask.roots.energies.gibbs import gibbs, start, sweep, uniforms
from unmask.roots.energies.graph import Graph, make_graph
from unmask.roots.energies.ising import Ising, moments

SEEDS = 3


def random_graph(nodes: int, chance: float, seed: int) -> tuple[Graph, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    pairs = torch.combinations(torch.arange(nodes))
    pairs = pairs[torch.rand(len(pairs), generator=draw) < chance]
    return make_graph(pairs, torch.randn(len(pairs), generator=draw, dtype=torch.float64), nodes)


def discrete(n: int, seeds: int) -> list[dict[str, Any]]:
    """Small Ising and Potts models: the largest error of a marginal and of a pair, against enumeration."""
    single, double, potts_single = [], [], []
    for seed in range(seeds):
        graph, weights = random_graph(16, 0.3, seed)
        draw = torch.Generator().manual_seed(10 + seed)
        energy = Ising(graph, 0.4 * torch.randn(16, generator=draw, dtype=torch.float64), 0.4 * weights)
        law = exact_law(energy)
        *_, states = gibbs(energy, random_states(energy, chains(n, seed)), 60, chains(n, seed))
        pair = zip(moments(graph, states), moments(graph, law.states, law.log_p.exp()), strict=True)
        errors = [float((a - b).abs().max()) for a, b in pair]
        single.append(errors[0])
        double.append(errors[1])
        graph, weights = random_graph(8, 0.4, seed)
        colours = Potts(graph, 0.7 * torch.randn(8, 4, generator=draw, dtype=torch.float64), 0.7 * weights)
        law = exact_law(colours)
        *_, states = gibbs(colours, random_states(colours, chains(n, seed)), 60, chains(n, seed))
        hot = torch.nn.functional.one_hot
        truth = torch.einsum("s,siq->iq", law.log_p.exp(), hot(law.states, 4).double())
        potts_single.append(float((hot(states, 4).double().mean(0) - truth).abs().max()))
    return [
        row("Ising, 16 spins", "largest error of 16 means", 0.0, single, n**-0.5),
        row("", "largest error of all pairs' means", 0.0, double, n**-0.5),
        row("Potts, 8 nodes, 4 values", "largest error of 32 shares", 0.0, potts_single, 0.5 * n**-0.5),
    ]


def largest_cuts(most: int, seeds: int) -> list[dict[str, Any]]:
    """Random graphs of 3 to 16 nodes: how often one chain finds the largest cut, annealed and by descent alone."""
    slow, fast = [], []
    betas = cooling(4.0, 0.1, 60)
    for seed in range(seeds):
        won = torch.zeros(2)
        sizes = range(3, most + 1)
        for nodes in sizes:
            graph, weights = random_graph(nodes, (0.4, 0.7, 1.0)[seed], 100 + seed)
            energy = max_cut(graph, weights)
            best = float(cut(energy, exact_law(energy).states).max())
            for k, schedule in enumerate((betas, [float("inf")] * len(betas))):
                noise = chains(16, seed)
                found = anneal(energy, random_states(energy, noise), schedule, noise)
                won[k] += float((cut(energy, found.state) > best - 1e-9).double().mean())
        slow.append(float(won[0]) / len(sizes))
        fast.append(float(won[1]) / len(sizes))
    return [
        row(f"largest cut, 3 to {most} nodes", "share of chains that find it, annealed", 1.0, slow, None),
        row("", "the same by descent (beta = inf)", 1.0, fast, None),
    ]


def divergence(law: Law, model: Ising) -> float:
    return float((law.log_p.exp() * (law.log_p - exact_law(model).log_p.detach())).sum())


def learned_ising(steps: int, seeds: int) -> list[dict[str, Any]]:
    """Contrastive divergence on 4,000 exact samples of 8 spins: nats between the truth and the model."""
    found: dict[str, list[float]] = {"before": [], "CD-1": [], "persistent CD": []}
    for seed in range(seeds):
        graph, weights = random_graph(8, 0.5, seed)
        draw = torch.Generator().manual_seed(10 + seed)
        truth = Ising(graph, 0.6 * torch.randn(8, generator=draw, dtype=torch.float64), 0.6 * weights)
        law = exact_law(truth)
        place = torch.searchsorted(law.log_p.exp().cumsum(0), chains(4000, seed).uniform("exact", 1)[:, 0])
        data, colour = law.states[place.clamp(max=len(law.states) - 1)], greedy_coloring(graph)
        for name in ("CD-1", "persistent CD"):
            start = torch.zeros_like(truth.fields, requires_grad=True), torch.zeros_like(weights, requires_grad=True)
            model = Ising(graph, *start)
            if name == "CD-1":
                found["before"].append(divergence(law, model))
            negatives = random_states(model, chains(500, seed))
            optimiser = torch.optim.SGD(start, 0.3)
            for step in range(steps):
                batch = data[(torch.arange(500) + 500 * step) % len(data)]
                noise = chains(500, 50 + seed).fold(torch.tensor(step))
                first = batch if name == "CD-1" else negatives
                loss, negatives = contrastive_loss(model, batch, first, gibbs_move(model, 1, colour), noise)
                optimiser.zero_grad()
                loss.backward()
                optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / steps)
                optimiser.step()
            found[name].append(divergence(law, model))
    return [
        row("learning 8 spins", f"nats from the truth, {name}", 0.0, values, None) for name, values in found.items()
    ]


def neighbours(nodes: int, near: int, points: bool) -> tuple[Tensor, Tensor]:
    """Return pairs and weights: nearest neighbours of points in 4 dimensions, or random ones."""
    draw = torch.Generator().manual_seed(0)
    first = torch.arange(nodes).repeat_interleave(near)
    if points:
        x = torch.randn(nodes, 4, generator=draw).numpy()
        second = torch.from_numpy(cKDTree(x).query(x, near + 1)[1][:, 1:].copy()).flatten().long()
    else:
        second = (first + 1 + torch.randint(nodes - 1, (nodes * near,), generator=draw)) % nodes
    return torch.stack([first, second], 1), torch.rand(nodes * near, generator=draw)


def speed(sizes: list[tuple[int, bool]], turns: int) -> list[dict[str, Any]]:
    """Seconds to build, to colour and to sweep a graph of 16 neighbours a node."""
    rows = []
    for nodes, points in sizes:
        pairs, given = neighbours(nodes, 16, points)
        kept: dict[str, Any] = {}
        built = timed(lambda p=pairs, g=given, n=nodes, k=kept: k.update(graph=make_graph(p, g, n)))
        graph, weights = kept["graph"]
        coloured = timed(lambda g=graph, k=kept: k.update(colour=greedy_coloring(g)))
        ising = Ising(graph, torch.zeros(nodes), weights)
        cases: list[tuple[str, Discrete, int]] = [("Ising", ising, 1), ("Ising", ising, 8)]
        if nodes <= 100_000:
            cases.append(("Potts, 16 values", Potts(graph, torch.zeros(nodes, 16), weights), 1))
        for name, energy, count in cases:
            noise = chains(count, 0)
            moving, blocks = start(energy, random_states(energy, noise), None, kept["colour"])
            sweep(energy, blocks, moving, 1.0, uniforms(energy, noise, 0))
            seconds = [
                timed(lambda e=energy, b=blocks, m=moving, z=noise, k=k: sweep(e, b, m, 1.0, uniforms(e, z, k)))
                for k in range(1, turns + 1)
            ]
            rows.append(
                {
                    "nodes": nodes,
                    "graph": "nearest in 4-d" if points else "random",
                    "pairs": len(graph.pairs),
                    "largest degree": int(graph.degrees.max()),
                    "colours": int(kept["colour"].max()) + 1,
                    "build, s": round(built, 2),
                    "colour, s": round(coloured, 2),
                    "energy": name,
                    "chains": count,
                    "sweep, s (median)": round(float(torch.tensor(seconds).median()), 4),
                    "least": round(min(seconds), 4),
                    "most": round(max(seconds), 4),
                }
            )
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; keep them unless they are quick."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny: does it run at all?")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where energies.json goes")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    n, steps, seeds = (100, 5, 1) if given.quick else (20_000, 1000, SEEDS)
    modes, errors = annealed(min(n, 5000), steps, seeds)
    tables = {
        "against the truth": [
            *continuous(n, seeds),
            *modes,
            *discrete(n, seeds),
            *largest_cuts(4 if given.quick else 16, seeds),
            *learned_ising(steps if given.quick else 300, seeds),
        ],
        "relative squared error of the score": errors,
        "speed": speed(
            [(500, True)] if given.quick else [(10_000, False), (100_000, False), (100_000, True), (1_000_000, False)],
            2 if given.quick else 9,
        ),
    }
    for heading, rows in tables.items():
        print(f"## {heading}\n\n" + "\n".join(table(rows)) + "\n")
    if not given.quick:
        command = f"OMP_NUM_THREADS=1 python -m {__spec__.name}"
        store(
            given.results / "energies.json",
            {**stamp(command), "seeds": list(range(SEEDS)), "chains": n, "tables": tables},
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
