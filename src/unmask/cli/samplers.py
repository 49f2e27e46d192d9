"""``unmask samplers``: which there are, what they write with, and their settings."""

from __future__ import annotations

import json as to_json
from collections.abc import Iterator
from textwrap import wrap
from typing import Annotated

import typer

from unmask.cli.console import note, print_json, say


def samplers(
    name: Annotated[str | None, typer.Argument(help="Show this sampler's settings.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """List the samplers, or the settings of one: with default, range and meaning."""
    from unmask.api.samplers import samplers as found

    lines = found(name)
    if json:
        print_json({"samplers": [one.to_dict() for one in lines]})
        return
    if name is not None:
        for text in told(name):
            say(text)
        return
    for one in lines:
        say(f"{one.name:16}{one.about}")
        say(f"{'':16}writes with {', '.join(one.processes)} and shows {one.shows}")
        say(f"{'':16}{', '.join(setting.name for setting in one.settings)}")
    note("unmask samplers NAME says what each setting does; give it with -s key=value.")


def told(name: str) -> Iterator[str]:
    """Yield the lines that tell of one sampler and its settings.

    Raises:
        Error: no such sampler.
    """
    from unmask.api.samplers import samplers as found

    (one,) = found(name)
    yield f"{one.name}: {one.about}"
    yield f"It writes with {', '.join(one.processes)} and shows {one.shows} where a word is open. Settings:"
    for setting in one.settings:
        default = setting.default if isinstance(setting.default, str) else to_json.dumps(setting.default)
        yield f"  -s {setting.name}={default}  ({setting.takes})"
        yield from wrap(
            f"{setting.about[:1].upper()}{setting.about[1:]}.", 100, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
