"""How much chance is in the probabilities of hole lengths: the spread over orders, and that of two bounds' difference.

    python -m benchmarks.studies.sampling.hole_lengths runs/masked

For each sentence the words around the hole are scored in many orders (see ``unmask.sampling.lengths``). Beside it the
other way to the same number: the bound of the whole text less the bound of the filling given the rest.
"""

from __future__ import annotations

import argparse
import json
import sys

import torch

from unmask.api.writing import vocabulary_of
from unmask.data.batch import Batch
from unmask.sampling import SAMPLERS, Settings, generate
from unmask.sampling.infill import hole_requests, layouts, parse_holes
from unmask.sampling.lengths import around_nats, posterior
from unmask.training.run import Run

SENTENCES = (
    "Return the ____ of the file.",
    "If the ____ is not given, the default is used.",
    "Raise an error if the file ____ not exist, and return None otherwise.",
)
ORDERS, SEEDS, DRAWS = 32, 24, 16


@torch.no_grad()
def measure(run: Run, text: str) -> dict[str, object]:
    """Return the probabilities of 1 to 4 tokens, and how they and the log-odds spread."""
    model = run.model()
    vocabulary = vocabulary_of(run.tokenizer, model)
    asked = hole_requests(parse_holes(text), layouts(1, 1, 4), run.tokenizer, vocabulary, Settings())
    nats = around_nats(model, asked, vocabulary, orders=ORDERS, batch_size=32)
    spread = {}
    for count in (1, 4, 8):
        each = torch.tensor([posterior(nats[i : i + count]) for i in range(0, ORDERS, count)])
        spread[f"p, {count} orders"] = each.std(0).tolist()
    samples = generate(model, SAMPLERS.get("ancestral")(), [a.request for a in asked], vocabulary)
    size = max(len(s.tokens) for s in samples)
    tokens = torch.tensor([[*s.tokens, *[vocabulary.pad] * (size - len(s.tokens))] for s in samples])
    column = torch.arange(size)
    valid = column < torch.tensor([[len(s.tokens)] for s in samples])
    ((starts, ends),) = [torch.tensor([a.spans[0] for a in asked]).unbind(1)]
    hole = (column >= starts[:, None]) & (column < ends[:, None])
    batch = Batch(tokens, valid.long(), torch.zeros(len(asked), dtype=torch.int64), vocabulary.bos)
    bounds = []
    for seed in range(SEEDS):
        whole, part = (run.process.likelihood(model, batch, draws=DRAWS, seed=seed, scored=s) for s in (None, hole))
        bounds.append(whole.nats - part.nats)
    odds = {"one order": nats, f"two bounds, {DRAWS} draws": torch.stack(bounds)}
    spread |= {f"log-odds, {name}": (x - x.mean(1, keepdim=True)).std(0).tolist() for name, x in odds.items()}
    around = len(asked[0].request.tokens) - 2
    return {"text": text, "tokens around": around, "p": posterior(nats), "standard deviation": spread}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    run = Run.open(parser.parse_args().run)
    json.dump([measure(run, text) for text in SENTENCES], sys.stdout, indent=1)
