"""Ways to write on when the context is full: bits per byte of held-out text at 1, 2, 4 and 8 times the context.

    python -m benchmarks.studies.sampling.beyond runs/causal --source stories-en.valid.jsonl.gz --masked runs/masked

The sampler runs as it does when it writes, with each word replaced by the text's own: what is scored is what it would
have drawn from. ``overlap`` 0 is the control that forgets all each time; ``slide`` reads the whole context again for
every word, so that each sees all but one place of it. Several runs are averaged.

A masked run writes with several overlaps, and the first causal run, of the same tokenizer, judges: bits per byte of
what stands beyond the context, sliding; beside it the entropy of its words, for a text that repeats itself is easy to
predict. Results go to ``benchmarks/results/beyond.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.lib.places import RESULTS
from benchmarks.lib.told import table
from unmask.api.writing import vocabulary_of
from unmask.data.corpus import documents, load_corpus
from unmask.diffusion.state import Prediction, State
from unmask.sampling import SAMPLERS, fill_request, generate
from unmask.sampling.settings import AncestralSettings, AutoregressiveSettings
from unmask.training.run import Run

RESULT = RESULTS / "beyond.json"
FAR = 8
"""Contexts that a text is long."""


def ways(context: int) -> dict[str, dict[str, Any]]:
    """Return what is compared: settings by name."""
    eighth = 1 - 1 / 8
    return {
        "reread, overlap 0": {"overlap": 0.0},
        "reread, overlap 0.25": {"overlap": 0.25},
        "reread, overlap 0.5": {"overlap": 0.5},
        "reread, overlap 0.75": {"overlap": 0.75},
        "slide": {"overlap": 1 - 2 / context},
        "sinks, overlap 0.5": {"beyond": "sinks", "overlap": 0.5},
        "sinks, overlap 0.75": {"beyond": "sinks", "overlap": 0.75},
        "sinks, overlap 0.875": {"beyond": "sinks", "overlap": eighth},
        "stretch": {"beyond": "stretch"},
    }


class Forced:
    """A network that answers with the next word of known texts, and keeps what it would have said.

    Args:
        model: The network.
        texts: Ids, BOS first.
    """

    def __init__(self, model: Any, texts: Tensor) -> None:
        self.model, self.config, self.parameters = model, model.config, model.parameters
        self.new_cache, self.rolled = model.new_cache, model.rolled
        self.texts, self.nats = texts, list[Tensor]()

    def __call__(self, state: State, cache: Any) -> Prediction:
        """Answer the k-th call with the k-th word."""
        answer = self.model(state, cache=cache)
        word = self.texts[:, len(self.nats) + 1]
        self.nats.append(-answer.logits.double().log_softmax(-1).gather(1, word[:, None])[:, 0])
        only = torch.full_like(answer.logits, -1e4).scatter(1, word[:, None], 1e4)
        return Prediction(only, cache=answer.cache)


def measure(run: Run, texts: list[list[int]], given: dict[str, Any]) -> tuple[Float[Tensor, "B N"], float]:
    """Return the nats of each word of each text, and words a second of one text alone."""
    model, vocabulary = run.model(), vocabulary_of(run.tokenizer, run.model())
    settings = AutoregressiveSettings(ignore_eos=True, **given)
    forced = Forced(model, torch.tensor(texts))
    asked = fill_request([], len(texts[0]) - 1, vocabulary, settings)
    sampler = SAMPLERS.get("autoregressive")()
    found = generate(forced, sampler, [asked] * len(texts), vocabulary, batch_size=len(texts))
    assert all(list(one.tokens) == text for one, text in zip(found, texts, strict=True))
    began = time.perf_counter()
    generate(model, sampler, [asked], vocabulary)
    return torch.stack(forced.nats, 1), (len(texts[0]) - 1) / (time.perf_counter() - began)


def judged(masked: Run, judge: Run, overlap: float, texts: int) -> dict[str, float]:
    """Return what a causal run says of the texts that a masked one writes, four contexts long."""
    model, context = masked.model(), int(masked.model().config.max_position_embeddings)
    if masked.tokenizer.fingerprint != judge.tokenizer.fingerprint:
        raise SystemExit("the masked run and the first causal one have other tokenizers")
    vocabulary = vocabulary_of(masked.tokenizer, model)
    settings = AncestralSettings(ignore_eos=True, overlap=overlap, steps=context)
    asked = [fill_request([], 4 * context - 1, vocabulary, settings, index=i) for i in range(texts)]
    written = generate(model, SAMPLERS.get("ancestral")(), asked, vocabulary, batch_size=texts)
    tokens = [list(one.tokens) for one in written]
    nats, _ = measure(judge, tokens, {"overlap": 1 - 2 / context})
    size = sum(len(masked.tokenizer.decode_bytes(text[context:])) for text in tokens)
    counts = torch.tensor([text[context:] for text in tokens]).flatten().bincount().double()
    share = counts[counts > 0] / counts.sum()
    return {
        "judge, beyond the context": float(nats[:, context - 1 :].sum() / math.log(2) / size),
        "bits of a word": float(-(share * share.log2()).sum()),
        "calls": sum(one.forwards for one in written) / texts,
    }


def bands(context: int) -> dict[str, tuple[int, int]]:
    """Return the places of the columns, as multiples of the context."""
    edges = [2**n for n in range(int(math.log2(FAR)) + 1)]
    spans = {f"{a}x to {b}x": (a * context - 1, b * context - 1) for a, b in zip(edges, edges[1:], strict=False)}
    return {"up to 1x": (0, context - 1), **spans}


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--source", required=True)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--masked")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, list[dict[str, float]]] = {}
    for path in asked.run:
        run = Run.open(path)
        context = int(run.model().config.max_position_embeddings)
        held = documents(load_corpus(asked.source, valid_fraction=0.0, judge_fraction=0.0).split("train"))
        texts = []
        for text in held:
            ids = [run.tokenizer.bos_id, *run.tokenizer.encode(text)]
            if len(ids) >= FAR * context and len(texts) < asked.documents:
                texts.append(ids[: FAR * context])
        size = torch.tensor([[len(run.tokenizer.decode_bytes([token])) for token in text[1:]] for text in texts])
        for name, given in ways(context).items():
            nats, speed = measure(run, texts, given)
            row = {
                band: float(nats[:, a:b].sum() / math.log(2) / size[:, a:b].sum())
                for band, (a, b) in bands(context).items()
            }
            rows.setdefault(name, []).append(row | {"words a second": speed})
            print(path, name, {key: round(value, 4) for key, value in rows[name][-1].items()}, flush=True)
    mean = [
        {"way": name, **{key: sum(one[key] for one in each) / len(each) for key in each[0]}}
        for name, each in rows.items()
    ]
    print("\n".join(table(mean)))
    stored: dict[str, Any] = {"runs": [Path(path).name for path in asked.run], "documents": len(texts)}
    stored["context"] = context
    if asked.masked is not None:
        first, masked = Run.open(asked.run[0]), Run.open(asked.masked)
        stored["masked"] = [
            {"overlap": overlap, **judged(masked, first, overlap, asked.documents)}
            for overlap in (0.0, 0.25, 0.5, 0.75)
        ]
        print("\n".join(table(stored["masked"])))
    RESULT.write_text(json.dumps({**stored, "each": rows, "mean": mean}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
