"""What a recipe builds and what it will cost, known before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import set_seed

from unmask.data.vocabulary import Vocabulary
from unmask.errors import Error
from unmask.lines import counted, line
from unmask.models.backbones import BACKBONES
from unmask.models.cost import HEAP, parameter_count, training_memory
from unmask.models.network import Denoiser
from unmask.models.thought_cost import beside
from unmask.training.arguments import first_line, trainer_arguments
from unmask.training.combination import BYTES, check_length, network_keys
from unmask.training.match import matched_width
from unmask.training.recipe import Recipe
from unmask.training.run import make_process


@dataclass(frozen=True)
class Plan:
    """What a recipe will cost, known before training.

    Attributes:
        recipe: The resolved recipe.
        parameters: Trainable parameters, tied ones once.
        training_flops_per_token: Forward and backward (three forwards), logits at asked positions only.
        tokens_per_step: Tokens of a step on one device, padding and BOS included.
        tokens: Those of the whole run; ``None``: it says epochs, which are counted once the data is read.
        memory_bytes: Estimated peak memory of the training steps on one device, see
            :func:`unmask.models.cost.training_memory`.
        vocab_size: Token ids; an upper bound where a tokenizer is trained later.
    """

    recipe: Recipe
    parameters: int
    training_flops_per_token: float
    tokens_per_step: int
    tokens: int | None
    memory_bytes: int
    vocab_size: int

    def __repr__(self) -> str:
        whole = "" if self.tokens is None else counted(self.tokens, "token")
        memory = f"{self.memory_bytes / 2**20:,.0f} MiB of memory"
        return line("Plan", self.recipe.name, counted(self.parameters, "parameter"), whole, memory)

    @property
    def training_flops(self) -> float | None:
        """Those of the whole run, if its length is known."""
        return None if self.tokens is None else self.training_flops_per_token * self.tokens


def make_model(recipe: Recipe, vocab_size: int) -> Denoiser:
    """Build the recipe's network with fresh weights drawn from the recipe's seed."""
    backbone = BACKBONES.get(recipe.backbone.name)
    sizes = network_keys(recipe)
    if recipe.backbone.match is not None:
        given = {"vocab_size": vocab_size, **sizes}
        sizes["intermediate_size"] = matched_width(recipe.backbone.name, given, recipe.backbone.match)
    config = backbone.config(vocab_size=vocab_size, **sizes)
    check_length(recipe, config)
    set_seed(recipe.seed)
    return backbone.model(config)


def plan(recipe: Recipe, vocab_size: int | None = None) -> Plan:
    """Work out a recipe's cost without data (the network is built without memory)."""
    size = vocab_size or (BYTES if recipe.data.tokenizer == "bytes" else recipe.data.vocab_size)
    arguments = trainer_arguments(recipe, Path("runs"))  # refuses what the Trainer would refuse
    BACKBONES.get(recipe.backbone.name).model  # noqa: B018  imported here, or its constants would have no memory either
    try:
        with torch.device("meta"):
            model = make_model(recipe, size)
    except RuntimeError as error:
        raise Error(f"the network cannot be built ({first_line(error)}); lower the sizes in backbone.") from error
    process = make_process(recipe, Vocabulary(size=size))
    process.check(model.config)
    training = recipe.training
    length = recipe.data.length if recipe.thought is None else recipe.thought.passage + 1
    kept = model.kept(length) * (1 + beside(model.config)[1] / length)
    extra = training.model_extra or {}
    if extra.get("gradient_checkpointing") or extra.get("activation_checkpointing"):
        # inputs of the blocks, and one block at a time
        layers = model.config.num_hidden_layers
        kept = kept / layers + layers * model.config.hidden_size * (1 + beside(model.config)[1] / length)
    rows = training.per_device_train_batch_size
    parameters = parameter_count(model)
    return Plan(
        recipe=recipe,
        parameters=parameters,
        training_flops_per_token=process.training_flops(lambda asked: model.flops(length, asked)),
        tokens_per_step=(step := rows * training.gradient_accumulation_steps * recipe.data.length),
        tokens=training.max_steps * step if training.epochs is None else None,
        memory_bytes=training_memory(
            parameters,
            kept,
            size,
            rows,
            recipe.data.length,
            process.most_asked,
            ema=training.ema is not None,
            heap=HEAP if arguments.use_cpu else 1.0,
        ),
        vocab_size=size,
    )
