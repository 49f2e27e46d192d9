"""What may be shown of a run elsewhere: names without the folders of this machine, and no keys to other services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unmask.data.sources import parts_of
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.training.recipe import Recipe, parse_recipe

_NAMED = {
    *(("data", key) for key in ("source", "valid", "tokenizer")),
    *(("evidence", "index"), ("backbone", "entropy"), ("training", "init")),
}
"""Keys of a recipe whose values are places, also where they do not look it."""
_SECRET = ("hub_token",)


def public_name(place: str) -> str:
    """Return the name of a source, tokenizer or index without its folders; what the Hub has is named as it is."""
    return ",".join(one if one.startswith("hf:") else Path(one).name or one for one in parts_of(place)) or place


def public_recipe(recipe: Recipe) -> Recipe:
    """Return a recipe without places of this machine."""
    return parse_recipe(_public(recipe.model_dump(), ()))


def public_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's manifest without places of this machine."""
    told = {key: value for key, value in manifest.items() if key != "corpus_at"}
    names = {key: public_name(told[key]) for key in ("corpus", "tokenizer") if isinstance(told.get(key), str)}
    return {**{key: _public(value, ()) for key, value in told.items()}, **names}


def _public(value: Any, place: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _public(one, (*place, str(key))) for key, one in value.items() if key not in _SECRET}
    if isinstance(value, list):
        return [_public(one, place) for one in value]
    if not isinstance(value, str):
        return value
    kind = ENTROPY_RUN if value.startswith(ENTROPY_RUN) else ""
    path = value.removeprefix(kind)
    is_place = place in _NAMED and (kind or place != ("backbone", "entropy"))
    return kind + public_name(path) if is_place or path.startswith(("/", "~", "..", "file:")) else value
