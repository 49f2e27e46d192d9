"""What candidates cost: a training step and a sampling step of ``sparse`` beside ``masked``, of the same network.

Training draws the candidates from a second pass without gradients in ``candidate_rate`` of the rows. Sampling asks the
network once a step either way, but a sampler that carries candidates asks at all open positions, where ``ancestral``
alone asks only at those it decides.
"""

from __future__ import annotations

import torch

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from benchmarks.lib.parts import SyntheticBlocks, network, small
from benchmarks.speed.train_step import bare_step
from unmask.sampling import Ancestral, Confidence, Vocabulary, fill_request, generate
from unmask.training.combination import make_process

NAME = "sparse_cost"
COLD = ["process.causal_warmup=0"]
FULL = ["backbone.candidate_input=full"]


def run(options: Options) -> Result:
    """Measure training and sampling in turns."""
    torch.manual_seed(0)
    recipes = {
        "masked": small("masked", options.quick, [*COLD, "process.curriculum_start=null"]),
        "sparse, K = 4": small("sparse", options.quick, COLD),
        "sparse, K = 8": small("sparse", options.quick, [*COLD, "process.candidates=8"]),
        "sparse, K = 4, always given": small("sparse", options.quick, [*COLD, "process.candidate_rate=1"]),
    }
    if not options.quick:
        recipes["sparse, K = 4, full attention"] = small("sparse", False, [*COLD, *FULL])
    first = recipes["masked"]
    rows, length, vocabulary = first.training.per_device_train_batch_size, first.data.length, first.data.vocab_size
    blocks = SyntheticBlocks(64 * rows, length, vocabulary, 5 * length)
    count, turns = (2, options.turns(2)) if options.quick else (2, options.turns(7))
    steps = {
        name: bare_step(r, make_process(r, Vocabulary(size=vocabulary)), network(r), blocks, steps=turns * count)
        for name, r in recipes.items()
    }
    say(f"{NAME}: {len(steps)} loops, {turns} turns of {count} steps")
    for step in steps.values():
        timed(step)
    tokens = rows * (length - 1) * count
    trained = take_turns({name: lambda s=s: 1e6 * timed(s, count) / tokens for name, s in steps.items()}, turns)

    words = Vocabulary()
    models = {name: network(recipes[name]).eval() for name in ("masked", "sparse, K = 4")}
    samplers = {"ancestral": Ancestral(), "confidence": Confidence()}
    asked = Ancestral.Settings(steps=4 if options.quick else 32, ignore_eos=True)

    def write(model: torch.nn.Module, sampler: Ancestral | Confidence) -> float:
        requests = [fill_request([], length - 2, words, asked, index=i) for i in range(2 if options.quick else 8)]
        return 1e3 * timed(lambda: generate(model, sampler, requests, words)) / asked.steps

    cases = {f"{s}, {m}": (lambda m=m, s=s: write(models[m], samplers[s])) for s in samplers for m in models}
    say(f"{NAME}: sampling, {turns} turns")
    with torch.inference_mode():
        for case in cases.values():
            case()
        written = take_turns(cases, turns)
    return Result(
        NAME,
        {"rows": rows, "length": length, "sampling": f"8 texts, {asked.steps} steps", "recipe": "stories-small"},
        [
            *(Row(f"training a token, {name}", "us", found) for name, found in trained.items()),
            *(Row(f"sampling a step, {name}", "ms", found) for name, found in written.items()),
        ],
        [
            Goal(
                "training a token against masked, pooled K = 4, <= 1.5x",
                ratios(trained["sparse, K = 4"], trained["masked"]),
                most=1.5,
            ),
            *(
                Goal(f"training a token against masked, {name}", ratios(found, trained["masked"]))
                for name, found in trained.items()
                if name not in ("masked", "sparse, K = 4")
            ),
            *(
                Goal(
                    f"sampling a step against masked, {s}, <= 1.1x",
                    ratios(written[f"{s}, sparse, K = 4"], written[f"{s}, masked"]),
                    most=1.1,
                )
                for s in samplers
            ),
        ],
    )
