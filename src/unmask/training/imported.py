"""From open weights to a run folder: read, made ours, and written with a recipe and a manifest like any other run's."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from unmask import __version__
from unmask.data.cache import aside, by_umask, writing
from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.cost import parameter_count
from unmask.models.families.convert import read_weights
from unmask.models.families.family import Family
from unmask.models.families.registry import FAMILIES, family_of
from unmask.models.transformer_options import TransformerOptions
from unmask.training.fingerprints import fingerprints
from unmask.training.import_source import Source, opened
from unmask.training.import_words import Words, words_of
from unmask.training.recipe import Recipe, parse_recipe
from unmask.training.rounding import round_to_int8, told_rounding
from unmask.training.run import FORMAT, MANIFEST, RECIPE, Run, write_json

USUAL = 1024
"""Tokens of a run's context where nothing else is said; what a network was trained for is often more than a CPU can."""
ELSEWHERE = "elsewhere"
"""In place of a corpus that is not known here."""
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
TYPES = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}
"""What weights are read as, by what they are to be stored as; ``auto``: as they came, ``int8``: rounded afterwards."""


def import_weights(
    source: str,
    folder: Path,
    *,
    family: str | None = None,
    tokenizer: str | None = None,
    bos: str | None = None,
    length: int | None = None,
    dtype: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Run, tuple[str, ...]]:
    """Make a run of open weights.

    Args:
        source: ``hf:owner/name``, a folder, a ``.gguf`` file, or ``pip:package``.
        folder: The run folder; new or empty.
        family: Of the weights, where their ``config.json`` does not say it.
        tokenizer: Whose tokenizer it is, where the source has none.
        bos: The token that a text begins with.
        length: Tokens of the run's context.
        dtype: What the weights are stored as: ``auto``, ``fp32``, ``bf16`` or ``int8``.
        progress: Called with tensors read and all.

    Returns:
        The run, and what the user should know of it.

    Raises:
        Error: no such source, an unknown family or dtype, weights or a tokenizer that cannot be a run's.
    """
    if dtype not in TYPES:
        raise Error(f"unknown dtype {dtype!r}. Choose auto, fp32, bf16 or int8.")
    with opened(source, tokenizer) as weights:
        kind = FAMILIES.get(family) if family else family_of(weights.told, weights.stored.names)
        words = words_of(weights.tokenizer, source, kind, weights.told, bos)
        recipe = _recipe(weights, kind, words, folder.absolute().name, length)
        config = TransformerConfig(vocab_size=words.tokenizer.vocab_size, **(recipe.backbone.model_extra or {}))
        recipe.process_options().check(config)
        model = read_weights(kind, weights.told, weights.stored, config, words.rows, TYPES[dtype], progress)
        count, stored, rounding = parameter_count(model), str(model.dtype).removeprefix("torch."), None
        if dtype == "int8":
            stored, rounding = dtype, round_to_int8(model, recipe, words.tokenizer)
        notes = words.notes if rounding is None else (*words.notes, told_rounding(rounding))
        there = folder.is_dir()
        with writing(folder, "give another --output"):
            folder.absolute().parent.mkdir(parents=True, exist_ok=True)
            partial = aside(folder / "import" if there else folder.absolute())
        try:
            with writing(folder, "give another --output"):
                model.save_pretrained(partial)
                words.tokenizer.save(partial / "tokenizer")
                (partial / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
                manifest = _manifest(weights, kind, words, recipe, count, stored, partial)
                if rounding is not None:
                    manifest["imported"]["rounding"] = rounding
                write_json(partial / MANIFEST, manifest)
                by_umask(partial)
                if there:
                    for path in sorted(partial.iterdir(), key=lambda path: path.name == MANIFEST):
                        path.rename(folder / path.name)
                else:
                    os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Run.open(folder), notes


def _recipe(source: Source, family: Family, words: Words, name: str, length: int | None) -> Recipe:
    options = family.options(source.told)
    most = options["max_position_embeddings"]
    if length is not None and length > most:
        raise Error(f"--length {length} is beyond the {most} tokens that {source.name} was made for; make it smaller.")
    options["max_position_embeddings"] = context = length or min(most, USUAL)
    usual = TransformerOptions()
    options = {key: value for key, value in options.items() if key in _SIZES or value != getattr(usual, key)}
    place = source.name if ":" in source.name else str(Path(source.name).expanduser().absolute())
    return parse_recipe(
        {
            "name": name,
            "about": f"imported from {source.name}: {family.name}",
            "data": {"source": ELSEWHERE, "tokenizer": place, "length": context},
            "process": {"name": family.process, **family.process_options(source.told)},
            "backbone": {"name": "transformer", **options},
        }
    )


def _manifest(
    source: Source, family: Family, words: Words, recipe: Recipe, parameters: int, dtype: str, folder: Path
) -> dict[str, Any]:
    files = fingerprints(folder)
    return {
        "format": FORMAT,
        "status": "finished",
        "recipe": recipe.name,
        "process": recipe.process.name,
        "parameters": parameters,
        "corpus": ELSEWHERE,
        "corpus_fingerprint": f"{ELSEWHERE}-{files['weights_fingerprint']}",
        "split": recipe.data.split,
        "tokenizer": words.tokenizer.name,
        "tokenizer_fingerprint": words.tokenizer.fingerprint,
        "imported": {
            "source": source.name,
            "family": family.name,
            "model_type": str(source.told.get("model_type")),
            "dtype": dtype,
            "context": family.options(source.told)["max_position_embeddings"],
            "quantised": source.quantised,
            "notes": list(words.notes),
        },
        "versions": {
            "unmask": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        **files,
    }
