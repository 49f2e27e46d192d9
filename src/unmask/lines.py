"""What is said in one line, and by whom: numbers with their nouns, excerpts, scores, what a result prints as."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 160
"""Characters of a line."""
_SOON = 2.0
"""Seconds that work may take without a word."""


_KEPT = "\n\t"


def _pictures() -> dict[int, str]:
    shown = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT}
    shown[0x7F] = "\u2421"
    shown |= {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    reordering = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    shown |= {code: f"\\u{code:04x}" for code in (*reordering, 0x2028, 0x2029, 0xFFFE, 0xFFFF)}
    return shown | {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}


_PICTURES = _pictures()


def visible(text: str) -> str:
    r"""Return text in which every control character can be seen and none acts; line feeds and tabs stay.

    ESC becomes ``␛`` and DEL ``␡``, others of the first 32 likewise; 0x9b, which some terminals take for an escape
    sequence's beginning, becomes ``\x9b``, a bidirectional override ``\u202e``. Joiners stay:
    words are spelt with them.
    """
    return text.translate(_PICTURES)


def leads() -> bool:
    """Return whether this process is the first of those that train together: the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def tell(text: str) -> None:
    """Print a line for people on stderr, once for all processes that train together."""
    if leads():
        print(visible(text), file=sys.stderr)


@contextmanager
def slow(what: str) -> Iterator[None]:
    """Tell what is being done, if it takes more than two seconds."""
    timer = threading.Timer(_SOON, tell, [f"{what} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def line(name: str, *facts: str) -> str:
    """Return ``<Name: fact, fact, ...>`` in one line of at most ``MOST`` characters."""
    return f"<{excerpt(f'{name}: ' + ', '.join(fact for fact in facts if fact), MOST - 2)}>"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and its noun.

    Args:
        number: How many.
        one: The noun for one.
        many: The noun for any other number; default: with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sized(count: int) -> str:
    """Return a number of bytes in the unit that leaves one to three digits before the point: "640 bytes", "1.2 kB"."""
    if count < 1000:
        return counted(count, "byte")
    size, units = float(count), ["kB", "MB", "GB", "TB"]
    while (size := size / 1000) >= 999.95 and len(units) > 1:
        units.pop(0)
    return f"{size:,.1f} {units[0]}"


def lasting(seconds: float) -> str:
    """Return a time as people say it: "58 s", "12 min", "3 h 20 min"."""
    seconds = max(seconds, 0.0)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def excerpt(text: str, most: int = 48) -> str:
    """Return the beginning of a text, with its line ends as spaces."""
    whole = " ".join(text[: 4 * most].split())
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."


def scored(bits: float, bound: str, *more: str, unit: str = "bits per byte") -> str:
    """Return a score with its kind: "at most 0.9876 bits per byte (upper bound, 10 documents)"."""
    sign = "at most " if bound == "upper bound" else ""
    return f"{sign}{bits:.4f} {unit} ({', '.join(part for part in (bound, *more) if part)})"


def shell(name: object) -> str:
    """Return a name as one word of a shell, for a command that is shown to be copied."""
    return shlex.quote(str(name))
