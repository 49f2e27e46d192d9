"""The plan of a training, made once from its recipe and passed down: process, network and what they cost.

It is known before any data is read; where the tokenizer turns out another vocabulary, the plan is made for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.process import Process
from unmask.errors import Error
from unmask.lines import counted, line
from unmask.models.backbones import BACKBONES
from unmask.models.config import NetworkConfig
from unmask.models.cost import HEAP, parameter_count, training_memory, without_memory
from unmask.models.network import Denoiser
from unmask.models.thought_cost import beside
from unmask.training.arguments import first_line, trainer_arguments
from unmask.training.combination import BYTES, make_process
from unmask.training.epochs import with_steps
from unmask.training.network import draw_network, network_config
from unmask.training.recipe import Recipe
from unmask.training.warm_start import WarmStart


@dataclass(frozen=True)
class Plan:
    """What a recipe trains, and what that will cost.

    Attributes:
        recipe: The resolved recipe.
        process: Its process.
        config: The configuration of its network.
        parameters: Trainable parameters, tied ones once.
        training_flops_per_token: Forward and backward (three forwards), logits at asked positions only.
        tokens_per_step: Tokens of a step on one device, padding and BOS included.
        tokens: Those of the whole run; ``None``: it says epochs, which are counted once the data is read.
        memory_bytes: Estimated peak memory of the training steps on one device, see
            :func:`unmask.models.cost.training_memory`.
        vocab_size: Token ids; an upper bound where a tokenizer is trained later.
        start: The run whose weights it begins with; ``None``: it draws its own.
    """

    recipe: Recipe
    process: Process = field(compare=False)
    config: NetworkConfig = field(compare=False)
    parameters: int
    training_flops_per_token: float
    tokens_per_step: int
    tokens: int | None
    memory_bytes: int
    vocab_size: int
    start: WarmStart | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        whole = "" if self.tokens is None else counted(self.tokens, "token")
        memory = f"{self.memory_bytes / 2**20:,.0f} MiB of memory"
        return line("Plan", self.recipe.name, counted(self.parameters, "parameter"), whole, memory)

    @property
    def training_flops(self) -> float | None:
        """Those of the whole run, if its length is known."""
        return None if self.tokens is None else self.training_flops_per_token * self.tokens

    def network(self) -> Denoiser:
        """Return the network with its first weights: at each call another one with the same weights."""
        network = draw_network(self.recipe, self.config)
        if self.start is not None:
            self.start.fill(network)
        return network

    def for_words(self, words: Vocabulary) -> Plan:
        """Return the plan for the vocabulary that the recipe's tokenizer turned out to have."""
        if words.size != self.vocab_size:
            return plan(self.recipe, words, self.start)
        return replace(self, process=make_process(self.recipe, words))

    def lasting(self, steps: int) -> Plan:
        """Return the plan of as many steps, whatever the recipe says.

        Raises:
            Error: a schedule of the learning rate that cannot be so long.
        """
        recipe = with_steps(self.recipe, steps)
        trainer_arguments(recipe, Path("runs"))
        return replace(self, recipe=recipe, tokens=steps * self.tokens_per_step)


def plan(recipe: Recipe, words: Vocabulary | None = None, start: WarmStart | None = None) -> Plan:
    """Work out what a recipe trains and what it costs, without data (the network is built without memory).

    Args:
        recipe: The recipe.
        words: The vocabulary, once it is known.
        start: The run whose weights it begins with, see :func:`unmask.training.warm_start.warm_start`.

    Raises:
        Error: a network, process or training section that cannot be.
    """
    words = words or Vocabulary(size=BYTES if recipe.data.tokenizer == "bytes" else recipe.data.vocab_size)
    arguments = trainer_arguments(recipe, Path("runs"))  # refuses what the Trainer would refuse
    process = make_process(recipe, words)
    try:
        config = network_config(recipe, words.size)
        model = without_memory(BACKBONES.get(recipe.backbone.name).model, config)
    except RuntimeError as error:
        raise Error(f"the network cannot be built ({first_line(error)}); lower the sizes in backbone.") from error
    process.check(config)
    training = recipe.training
    length = recipe.data.length if recipe.thought is None else recipe.thought.passage + 1
    copies = getattr(process, "copies", 1)
    kept = model.kept(length) * (copies + beside(config)[1] / length)
    extra = training.model_extra or {}
    if extra.get("gradient_checkpointing") or extra.get("activation_checkpointing"):
        # inputs of the blocks, and one block at a time
        layers = config.num_hidden_layers
        kept = kept / layers + layers * config.hidden_size * (copies + beside(config)[1] / length)
    vectors = 1
    passes = 1.0
    if recipe.distill is not None:
        vectors = recipe.distill.vectors if config.random_mask else 1
        passes = vectors + 2 / 3  # a step is three forward passes, and the teacher takes two
        kept *= vectors
    rows = training.per_device_train_batch_size
    parameters = parameter_count(model)
    return Plan(
        recipe=recipe,
        process=process,
        config=config,
        parameters=parameters,
        training_flops_per_token=process.training_flops(lambda asked: model.flops(length, asked)) * passes,
        tokens_per_step=(step := rows * training.gradient_accumulation_steps * recipe.data.length),
        tokens=training.max_steps * step if training.epochs is None else None,
        memory_bytes=training_memory(
            parameters,
            kept,
            words.size,
            rows,
            recipe.data.length,
            process.most_asked,
            ema=training.ema is not None,
            heap=HEAP if arguments.use_cpu else 1.0,
        ),
        vocab_size=words.size,
        start=start,
    )
