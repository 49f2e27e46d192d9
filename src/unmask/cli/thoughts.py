"""``unmask thoughts``: keep a thought and take it up again, blend two, steer one, think several at once."""

from __future__ import annotations

import typer

from unmask.cli.analyse import analyse
from unmask.cli.interpolate import interpolate
from unmask.cli.parallel import parallel
from unmask.cli.steer import steer
from unmask.cli.thought_file import resume, save

thoughts_app = typer.Typer(no_args_is_help=True, help="Keep thoughts, take them up again, blend, steer, multiply them.")

for verb in (save, resume, interpolate, steer, parallel, analyse):
    thoughts_app.command()(verb)
