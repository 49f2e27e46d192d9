"""The ``unmask`` command: its verbs, and how every failure ends in one line and an exit status.

Exit status: 0 done, 1 the verb found a problem (``doctor``, ``certify``, ``sweep``; ``compare``: drop), 2 a mistake the
user can mend, 3 undecided (``compare`` with rules), 130 Ctrl-C, 143 SIGTERM, which is a Ctrl-C from elsewhere, or
the terminal was closed. ``UNMASK_DEBUG=1`` shows the traceback behind a one-line error.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from unmask import __version__
from unmask.cli.allow_code import with_code
from unmask.cli.checks import check
from unmask.cli.console import note
from unmask.cli.elsewhere import verb_hint
from unmask.cli.failures import explain
from unmask.cli.samplers import told
from unmask.cli.settings import as_setting
from unmask.cli.streams import leave_terminal, mend_streams
from unmask.errors import Error, Renamed
from unmask.own_code import allowing
from unmask.threads import settle

# verb -> the function in unmask.cli.<verb>. These modules stay light: torch is imported inside the function.
VERBS = {
    "demo": "demo",
    "doctor": "doctor",
    "recipes": "recipes",
    "train": "train",
    "import": "import_weights",
    "adapt": "adapt",
    "distill": "distill",
    "sample": "sample",
    "samplers": "samplers",
    "infill": "infill",
    "choose": "choose",
    "evaluate": "evaluate",
    "calibrate": "calibrate",
    "certify": "certify",
    "compare": "compare",
    "sweep": "sweep",
    "tune": "tune",
    "plot": "plot",
    "serve": "serve",
    "export": "export",
}
# verb -> the typer app in unmask.cli.<verb>, for verbs that have verbs of their own.
GROUPS = {"data": "data_app", "index": "index_app", "thoughts": "thoughts_app"}
# Defaults for the libraries below; what the user has set stays. Set before any of them is imported.
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "DATASETS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what runs stops as at Ctrl-C, and cleans up behind itself."""


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would disturb the cleaning up
    raise Terminated


def _hang_up(number: int, frame: FrameType | None) -> None:
    leave_terminal()
    signal.raise_signal(signal.SIGTERM)  # to whoever takes that now: a training saves and stops


class Verb(TyperCommand):
    """A command whose parameters are checked before its function, and with it torch, is called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line, as typer does.

        Raises:
            Error: an option that is a setting of a sampler: it is given with ``-s``.
        """
        given = ctx.meta["given"] = list(args)
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            options = [name for parameter in self.params for name in parameter.opts]
            wrong = str(getattr(error, "option_name", ""))
            if "--set" in options and hasattr(error, "possibilities") and (said := as_setting(wrong, given, options)):
                raise Error(f"unknown option {wrong!r}. A sampler's settings are given with -s: -s {said}.") from error
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the verb's help, and the settings of the sampler that the command line names."""
        super().format_help(ctx, formatter)
        given: list[str] = ctx.meta["given"]
        named = [value for text, value in zip(given, [*given[1:], ""], strict=True) if text == "--sampler"]
        named += [text.partition("=")[2] for text in given if text.startswith("--sampler=")]
        if named and any(parameter.name == "sampler" for parameter in self.params):
            formatter.write("\n".join(told(named[-1])))

    def invoke(self, ctx: Any) -> Any:
        """Run the verb.

        Raises:
            Error: parameters that cannot work.
        """
        try:
            with allowing(ctx.params.get("allow_code", False)):
                check(ctx.params, self.callback)
                return super().invoke(ctx)
        except Terminated as error:  # typer takes every KeyboardInterrupt for Ctrl-C
            raise typer.Exit(143) from error


class Verbs(TyperGroup):
    """A group of commands that answers an unknown verb with the nearest one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb's command, as typer does.

        Raises:
            Error: no such verb.
        """
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            groups = {
                name: list(group.commands) for name, group in self.commands.items() if isinstance(group, TyperGroup)
            }
            hint = verb_hint(args[0], self.commands, groups)
            raise Error(f"unknown verb {args[0]!r}.{hint} See '{ctx.command_path} --help'.")
        return super().resolve_command(ctx, args)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"unmask {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, sample and compare small language models that do more than write left to right."""


def build_app() -> typer.Typer:
    """Return the typer app with every verb registered."""
    app = typer.Typer(cls=Verbs, name="unmask", pretty_exceptions_enable=False)
    app.callback()(_root)
    for verb, function in VERBS.items():
        app.command(verb, cls=Verb)(with_code(getattr(importlib.import_module(f"unmask.cli.{verb}"), function)))
    for verb, sub_app in GROUPS.items():
        group: typer.Typer = getattr(importlib.import_module(f"unmask.cli.{verb}"), sub_app)
        for command in group.registered_commands:
            command.cls, command.callback = Verb, with_code(command.callback)
        app.add_typer(group, name=verb, cls=Verbs)
    return app


@contextmanager
def _old_names_told() -> Iterator[None]:
    """Say once, in one line, that an old name was used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=Renamed)
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, Renamed):
                note(f"warning: {message}")
            else:
                others(message, category, *where, **more)

        warnings.showwarning = show
        yield


@cache
def _command() -> Any:
    return typer.main.get_command(build_app())


def run(args: list[str]) -> int:
    """Run one command line and return its exit status; failures are printed, not raised, unless they are bugs."""
    command = _command()  # of a process that runs many, made once
    try:
        # Outside standalone mode the value is the verb's own or, after typer.Exit or Ctrl-C, the exit status.
        with _old_names_told():
            status = command.main(args or ["--help"], prog_name="unmask", standalone_mode=False)
        sys.stdout.flush()
    except Terminated:
        status = 143
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except BrokenPipeError:
        # The reader has left (`unmask ... | head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as failure:
        line = explain(failure)
        if line is None:
            raise
        if os.environ.get("UNMASK_DEBUG") == "1":
            traceback.print_exception(failure)
        if line:
            note(f"error: {line}".replace("\n", "\u240a"))  # in a name that is quoted
        return 2
    if status in (130, 143):
        note("interrupted.")
    return status if isinstance(status, int) else 0


def main() -> None:
    """Run the command line of this process and exit."""
    mend_streams()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    settle()
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(hang_up := getattr(signal, "SIGHUP", signal.SIGTERM)) is signal.SIG_DFL:  # else: nohup
        signal.signal(hang_up, _hang_up)
    sys.exit(run(sys.argv[1:]))
