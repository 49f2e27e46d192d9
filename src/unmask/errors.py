"""The errors a user can cause: one line that says what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Error(Exception):
    """A mistake the user can mend. The message says what is wrong and how to fix it.

    The command line prints it as one line and exits with status 2, without a traceback.
    """


class UnknownPart(Error):
    """A recipe names a part that no registry has: misspelt, or not built yet.

    Attributes:
        kind: What it would be ("process", "backbone", "sampler").
        name: How it was called.
    """

    def __init__(self, message: str, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


def nearest(wrong: str, right: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest of ``right``, or an empty string."""
    close = difflib.get_close_matches(wrong, list(right), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
