"""The reference pages that the code tells: command line, recipe keys, samplers' settings, Python names.

    python -m benchmarks.docs.reference

writes them into ``docs/reference``; ``tests/docs/test_reference.py`` refuses pages that the code has left behind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.docs.keys import code, kind, limits, of_model, of_network, plain, table
from benchmarks.docs.public_names import api

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
MADE = "<!-- Written by: python -m benchmarks.docs.reference. Change the code that it tells, not this page. -->\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(MADE + "\n" + write(), encoding="utf-8")
        print(FOLDER / name)
    return 0


def cli() -> str:
    """Return the page of the command line."""
    import typer

    from unmask.cli.app import build_app

    parts = [
        "# Command line\n\nEvery verb with its arguments and options. `unmask VERB --help` prints the same in a"
        " terminal;\nwith `--sampler NAME` it adds that [sampler's settings](samplers.md).\n"
        "Exit statuses and environment variables: [environment](environment.md).\n"
    ]
    for name, command in _verbs(typer.main.get_command(build_app()), "unmask"):
        context = command.make_context(name, [], resilient_parsing=True)
        usage = command.get_usage(context).partition(":")[2].split()
        rows = [_parameter(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", 0)]
        lines = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
        told = f"| argument or option | kind | default | meaning |\n|---|---|---|---|\n{lines}" if rows else ""
        parts.append(f"## {name}\n\n{_paragraphs(command.help)}\n\n```text\n{' '.join(usage)}\n```\n\n{told}")
    return "\n".join(parts)


def _verbs(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for verb, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{name} {verb}")
        else:
            yield f"{name} {verb}", command


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(plain(part) for part in inspect.cleandoc(text or "").replace("\b", "").split("\n\n"))


def _parameter(parameter: Any, context: Any) -> tuple[str, str, str, str]:
    info = parameter.type_descriptor.parameter_info
    option = parameter.opts[0].startswith("-")
    name = ", ".join(f"`{opt}`" for opt in [*parameter.opts, *parameter.secondary_opts]) if option else ""
    asked = "*required*" if parameter.required else ""
    default = "" if parameter.default in (None, "", [], ()) or callable(parameter.default) else code(parameter.default)
    if getattr(parameter, "is_flag", False):
        what = "switch"
        default = code(parameter.default) if parameter.secondary_opts else ""
    else:
        what = kind(parameter.type_descriptor.annotation)
        what = what if what != "any" else "path"
        bounds = [f"{sign} {bound:g}" for sign, bound in (("≥", info.min), ("≤", info.max)) if bound is not None]
        what += f", {', '.join(bounds)}" if bounds else ""
    return name or f"`{parameter.name.upper()}`", what, asked or default, plain(parameter.help or "")


def recipes() -> str:
    """Return the page of the keys of a recipe."""
    from unmask.diffusion.registry import PROCESSES, SCHEDULES
    from unmask.models.backbones import BACKBONES
    from unmask.models.options import NetworkOptions
    from unmask.training.qcontroller.options import VARIANTS
    from unmask.training.recipe import Recipe, load_recipe
    from unmask.training.sections import ALIASES, SECTIONS
    from unmask.training.trainer_choices import REFUSED, USED

    parts = [
        "# Recipe keys\n\nA recipe is a YAML file. `-o section.key=value` overrides one key of it on the command line."
        "\nUnknown keys are refused, with the nearest right one. `unmask train RECIPE --dry-run` shows what a recipe\n"
        "resolves to.\n\n## Packaged recipes\n\n| name | what |\n|---|---|\n"
        + "".join(f"| `{name}` | {load_recipe(name).about} |\n" for name in _packaged()),
        "## Top level\n\n" + table(of_model(Recipe, leave=SECTIONS)),
    ]
    for section in ("data", "training"):
        parts.append(f"## {section}\n\n{_about(SECTIONS[section])}\n\n" + table(of_model(SECTIONS[section])))
    parts.append(
        "### Fields of the Trainer\n\nThese keys of `training` go to `transformers.TrainingArguments` as they are;\n"
        "its documentation says what they do, and [this page](trainer-arguments.md) what was tried of them.\n\n"
        "| key | kind | range |\n|---|---|---|\n"
        + "".join(f"| `training.{key}` | {kind(of)} | {limits((), of)} |\n" for key, of in USED.items())
    )
    parts.append(
        "### Fields of the Trainer that are refused\n\nThey would change nothing here. The error says what to do"
        " instead.\n\n| key | why, or what instead |\n|---|---|\n"
        + "".join(f"| `training.{key}` | {why} |\n" for key, why in REFUSED.items())
    )
    parts.append(
        "## process\n\n`process.name` chooses one of these. Each has its own keys beside `name`.\n\nSchedules: "
        + ", ".join(f"`{name}`" for name in SCHEDULES)
        + ", `polynomial:POWER`, `package.module:function`.\n"
    )
    for name in PROCESSES:
        options = PROCESSES.facts(name)
        about = f"{_sentence(options.about)} Default sampler: `{options.sampler}`."
        parts.append(f"### process {name}\n\n{about}\n\n{table(of_model(options))}")
        for key, field in options.model_fields.items():
            for inner in _sections(field.annotation):
                parts.append(f"#### process.{key} of {name}\n\n{_about(inner)}\n\n{table(of_model(inner))}")
    own = SECTIONS["backbone"]
    parts.append(f"## backbone\n\n{_about(own)} `backbone.name` chooses one of those below.\n\n{table(of_model(own))}")
    shared = ("vocab_size", "thought")
    parts.append(
        "### Keys of every network\n\nThe names are those of Hugging Face's Llama.\n\n"
        + table(of_network(NetworkOptions, leave=shared))
    )
    for name in BACKBONES:
        rows = of_network(BACKBONES.get(name).keys, leave=shared)
        parts.append(f"### backbone {name}\n\n{table(rows) if rows else 'Nothing of its own.'}")
    parts.append(
        f"## sampler\n\n{_about(SECTIONS['sampler'])} Its settings: [samplers](samplers.md).\n\n"
        + table(of_model(SECTIONS["sampler"]))
    )
    parts.append("## qcontroller\n\nWhat steers the optimiser. `qcontroller.name` chooses one of these.\n")
    parts += [f"### qcontroller {name}\n\n{_about(of)}\n\n{table(of_model(of))}" for name, of in VARIANTS.items()]
    for section in ("thought", "evidence", "distill", "lora", "decide"):
        model = SECTIONS[section]
        parts.append(f"## {section}\n\n{_about(model)}\n\n{table(of_model(model))}")
        for key, field in model.model_fields.items():
            for inner in _sections(field.annotation):
                parts.append(f"### {section}.{key}\n\n{_about(inner)}\n\n{table(of_model(inner))}")
    parts.append(
        "## Other names of keys\n\nNames of other programs that are read as ours.\n\n| name | key |\n|---|---|\n"
        + "".join(
            f"| `{section}.{name}` | `{section}.{key}` |\n"
            for section, of in ALIASES.items()
            for name, key in of.items()
        )
    )
    return "\n".join(parts)


def _packaged() -> list[str]:
    from importlib.resources import files

    return sorted(file.name[:-5] for file in files("unmask.packaged.recipes").iterdir() if file.name.endswith(".yaml"))


def _about(model: type) -> str:
    return plain((inspect.getdoc(model) or "").split("\n\n")[0])


def _sections(annotation: Any) -> list[Any]:
    from typing import get_args

    from pydantic import BaseModel

    return [one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]


def samplers() -> str:
    """Return the page of the samplers' settings."""
    from unmask.diffusion.registry import PROCESSES
    from unmask.sampling.registry import SAMPLERS, drives
    from unmask.sampling.settings import Settings

    parts = [
        "# Samplers' settings\n\nA setting is given with `-s name=value` on the command line, as a keyword in Python,\n"
        "and under `sampler:` in a recipe. `unmask samplers NAME` prints the same.\n\n| sampler | what it does |"
        " writes with runs of process |\n|---|---|---|\n"
        + "".join(
            f"| [`{name}`](#{name}) | {SAMPLERS.facts(name).about} | "
            + ", ".join(f"`{one}`" for one in PROCESSES if drives(SAMPLERS.facts(name), PROCESSES.facts(one)))
            + " |\n"
            for name in SAMPLERS
        ),
        "## Settings of every sampler\n\n" + table(of_model(Settings)),
    ]
    shared = set(Settings.model_fields)
    for name in SAMPLERS:
        model = SAMPLERS.facts(name)
        rows = of_model(model, leave=shared)
        parts.append(
            f"## {name}\n\n{_sentence(model.about)}\n\n" + (table(rows) if rows else "No settings of its own.")
        )
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli, "recipes.md": recipes, "samplers.md": samplers, "api.md": api}

if __name__ == "__main__":
    raise SystemExit(main())
