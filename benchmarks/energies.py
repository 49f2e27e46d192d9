"""Energies against known answers, and the time of a Gibbs sweep.

    OMP_NUM_THREADS=1 python -m benchmarks.energies [--quick] [--results FOLDER]

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

from benchmarks.measure import stamp, store, table, timed
from unmask.diffusion.energies.annealed import ConditionalScore, annealed_langevin, denoised
from unmask.diffusion.energies.annealing import anneal, cooling
from unmask.diffusion.energies.coloring import greedy_coloring
from unmask.diffusion.energies.contrastive import contrastive_loss, gibbs_move
from unmask.diffusion.energies.discrete import Discrete, random_states
from unmask.diffusion.energies.energy import score_of
from unmask.diffusion.energies.enumeration import Law, exact_law
from unmask.diffusion.energies.forward import noise_levels, variance_exploding, variance_preserving
from unmask.diffusion.energies.gibbs import gibbs, start, sweep, uniforms
from unmask.diffusion.energies.graph import Graph, make_graph
from unmask.diffusion.energies.ising import Ising, moments
from unmask.diffusion.energies.langevin import mala, ula
from unmask.diffusion.energies.maxcut import cut, max_cut
from unmask.diffusion.energies.mixtures import Mixture, gaussian
from unmask.diffusion.energies.network import EnergyNetwork
from unmask.diffusion.energies.potts import Potts
from unmask.diffusion.energies.score_matching import denoising_loss
from unmask.diffusion.noise import Noise

RESULTS = Path(__file__).parent / "results"
SEEDS = 3
NEAR = Mixture(
    torch.tensor([0.7, 0.3]),
    torch.tensor([[-1.0, 0.0], [1.0, 0.5]]),
    torch.tensor([[[0.5, 0.2], [0.2, 0.4]], [[0.3, 0.0], [0.0, 0.6]]]),
)
FAR = Mixture(
    torch.tensor([0.5, 0.3, 0.2]),
    torch.tensor([[-3.0, 0.0], [2.0, 2.0], [2.0, -3.0]]),
    torch.tensor([[[0.25, 0.1], [0.1, 0.2]], [[0.16, 0.0], [0.0, 0.36]], [[0.25, -0.1], [-0.1, 0.13]]]),
)
LEVELS = noise_levels(6.0, 0.3, 7)


def chains(count: int, seed: int) -> Noise:
    return Noise(seed, torch.arange(count))


def row(world: str, what: str, truth: float | None, found: list[float], error: float | None) -> dict[str, Any]:
    """Return one line: the truth, what each seed found, and the standard error of one seed."""
    seeds = {f"seed {seed}": round(value, 4) for seed, value in enumerate(found)}
    return {"world": world, "what": what, "truth": truth, **seeds, "standard error": error}


def continuous(n: int, seeds: int) -> list[dict[str, Any]]:
    """Gaussians and mixtures whose modes touch: Langevin with and without the Metropolis step."""
    v, h = 0.25, 0.2
    energy = gaussian(torch.zeros(1), torch.full((1, 1), v))
    still = torch.zeros(n, 1)
    plain, adjusted, noised, across, right = [], [], [], [], []
    kernel = variance_preserving(0.6)
    for seed in range(seeds):
        noise = chains(n, seed)
        *_, x = ula(score_of(energy), still, step=h, steps=60, noise=noise)
        plain.append(float(x.var()))
        *_, point = mala(energy, still, step=h, steps=60, noise=noise)
        adjusted.append(float(point.x.var()))
        *_, x = ula(score_of(lambda x: x.square().sum(-1) / 2), still + 3, step=0.01, steps=60, noise=noise)
        noised.append(float(x.mean()))
        *_, x = ula(score_of(NEAR), torch.zeros(n, 2), step=0.25, steps=120, noise=noise)
        across.append(float(x[:, 0].var()))
        *_, point = mala(NEAR, torch.zeros(n, 2), step=0.25, steps=120, noise=noise)
        right.append(float(point.x[:, 0].var()))
    spread = (2 / n) ** 0.5
    wide = float(NEAR.covariance[0, 0])
    return [
        row("Gaussian, variance 1/4", f"variance, ULA, h = {h}; predicted 0.4167", v, plain, v * spread),
        row("", f"variance, MALA, h = {h}", v, adjusted, v * spread),
        row("x_0 = 3, time 0.6", "mean, Langevin, h = 0.01", 3 * kernel.scale, noised, kernel.sigma / n**0.5),
        row("two touching modes", "variance of x, ULA, h = 0.25", wide, across, wide * spread),
        row("", "variance of x, MALA, h = 0.25", wide, right, wide * spread),
    ]


def exact_score(mixture: Mixture) -> ConditionalScore:
    """Return the true score of a noised mixture; all rows of a call have one level."""
    return lambda x, sigma: score_of(mixture.noised(variance_exploding(float(sigma[0]))))(x)


def train(seed: int, steps: int) -> EnergyNetwork:
    """Train an energy by denoising score matching on 4,096 points of the far mixture."""
    data = FAR.sample(chains(4096, 100 + seed))
    network = EnergyNetwork(data.mean(0), float(data.std(0).mean()), width=64, seed=seed)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        keys = torch.arange(128) + 128 * step
        optimiser.zero_grad()
        denoising_loss(network.score, data[keys % len(data)], LEVELS, Noise(seed, keys)).mean().backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def score_errors(score: ConditionalScore, seed: int, n: int) -> list[float]:
    """Return E|score - truth|^2 / E|truth|^2 at each level, at noised points."""
    found = []
    for level in LEVELS.tolist():
        x = FAR.noised(variance_exploding(level)).sample(chains(n, 200 + seed))
        sigma = torch.full((n,), level)
        truth = exact_score(FAR)(x, sigma)
        found.append(float((score(x, sigma) - truth).square().sum() / truth.square().sum()))
    return found


def annealed(n: int, steps: int, seeds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Modes far apart: one level, annealing with the true scores, with learned ones; and the scores' errors."""
    stuck, hasty, coarse, fine, learned, deviation = [], [], [], [], [], []
    errors, plain = [], []
    for seed in range(seeds):
        noise, network = chains(n, seed), train(seed, steps)
        first = FAR.means[:1].expand(n, 2)
        *_, x = ula(score_of(FAR), first, step=0.02, steps=175, noise=noise)
        stuck.append(share(x))
        begin = float(LEVELS[0]) * noise.normal("begin", 2)
        last = float(LEVELS[-1])
        for score, step, each, found in (
            (exact_score(FAR), 0.1, 25, hasty),
            (exact_score(FAR), 0.1, 200, coarse),
            (exact_score(FAR), 0.03, 600, fine),
            (network.score, 0.1, 200, learned),
        ):
            x = annealed_langevin(score, begin, LEVELS, step=step, steps=min(each, steps), noise=noise)
            found.append(share(denoised(score, x, last)))
        deviation.append(float(denoised(network.score, x, last)[:, 0].std()))
        errors.append(score_errors(network.score, seed, n))
        plain.append(score_errors(exact_score(gaussian(FAR.mean, FAR.covariance)), seed, n))
    wide = float(FAR.covariance[0, 0]) ** 0.5
    rows = [
        row("three modes apart", "share of the first, one level", 0.5, stuck, (0.25 / n) ** 0.5),
        row("", "annealed, true scores, step 0.1, 25 a level", 0.5, hasty, (0.25 / n) ** 0.5),
        row("", "annealed, true scores, step 0.1, 200 a level", 0.5, coarse, (0.25 / n) ** 0.5),
        row("", "annealed, true scores, step 0.03, 600 a level", 0.5, fine, (0.25 / n) ** 0.5),
        row("", "annealed, learned scores, step 0.1, 200 a level", 0.5, learned, (0.25 / n) ** 0.5),
        row("", "deviation of x, annealed, learned scores", wide, deviation, None),
    ]
    mean = (
        torch.tensor(errors).mean(0),
        torch.tensor(errors).std(0, correction=min(1, seeds - 1)),
        torch.tensor(plain).mean(0),
    )
    parts = zip(LEVELS.tolist(), *(part.tolist() for part in mean), strict=True)
    return rows, [
        {"sigma": round(s, 3), "network": round(a, 4), "spread of seeds": round(b, 4), "Gaussian": round(c, 4)}
        for s, a, b, c in parts
    ]


def share(x: Tensor) -> float:
    """Return the share of points nearest to the first mode."""
    return float((torch.cdist(x, FAR.means).argmin(1) == 0).float().mean())


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.energies", description=__doc__.splitlines()[0])
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
        command = "OMP_NUM_THREADS=1 python -m benchmarks.energies"
        store(
            given.results / "energies.json",
            {**stamp(command), "seeds": list(range(SEEDS)), "chains": n, "tables": tables},
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
