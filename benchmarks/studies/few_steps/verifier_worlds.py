"""Verifiers in worlds whose every probability is known: lossless is exact whoever drafts, a wrong rule is not.

    python -m benchmarks.studies.few_steps.verifier_worlds

Texts of five words, 50,000 a row, total variation from the truth with its band, beside the noise floor. Drafters:
copies, the world's own blocks (perfect marginals of each word), and, as drafters that are wrong, those of another
world. The control accepts by probability above one half. Repair, which promises nothing: what the writer's texts gain.
Results go to ``benchmarks/results/verifier_worlds.json``; ``--quick`` keeps nothing.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.certificates.certify import certify
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import HMM, WORLDS
from unmask.sampling import Ancestral, speculative
from unmask.sampling.drafters import Copies, Drafter, Drawn
from unmask.sampling.repair import Repair
from unmask.sampling.speculative import Speculative
from unmask.sampling.verifier_settings import RepairSettings, SpeculativeSettings

RESULT = RESULTS / "verifier_worlds.json"
OTHER = HMM.random(3, seed=4)
DRAFTERS: dict[str, Drafter] = {
    "copies": Copies(),
    "its own blocks": Drawn(None, "block"),
    "blocks of another world": Drawn(OTHER, "block"),
    "masks of another world": Drawn(OTHER, "bidirectional"),
    "words of another world": Drawn(OTHER, "causal"),
}


def rows(ground: Ground, samples: int) -> dict[str, dict[str, Any]]:
    """Return what each way writes in a world."""
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, sampler: Any, settings: Any, **more: Any) -> None:
        say(f"{ground.name}: {name}")
        told = certify(sampler, settings, ground, samples=samples, **more)
        cell = told.cells[-1]
        found[name] = {
            "tv": cell.tv.value,
            "low": cell.tv.low,
            "high": cell.tv.high,
            "calls a text": cell.forwards,
            "bits": cell.entropy,
            "verdict": told.verdict,
            "floor": told.floor,
        }

    for name, drafter in DRAFTERS.items():
        for span in (2, 4):
            add(f"lossless, drafts of {span}: {name}", Speculative(drafter), SpeculativeSettings(span=span))
    with patch.object(speculative, "accepted", lambda p, q, luck: p > 0.5):
        wrong = Speculative(DRAFTERS["blocks of another world"])
        add("control: accepts by probability above 0.5, drafts of 4", wrong, SpeculativeSettings(span=4))
    for steps in (1, 2, 4):
        add(f"ancestral, {steps} steps", Ancestral(), Ancestral.Settings(), steps=(steps,))
        for limit in (0.2, 0.5, 1.0):
            own = RepairSettings(span=2, suspect=1.0, unlikely=limit, rounds=1)
            repair = Repair(Ancestral(), ground.world, own)
            add(f"ancestral, {steps} steps, repair above {limit} nats", repair, Ancestral.Settings(), steps=(steps,))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and keep it unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="a few texts: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    found = {name: rows(Ground(name, WORLDS.get(name)(), 5), 500 if given.quick else 50_000) for name in WORLDS}
    for world, table in found.items():
        for name, row in table.items():
            print(f"| {world} | {name} | {row['tv']:.3f} | {row['calls a text']:.2f} | {row['verdict']} |")
    if not given.quick:
        store(RESULT, {**stamp(f"python -m {__spec__.name}"), "samples": 50_000, "worlds": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
