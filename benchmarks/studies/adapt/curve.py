"""A left-to-right run made a block run: what it keeps, what the bound comes to over tokens, and how fast it writes.

    python -m benchmarks.studies.adapt.curve RUN --source FILE --valid FILE --minutes 100

The run is adapted as ``unmask adapt`` does it, without an average of weights, for as many steps as fit into the minutes
(a few steps are timed first). Before, on the way and after, held-out documents are scored in blocks of 1, 4 and 8 words
(of one word the bound is the chain rule, exact) and left to right. Then both runs write at batch 1: tokens a second of
processor time, rivals in turns, and a text of each. Results go to ``benchmarks/results/adapt_RUN.json``. ``--quick``
takes three steps and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from benchmarks.lib.measure import Spread, say, take_turns
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.api.adapt import adapted
from unmask.data.sources import open_source
from unmask.diffusion.block import Block
from unmask.evaluation.bits import bits_per_byte
from unmask.sampling import SAMPLERS, fill_request, generate
from unmask.sweeps.train_recipe import train_recipe
from unmask.training.recipe import Recipe
from unmask.training.run import Run

SIZES = (1, 4, 8)
PROMPT = "Once upon a time"
POINTS = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""Shares of the steps at which held-out text is scored."""
TIMED = 4
"""Steps that are timed first; the first of them is left out."""
WAYS = {
    "left to right": ("autoregressive", {}),
    **{
        f"blocks of {size}, {steps} calls": (
            "block",
            {"block_size": size, "rule": "confidence", "steps": steps, "reveal": "linear"},
        )
        for size in (4, 8)
        for steps in (size, size // 2)
    },
}


class Scores(TrainerCallback):
    """Scores held-out texts at some points of a training.

    Args:
        recipe: By which the run is adapted.
        run: The run before, whose tokenizer it is.
        texts: The texts.
        given: What the command line says.
    """

    def __init__(self, recipe: Recipe, run: Run, texts: Sequence[str], given: argparse.Namespace) -> None:
        self.recipe, self.run, self.texts, self.given = recipe, run, texts, given
        self.rows: list[dict[str, Any]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any) -> None:
        """Score the first weights."""
        self._score(model, 0, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any) -> None:
        """Score where it is time."""
        if state.global_step in {round(point * state.max_steps) for point in POINTS}:
            tokens = args.per_device_train_batch_size * args.gradient_accumulation_steps * self.recipe.data.length
            self._score(model, state.global_step, state.global_step * tokens)

    def _score(self, model: Any, step: int, tokens: int) -> None:
        began, options, words = time.perf_counter(), self.recipe.process_options(), self.run.tokenizer.vocabulary
        found = {}
        for size in SIZES:
            process = Block(options.model_copy(update={"block_size": size}), words)
            found[f"block {size}"] = self._bits(model, process, "default")
        found["left to right"] = self._bits(model, Block(options, words), "causal")
        self.rows.append({"step": step, "tokens": tokens, **found, "seconds": round(time.perf_counter() - began, 1)})
        say(json.dumps(self.rows[-1]))

    def _bits(self, model: Any, process: Block, kind: Any) -> float:
        asked = {"window": self.given.window, "draws": self.given.draws, "likelihood": kind}
        return round(bits_per_byte(model, process, self.run.tokenizer, self.texts, **asked).value, 4)


def recipe_of(run: Run, given: argparse.Namespace, steps: int) -> Recipe:
    """Return the recipe by which the run is adapted in so many steps."""
    sizes = {"training.per_device_train_batch_size": given.rows, "data.length": given.length}
    asked = {key: value for key, value in sizes.items() if value}
    asked |= {"data.source": given.source, "data.valid": given.valid, "training.max_steps": steps}
    asked |= {"training.ema": "null", "training.valid_blocks": 0, "training.save_steps": steps}
    return adapted(run, [f"{key}={value}" for key, value in asked.items()] + given.option)


def seconds_a_step(run: Run, given: argparse.Namespace) -> float:
    """Return what a step of the adaptation takes here."""
    clock = _Clock()
    with tempfile.TemporaryDirectory() as spare:
        train_recipe(recipe_of(run, given, TIMED), Path(spare) / "timed", callbacks=[clock])
    return (clock.marks[-1] - clock.marks[0]) / (len(clock.marks) - 1)


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.marks.append(time.perf_counter())


def writing(parent: Run, run: Run, tokens: int, turns: int) -> dict[str, dict[str, Any]]:
    """Return tokens a second at batch 1 and a text of each way."""
    models = {one.name: one.model("cpu") for one in (parent, run)}
    prompt = tuple(parent.tokenizer.encode(PROMPT))
    room = min(int(model.config.max_position_embeddings) for model in models.values()) - 1 - len(prompt)
    tokens = min(tokens, room)
    ways = {f"{parent.name}: left to right": (parent, WAYS["left to right"])}
    ways |= {f"{run.name}: {name}": (run, way) for name, way in WAYS.items()}
    texts: dict[str, str] = {}

    def once(name: str) -> float:
        of, (sampler, given) = ways[name]
        words = of.tokenizer.vocabulary
        settings = SAMPLERS.facts(sampler)(**given, seed=1, ignore_eos=True)
        began = time.thread_time()
        done = generate(
            models[of.name], SAMPLERS.get(sampler)(), [fill_request(prompt, tokens, words, settings)], words
        )
        seconds = time.thread_time() - began
        texts[name] = of.tokenizer.decode(done[0].written)
        return seconds

    found = take_turns({name: lambda name=name: once(name) for name in ways}, turns)
    rows = {}
    for name, taken in found.items():
        spread = Spread.of([tokens / seconds for seconds in taken])
        rows[name] = {"tokens/s": spread.median, "quartiles": [spread.low, spread.high], "text": texts[name]}
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Adapt, score and write; keep what was found unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    options.add_argument("run", help="a run that writes left to right")
    options.add_argument("--source", required=True, help="text to adapt it on")
    options.add_argument("--valid", required=True, help="held-out text")
    options.add_argument("--minutes", type=float, default=100.0, help="of training, scores on the way aside")
    options.add_argument("--option", "-o", action="append", default=[], help="a recipe key, as of unmask adapt")
    options.add_argument("--rows", type=int, help="blocks a step")
    options.add_argument("--length", type=int, help="tokens of a block")
    options.add_argument("--documents", type=int, default=20, help="held-out documents that are scored")
    options.add_argument("--window", type=int, default=512, help="bytes of a window")
    options.add_argument("--draws", type=int, default=4, help="network calls behind a bound")
    options.add_argument("--tokens", type=int, default=128, help="tokens of a text whose speed is measured")
    options.add_argument("--turns", type=int, default=3, help="timed turns of each way")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--folder", type=Path, help="where the adapted run goes; default a temporary folder")
    options.add_argument("--quick", action="store_true", help="three steps: does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.quick:
        given.documents, given.window, given.draws, given.tokens, given.turns = 1, 16, 1, 12, 1
    parent = Run.open(given.run)
    texts = [text for _, text in zip(range(given.documents), open_source(given.valid).documents(), strict=False)]
    each = 0.0 if given.quick else seconds_a_step(parent, given)
    steps = 3 if given.quick else max(1, int(given.minutes * 60 / each))
    say(f"{steps} steps of {each:.2f} seconds")
    recipe = recipe_of(parent, given, steps)
    with tempfile.TemporaryDirectory() as spare:
        scores = Scores(recipe, parent, texts, given)
        run = train_recipe(recipe, given.folder or Path(spare) / "adapted", callbacks=[scores])
        rows = writing(parent, run, given.tokens, given.turns)
        told = {key: run.manifest.get(key) for key in ("parameters", "steps", "tokens_seen", "train_seconds")}
    print(table(scores.rows, rows))
    if not given.quick:
        command = f"python -m {__spec__.name} {parent.name} --source SOURCE --valid VALID --minutes {given.minutes:g}"
        kept = {**stamp(command), "run": parent.name, "adapted": told, "recipe": recipe.model_dump(mode="json")}
        kept |= {"documents": len(texts), "window": given.window, "draws": given.draws}
        store(RESULTS / f"adapt_{parent.name}.json", {**kept, "curve": scores.rows, "writing": rows})
    return 0


def table(curve: list[dict[str, Any]], rows: dict[str, dict[str, Any]]) -> str:
    """Return curve and speeds as markdown."""
    keys = ["tokens", *(f"block {size}" for size in SIZES), "left to right"]
    lines = [f"| {' | '.join(keys)} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(f'{row[key]:,}' for key in keys)} |" for row in curve]
    lines += ["", "| written by | tokens/s, batch 1 | text |", "|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| {name} | {row['tokens/s']:.1f} | {row['text'][:80]!r} |" for name, row in rows.items())]
    )


if __name__ == "__main__":
    sys.exit(main())
