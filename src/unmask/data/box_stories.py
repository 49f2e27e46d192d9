"""The embedded corpus of stories: 351 that a model wrote, held out from those that the model in the box learned.

Where they come from, and their licence, is said in ``unmask/packaged/box-stories/README.md``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.resources import files

NAME = "box-stories"
VERSION = 1
"""Changes when the stories do."""


def identity() -> list[object]:
    """Return what decides the corpus."""
    return [NAME, VERSION]


def documents() -> Iterator[str]:
    """Yield the stories."""
    packed = (files("unmask.packaged") / NAME / "stories.jsonl.gz").read_bytes()
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        yield json.loads(line)["text"]
