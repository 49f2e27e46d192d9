"""What a run began with (``training.init``), as its manifest tells it: budgets count the runs before it, too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from unmask.training.run import Run


def spent(manifest: Mapping[str, Any], key: str) -> Any:
    """Return what a run and those that it began with took.

    Args:
        manifest: The run's.
        key: ``tokens_seen``, ``training_flops`` or ``train_seconds``.

    Returns:
        The sum; ``None`` if one of them does not say.
    """
    own = manifest.get(key)
    if "init" not in manifest:
        return own
    before = manifest["init"].get(f"total_{key}")
    return None if own is None or before is None else own + before


def origin(init: Mapping[str, Any]) -> str:
    """Say what ``init`` of a manifest holds: "the weights of causal (causal, 51,200 training tokens)"."""
    tokens = init.get("total_tokens_seen") or 0
    return f"the weights of {init.get('run')} ({init.get('process')}, {tokens:,} training tokens)"


def recipe_fingerprint(run: Run) -> str:
    """Return 16 hex digits over all that makes a run but its seed and words: its text, its recipe, what it began with.

    Seeds of one recipe that began with seeds of one other have the same, wherever these lie.
    """
    training = run.recipe.training.model_copy(update={"init": None})
    recipe = run.recipe.model_copy(update={"seed": 0, "name": "", "about": "", "training": training})
    init = run.manifest.get("init", {})
    before = init.get("recipe_fingerprint"), init.get("total_tokens_seen")
    text = f"{run.manifest.get('corpus_fingerprint')} {recipe.to_yaml()} {before}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
