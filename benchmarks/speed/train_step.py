"""Training speed: our process and network in a bare loop, against a plain PyTorch loop that computes all logits.

Sizes are the ``stories-small`` recipes' (5.6 M parameters, V 4096, T 128, batch 16). Both loops have the same
optimiser, clip gradients, fetch their tokens, and count T - 1 tokens a row. Each runs in float32 and under bf16
autocast, turn by turn.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns, timed
from benchmarks.lib.parts import BOS, SyntheticBlocks, network, small
from benchmarks.lib.plain import PlainTransformer, Style, causal_loss, masked_loss
from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.process import Process
from unmask.models.cost import parameter_count
from unmask.training.combination import make_process
from unmask.training.precision import precision
from unmask.training.recipe import Recipe

MASK = 3
PLAIN_MASKED = ["process.curriculum_start=null", "process.causal_warmup=0"]  # as the rival: t uniform from start to end


def bare_step(
    recipe: Recipe, process: Process, model: nn.Module, blocks: SyntheticBlocks, steps: int
) -> Callable[[], None]:
    """Return a function that takes one training step; progress goes from 0 to 1 in ``steps`` steps and again."""
    rows = recipe.training.per_device_train_batch_size
    optimiser = _adamw(recipe, model)
    context = _autocast(recipe)
    place = 0

    def step() -> None:
        nonlocal place
        order = torch.arange(place * rows, (place + 1) * rows)
        tokens, segments = blocks.rows((order % len(blocks)).tolist())
        progress = (place % steps + 0.5) / steps
        place += 1
        with context():
            loss = process.loss(model, Batch(tokens, segments, order, BOS), recipe.seed, progress)["loss"]
        _update(model, optimiser, loss, recipe)

    return step


def plain_step(recipe: Recipe, model: PlainTransformer, blocks: SyntheticBlocks, masked: bool) -> Callable[[], None]:
    """Return a function that takes one step of the plain loop."""
    rows = recipe.training.per_device_train_batch_size
    optimiser = _adamw(recipe, model)
    context = _autocast(recipe)

    def step() -> None:
        tokens = blocks.tokens_array[torch.randint(len(blocks), (rows,))]
        with context():
            loss = masked_loss(model, tokens, MASK) if masked else causal_loss(model, tokens)
        _update(model, optimiser, loss, recipe)

    return step


def _adamw(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    training = recipe.training
    betas = (0.9, training.adam_beta2)
    return torch.optim.AdamW(
        model.parameters(), training.learning_rate, betas, weight_decay=training.weight_decay, fused=True
    )


def _autocast(recipe: Recipe) -> Callable[[], AbstractContextManager[None]]:
    half = precision(recipe).bf16
    return lambda: torch.autocast("cpu", torch.bfloat16, enabled=half)


def _update(model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, recipe: Recipe) -> None:
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.training.max_grad_norm)
    optimiser.step()
    optimiser.zero_grad()


def plain_network(recipe: Recipe, style: Style) -> PlainTransformer:
    """Return a plain network of a recipe's sizes, with as many parameters as ours."""
    sizes = recipe.backbone.model_extra or {}
    inner = sizes["intermediate_size"]
    return PlainTransformer(
        style,
        recipe.data.vocab_size,
        recipe.data.length,
        sizes["hidden_size"],
        sizes["num_hidden_layers"],
        sizes["num_attention_heads"],
        3 * inner // 2 if style == "gpt" else inner,  # SwiGLU has three matrices where a GELU MLP has two
    )


def loops(options: Options, half: str, turns: int, count: int) -> dict[str, Callable[[], None]]:
    """Return all loops in a precision (``fp32`` or ``bf16``), by name without it."""
    given = [f"training.precision={half}"]
    masked = small("masked", options.quick, [*PLAIN_MASKED, *given])
    causal, whole = small("causal", options.quick, given), small("masked", options.quick, given)
    length, vocabulary = masked.data.length, masked.data.vocab_size
    rows = masked.training.per_device_train_batch_size
    one = SyntheticBlocks(64 * rows, length, vocabulary, None)
    packed = SyntheticBlocks(64 * rows, length, vocabulary, 5 * length)

    def ours(recipe: Recipe, blocks: SyntheticBlocks) -> Callable[[], None]:
        return bare_step(
            recipe, make_process(recipe, Vocabulary(size=vocabulary)), network(recipe), blocks, steps=turns * count
        )

    def plain(recipe: Recipe, style: Style, masked: bool) -> Callable[[], None]:
        return plain_step(recipe, plain_network(recipe, style), one, masked)

    return {
        "masked, plain loop, GPT style": plain(masked, "gpt", True),
        "masked, plain loop, our layers": plain(masked, "llama", True),
        "masked, ours": ours(masked, one),
        "masked, ours, documents packed and kept apart": ours(masked, packed),
        "masked, ours, warm start and curriculum of the recipe, whole run": ours(whole, packed),
        "causal, plain loop, GPT style": plain(causal, "gpt", False),
        "causal, plain loop, our layers": plain(causal, "llama", False),
        "causal, ours": ours(causal, one),
        "causal, ours, documents packed and kept apart": ours(causal, packed),
    }


def run(options: Options) -> Result:
    """Measure all loops side by side."""
    torch.manual_seed(0)
    recipe = small("masked", options.quick)
    count, turns = (2, options.turns(2)) if options.quick else (3, options.turns(7))
    steps = {
        f"{name}, {half}": step
        for half in ("fp32", "bf16")
        for name, step in loops(options, half, turns, count).items()
    }
    say(f"train_step: {len(steps)} loops, {turns} turns of {count} steps")
    for step in steps.values():
        timed(step, 1 if options.quick else 2)  # warm up
    tokens = recipe.training.per_device_train_batch_size * (recipe.data.length - 1) * count
    found = take_turns({name: lambda step=step: tokens / timed(step, count) for name, step in steps.items()}, turns)

    def goal(promise: str, ours: str, rival: str, least: float | None = None) -> Goal:
        return Goal(promise, ratios(found[ours], found[rival]), least)

    layers = "masked training against the plain loop that computes all logits of the same layers, >= 1.2x"
    packed = "with packed documents kept apart, which the plain loops do not do, against the same layers"
    style = "masked training against the plain loop in GPT style, >= 1.2x"
    kinds = {
        layers: ("masked, ours", "masked, plain loop, our layers", 1.2),
        style: ("masked, ours", "masked, plain loop, GPT style", 1.2),
        packed: ("masked, ours, documents packed and kept apart", "masked, plain loop, our layers", None),
        "causal training against the same layers": ("causal, ours", "causal, plain loop, our layers", None),
        "causal training against GPT style": ("causal, ours", "causal, plain loop, GPT style", None),
    }
    goals = [
        goal(f"{promise}{told}", f"{ours}, {half}", f"{rival}, {half}", least)
        for half, told in (("fp32", ""), ("bf16", ", both in bf16"))
        for promise, (ours, rival, least) in kinds.items()
    ]
    for kind in ("masked", "causal"):
        for case in (f"{kind}, ours", f"{kind}, plain loop, our layers"):
            goals.append(goal(f"bf16 against float32: {case}", f"{case}, bf16", f"{case}, fp32"))
    settings = {
        "recipe": "stories-small sizes" + (", cut down (quick)" if options.quick else ""),
        "parameters": {
            "ours": parameter_count(network(recipe)),
            "plain, our layers": parameter_count(plain_network(recipe, "llama")),
            "plain, GPT style": parameter_count(plain_network(recipe, "gpt")),
        },
        "vocabulary": recipe.data.vocab_size,
        "length": recipe.data.length,
        "batch": recipe.training.per_device_train_batch_size,
        "auto": str(precision(recipe)),
        "steps_a_turn": count,
    }
    return Result("train_step", settings, [Row(name, "tok/s", samples) for name, samples in found.items()], goals)
