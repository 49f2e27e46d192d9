"""An answer that is only in the thought: a name told two passages ago, asked for when its words are out of sight.

    python -m benchmarks.studies.thoughts.probe

A text is three passages. The first tells a colour (one of eight) behind a name; the second is filler (while training,
half of them ask as well); the third asks. The filler is always the same, attention does not leave a passage, and
colours are drawn anew for every text: whoever answers has carried them. The network is asked with its own stack of
thoughts, and with the controls of :mod:`unmask.evaluation.thought_bits`; rivals have no thoughts, or a stack that is
one passage deep, with and without persistence: without it the answer is out of reach.

Results go to ``benchmarks/results/thought_probe.json``; seeds that are already there are not run again.

Letters: B batch, T tokens.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.lib.learn import learn
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.network_losses import training_loss
from unmask.diffusion.passages import passages
from unmask.diffusion.state import State
from unmask.diffusion.thought import Thought, ThoughtOptions, stacks
from unmask.diffusion.with_thoughts import Thinking
from unmask.evaluation.thought_bits import CHANGES
from unmask.models.cost import parameter_count
from unmask.models.registry import BACKBONES

RESULT = RESULTS / "thought_probe.json"
BOS, MASK, FIRST = 1, 3, 4
PASSAGE, NAMES, COLOURS, WORDS = 8, 4, 8, 8
VOCABULARY = FIRST + NAMES + COLOURS + WORDS
ROWS: dict[str, dict[str, Any] | None] = {
    "thought": {"shape": (2, 4, 8), "stack": 3},
    "thought, one deep, persistent": {"shape": (2, 4, 8), "stack": 1},
    "thought, one deep, not persistent": {"shape": (2, 4, 8), "stack": 1, "persist": False},
    "no thought": {"shape": None},
}


def texts(
    rows: int, facts: int, draw: torch.Generator, early: float = 0.0
) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
    """Return texts of BOS and three passages, and the column of the answer in the last.

    In a share ``early`` of the texts the second passage asks, too.
    """
    length = 3 * PASSAGE
    tokens = (FIRST + NAMES + COLOURS + torch.arange(length) % WORDS).repeat(rows, 1)
    names = FIRST + torch.rand(rows, NAMES, generator=draw).argsort(-1)[:, :facts]
    colours = FIRST + NAMES + torch.randint(COLOURS, (rows, facts), generator=draw)
    place = 1 + torch.randint(PASSAGE - 2 * facts - 1, (rows,), generator=draw)
    for fact in range(facts):
        tokens[torch.arange(rows), place + 2 * fact] = names[:, fact]
        tokens[torch.arange(rows), place + 2 * fact + 1] = colours[:, fact]
    for passage, share in ((1, early), (2, 1.0)):
        some = torch.arange(rows)[torch.rand(rows, generator=draw) < share]
        which = torch.randint(facts, (rows,), generator=draw)[some]
        asked = passage * PASSAGE + 1 + torch.randint(PASSAGE - 3, (rows,), generator=draw)
        tokens[some, asked[some]] = names[some, which]
        tokens[some, asked[some] + 1] = colours[some, which]
    tokens[:, 0] = BOS
    return tokens, asked + 1


def network(options: ThoughtOptions, seed: int) -> Any:
    """Return an untrained transformer."""
    torch.manual_seed(seed)
    backbone = BACKBONES.get("transformer")
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = backbone.config(
        vocab_size=VOCABULARY,
        max_position_embeddings=3 * PASSAGE,
        thought=options.model_dump(mode="json"),
        initializer_range=0.1,
        tie_word_embeddings=False,
        output_shift=0,
        **sizes,
    )
    return backbone.model(config)


def trained(model: Any, process: Thinking, facts: int, seed: int, steps: int, batch: int, rate: float) -> None:
    """Train on fresh texts."""
    draw = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        tokens, _ = texts(batch, facts, draw, early=0.5)
        order = torch.arange(step * batch, (step + 1) * batch)
        rows = Batch(tokens, torch.ones_like(tokens), order, BOS)
        return training_loss(process, model, rows, seed, step / steps).loss

    learn(model, loss, steps, rate)


@torch.inference_mode()
def accuracy(model: Any, process: Thinking, facts: int, change: str, rows: int = 512) -> float:
    """Return the share of right answers, the answer alone being hidden."""
    tokens, column = texts(rows, facts, torch.Generator().manual_seed(10_000))
    options = process.options_of_thought
    cut = passages(Batch(tokens, torch.ones_like(tokens), torch.arange(rows), BOS), options.passage)
    hidden = cut.spread(torch.zeros_like(tokens, dtype=torch.bool).scatter(1, column[:, None], True))
    thought = None
    if options.shape is not None:
        read = process.read(model, cut)
        stack, there = (part.flatten(0, 1) for part in stacks(read.reduced, cut.follows, cut.through, options.stack))
        if (do := CHANGES[change]) is not None:
            stack, there = do(cut, stack, there)
        noise = torch.randn(len(stack), options.cells, options.channels, generator=torch.Generator().manual_seed(0))
        owners = cut.last.flatten(), cut.first.flatten()
        thought = Thought(noise, torch.ones(noise.shape[:2]), stack, there, *owners)
    given = cut.batch.tokens.masked_fill(hidden, MASK)
    state = State(given, segments=cut.batch.segments, t=hidden.float().mean(1), thought=thought)
    best = model(state, at=hidden).logits.argmax(-1)
    return float((best == cut.batch.tokens[hidden]).float().mean())


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print and store the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--facts", type=int, nargs="+", default=[1])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--only", default="", help="run only rows whose name this regular expression finds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    stored = json.loads(given.results.read_text()) if given.results.is_file() else {"rows": {}, "settings": {}}
    rows, settings = stored["rows"], stored["settings"]
    for facts in given.facts:
        for seed in range(given.seeds):
            for name, keys in ROWS.items():
                ending = f", {facts} facts | seed {seed}"
                known = any(key.startswith(f"{name}: ") and key.endswith(ending) for key in rows)
                if known or not re.search(given.only, name):
                    continue
                began = time.perf_counter()
                options = ThoughtOptions(passage=PASSAGE, **keys)
                process = Thinking(Masked(MaskedOptions(curriculum_start=0.3), Vocabulary()), options)
                model = network(options, seed)
                settings[name] = {"parameters": parameter_count(model), "steps": given.steps, "chance": 1 / COLOURS}
                trained(model, process, facts, seed, given.steps, given.batch, given.rate)
                for change in CHANGES if options.shape else ["own"]:
                    key = f"{name}: {change}, {facts} facts | seed {seed}"
                    rows[key] = {"accuracy": accuracy(model, process, facts, change)}
                took = time.perf_counter() - began
                print(f"{name}, {facts} facts, seed {seed}: {took:.0f} s", flush=True)
                store(
                    given.results,
                    {**stamp(f"python -m {__spec__.name}"), "settings": settings, "rows": rows},
                )
    for name, keys in ROWS.items():
        for change in CHANGES if keys and keys["shape"] else ["own"]:
            cells = []
            for facts in given.facts:
                start = f"{name}: {change}, {facts} facts |"
                values = [row["accuracy"] for key, row in rows.items() if key.startswith(start)]
                if not values:
                    continue
                cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            print(f"| {name} | {change} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
