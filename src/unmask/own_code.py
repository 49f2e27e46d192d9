"""Code that a file names (``package.module:function``): imported where the user says so, and nowhere else.

A recipe may come from a stranger, beside weights or alone. ``--allow-code`` of the command line, ``allow_code=True`` of
Python and ``UNMASK_ALLOW_CODE=1`` say that its author is trusted. The last is what processes of ours inherit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from unmask.errors import Error

VARIABLE = "UNMASK_ALLOW_CODE"


def check_allowed(what: str, name: str) -> None:
    """Refuse a name of code, unless that is allowed.

    Args:
        what: What names it.
        name: ``package.module:function``.

    Raises:
        Error: it is not.
    """
    if os.environ.get(VARIABLE) != "1":
        raise Error(
            f"{what} is {name!r}, code that is not part of unmask and would be run. If you trust its author, give "
            "--allow-code (Python: allow_code=True)."
        )


@contextmanager
def allowing(asked: bool = True) -> Iterator[None]:
    """Allow code of the user's own for a while, here and in processes that are started meanwhile.

    Args:
        asked: Whether to; if not, all stays as it is.
    """
    before = os.environ.get(VARIABLE)
    if asked:
        os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        if asked:
            os.environ.pop(VARIABLE)
            os.environ |= {} if before is None else {VARIABLE: before}
