"""The parts that the guards look at, from the registries: a new entry is tested with no new code.

A network's tiny sizes are those keys of ``SIZES`` that its configuration takes, so a network whose keys have the common
names needs no line here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from unmask.data.batch import Batch
from unmask.diffusion import causal, masked  # noqa: F401  (registers)
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.state import State, Visibility
from unmask.errors import Error
from unmask.models.registry import BACKBONES
from unmask.sampling import SAMPLERS, Request, Settings, Vocabulary, drives, fill_request
from unmask.sampling.calibrated import Calibration

IDS = 23
SPELLED = ("\u0915", "\u0301", "\u0915\u094d", "a", " b", "1", "\u0964", "\u0937", " \u0924", "z", "\u200d", ",")
VOCABULARY = Vocabulary(  # pad 0, BOS 1, EOS 2, mask 3
    size=IDS, table=(b"",) * 4 + tuple((SPELLED[i % len(SPELLED)]).encode() for i in range(IDS - 4))
)
SIZES = {
    "vocab_size": IDS,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,  # so large that a wrong context changes every logit
}
SWITCHES = [
    {"output_shift": 1},
    {"output_shift": 0},
    {"time_input": True},
    {"num_key_value_heads": 2},
    {"tie_word_embeddings": False},
    {"input_slots": True},
    {"window_every": 2, "window": 2},
    {"route_top_k": 2},
    {"slow_slots": 3, "slow_every": 1},
    {"memory_read": "last"},
    {"patcher": "none", "latent": "transformer", "use_hierarchical_decoder": False},
]
"""What is varied in every network that has the key. The first two meet every process option."""

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "masked": [
        {"weighting": "elbo"},
        {"schedule": "cosine", "times": "bell"},
        {"curriculum_start": 0.3, "causal_warmup": 0.2},
        {"weighting": "elbo", "times": "bell", "schedule": "polynomial:2"},
        {"scripts": {"devanagari": "polynomial:1.5", "latin": "cosine", "markers": "sqrt", "span": 2.0}},
        {"scripts": {"devanagari": "polynomial:1.5", "clusters": 0.9}, "weighting": "elbo"},
        {"random_mask": 3, "random_mask_words": 5},
    ],
    "block": [
        {"block_size": (2, 4)},
        {"block_size": 1, "causal_weight": 0.0},
        {"block_size": 3, "weighting": "elbo", "schedule": "cosine"},
        {"block_size": 4, "curriculum_start": 0.3, "causal_warmup": 0.2},
        {"block_size": 4, "scripts": {"devanagari": "polynomial:1.5", "span": 2.0}},
        {"block_size": 4, "random_mask": 3},
        {"block_size": 4, "block_growth": 0.5},
    ],
    "sparse": [{"candidate_passes": 2, "candidates": 3}, {"scripts": {"devanagari": "polynomial:1.5"}}],
    "sparse_flatten": [
        {"positions": "lost", "jitter": 0.0, "candidates": 3},
        {"positions": "real", "replaced": True, "loss_at": "replaced", "jitter": 0.0, "candidates": 3},
    ],
}
"""Option sets of a process, besides its defaults, that its author wants guarded."""


NETWORK_OPTIONS: dict[str, list[dict[str, Any]]] = {"sparse": [{"candidate_input": "full"}]}
"""Settings of the network, besides ``SWITCHES``, that a process's author wants guarded with it."""


BROKEN: dict[str, tuple[str, dict[str, set[Any]]]] = {
    "candidate_order_does_not_matter": ("the slot that holds the truth has a number", {"positions": {"flattened"}}),
    "hidden_truth_stays_hidden": ("the truth is among the candidates", {"replaced": {False}}),
    "an_overfit_model_recites": ("decided words are no state of its training", {}),
    "states_were_trained": ("posteriors are fed back as if they were noisy truth; t is not what is hidden", {}),
    "seeds_decide_the_text": ("nothing is drawn after the start, so every seed collapses to one text", {}),
}
"""What ``sparse_flatten``, the original, breaks: guard -> (why, options with which it does). These guards *must*
fail there: the process is kept to measure these defects, and each repair must mend its own."""


def known_broken(guard: str, values: Sequence[Any]) -> str | None:
    """Return why a guard must fail on a case, or ``None``."""
    if guard not in BROKEN:
        return None
    name, options = None, {}
    for value in values:
        if isinstance(value, Pair):
            name, options = value.name, dict(value.options)
        elif isinstance(value, str) and value in PROCESSES:
            name = value
        elif isinstance(value, dict):
            options = value
    if name != "sparse_flatten" or (guard == "seeds_decide_the_text" and "flatten" not in values):
        return None
    why, needs = BROKEN[guard]
    made = PROCESSES.get(name).Options(**options)
    return why if all(getattr(made, key) in allowed for key, allowed in needs.items()) else None


REORDERS = Calibration("temperature", (0.0, 0.5, 1.0), {"T": (2.0, 0.5)})
"""A map of confidences that orders positions otherwise than they do themselves."""


def network(backbone: str, seed: int = 0, **sizes: Any) -> Any:
    """Return a tiny random network in evaluation mode."""
    kind = BACKBONES.get(backbone)
    torch.manual_seed(seed)
    known = kind.options
    model = kind.model(kind.config(**{k: v for k, v in (SIZES | sizes).items() if k in known})).eval()
    model.calibration = REORDERS
    return model


@cache
def visibilities(backbone: str) -> tuple[Visibility, ...]:
    """Return what a network can be used for: the visibilities that it does not refuse."""
    model, accepted = network(backbone), []
    for visibility in get_args(Visibility):
        try:
            model(State(torch.full((1, 4), 5), visibility, t=torch.ones(1)))
        except Error:
            continue
        accepted.append(visibility)
    return tuple(accepted)


def switches(backbone: str) -> list[dict[str, Any]]:
    """Return the settings in which a network is guarded."""
    known = BACKBONES.get(backbone).options
    usable = [s for s in SWITCHES if set(s) <= set(known)]
    return usable if "output_shift" in known else [{}, *usable]


@dataclass(frozen=True)
class Pair:
    """A process with options, and a network that can learn it."""

    name: str
    options: tuple[tuple[str, Any], ...]
    backbone: str
    sizes: tuple[tuple[str, Any], ...]

    @property
    def plain(self) -> bool:
        """True with the process's defaults and the network's, but for the output shift."""
        return not self.options and all(name == "output_shift" for name, _ in self.sizes)

    @property
    def process(self) -> Any:
        """The process."""
        return make_process(self.name, **dict(self.options))

    def network(self, **sizes: Any) -> Any:
        """The network, anew."""
        return network(self.backbone, **(self.process.options.network() | dict(self.sizes) | sizes))

    def __str__(self) -> str:
        return "-".join(
            [self.name, *(str(v) for _, v in self.options), self.backbone, *(f"{k}={v}" for k, v in self.sizes)]
        )


def make_process(name: str, **options: Any) -> Any:
    """Return a process by name."""
    kind = PROCESSES.get(name)
    return kind(kind.Options(**options), VOCABULARY)


CASES = [
    (name, options) for name in PROCESSES for options in [{}, {"isolate_documents": False}, *OPTIONS.get(name, [])]
]
"""(process, options): every process with its defaults, without borders, and in the option sets above."""


def _pairs() -> list[Pair]:
    pairs = []
    for name, options in CASES:
        process = make_process(name, **options)
        for backbone in BACKBONES:
            if process.visibility not in visibilities(backbone):
                continue
            varied = switches(backbone)
            for sizes in varied[:2] if options else varied + NETWORK_OPTIONS.get(name, []):
                pair = Pair(name, tuple(options.items()), backbone, tuple(sizes.items()))
                try:
                    process.check(pair.network().config)
                except Error:
                    continue
                pairs.append(pair)
    return pairs


PAIRS = _pairs()
NETWORKS = [
    (backbone, sizes, v) for backbone in BACKBONES for sizes in switches(backbone) for v in visibilities(backbone)
]
DRIVEN = [
    (sampler, name, options)
    for sampler in SAMPLERS
    for name, options in CASES
    if drives(SAMPLERS.facts(sampler), make_process(name, **options))
]
"""(sampler, process, options): every sampler with every process whose models it can drive."""


def label(value: Any) -> str:
    """Return the name of a parameter in a test's id."""
    if isinstance(value, dict):
        return "-".join(f"{k}={v}" for k, v in value.items()) or "default"
    return "-".join(label(v) for v in value) if isinstance(value, tuple) else str(value)


def over(names: str, values: list[Any], guard: str = "") -> pytest.MarkDecorator:
    """Parametrise a test, with readable ids. An empty list is a mistake, not a reason to skip.

    Cases that are known to break the guard must break it.
    """
    assert values, names
    cases = []
    for value in values:
        parts = value if isinstance(value, tuple) else (value,)
        why = known_broken(guard, parts)
        marks = [pytest.mark.xfail(strict=True, raises=AssertionError, reason=why)] if why else []
        cases.append(pytest.param(*parts, id="-".join(label(part) for part in parts), marks=marks))
    return pytest.mark.parametrize(names, cases)


def make_batch(rows: int = 8, length: int = 16, seed: int = 0, order: int = 0, ragged: bool = False) -> Batch:
    """Random tokens behind BOS; ragged: two documents and padding in each row."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, IDS, (rows, length), generator=generator)
    tokens[:, 0] = VOCABULARY.bos
    segments = torch.ones_like(tokens)
    if ragged:
        for row in range(rows):
            border, end = 3 + row % 5, length - row // 2 % 6
            tokens[row, border - 1], tokens[row, border] = VOCABULARY.eos, VOCABULARY.bos
            segments[row, border:] = 2
            tokens[row, end:] = VOCABULARY.pad
            segments[row, end:] = 0
    return Batch(tokens, segments, order + torch.arange(rows), VOCABULARY.bos)


def make_requests(sampler: Any, count: int = 5, **settings: Any) -> list[Request]:
    """Requests of different lengths, seeds and, where the sampler can, suffixes."""
    given = {"steps": 6, **settings} if "steps" in sampler.Settings.model_fields else settings
    suffix = (7, 9) if sampler.Settings.visibility == "bidirectional" else ()
    return [
        fill_request(
            tuple(range(5, 6 + 2 * i)),
            9 + i,
            VOCABULARY,
            sampler.Settings(seed=i, **given),
            suffix=suffix if i % 2 else (),
        )
        for i in range(count)
    ]


TRIED = [None, False, True, 0, 1, 3, 6, 0.0, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 3.0]
"""What each setting of a sampler is tried with that takes it; one of several words is tried with each of them."""


@cache
def values(settings: type[Settings], key: str) -> list[Any]:
    """Return the values that a setting is tried with."""
    field = settings.model_fields[key]
    words = [
        word
        for arm in (field.annotation, *get_args(field.annotation))
        for word in get_args(arm)
        if isinstance(word, str)
    ]
    alone = TypeAdapter(Annotated[field.annotation, field], config={"strict": True})
    return [*dict.fromkeys(words), *(value for value in TRIED if _takes(alone, value))]


def _takes(kind: TypeAdapter[Any], value: Any) -> bool:
    try:
        return type(kind.validate_python(value)) is type(value)
    except ValidationError:
        return False


def any_settings(sampler: Any, number: int) -> Settings:
    """Return the settings of row ``number`` of a mixed batch: each drawn from ``values``."""
    generator = random.Random(f"{sampler.Settings.name} {number}")
    while True:
        drawn = {key: generator.choice(values(sampler.Settings, key)) for key in sampler.Settings.model_fields}
        like = sampler.Settings()
        for key in sampler.Settings.choices:  # it says which others mean something
            like = like.but(**{key: drawn[key]}) if key in like.known else like
        drawn = {key: value for key, value in drawn.items() if key in like.known}
        try:
            return sampler.Settings(**drawn)
        except Error:  # a hold that needs other times
            continue


def without_cache(sampler: Any) -> Any:
    """Return a sampler that shows the network whole texts."""
    return replace(sampler, use_cache=False) if "use_cache" in {f.name for f in fields(sampler)} else sampler
