"""Continuous worlds: Langevin and annealing against mixtures whose moments are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.studies.energies.annealed import ConditionalScore, annealed_langevin, denoised
from benchmarks.studies.energies.energy import score_of
from benchmarks.studies.energies.energy_network import EnergyNetwork
from benchmarks.studies.energies.forward import noise_levels, variance_exploding, variance_preserving
from benchmarks.studies.energies.langevin import mala, ula
from benchmarks.studies.energies.mixtures import Mixture, gaussian
from benchmarks.studies.energies.score_matching import denoising_loss
from unmask.diffusion.noise import Noise

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
