"""Weights of a family made ours, and ours made theirs: the tables of :mod:`unmask.models.families` read either way.

Letters: V vocabulary of ours, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
import transformers
from torch import Tensor

from unmask.errors import Error
from unmask.lines import excerpt
from unmask.models.config import TransformerConfig
from unmask.models.cost import without_memory
from unmask.models.families.family import Family, Place, Told, Turned
from unmask.models.int8 import in_float
from unmask.models.options import config_options
from unmask.models.transformer import Transformer
from unmask.models.transformer_options import TransformerOptions

WORDS = ("embed.weight", "head.weight", "head.bias")
"""Our weights that have a row for each token."""
_FREE = {
    *("initializer_range", "dropout", "memory_dropout", "max_position_embeddings", "block_size", "random_mask_words"),
    *("block_context", "candidates", "candidate_places"),
}
"""Options of ours that no answer to a text hangs on."""
MEAN = -1
"""In place of a row's number: the mean of all rows."""


class Stored(Protocol):
    """A file of weights, or several."""

    @property
    def names(self) -> frozenset[str]:
        """The names of its tensors."""
        ...

    def read(self, name: str) -> Tensor:
        """Return a tensor."""
        ...


def _names(place: Place) -> tuple[str, ...]:
    if isinstance(place, Turned):
        return (place.name,)
    return (place,) if isinstance(place, str) else place


def read_weights(
    family: Family,
    told: Told,
    stored: Stored,
    config: TransformerConfig,
    rows: Sequence[int],
    dtype: torch.dtype | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Transformer:
    """Return our transformer with the weights of a family.

    Args:
        family: The family.
        told: Its ``config.json``.
        stored: Its weights.
        config: What they become; its vocabulary is as large as ``rows``.
        rows: For each token of ours the row that it has there, or ``MEAN``.
        dtype: Of the weights; ``None``: as they are stored.
        progress: Called with tensors read and all.

    Raises:
        Error: weights that are missing, of another shape, or of nothing that the network has.
    """
    short = "" if any(name.startswith(family.before) for name in stored.names) else family.before
    names = frozenset(short + name for name in stored.names)
    read = family.made(lambda name: stored.read(name.removeprefix(short)), told)
    model = without_memory(Transformer, config)
    held = model.state_dict()
    places = {ours: place for ours, place in family.keys.places(config.num_hidden_layers) if ours in held}
    made = set(held) - set(model.tied())
    if unknown := made - set(places):
        raise Error(f"the family {family.name} keeps no {min(unknown)}; it is no network of that family.")
    _check_left(family, config, names, set(places))
    found: dict[str, Tensor] = {}
    for done, ours in enumerate(sorted(made), 1):
        value = _taken(places[ours], read)
        if ours in WORDS:
            value = _rowed(value, rows)
        if ours == "place.weight":
            value = value[: config.max_position_embeddings]
        if value.shape != held[ours].shape:
            shapes = f"{list(value.shape)}, and config.json makes it {list(held[ours].shape)}"
            raise Error(f"the weights {_names(places[ours])[0]} are {shapes}; the two are not of one model.")
        found[ours] = value.to(dtype or value.dtype).contiguous()
        progress(done, len(made))
    model.load_state_dict(found, strict=False, assign=True)
    model.tie_weights()
    return model.eval()


def _taken(place: Place, read: Callable[[str], Tensor]) -> Tensor:
    parts = [read(name) for name in _names(place)]
    value = parts[0] if len(parts) == 1 else torch.cat(parts)
    return value.T if isinstance(place, Turned) else value


def _rowed(value: Tensor, rows: Sequence[int]) -> Tensor:
    """Return the rows of our tokens."""
    index = torch.tensor(rows)
    if (far := int(index.max())) >= len(value):
        raise Error(f"the tokenizer has token ids up to {far}, and the weights {len(value):,} rows: they do not fit.")
    plain = index.clamp(min=0)
    if int((index == MEAN).sum()) == 0 and torch.equal(plain, torch.arange(len(value))):
        return value
    out = value[plain]
    if bool((index == MEAN).any()):
        out[index == MEAN] = value.float().mean(0).to(value.dtype)
    return out


def _check_left(family: Family, config: TransformerConfig, names: frozenset[str], ours: set[str]) -> None:
    """Refuse stored weights that the network has no place for: it would be another function without them."""
    places = dict(family.keys.places(config.num_hidden_layers))
    used = {name for key in ours for name in _names(places[key])}
    known = {name for name in names if name.endswith(family.keys.extra)}
    left = sorted(names - used - known - set(_names(places["head.weight"])))
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Error(f"the weights {excerpt(left[0], 60)}{more} have no place in a network of the family {family.name}.")


def native_weights(model: Transformer, family: Family) -> Iterator[tuple[str, Tensor]]:
    """Yield a family's names and our weights under them."""
    held = in_float(model.state_dict())
    for ours, place in family.keys.places(model.config.num_hidden_layers):
        if ours not in held:
            continue
        value, names = held[ours], _names(place)
        if isinstance(place, Turned):
            yield place.name, value.T.contiguous()
            continue
        for name, part in zip(names, _parted(value, names, model.config), strict=True):
            yield name, part.contiguous()


def _parted(value: Tensor, names: tuple[str, ...], config: TransformerConfig) -> Sequence[Tensor]:
    if len(names) == 3:  # queries, keys, values
        keys = config.num_key_value_heads * config.head_width
        return value.split([config.num_attention_heads * config.head_width, keys, keys])
    return value.chunk(len(names))


def to_native(model: Transformer, family: Family) -> Any:
    """Return the family's network of ``transformers`` with our weights; its logits are ours.

    Raises:
        Error: ``transformers`` has none of that family, or ours has a part that theirs has not.
    """
    if family.native is None:
        raise Error(f"transformers has no network of the family {family.name}; use --format hub.")
    told = family.native.keys(model.config)
    config = getattr(transformers, family.native.config)(**told, bos_token_id=None, eos_token_id=None)
    _refuse(model.config, family, told)
    out = getattr(transformers, family.native.model)(config).to(model.dtype)
    missing, unknown = out.load_state_dict(dict(native_weights(model, family)), strict=False)
    tied = {"lm_head.weight", "decoder.weight"} if model.config.tie_word_embeddings else set()
    if odd := sorted(set(unknown) | (set(missing) - tied)):
        raise Error(f"this network is no {family.native.model} ({odd[0]} differs); use --format hub.")
    out.tie_weights()
    return out.train(model.training)


def _refuse(ours: TransformerConfig, family: Family, told: dict[str, Any]) -> None:
    """Refuse a network of ours that is another function than the family's."""
    assert family.native is not None
    shift = int(family.native.causal)
    reasons = {
        f"backbone.output_shift is {ours.output_shift}, and {family.native.model} answers for "
        f"{'the next place' if shift else 'its own place'}": ours.output_shift != shift,
        f"backbone.time_input is on, and {family.native.model} takes no noise level": ours.time_input,
        "it has passages with thoughts, or takes retrieved memory": bool(ours.thought or ours.memory_width),
        f"its mask is random (random_mask), and {family.native.model} has none": bool(ours.random_mask),
        "it takes candidates, which that has not": bool(ours.candidate_input),
    }
    for reason, holds in reasons.items():
        if holds:
            raise Error(f"this network cannot become a {family.name}: {reason}; train one without that.")
    theirs = TransformerOptions(vocab_size=ours.vocab_size, **family.options(told))
    for key in config_options(TransformerOptions):
        if key not in _FREE and (here := getattr(ours, key)) != (there := getattr(theirs, key)):
            raise Error(f"this network is no {family.name}: its backbone.{key} is {here}, and theirs {there}.")
