r"""The three standard streams, made fit for printing whatever the shell has made of them.

A closed one becomes the null device: else the next file that is opened would take its number, and what a library
prints would land in that file. A character that the terminal's or the pipe's encoding has no place for is written as
its escape (``\u2603``).
"""

from __future__ import annotations

import os
import stat
import sys
from io import TextIOWrapper


def mend_streams() -> None:
    """Make stdin, stdout and stderr usable; before anything else is opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def leave_terminal() -> None:
    """Point the streams of a terminal that is gone at the null device: writing to it would fail in the clean-up."""
    for number in range(3):
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
