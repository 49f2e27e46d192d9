"""Networks of one size: the width of a network's SwiGLU layer that gives it as many parameters as another network.

A comparison of two networks is fair at equal parameters, and their vocabulary, which decides a good part of them, is
known only when the tokenizer is. So a recipe says what to match and the number is worked out when the network is built:

    backbone: {name: eco, hidden_size: 512, ..., match: {name: transformer, intermediate_size: 1536}}

The rival has the same sizes, save for those that ``match`` gives it, and no thoughts. Parameters are linear in the
width, so two counts on no memory give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unmask.errors import Error
from unmask.models.backbones import BACKBONES
from unmask.models.cost import parameter_count, without_memory

TOLERANCE = 0.02
"""Largest relative difference that counts as matched."""
_STEPS = (64, 32, 16, 8, 4, 2, 1)
_GOOD = 0.005  # the roundest width that is at least as near as this is taken


def matched_width(name: str, sizes: Mapping[str, Any], match: Mapping[str, Any]) -> int:
    """Return the ``intermediate_size`` with which a network has as many parameters as its rival.

    Args:
        name: The network.
        sizes: Its configuration, without ``intermediate_size``.
        match: The rival's ``name``, and where its configuration differs.

    Raises:
        Error: no width is near enough: what the network has besides is too large already.
    """
    rival = BACKBONES.get(match["name"])
    shared = {key: value for key, value in sizes.items() if key in rival.options and key != "thought"}
    wanted = _count(match["name"], {**shared, **{key: value for key, value in match.items() if key != "name"}})
    one, two = (_count(name, {**sizes, "intermediate_size": width}) for width in (1, 2))
    exact = (wanted - one) / (two - one) + 1

    def miss(width: int) -> float:
        return abs(one + (width - 1) * (two - one) - wanted) / wanted

    widths = [max(step, round(exact / step) * step) for step in _STEPS]
    best = next((width for width in widths if miss(width) <= _GOOD), min(widths, key=miss))
    if miss(best) > TOLERANCE:
        raise Error(
            f"backbone.match: {name} has {one:,} parameters with an intermediate_size of 1, and the {match['name']} to "
            f"be matched {wanted:,}; lower what it has besides (for eco: memory_size, memory_intermediate_size)."
        )
    return best


def _count(name: str, sizes: Mapping[str, Any]) -> int:
    backbone = BACKBONES.get(name)
    return parameter_count(without_memory(backbone.model, backbone.config(**sizes)))
