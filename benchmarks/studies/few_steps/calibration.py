"""What calibrated confidence is worth: the error that is left by method and noise level, and the order at few steps.

    python -m benchmarks.studies.few_steps.calibration RUN [RUN ...]

Each seed draws other held-out documents: half fit, a fifth are left out, the others measure. Tables:

* ``ece``: expected calibration error (Brier, AUROC) of each map on forced states, and of the one fitted to words hidden
  at random; the error by chance of a calibrated network beside it. ``temperature 0.5`` is the control: the same network
  made overconfident, whose error a map has to take away.
* ``order``: half of a held-out text's words are hidden (of a block run: of one block) and written by the surest word at
  each step count, in the order of each map; share of hidden words that are the text's own. platt and isotonic leave the
  order as it is, and so are no rows.
* ``stop``: the same in at most 32 steps with a ``confidence_stop``: network calls a text, and that share.

Results go to ``benchmarks/results/calibration.json``; a run measured anew replaces its own. ``--quick`` keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from unmask.api.held_out_states import Collector, sampler_of, split, texts_of
from unmask.evaluation.calibration import reliability
from unmask.evaluation.calibrators import METHODS, fit
from unmask.evaluation.confidences import Confidences, Text
from unmask.evaluation.intervals import ratio_interval
from unmask.evaluation.predictions import EDGES
from unmask.sampling import SAMPLERS, Request, generate
from unmask.sampling.calibrated import Calibration, level_of
from unmask.training.held_out import held_out
from unmask.training.run import Run

RESULT = RESULTS / "calibration.json"
STEPS = (4, 8, 16, 32)
STOPS = (0.3, 0.6, 0.9)


@dataclass(frozen=True)
class Hidden:
    """Texts half of whose words are hidden.

    Attributes:
        truth: The whole texts.
        canvases: With their hidden words open.
    """

    truth: list[list[int]]
    canvases: list[tuple[int, ...]]


def hidden(texts: Sequence[Text], mask: int, block: int, seed: int) -> Hidden:
    """Hide half of the words of each text; of one block of it, all before being given, for a block run."""
    draw = np.random.default_rng(seed)
    truth, canvases = [], []
    for text in texts:
        words = list(text.tokens)[:-1]
        begin = 1
        if block:
            begin = 1 + block * int(draw.integers(0, max(1, (len(words) - 1) // block)))
            words = words[: begin + block]
        opened = (draw.random(len(words)) < 0.5) & (np.arange(len(words)) >= begin)
        if opened.any():
            truth.append(words)
            canvases.append(tuple(mask if o else w for w, o in zip(words, opened, strict=True)))
    return Hidden(truth, canvases)


class Bench:
    """One run, opened once."""

    def __init__(self, run: Run, documents: int, written: int) -> None:
        self.run, self.model, self.name = run, run.model("cpu"), sampler_of(run)
        self.documents, self.written = documents, written
        self.block = int(getattr(self.model.config, "block_size", 0)) if self.name == "block" else 0

    def errors(self, seed: int) -> tuple[dict[str, Any], dict[str, Calibration], list[Text]]:
        """Return what each map scores on documents that nothing was fitted to, the maps, and these documents."""
        found = held_out([self.run], None, self.documents, seed)
        parts = split(texts_of(self.run, self.model, found.texts))
        collector = Collector(self.run, self.model, self.name, seed)
        fitting, random = (collector("fit", parts["fit"], kind) for kind in ("forced", "corrupted"))
        forced, other = (collector("measure", parts["measure"], kind) for kind in ("forced", "corrupted"))
        maps = {method: fit(method, fitting, seed=seed) for method in METHODS}
        rows = {method: scores(one, forced) for method, one in maps.items()}
        rows["platt, fitted on corrupted"] = scores(fit("platt", random), forced)
        for name, fitted in (("none", maps["none"]), ("platt", maps["platt"]), ("head", maps["head"])):
            rows[f"{name}, measured on corrupted"] = scores(fitted, other)
        rows["platt, fitted and measured on corrupted"] = scores(fit("platt", random), other)
        learn, test = (replace(data, peak=data.peak**2 / data.squares) for data in (fitting, forced))
        for method in ("none", "platt", "isotonic"):  # a network that is wrong about itself: the same at half the heat
            rows[f"{method}, temperature 0.5"] = scores(fit(method, learn), test)
        return rows, maps, parts["measure"]

    def wrote(self, asked: Hidden, calibration: Calibration, **settings: Any) -> dict[str, Any]:
        """Return by text how many hidden words are the text's own, how many there are, and the network calls."""
        more = {"rule": "confidence", "block_size": self.block} if self.block else {}
        sampler = SAMPLERS.get(self.name)()
        own = sampler.Settings(temperature=0.0, ignore_eos=True, calibrated=True, reveal="linear", **more, **settings)
        words = self.run.tokenizer.vocabulary
        self.model.calibration = calibration
        samples = generate(self.model, sampler, [Request(one, own) for one in asked.canvases], words, batch_size=16)
        right, count, calls = [], [], []
        for sample, truth, canvas in zip(samples, asked.truth, asked.canvases, strict=True):
            at = [place for place, token in enumerate(canvas) if token == words.mask]
            right.append(sum(sample.tokens[place] == truth[place] for place in at))
            count.append(len(at))
            calls.append(sample.forwards)
        return {"right": right, "words": count, "calls": calls}

    def orders(self, maps: dict[str, Calibration], texts: Sequence[Text], seed: int) -> dict[str, Any]:
        """Return what is written in the order of each map at each number of steps, and with each stop."""
        asked = hidden(texts[: self.written], self.run.tokenizer.mask_id, self.block, seed)
        found: dict[str, Any] = {}
        steps = [count for count in STEPS if not self.block or count <= self.block]
        for method in ("none", "temperature", "head"):
            for count in steps:
                found[f"{method} | {count}"] = self.wrote(asked, maps[method], steps=count)
        for method in ("none", "platt", "head"):
            for stop in STOPS:
                one = self.wrote(asked, maps[method], steps=steps[-1], confidence_stop=stop)
                found[f"{method} | stop {stop}"] = one
        return found


def scores(calibration: Calibration, data: Confidences) -> dict[str, Any]:
    """Return what a map scores, all levels together, and its error at each."""
    told, right, document = calibration(data).numpy(), data.right.numpy(), data.document.numpy()
    whole = reliability("all", told, right, document)
    assert whole.scores is not None
    level = level_of(data.level, EDGES).numpy()
    each = [reliability(f"({a:g}, {b:g}]", told[level == i], right[level == i], document[level == i])
            for i, (a, b) in enumerate(zip(EDGES, EDGES[1:], strict=False))]  # fmt: skip
    return {
        "positions": whole.positions,
        "right": whole.accuracy,
        "ece": whole.scores.ece,
        "ece interval": whole.ece_interval,
        "by chance": whole.ece_floor,
        "brier": whole.scores.brier,
        "auroc": whole.scores.auroc,
        "ece by level": {one.name: None if one.scores is None else one.scores.ece for one in each},
    }


def pooled(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the share of words that are the text's own of each row, and its difference from the network's order."""
    rows = {}
    for name in seeds[0]:
        base = "none | " + name.split(" | ")[1]
        right, raw, words, calls = (
            np.array([value for seed in seeds for value in seed[row][key]], float)
            for row, key in ((name, "right"), (base, "right"), (name, "words"), (name, "calls"))
        )
        rows[name] = {
            "restored": right.sum() / words.sum(),
            "more than raw": (right - raw).sum() / words.sum(),
            "interval": ratio_interval(right - raw, words),
            "calls": calls.mean(),
            "texts": len(words),
        }
    return rows


def averaged(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over seeds of each map's numbers, and each seed's error."""
    rows = {}
    for name in seeds[0]:
        each = [seed[name] for seed in seeds]
        keys = ("right", "ece", "by chance", "brier", "auroc")
        levels = {
            level: float(np.mean([one["ece by level"][level] or 0.0 for one in each]))
            for level in each[0]["ece by level"]
        }
        mean = {key: float(np.mean([one[key] for one in each])) for key in keys}
        rows[name] = {**mean, "ece of seeds": [one["ece"] for one in each], "ece by level": levels}
        rows[name]["positions"] = sum(one["positions"] for one in each)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Measure each run, print its tables, and keep them unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    options.add_argument("runs", nargs="+", type=Path, help="runs of the processes masked or block")
    options.add_argument("--documents", type=int, default=240, help="held-out documents of each seed")
    options.add_argument("--written", type=int, default=24, help="of them, texts that are written at each step count")
    options.add_argument("--seeds", type=int, default=3, help="splits of the documents")
    options.add_argument("--quick", action="store_true", help="a few documents: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    for path in given.runs:
        run = Run.open(path)
        bench = Bench(run, 24 if given.quick else given.documents, 2 if given.quick else given.written)
        errors, orders = [], []
        for seed in range(1 if given.quick else given.seeds):
            say(f"{run.name}, seed {seed}")
            rows, maps, texts = bench.errors(seed)
            errors.append(rows)
            orders.append(bench.orders(maps, texts, seed))
        told = {key: run.manifest.get(key) for key in ("process", "parameters", "tokens_seen", "corpus_fingerprint")}
        told |= {"documents": bench.documents, "seeds": len(errors), "date": datetime.now(UTC).date().isoformat()}
        found = {"run": told, "ece": averaged(errors), "order": pooled(orders)}
        print(table(run.name, found), flush=True)
        if not given.quick:
            kept = (json.loads(RESULT.read_text()) if RESULT.exists() else {}) | {run.name: found}
            RESULT.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


def table(name: str, found: dict[str, Any]) -> str:
    """Return a run's tables as markdown."""
    lines = [f"{name}: {found['run']}", "", "| map | right | ECE | seeds | by chance | Brier | AUROC | by level |"]
    lines.append("|---" * 8 + "|")
    for row, one in found["ece"].items():
        seeds = " ".join(f"{value:.4f}" for value in one["ece of seeds"])
        levels = " ".join(f"{value:.3f}" for value in one["ece by level"].values())
        numbers = " | ".join(f"{one[key]:.4f}" for key in ("by chance", "brier", "auroc"))
        lines.append(f"| {row} | {one['right']:.3f} | {one['ece']:.4f} | {seeds} | {numbers} | {levels} |")
    lines += ["", "| order, steps | restored | more than raw | 95 % interval | calls |", "|---" * 5 + "|"]
    for row, one in found["order"].items():
        low, high = one["interval"] or (0.0, 0.0)
        span = f"{low:+.4f} to {high:+.4f}"
        lines.append(f"| {row} | {one['restored']:.4f} | {one['more than raw']:+.4f} | {span} | {one['calls']:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
