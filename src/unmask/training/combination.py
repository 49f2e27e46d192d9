"""What the sections of a recipe make together: the network's options, the process, and whether these go together.

All but the process is known from options alone, before torch is imported or data is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unmask.diffusion.options import check_evidence
from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.models.backbones import BACKBONES
from unmask.sampling.registry import SAMPLERS, check_drives
from unmask.training.options import backbone_kinds

if TYPE_CHECKING:
    from unmask.data.vocabulary import Vocabulary
    from unmask.diffusion.process import Process
    from unmask.training.recipe import Recipe

EMBEDDING = 256
"""Width of an index's vectors unless the recipe says so: that of the default embedder."""
BYTES = 260
"""Token ids of the tokenizer ``bytes``."""
CHAT = ("causal", "masked", "block")
"""Processes that learn the responses of talks."""


def network_keys(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the recipe's network, those that other sections ask for included, all but vocab_size."""
    known = backbone_kinds(recipe.backbone.name)
    asked = {key: value for key, value in recipe.process_options().network().items() if key in known}
    keys = {"max_position_embeddings": recipe.data.length, **asked, **(recipe.backbone.model_extra or {})}
    if recipe.thought is not None:
        keys["thought"] = recipe.thought.model_dump(mode="json")
    if recipe.evidence is not None:
        keys.setdefault("memory_width", EMBEDDING)
    return keys


def make_process(recipe: Recipe, words: Vocabulary) -> Process:
    """Return the process that a recipe names, with its thoughts and its evidence."""
    from unmask.diffusion.with_evidence import Evident
    from unmask.diffusion.with_thoughts import Thinking

    process: Process = PROCESSES.get(recipe.process.name)(recipe.process_options(), words)
    if recipe.evidence is not None:
        process = Evident(process, recipe.evidence.dropout)
    return process if recipe.thought is None else Thinking(process, recipe.thought)


def check_sampler(recipe: Recipe) -> None:
    """Raise Error if the sampler that a recipe names cannot write with its process's networks."""
    if recipe.sampler.name:
        check_drives(SAMPLERS.facts(recipe.sampler.name), PROCESSES.facts(recipe.process.name))


def check_combination(recipe: Recipe) -> None:
    """Raise Error if the recipe's network cannot be built, or cannot learn its process with its thought and evidence.

    The vocabulary of a tokenizer that is somewhere else is not known yet; what depends on it is checked when it is.
    """
    size = recipe.data.vocab_size if recipe.data.tokenizer == "bpe" else BYTES
    config = BACKBONES.get(recipe.backbone.name).keys(vocab_size=size, **network_keys(recipe))
    if config.max_position_embeddings < recipe.data.length:
        raise Error(
            f"backbone.max_position_embeddings {config.max_position_embeddings} is below data.length "
            f"{recipe.data.length}; raise it or shorten the blocks."
        )
    process = recipe.process_options()
    process.check(config)
    for key in ("random_mask", "random_mask_words"):
        if (here := getattr(config, key)) != (own := getattr(process, key, 0)):
            raise Error(f"backbone.{key} is {here} and process.{key} {own}; leave the first out.")
    if recipe.evidence is not None:
        check_evidence(process, process, config)
    if recipe.thought is not None:
        recipe.thought.check(config, process.visibility)


def check_lora(recipe: Recipe) -> None:
    """Raise Error if a recipe's adapters have no weights to stand beside, or what they cannot stand beside."""
    if recipe.lora is None:
        return
    if recipe.training.init is None:
        raise Error("lora trains adapters beside weights that are there: set training.init=run:DIR.")
    if recipe.distill is not None:
        raise Error("distill trains all weights of a student; leave lora out.")
    if recipe.backbone.name != "transformer":
        raise Error(f"lora is for backbone transformer, and this is {recipe.backbone.name}; leave it out.")


def check_chat(recipe: Recipe) -> None:
    """Raise Error if a recipe learns talks in a way that is not known here."""
    if recipe.data.format == "text":
        return
    name, known = recipe.process.name, ", ".join(CHAT)
    if name not in CHAT:
        raise Error(f"data.format=chat is for process {known}, and this is {name}; leave one out.")
    if recipe.training.init is None:
        raise Error("data.format=chat teaches a run that reads already to answer: set training.init=run:DIR.")
    others = {
        "data.binary": recipe.data.binary,
        "data.keep": recipe.data.keep,
        "evidence": recipe.evidence,
        "thought": recipe.thought,
        "distill": recipe.distill,
    }
    if given := [key for key, value in others.items() if value]:
        raise Error(f"data.format=chat reads talks, and {given[0]} is for texts; leave one out.")
