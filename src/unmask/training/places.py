"""Where a run's text and index lie: its recipe has the names that were given, its manifest the places of these."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from unmask.data.find import EMBEDDED
from unmask.data.sources import absolute, check_source
from unmask.errors import Error
from unmask.training.recipe import Recipe
from unmask.training.sections import DataSection, EvidenceSection


def places(recipe: Recipe) -> dict[str, str]:
    """Return the places of a recipe's text and of its index, as the manifest keeps them under ``corpus_at``."""
    data = recipe.data
    named = {"source": data.source} if data.valid is None else {"source": data.source, "valid": data.valid}
    index = {} if recipe.evidence is None else {"evidence": str(Path(recipe.evidence.index).absolute())}
    return {key: absolute(spec) for key, spec in named.items()} | index


def is_there(manifest: Mapping[str, Any], key: str, named: str) -> bool:
    """Tell whether a name stands, from this folder, for the place that it stood for when the run was trained.

    Runs of older versions keep no place: their names are taken as they are.
    """
    place = _told(manifest, key)
    if place is None:
        return True
    try:
        return absolute(named) == place
    except Error:
        return False


def place_of(
    manifest: Mapping[str, Any], key: str, named: str, binary: bool = False, again: str = "--source FILE"
) -> str:
    """Return where a text of a run lies: at the place that its name stood for, or else as it is named.

    Args:
        manifest: The run's.
        key: ``source`` or ``valid``.
        named: What the recipe calls it.
        binary: Whether it is read as bytes.
        again: How the verb is given a text.

    Raises:
        Error: it is at neither.
    """
    place = _told(manifest, key)
    for spec in dict.fromkeys((named,) if place is None or is_there(manifest, key, named) else (place, named)):
        try:
            check_source(spec, binary)
        except Error:
            continue
        return spec
    raise Error(
        f"the text that this run was trained on is no more at {place or named}. Give it again with {again}: its "
        f"fingerprint is {manifest.get('corpus_fingerprint')}."
    )


def own_text(manifest: Mapping[str, Any], data: DataSection, said: Container[str]) -> dict[str, str | None]:
    """Return the keys of a run's text for a run that is made of it; a text that is given brings its own held-out part.

    Args:
        manifest: The run's.
        data: What its recipe says.
        said: Keys that are given.

    Raises:
        Error: the text is no more there, and no other is given.
    """
    if "data.source" in said:
        return {} if "data.valid" in said else {"data.valid": None}
    named = {"source": data.source, "valid": data.valid}
    return {
        f"data.{key}": place_of(manifest, key, text, data.binary, "-o data.source=FILE")
        for key, text in named.items()
        if text is not None and f"data.{key}" not in said
    }


def held_out_source(manifest: Mapping[str, Any]) -> str | None:
    """Return the embedded text that a run was kept from, for where its own is not; ``None``: it names none."""
    name = manifest.get("held_out_source")
    return name if isinstance(name, str) and name in EMBEDDED else None


def with_index(manifest: Mapping[str, Any], section: EvidenceSection) -> EvidenceSection:
    """Return what a run looks evidence up in, at the place that its name stood for when the run was begun."""
    place = _told(manifest, "evidence")
    if place is None or not Path(place).exists():
        return section
    return section.model_copy(update={"index": place})


def _told(manifest: Mapping[str, Any], key: str) -> str | None:
    places = manifest.get("corpus_at")
    place = places.get(key) if isinstance(places, dict) else None
    return place if isinstance(place, str) else None
