"""The families of open weights that become runs. A new one is its file and one line here."""

from __future__ import annotations

from collections.abc import Iterable

from unmask.errors import Error
from unmask.models.families.family import Family, Told
from unmask.registry import Registry

FAMILIES: Registry[Family] = Registry("family")
FAMILIES.at("llama", "unmask.models.families.llama:FAMILY")
FAMILIES.at("qwen2", "unmask.models.families.qwen2:FAMILY")
FAMILIES.at("qwen3", "unmask.models.families.qwen3:FAMILY")
FAMILIES.at("gpt2", "unmask.models.families.gpt2:FAMILY")
FAMILIES.at("diffugpt", "unmask.models.families.diffugpt:FAMILY")
FAMILIES.at("modernbert", "unmask.models.families.modernbert:FAMILY")
FAMILIES.at("mdlm", "unmask.models.families.mdlm:MDLM")
FAMILIES.at("bd3lm", "unmask.models.families.mdlm:BD3LM")
FAMILIES.at("llada", "unmask.models.families.llada:FAMILY")
FAMILIES.at("dream", "unmask.models.families.dream:FAMILY")
FAMILIES.at("fast-dllm", "unmask.models.families.fast_dllm:FAMILY")
FAMILIES.at("a2d", "unmask.models.families.a2d:MASKED")
FAMILIES.at("a2d-block", "unmask.models.families.a2d:BLOCK")

_NEAR = {
    "diffusion_gemma": "its states hold words drawn at random and its encoder reads the text apart, which no process "
    "and no network here does; transformers samples it natively",
    "llada_moe": "its feed-forward layers are mixtures of experts",
    "mixtral": "its feed-forward layers are mixtures of experts",
    "gemma3_text": "its embeddings are scaled and its norms count from 1",
}
"""What differs in models that are asked for and are of no family."""


def family_of(told: Told, names: Iterable[str]) -> Family:
    """Return the family of a model.

    Args:
        told: Its ``config.json``.
        names: The names of its stored weights.

    Raises:
        Error: it is of none; the message says what differs, where that is known.
    """
    kind, there = told.get("model_type"), set(names)
    for family in map(FAMILIES.get, FAMILIES):
        if family.marks and {family.marks, family.marks.partition(".")[2]} & there:
            return family
    for family in map(FAMILIES.get, FAMILIES):
        if kind in family.types:
            return family
    why = next((said for name, said in _NEAR.items() if str(kind).startswith(name)), None)
    code = " (its own code, auto_map, is never run)" if "auto_map" in told else ""
    known = ", ".join(FAMILIES)
    raise Error(
        f"model_type {kind!r} is of no family that is known here{code}{f': {why}' if why else ''}. Known: {known}. "
        "If its layout is that of one of them, say so with --family."
    )
