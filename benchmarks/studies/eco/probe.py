"""Does memory carry what a convolution cannot reach? Facts at the start of a text, asked for behind a long filler.

    python -m benchmarks.studies.eco.probe

A text is BOS, pairs (name, colour), and then again and again a filler and a name, to be followed by its colour. Every
answer is farther from its fact, and from other answers, than all convolutions together reach, and colours are drawn
anew for every text, so a network that knows one has carried it. Trained with process ``masked``, eco (no windows) and
a transformer of as many parameters; asked with all answers hidden and everything else to be seen. Then the same eco
network is asked again with its slots zeroed, and with those of another text. One more is trained with its slots zeroed
throughout: the convolutions alone. With two facts or more, knowing the colours without knowing whose they are gives
1 / facts + (1 - 1 / facts) / colours.

Embeddings are untied and begin larger than in a language model: with 20 words they are most of the network. The
curriculum (few tokens hidden at first) is what gets both networks off the plateau of chance.

Results go to ``benchmarks/results/eco_probe.json``; seeds that are already there are not run again.

Letters: B batch, T tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from benchmarks.lib.learn import learn
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.studies.eco.slot_use import changed_slots, of_another_text, zeroed
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.state import State
from unmask.models.cost import parameter_count
from unmask.models.registry import BACKBONES
from unmask.training.match import matched_width

RESULT = RESULTS / "eco_probe.json"
BOS, MASK, FIRST = 1, 3, 4


@dataclass(frozen=True)
class Probe:
    """A kind of text.

    Attributes:
        facts: Pairs of name and colour at its start.
        questions: Names that are asked for, one by one, each behind a filler.
        filler: Words between two of them.
        names: Names that there are.
        colours: Colours that there are: chance is 1 / colours.
        sentences: Filler sentences that there are, each of words of its own.
        words: Words of a filler sentence.
    """

    facts: int = 1
    questions: int = 6
    filler: int = 12
    names: int = 4
    colours: int = 8
    sentences: int = 1
    words: int = 7

    @property
    def vocab_size(self) -> int:
        """Token ids."""
        return FIRST + self.names + self.colours + self.sentences * self.words

    @property
    def length(self) -> int:
        """Tokens of a text (T)."""
        return 1 + 2 * self.facts + self.questions * (self.filler + 2)

    @property
    def distance(self) -> int:
        """Places from a colour to where the next one is predicted (at the name before it), at least."""
        return self.filler + 1

    def texts(self, rows: int, draw: torch.Generator) -> Int[Tensor, "B T"]:
        """Return texts."""
        names = FIRST + torch.rand(rows, self.names, generator=draw).argsort(-1)[:, : self.facts]
        colours = FIRST + self.names + torch.randint(self.colours, (rows, self.facts), generator=draw)
        facts = torch.stack([names, colours], 2)
        asked = torch.randint(self.facts, (rows, self.questions, 1), generator=draw).expand(-1, -1, 2)
        questions = facts.gather(1, asked)
        each = -(-self.filler // self.words)
        sentences = torch.randint(self.sentences, (rows, self.questions, each, 1), generator=draw)
        filler = FIRST + self.names + self.colours + sentences * self.words + torch.arange(self.words)
        body = torch.cat([filler.flatten(2)[:, :, : self.filler], questions], 2)
        return torch.cat([torch.full((rows, 1), BOS), facts.flatten(1), body.flatten(1)], 1)

    def answers(self, tokens: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        """Return where the answers stand."""
        at = torch.zeros_like(tokens, dtype=torch.bool)
        at[:, 2 * self.facts + self.filler + 2 :: self.filler + 2] = True
        return at


def trained(model: Any, probe: Probe, seed: int, steps: int, batch: int = 32, rate: float = 2e-3) -> None:
    """Train a network on fresh texts of a probe with process ``masked``."""
    process = Masked(MaskedOptions(curriculum_start=0.3), Vocabulary())
    draw = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        tokens = probe.texts(batch, draw)
        order = torch.arange(step * batch, (step + 1) * batch)
        found: Tensor = process.loss(model, Batch(tokens, torch.ones_like(tokens), order, BOS), seed, step / steps)[
            "loss"
        ]
        return found

    learn(model, loss, steps, rate)


@torch.inference_mode()
def accuracy(model: Any, probe: Probe, texts: int = 512, seed: int = 10_000) -> float:
    """Return the share of answers that the network's likeliest token is, all else being seen."""
    tokens = probe.texts(texts, torch.Generator().manual_seed(seed))
    at = probe.answers(tokens)
    t = at.sum(1) / (tokens.shape[1] - 1)
    best = model(State(tokens.masked_fill(at, MASK), t=t), at=at).logits.argmax(-1)
    return float((best == tokens[at]).float().mean())


def network(name: str, probe: Probe, seed: int, **sizes: Any) -> Any:
    """Return an untrained network with as many parameters as the transformer of these sizes."""
    given = {
        "vocab_size": probe.vocab_size,
        "max_position_embeddings": probe.length,
        "time_input": True,
        "tie_word_embeddings": False,
        "initializer_range": 0.1,
        **{"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, **sizes},
    }
    if name != "transformer":
        inner = given.pop("intermediate_size")
        given["intermediate_size"] = matched_width(name, given, {"name": "transformer", "intermediate_size": inner})
    torch.manual_seed(seed)
    backbone = BACKBONES.get(name)
    return backbone.model(backbone.config(**given))


def asked(probe: Probe, seed: int, steps: int, **sizes: Any) -> dict[str, float]:
    """Return the accuracy of all rivals, by name, for one seed."""
    eco = network("eco", probe, seed, **sizes)
    reach = eco.config.num_hidden_layers * (eco.config.conv_kernel // 2)
    if probe.distance <= reach + 1:
        raise ValueError(f"the convolutions reach {reach} places and the fact is {probe.distance} away")
    found = {}
    trained(eco, probe, seed, steps)
    for name, change in {"eco": None, "slots zeroed": zeroed, "slots of another text": of_another_text}.items():
        with nullcontext() if change is None else changed_slots(eco, change):
            found[name] = accuracy(eco, probe)
    alone = network("eco", probe, seed, **sizes)
    with changed_slots(alone, zeroed):
        trained(alone, probe, seed, steps)
        found["trained without slots"] = accuracy(alone, probe)
    rival = network("transformer", probe, seed, **sizes)
    trained(rival, probe, seed, steps)
    found["transformer"] = accuracy(rival, probe)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the seeds, print and store the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--facts", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    stored = json.loads(given.results.read_text()) if given.results.is_file() else {"rows": {}, "settings": {}}
    rows, settings = stored["rows"], stored["settings"]
    for facts in given.facts:
        probe = Probe(facts=facts)
        eco, rival = (network(name, probe, 0) for name in ("eco", "transformer"))
        settings[f"{facts} facts"] = {
            "T": probe.length,
            "distance": probe.distance,
            "convolutions reach": eco.config.num_hidden_layers * (eco.config.conv_kernel // 2),
            "chance": 1 / probe.colours,
            "parameters": {"eco": parameter_count(eco), "transformer": parameter_count(rival)},
        }
        for seed in range(given.seeds):
            if f"eco, {facts} facts | seed {seed} | {given.steps} steps" in rows:
                continue
            began = time.perf_counter()
            for name, value in asked(probe, seed, given.steps).items():
                rows[f"{name}, {facts} facts | seed {seed} | {given.steps} steps"] = {"accuracy": value}
            print(f"{facts} facts, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
            store(given.results, {**stamp(f"python -m {__spec__.name}"), "settings": settings, "rows": rows})
    print(
        "| | " + " | ".join(f"{facts} facts" for facts in given.facts) + " |\n" + "|---" * (1 + len(given.facts)) + "|"
    )
    for name in ("eco", "slots zeroed", "slots of another text", "trained without slots", "transformer"):
        cells = []
        for facts in given.facts:
            ending = f"| {given.steps} steps"
            found = {key: row["accuracy"] for key, row in rows.items() if key.endswith(ending)}
            values = [value for key, value in found.items() if key.startswith(f"{name}, {facts} facts | ")]
            cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
