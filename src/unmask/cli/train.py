"""``unmask train``: a recipe becomes a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import note, print_json, say
from unmask.lines import counted, shell

if TYPE_CHECKING:
    from unmask.training.plan import Plan
    from unmask.training.run import Run


def train(
    recipe: Annotated[str, typer.Argument(help="A packaged recipe (see 'unmask recipes') or a YAML file.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="Override a key: section.key=value. Repeat as needed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run, to the same weights.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe and its cost, and stop.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a model. Ctrl-C saves; --resume goes on to the weights an uninterrupted run would have."""
    from unmask.api import train as api

    if dry_run:
        tell_plan(api.plan(recipe, option or []), json)
        return
    tell_run(api.train(recipe, option or [], output=output, resume=resume), json)


def tell_plan(plan: Plan, json: bool) -> None:
    """Print what a recipe will cost."""
    from unmask.training.ancestry import origin

    cost = {
        "parameters": plan.parameters,
        "training_flops_per_token": plan.training_flops_per_token,
        "tokens": plan.tokens,
        "training_flops": plan.training_flops,
        "memory_bytes": plan.memory_bytes,
        "vocab_size": plan.vocab_size,
    }
    if json:
        told = {} if plan.start is None else {"init": plan.start.told(), "notes": list(plan.start.notes)}
        print_json({"recipe": plan.recipe.model_dump(), **cost, **told})
        return
    say(plan.recipe.to_yaml())
    say(f"parameters        {plan.parameters:,}")
    if plan.tokens is None:
        epochs = f"of {plan.recipe.training.epochs:g} epochs: known once the data is read"
        say(f"tokens            {plan.tokens_per_step:,} a step; steps {epochs}")
    else:
        say(f"tokens            {plan.tokens:,}")
    whole = "" if plan.training_flops is None else f", {plan.training_flops:.3g} in all"
    say(f"training FLOPs    {plan.training_flops_per_token:.3g} a token{whole}")
    say(f"memory, estimated {plan.memory_bytes / 2**20:,.0f} MiB")
    if plan.start is not None:
        say(f"begins with       {origin(plan.start.told())}")
        for each in plan.start.notes:
            note(f"note: {each}")


def tell_run(run: Run, json: bool, again: str | None = None) -> None:
    """Print what a training left, and end as it ended.

    Args:
        run: What it left.
        json: Print one JSON object, too.
        again: The command that goes on with it; default ``unmask train`` with its recipe.
    """
    from unmask.training.ancestry import origin

    manifest = run.manifest
    if json:
        print_json({"run": str(run.path), **manifest})
    note(
        f"{manifest['status']}: {run.path} ({counted(manifest.get('steps', 0), 'step')}, "
        f"{counted(manifest.get('tokens_seen', 0), 'token')}, "
        f"{manifest.get('tok_per_s', 0):,.0f} tok/s)"
    )
    if "init" in manifest:
        note(f"began with {origin(manifest['init'])}")
    if "valid_bits_per_byte" in manifest:
        sign = "at most " if manifest["valid_bound"] == "upper bound" else ""
        note(
            f"held out: {sign}{manifest['valid_bits_per_byte']:.3f} bits per byte, "
            f"{sign}{manifest['valid_nats_per_token']:.3f} nats a token ({manifest['valid_bound']}, of "
            f"{manifest.get('valid_of', 'blocks')})"
        )
    if "adapted" in manifest:
        before, after = (manifest["adapted"][f"causal_{when}"] for when in ("before", "after"))
        note(f"left to right: {before:.3f} bits per byte before, {after:.3f} after ({after / before - 1:+.1%}; exact)")
    here = shell(run.path)
    if manifest["status"] == "interrupted":
        again = again or f"unmask train {shell(run.path / 'recipe.yaml')}"
        note(f"continue with: {again} --output {here} --resume")
        raise typer.Exit(143 if manifest.get("stopped_by") == "SIGTERM" else 130)
    note(f"next: unmask sample {here}   unmask evaluate {here}")
