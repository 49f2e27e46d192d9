"""Draw nested discs: trees in the ball and in flat space, and what each level of a small stack does: docs/img/wubu.svg.

    python -m benchmarks.studies.wubu.draw

Above, a binary tree of depth 6 in two dimensions, embedded as ``trees.py`` does it. Below, a WuBu stack of three
levels of two dimensions that was trained to tell 27 clusters apart, 3 x 3 x 3 within each other; a point is a patch,
its colour one of the 3 outer clusters and its shade the inner ones; diamonds are boundary points, the star is the
descriptor.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from torch import Tensor, nn

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from benchmarks.lib.places import IMAGES
from benchmarks.studies.wubu.tree_distances import balanced_tree, distortion, embed, path_lengths  # noqa: E402
from unmask.models.wubu import WubuStack  # noqa: E402
from unmask.models.wubu_config import WubuOptions  # noqa: E402
from unmask.pictures.wubu_levels import draw_disc, draw_points  # noqa: E402
from unmask.pictures.wubu_view import level_view  # noqa: E402

PICTURE = IMAGES / "wubu.svg"
WIDTH = 8


def main() -> None:
    """Draw the trees and the levels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=PICTURE)
    given = parser.parse_args()
    figure, panels = pyplot.subplots(2, 3, figsize=(11, 7.6))
    parents = balanced_tree(2, 6)
    lengths = path_lengths(parents)
    for axes, (title, rate, flat) in zip(
        panels[0], (("Poincaré, learned c", 1.0, False), ("flat, the same code at c = 0", 0.3, True)), strict=False
    ):
        found = embed(lengths, 2, rates=[rate], seeds=[0], steps=800, euclidean=flat)
        unit = float(found.points.norm(dim=-1).max()) if flat else float(found.curvature[0]) ** -0.5
        error = float(distortion(found.distances, lengths)[0])
        draw_tree(axes, found.points[0].numpy() / unit, parents, lengths[0].numpy(), not flat)
        axes.set_title(f"{title}: distortion {error:.3f}", fontsize=9)
    stack, patches, labels = trained()
    right = float((stack(patches[:, None])[:, 0].argmax(-1) == labels).float().mean())
    key(panels[0, 2], f"below: a stack of three levels that tells\n{right:.0%} of new patches' 27 clusters")
    draw_levels(panels[1], stack, patches, labels)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None}, bbox_inches="tight")


def draw_tree(axes: Any, points: Any, parents: Any, depth: Any, border: bool) -> None:
    """Draw one embedding in the unit disc."""
    draw_disc(axes, border)
    for child, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*points[[child, parent]].T, color="#b9c7d6", linewidth=0.6, zorder=1)
    axes.scatter(*points.T, c=depth, cmap="viridis_r", s=9, zorder=2)


def key(axes: Any, words: str) -> None:
    """Say what the marks are."""
    axes.axis("off")
    axes.scatter([], [], c="#355f8d", s=14, label="a node of the tree: darker is deeper (above)")
    axes.scatter([], [], c="#2f7f4f", s=14, label="a patch, coloured by cluster (below)")
    axes.scatter([], [], marker="D", c="black", s=26, label="boundary point")
    axes.scatter([], [], marker="*", c="black", s=70, label="level descriptor")
    axes.legend(loc="center", fontsize=9, frameon=False, title=words, title_fontsize=9)


def clusters(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return patch vectors of 27 clusters, 3 x 3 x 3 within each other, and their numbers."""
    world = torch.Generator().manual_seed(7)
    labels = torch.randint(27, (count,), generator=torch.Generator().manual_seed(seed))
    centres = torch.zeros(27, WIDTH)
    for groups, size in ((3, 3.0), (9, 1.2), (27, 0.5)):
        at = size * nn.functional.normalize(torch.randn(groups, WIDTH, generator=world), dim=-1)
        centres += at.repeat_interleave(27 // groups, 0)
    noise = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed + 1))
    return centres[labels] + 0.1 * noise, labels


def trained() -> tuple[WubuStack, Tensor, Tensor]:
    """Train a stack of three discs, each patch a text of its own, on 600 steps of 128 patches."""
    torch.manual_seed(0)
    options = WubuOptions(hyperbolic_dims=(2, 2, 2), boundary_points_per_level=(3, 3, 3), dropout=0)
    stack = WubuStack(options, WIDTH, 27)
    optimiser = torch.optim.Adam(stack.parameters(), 5e-3)
    for step in range(600):
        patches, labels = clusters(128, 10 + 2 * step)
        loss = nn.functional.cross_entropy(stack(patches[:, None])[:, 0], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return stack, *clusters(270, 1)


@torch.no_grad()
def draw_levels(panels: Any, stack: WubuStack, patches: Tensor, labels: Tensor) -> None:
    """Draw the disc of each level."""
    outer, inner = labels.numpy() // 9, labels.numpy() % 9
    shades = [pyplot.get_cmap(name) for name in ("Blues", "Oranges", "Greens")]
    colours = np.array([shades[a](0.35 + 0.07 * b) for a, b in zip(outer, inner, strict=True)])
    states = stack.states(patches[:, None])
    there = torch.ones(len(patches), 1, dtype=torch.bool)
    for number, (axes, state, level) in enumerate(zip(panels, states, stack.levels, strict=True)):
        view = level_view(level, state, there)
        draw_disc(axes)
        draw_points(axes, view.points, colours, size=7)
        values = f"c {view.c:.2f}, s {view.scale:.2f}, sigma {view.spread:.2f}"
        axes.set_title(f"level {number + 1}: {values}", fontsize=8)


if __name__ == "__main__":
    main()
