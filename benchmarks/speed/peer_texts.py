"""Sampling speed beside the packages of PyPI that write with masked diffusion: the same sizes, the same steps.

``python -m benchmarks.speed --only peer_texts --peers FOLDER --threads 1``, where FOLDER is what they were installed
into (README.md says how). Texts of 128 tokens, one or eight (telos-ml writes them one by one), fresh weights of
``stories-small`` as near as each allows; every rival is called as its own users call it, all in one process, in
interleaved turns, and processor time counts, so that other work on the machine hardly does. Ours is what ``unmask
sample`` runs, with ``precision: auto``, beside float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns
from benchmarks.lib.parts import network, small
from benchmarks.speed.peers import SKIPPED
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.state import State
from unmask.models.cost import parameter_count
from unmask.models.half import halved
from unmask.sampling import SAMPLERS, fill_request, generate
from unmask.training.precision import answers

TOKENS = 128
CASES = ((64, 1), (16, 1), (4, 8))
"""Steps, and texts at once."""
Writer = Callable[[int, int], Any]
"""Writes in so many steps so many texts."""
WAYS: dict[str, dict[str, Any]] = {"confidence": {"reveal": "linear"}, "ancestral": {}}


class Sizes:
    """What every rival writes with."""

    def __init__(self, quick: bool) -> None:
        self.recipe = small("masked", quick)
        own = self.recipe.backbone.model_extra or {}
        self.width, self.heads, self.layers = (
            own[name] for name in ("hidden_size", "num_attention_heads", "num_hidden_layers")
        )
        self.words = Vocabulary(size=self.recipe.data.vocab_size)
        self.tokens = 16 if quick else TOKENS
        self.network = network(self.recipe, self.tokens + 1).eval()


class Plain(torch.nn.Module):
    """Our network as a peer's loop calls one: ids in, logits of all positions out, in float32."""

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.own = own

    def forward(self, tokens: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits [B, T, V]."""
        state = State(tokens, "bidirectional", t=torch.ones(len(tokens)))
        logits: torch.Tensor = self.own(state).logits
        return logits.view(*tokens.shape, -1)


def telos(sizes: Sizes, penalty: float) -> tuple[Writer, int]:
    """Its own network and sampler."""
    model = import_module("telos.models.transformer").TelosTransformer(
        vocab_size=sizes.words.size,
        d_model=sizes.width,
        n_layers=sizes.layers,
        n_heads=sizes.heads,
        max_seq_len=sizes.tokens,
    )
    kind = import_module("telos.diffusion.sampler").MDLMSampler

    def write(steps: int, texts: int) -> Any:
        sampler = kind(model, sizes.words.mask, steps, repetition_penalty=penalty, schedule="linear")
        return [sampler.sample(sizes.tokens) for _ in range(texts)]

    return write, parameter_count(model)


def dllm_reason(sizes: Sizes) -> tuple[Writer, int]:
    """Its MDLM, and its loop in one block; four layers of its own are as many parameters as six of ours."""
    mdlm, loop = import_module("dllm_reason.models.mdlm").MDLM, import_module("dllm_reason.inference.sampler")
    rule = import_module("dllm_reason.scheduler.confidence_scheduler").ConfidenceScheduler()
    layers = max(1, round(sizes.layers * 2 / 3))
    model = mdlm(sizes.words.size, sizes.tokens, sizes.words.mask, sizes.width, layers, sizes.heads, dropout=0.0).eval()

    def write(steps: int, texts: int) -> Any:
        canvas = torch.full((texts, sizes.tokens), sizes.words.mask)
        config = loop.SamplingConfig(steps, sizes.tokens, temperature=1.0, show_progress=False)
        sampler = loop.DiffusionSampler(model, rule, config)
        return sampler.sample(canvas, torch.zeros_like(canvas, dtype=torch.bool), sizes.tokens)

    return write, parameter_count(model)


def dfastllm(sizes: Sizes) -> tuple[Writer, int]:
    """Its loop over our network, as it has none of its own; one block, nothing that stops early."""
    loop, model = import_module("dfastllm.engine.diffusion_sampler").diffusion_generate, Plain(sizes.network)
    sizes_of = {"gen_length": sizes.tokens, "block_length": sizes.tokens, "temperature": 1.0}

    def write(steps: int, texts: int) -> Any:
        prompt = torch.full((texts, 1), sizes.words.bos)
        return loop(model, prompt, steps=steps, mask_id=sizes.words.mask, **sizes_of)

    return write, parameter_count(sizes.network)


@dataclass(frozen=True)
class Peer:
    """A package that writes.

    Attributes:
        made: Returns what writes a text in so many steps, and the parameters.
        package: Its name on PyPI.
        module: What it is imported as.
        loop: What is called.
    """

    made: Callable[[Sizes], tuple[Writer, int]]
    package: str
    module: str
    loop: str


PEERS = {
    "telos-ml": Peer(lambda s: telos(s, 1.0), "telos-ml", "telos", "MDLMSampler without its repetition penalty"),
    "telos-ml, its defaults": Peer(lambda s: telos(s, 1.2), "telos-ml", "telos", "MDLMSampler, penalty 1.2"),
    "dllm-reason": Peer(dllm_reason, "dllm-reason", "dllm_reason", "DiffusionSampler, one block, temperature 1"),
    "dfastllm": Peer(dfastllm, "dfastllm", "dfastllm", "diffusion_generate over our network, temperature 1"),
}


def ours(sizes: Sizes, name: str, model: Any) -> Writer:
    """Return what writes a text with a sampler of ours."""

    def write(steps: int, texts: int) -> Any:
        settings = SAMPLERS.facts(name)(steps=steps, ignore_eos=True, **WAYS[name])
        requests = [fill_request([], sizes.tokens, sizes.words, settings, index=i) for i in range(texts)]
        return generate(model, SAMPLERS.get(name)(), requests, sizes.words, batch_size=texts)

    return write


def rate(sizes: Sizes, write: Writer, steps: int, texts: int) -> float:
    """Return the tokens that are written in a second of the processor."""
    began = time.process_time()
    write(steps, texts)
    return texts * sizes.tokens / (time.process_time() - began)


def run(options: Options) -> Result:
    """Measure ours and the peers that are there, turn by turn."""
    if options.peers is None:
        return Result("peer_texts", notes=[SKIPPED])
    sys.path.append(str(options.peers.resolve()))  # behind our own packages: one torch for all
    there = {name: peer for name, peer in PEERS.items() if (options.peers / peer.module).is_dir()}
    sizes = Sizes(options.quick)
    torch.manual_seed(0)
    auto = answers(sizes.recipe, sizes.tokens)
    chosen = halved(sizes.network) if auto.bf16 else sizes.network
    writers: dict[str, Writer] = {}
    for name in WAYS:
        writers[f"ours, {name}, auto ({auto})"] = ours(sizes, name, chosen)
        writers[f"ours, {name}, fp32"] = ours(sizes, name, sizes.network)
    parameters = dict.fromkeys(writers, parameter_count(sizes.network))
    for name, peer in there.items():
        writers[name], parameters[name] = peer.made(sizes)
    turns = options.turns(3)
    rows, goals, notes = [], [], [f"{name} is not in the folder: left out" for name in PEERS if name not in there]
    for steps, texts in CASES if not options.quick else ((4, 1), (4, 2)):
        case = f"{steps} steps, {texts} at once"
        say(f"peer_texts: {case}, {', '.join(writers)}")
        for write in writers.values():
            write(2, texts)
        found = take_turns({name: partial(rate, sizes, write, steps, texts) for name, write in writers.items()}, turns)
        rows += [Row(f"{name}, {case}", "tok/s", samples) for name, samples in found.items()]
        best = max(there, key=lambda name: sorted(found[name])[turns // 2], default=None)
        for name in WAYS if best else ():
            for half, least in ((f"auto ({auto})", 4.0), ("fp32", None)):
                told = f"{name}, {half}, {case}, against the best peer, {best}" + (", >= 4x" if least else "")
                goals.append(Goal(told, ratios(found[f"ours, {name}, {half}"], found[best]), least))
    table = [
        {
            "case": name,
            "version": version(there[name].package) if name in there else "this",
            "parameters": f"{parameters[name]:,}",
            "called": there[name].loop if name in there else "generate",
        }
        for name in writers
    ]
    settings = {
        "tokens": sizes.tokens,
        "threads": torch.get_num_threads(),
        "clock": "processor time",
        "auto": f"{auto}: {auto.why}",
    }
    return Result("peer_texts", settings, rows, goals, notes, {"what writes": table})
