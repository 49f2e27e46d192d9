"""Samplers of masked models with a perfect network: distance from the truth against network calls.

    python -m benchmarks.studies.sampling.equal_calls [--quick]

In ``hmm`` and ``markov`` (see ``docs/concepts/certify.md``) no word is ever nearly certain; in ``phrases`` most are
once their phrase is known. Laws are computed where they are known and small
enough, else 200,000 texts are counted, which adds about the noise floor to the distance.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.lib.places import RESULTS
from benchmarks.studies.sampling.ordered_law import ordered_law
from unmask.certificates.ground import Ground, write_texts
from unmask.certificates.total_variation import noise_floor, total_variation
from unmask.certificates.worlds import WORLDS
from unmask.sampling import Ancestral, Confidence, EntropyBound, Remasking
from unmask.sampling.sampler import Sampler

RESULT = RESULTS / "equal_calls.json"
COUNTED = 200_000
CALLS = 4_000
"""Texts whose network calls are counted where the law is known."""


def words_of(world: str) -> int:
    """Return the words of a text of a world: two phrases, or five."""
    return 6 if world == "phrases" else 5


def ways() -> Iterator[tuple[Sampler, dict[str, Any]]]:
    """Yield what is compared."""
    for steps in (2, 3, 4, 8, 16, 64):
        yield Ancestral(), {"steps": steps}
    for steps in (2, 3, 4, 5):
        yield Confidence(), {"steps": steps, "reveal": "linear"}
        yield Confidence(), {"steps": steps}
        yield Confidence(), {"steps": steps, "confidence_noise": 1.0}
    for proxy in ("entropy", "peak", "margin"):
        for budget in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0):
            yield EntropyBound(), {"entropy_budget": budget, "error_proxy": proxy}
    loop = {"remask_start": 0.55, "remask_stop": 0.05, "remask_hold": 0.9}
    for own in ({"remask_strength": 0.02}, {}, {"remask_strength": 0.2}, loop, {"remask": "conf"}):
        for steps in (8, 16, 32, 64):
            yield Remasking(), {"steps": steps, **own}


def measure(sampler: Sampler, given: dict[str, Any], ground: Ground, counted: int, calls: int) -> dict[str, Any]:
    """Return mean network calls and distance from the truth of one sampler under some settings."""
    settings: Any = sampler.Settings(**given, ignore_eos=True)
    known = True
    if isinstance(sampler, Ancestral):
        law = ground.reverse.law(settings.steps)
        forwards = settings.steps * (1 - (1 - 1 / settings.steps) ** ground.length)
    elif isinstance(sampler, Remasking) and settings.remask != "conf" and ground.length * ground.world.words < 16:
        law = ground.remasked.law(sampler.grid(settings))
        forwards = write_texts(sampler, settings, ground, calls)[1]
    elif getattr(settings, "confidence_noise", 0) == 0 and not isinstance(sampler, Remasking):
        found = ordered_law(sampler, settings, ground)
        law, forwards = found.law, float(found.law @ found.steps.double())
    else:
        seen, forwards = write_texts(sampler, settings, ground, counted)
        known = False
    distance = ground.from_truth(law) if known else total_variation(seen, ground.truth).value
    name = " ".join([sampler.Settings.name, *(f"{key}={value}" for key, value in given.items())])
    return {"way": name, "calls": round(forwards, 2), "tv": round(distance, 4), "law": "exact" if known else "counted"}


def main(arguments: list[str] | None = None) -> int:
    """Print one table a world, in order of calls; keep them unless they are quick."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few texts and ways: does it run at all?")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    counted, calls = (400, 50) if quick else (COUNTED, CALLS)
    worlds = {name: (WORLDS.get(name)(), words_of(name)) for name in WORLDS}
    kept = {}
    for name, (world, length) in worlds.items():
        ground = Ground(name, world, 3 if quick else length)
        rows = [
            measure(sampler, given, ground, counted, calls) for sampler, given in list(ways())[:: 7 if quick else 1]
        ]
        floor = noise_floor(ground.truth, counted)
        kept[name] = {"words": ground.length, "texts": len(ground.truth), "noise_floor": round(floor, 4), "rows": rows}
        print(f"## {name}: {ground.length} words, noise floor of counted rows {floor:.3f}\n")
        print("| calls | total variation | law | sampler |\n| --- | --- | --- | --- |")
        for row in sorted(rows, key=lambda row: (row["calls"], row["tv"])):
            print(f"| {row['calls']:.2f} | {row['tv']:.3f} | {row['law']} | {row['way']} |")
        print()
    if not quick:
        RESULT.write_text(json.dumps({"counted": counted, "worlds": kept}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
