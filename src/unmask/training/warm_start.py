"""A run's weights as the first ones of another: ``training.init: run:DIR``, whatever the two processes are.

The new run takes the other's tokenizer, without which the weights mean nothing, and its network must have the same
sizes: what the recipe is silent about is the other run's. Parts that only one of the two networks has (the noise level,
candidates, memory, thoughts) start fresh or are left out, and that is told. Whether a run fits is known before torch is
imported. ``run.json`` keeps what was begun with, so that budgets count it; the weights lie in ``init/`` until the run
is finished, so that nobody needs the other run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.data.chat_template import template_of
from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.lines import shell
from unmask.models.backbones import BACKBONES
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.models.config_file import CONFIG, read_config
from unmask.models.options import NetworkOptions
from unmask.training.ancestry import recipe_fingerprint, spent
from unmask.training.combination import network_keys
from unmask.training.fingerprints import check_fingerprint, patcher_fingerprint, weights_fingerprint
from unmask.training.recipe import Recipe, parse_recipe
from unmask.training.run import Run
from unmask.training.sections import DataSection

if TYPE_CHECKING:
    from unmask.data.tokenizers import Tokenizer
    from unmask.models.network import Denoiser

START = "init"
"""Folder of a run that is not finished: the weights that it began with."""
_FREE = {
    *("vocab_size", "max_position_embeddings", "dropout", "memory_dropout", "initializer_range"),
    *("candidates", "candidate_places", "block_size", "random_mask_words"),
}
"""Options of a network that no weight hangs on, and its vocabulary, which is the tokenizer's."""
_PARTS = ("time_input", "candidate_input", "memory_width", "thought", "random_mask")
"""Options that add a part to a network: the new process decides which there are."""


@dataclass(frozen=True)
class WarmStart:
    """The run that another begins with.

    Attributes:
        run: The run.
        name: What it is called.
        notes: What the user should know of the two together.
    """

    run: Run
    name: str
    notes: tuple[str, ...]

    def tokenizer(self) -> Tokenizer:
        """Return the run's tokenizer, with the chat template beside it."""
        found = self.run.tokenizer
        found.chat_template = template_of(self.run.path / "tokenizer")
        return found

    def check_files(self) -> None:
        """Refuse weights that are not those of the run; known without torch."""
        path, manifest = self.run.path, self.run.manifest
        check_fingerprint(path, manifest, "weights", weights_fingerprint(path))
        check_fingerprint(path, manifest, "patcher", patcher_fingerprint(path))

    def fill(self, network: Denoiser) -> None:
        """Give a network the run's weights (the average, if it kept one), in those parts that both have.

        Raises:
            Error: the weights are damaged, or have another shape.
        """
        from unmask.models.int8 import in_float

        ours, theirs = network.state_dict(), in_float(self.run.model("cpu").state_dict())
        both = [name for name in ours if name in theirs]
        if odd := next((name for name in both if ours[name].shape != theirs[name].shape), None):
            shapes = f"{list(ours[odd].shape)} here, {list(theirs[odd].shape)} in {self.name}"
            raise Error(f"training.init: the weights {odd} differ ({shapes}); give a run of the same sizes.")
        network.load_state_dict({name: theirs[name] for name in both}, strict=False)

    def told(self) -> dict[str, Any]:
        """Return what ``run.json`` says under ``init``; ``total_*`` count the run and all that it began with."""
        manifest = self.run.manifest
        return {
            "run": self.name,
            "at": str(self.run.path.absolute()),
            "process": self.run.recipe.process.name,
            "weights_fingerprint": weights_fingerprint(self.run.path),
            "recipe_fingerprint": recipe_fingerprint(self.run),
            "tokens_seen": manifest.get("tokens_seen", 0),
            **({"imported_from": manifest["imported"]["source"]} if self.run.imported else {}),
            **{f"total_{key}": spent(manifest, key) for key in ("tokens_seen", "training_flops", "train_seconds")},
        }


def warm_start(recipe: Recipe) -> tuple[Recipe, WarmStart | None]:
    """Open the run that ``training.init`` names.

    Returns:
        The recipe, with that run's tokenizer and sizes where it says none of its own, and the run; ``None``: there is
        none, and the weights are drawn.

    Raises:
        Error: no run, or one whose tokenizer or sizes are others.
    """
    spec = recipe.training.init
    if spec is None:
        return recipe, None
    place = spec.removeprefix(ENTROPY_RUN)
    if not place.strip():
        raise Error(f"training.init is {spec!r}; give run:DIR with the folder of a run, or a run's name.")
    run = Run.open(place)
    name = Path(place).name or run.name
    settled, taken = _settled(recipe, run)
    if wrong := list(_differences(settled, run)):
        keys = ", ".join(f"{key} {_short(ours)} here, {_short(theirs)} in {name}" for key, ours, theirs in wrong)
        fix = " ".join(f"-o {shell(f'{key}={_short(theirs)}')}" for key, _, theirs in wrong)
        raise Error(f"training.init: {name} does not fit: {keys}. Give {fix}, or another run.")
    told = [f"taken from {name}: {', '.join(taken)}"] if taken else []
    return settled, WarmStart(run, name, (*told, *_notes(settled, run, name)))


def keep_start(network: Denoiser, folder: Path, fresh: bool) -> None:
    """Keep the weights that a run begins with in its folder; a run that goes on begins with those there, if any."""
    if fresh:
        network.save_pretrained(folder / START)
    elif (folder / START).is_dir():
        network.load_state_dict(type(network).from_pretrained(folder / START).state_dict())


def _options(run: Run) -> NetworkOptions:
    return read_config(run.path / CONFIG, BACKBONES.get(run.recipe.backbone.name).keys)


def _settled(recipe: Recipe, run: Run) -> tuple[Recipe, list[str]]:
    """Return the recipe with the run's values where it has none of its own, and what was taken."""
    theirs = run.recipe
    found: dict[str, dict[str, Any]] = {"data": {}, "backbone": {}}
    for key in ("tokenizer", "vocab_size"):
        default = DataSection.model_fields[key].default
        if getattr(recipe.data, key) == default != getattr(theirs.data, key):
            found["data"][key] = getattr(theirs.data, key)
    if recipe.backbone.name == theirs.backbone.name:
        stored, match = _options(run), recipe.backbone.match
        given = (key for key, value in (recipe.backbone.model_extra or {}).items() if value is not None)
        free = _FREE if getattr(stored, "places", "") != "learned" else _FREE - {"max_position_embeddings"}
        said = {*given, *recipe.process_options().network(), *free, *_PARTS, "entropy"}
        if PROCESSES.facts(recipe.process.name).visibility == "causal":
            said.add("output_shift")  # there is one that it can learn with
        ours = BACKBONES.get(recipe.backbone.name).keys(vocab_size=stored.vocab_size, **network_keys(recipe))
        for key in BACKBONES.get(recipe.backbone.name).options:
            if key not in said and getattr(ours, key) != getattr(stored, key):
                found["backbone"][key] = getattr(stored, key)
        if match is not None and match == theirs.backbone.match:  # the width that this found then
            found["backbone"]["match"] = None
        elif match is not None:
            found["backbone"].pop("intermediate_size", None)
    taken = [f"{section}.{key} {_short(value)}" for section, keys in found.items() for key, value in keys.items()]
    if not taken:
        return recipe, []
    tree = recipe.model_dump()
    for section, keys in found.items():
        tree[section] |= keys
    return parse_recipe(tree), taken


def _differences(recipe: Recipe, run: Run) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, value here and value there of what has to be the same."""
    data, other = recipe.data, run.recipe.data
    for key in ("tokenizer", "binary", *(("vocab_size", "balance") if other.tokenizer == "bpe" else ())):
        if getattr(data, key) != getattr(other, key):
            yield f"data.{key}", getattr(data, key), getattr(other, key)
    name = recipe.backbone.name
    if name != run.recipe.backbone.name:
        yield "backbone.name", name, run.recipe.backbone.name
        return
    stored = _options(run)
    if recipe.backbone.match is not None:
        yield "backbone.match", recipe.backbone.match, None
        yield "backbone.intermediate_size", "matched", stored.intermediate_size
        return
    ours = BACKBONES.get(name).keys(vocab_size=stored.vocab_size, **network_keys(recipe))
    for key in BACKBONES.get(name).options:
        here, there = getattr(ours, key), getattr(stored, key)
        if key == "entropy":  # a run that had a copy of another names it without its folder
            here, there = (Path(str(value).removeprefix(ENTROPY_RUN)).name for value in (here, there))
        if key == "thought":
            here, there = ((value or {}).get("shape") for value in (here, there))
        needed = key not in _FREE and key != "output_shift" and (key not in _PARTS or (here and there))
        if needed and key != "candidate_input" and here != there:
            yield ("thought.shape" if key == "thought" else f"backbone.{key}"), here, there


def _notes(recipe: Recipe, run: Run, name: str) -> Iterator[str]:
    """Yield what is no mistake and yet worth knowing."""
    stored, other = _options(run), run.recipe
    ours = BACKBONES.get(recipe.backbone.name).keys(vocab_size=stored.vocab_size, **network_keys(recipe))
    for key in _PARTS:
        here, there = getattr(ours, key, None), getattr(stored, key, None)
        if bool(here) != bool(there):
            fate = "its weights start fresh" if here else "its weights are left out"
            shown = f"backbone.{key} {_short(here)} here, {_short(there)} in" if key != "thought" else f"{key}, unlike"
            yield f"{shown} {name}: {fate}"
        elif key == "candidate_input" and here != there:
            yield f"backbone.{key} {here} here, {there} in {name}: what {name} has not starts fresh"
    if ours.output_shift != stored.output_shift:
        yield (
            f"backbone.output_shift {ours.output_shift} here, {stored.output_shift} in {name}: the weights answer one "
            f"position off and have to learn it anew; {stored.output_shift} goes on at once"
        )
    causal = PROCESSES.facts(other.process.name).visibility == "causal"
    if causal and PROCESSES.facts(recipe.process.name).shows == "mask":
        mask = "the mean of all" if run.imported else "as it was drawn"
        yield f"{name} was trained left to right and never saw the mask, whose embedding is {mask}"
    if causal and (warm := getattr(recipe.process_options(), "causal_warmup", 0)):
        yield f"process.causal_warmup {warm:g} trains left to right first, as {name} did: 0 goes on at once"
    if recipe.data.length > other.data.length:
        yield f"data.length {recipe.data.length} here, {other.data.length} in {name}: later positions are new to it"
    if (recipe.seed, recipe.data.source) == (other.seed, other.data.source):
        yield f"seed {recipe.seed} is that of {name}, too: the same blocks come first again; -o seed=N mixes others"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
