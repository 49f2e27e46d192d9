"""The options of every verb that writes: the common settings, and ``-s key=value`` for what else a sampler has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from unmask.cli.console import note
from unmask.errors import Error, closest
from unmask.sampling.registry import SAMPLERS

How = dict[str, Any]
"""A verb's parameter ``how``: the sampler and the settings that were given, as keywords of Python's verbs."""
UsePreset = Annotated[
    bool, typer.Option("--preset/--no-preset", help="Write by the run's preset (unmask tune) where there is one.")
]
_COMMON: dict[str, tuple[Any, str]] = {
    "steps": (int, "Steps from all open to none, where the sampler takes any."),
    "seed": (int, "Same seed, same text."),
    "temperature": (float, "0 takes the most probable token."),
    "top_k": (int, "Draw among the k most probable tokens; 0: all."),
    "top_p": (float, "Draw among the fewest tokens that hold this probability."),
}
_SAMPLER = f"{' | '.join(SAMPLERS)}; with --help: its settings."
_SET = "Another setting of the sampler, such as -s confidence_stop=0.9; repeatable. See: unmask samplers."


def _parameters() -> list[inspect.Parameter]:
    kinds: dict[str, Any] = {"sampler": Annotated[str | None, typer.Option("--sampler", help=_SAMPLER)]}
    kinds |= {key: Annotated[kind | None, typer.Option(help=words)] for key, (kind, words) in _COMMON.items()}
    kinds["settings"] = Annotated[list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help=_SET)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(key, keyword, default=None, annotation=kind) for key, kind in kinds.items()]


def writes(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Return a verb with the options of a sampler in the place of its parameter ``how``."""
    shape = inspect.signature(verb, eval_str=True)
    given = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in shape.parameters.values()]
    place = [one.name for one in given].index("how")
    given[place : place + 1] = own = _parameters()

    @functools.wraps(verb)
    def writing(**asked: Any) -> Any:
        how = how_to_write(asked)
        return verb(**{key: value for key, value in asked.items() if key not in {one.name for one in own}}, how=how)

    writing.__dict__["__signature__"] = shape.replace(parameters=given)
    return writing


def told(preset: str | None) -> None:
    """Say in a line that a text was written by the run's preset, if it was."""
    if preset is not None:
        note(f"preset of the run: {preset}; --no-preset leaves it aside")


def how_to_write(asked: Mapping[str, Any]) -> How:
    """Return the sampler and the settings among a verb's parameters.

    Raises:
        Error: an ``-s`` that is no ``key=value``, or a setting that is given twice.
    """
    how = {key: asked[key] for key in ("sampler", *_COMMON) if key in asked}
    for key, value in read_settings(asked.get("settings") or ()).items():
        if how.get(key) is not None:
            raise Error(f"{key} is given twice, by --{key.replace('_', '-')} and by -s; leave one out.")
        how[key] = value
    return how


def read_settings(texts: Sequence[str], option: str = "-s") -> dict[str, Any]:
    """Return the settings of ``key=value`` texts, their values as YAML has them.

    Raises:
        Error: a text without a key or a value, or a key that is there twice.
    """
    from unmask.training.values import read_value

    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        key = name.strip().replace("-", "_")
        if not sign or not key:
            raise Error(f"{option} {text!r} must be key=value, such as {option} temperature=0.8.")
        if key in found:
            raise Error(f"{option} {key} is given twice; leave one out.")
        found[key] = read_value(f"sampler.{key}", value.strip())
    return found


def as_setting(option: str, args: Sequence[str], options: Sequence[str]) -> str | None:
    """Return ``key=value`` for an option of no verb that is a setting of a sampler; ``None``: it is none.

    Args:
        option: What was typed, dashes included.
        args: The command line.
        options: Those of the verb.
    """
    from unmask.sampling.settings_words import all_settings

    kinds = all_settings()
    key = option.lstrip("-").replace("-", "_")
    if key not in kinds:
        near = None if closest(option, options) else closest(key, kinds)
        return None if near is None else f"{near}=VALUE"
    place = next((i for i, text in enumerate(args) if text.partition("=")[0] == option), len(args))
    sign, value = args[place].partition("=")[1:] if place < len(args) else ("", "")
    if not sign:
        value = "true" if kinds[key] == bool | None else args[place + 1] if place + 1 < len(args) else "VALUE"
    return f"{key}={value}"
