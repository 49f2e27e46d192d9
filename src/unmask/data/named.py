"""Public corpora by name, for ``unmask data fetch``: where they lie, their licence, how documents are cut out."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class NamedCorpus:
    """A public corpus.

    Attributes:
        about: One line.
        licence: As its publishers state it.
        train: A source, or the address of a file to download.
        valid: The publishers' own held-out split, where there is one.
        sha256: Of the downloaded file where it is known; else the manifest records what was found.
        members: For an archive, a pattern over its file names.
        document: For an archive, a pattern whose first group is a document.
    """

    about: str
    licence: str
    train: str
    valid: str | None = None
    sha256: str | None = None
    members: re.Pattern[str] | None = None
    document: re.Pattern[str] | None = None


_SNAKES = "d235dd496dcd99b8898cf14e45aec15720ac58e4"

NAMED: dict[str, NamedCorpus] = {
    "pydocs": NamedCorpus(
        about="documentation of this Python and the installed libraries, in prose",
        licence="those of Python and the libraries",
        train="pydocs",
    ),
    "box-stories": NamedCorpus(
        about="351 stories for children and campfires, model-written, which the model in the box never saw",
        licence="MIT",
        train="box-stories",
    ),
    "tinystories": NamedCorpus(
        about="short stories in a small child's vocabulary, model-written (Eldan & Li 2023, arXiv 2305.07759)",
        licence="CDLA-Sharing-1.0",
        train="hf:roneneldan/TinyStories@train",
        valid="hf:roneneldan/TinyStories@validation",
    ),
    "tinyshakespeare": NamedCorpus(
        about="scenes from Shakespeare's plays, 1.1 MB",
        licence="public domain",
        train="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "snakes-stories": NamedCorpus(
        about="stories for children and campfires, model-written, about 33 MB, from erikhyrkas/snakes",
        licence="MIT",
        train=f"https://codeload.github.com/erikhyrkas/snakes/zip/{_SNAKES}",
        members=re.compile(
            r"[^/]+/training_data/(generated-(bedtime|campfire|child|food-stories)|llama-(stories|slice-of-life))-\d+\.md"
        ),
        document=re.compile(r"<start>(.*?)<end>", re.DOTALL),
    ),
}
"""What ``unmask data fetch NAME`` knows."""
