"""What the verbs of ``unmask thoughts`` share: a run with thoughts, opened to write, and texts read into thoughts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.api.writing import resolve, vocabulary_of
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling import Request, Sample, Sampler, Settings, Vocabulary, canvas, generate
from unmask.sampling.infill import hand_over_space
from unmask.sampling.kept_thought import Kept, keep
from unmask.sampling.thought_file import Origin, ThoughtFile, check_origin, read_thought
from unmask.sampling.thought_steps import options_of
from unmask.training.own_text import own_text, shown
from unmask.training.run import WEIGHTS, Run

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Mind:
    """A run with thoughts, opened to write.

    Attributes:
        run: The run.
        sampler: What writes.
        settings: How.
        model: Its network.
        vocabulary: The special tokens.
        options: How its thoughts are made.
    """

    run: Run
    sampler: Sampler
    settings: Settings
    model: Any
    vocabulary: Vocabulary
    options: ThoughtOptions

    def write(
        self,
        requests: Sequence[Request],
        batch_size: int,
        model: Any = None,
        told: Callable[[int], None] = lambda more: None,
    ) -> list[Sample]:
        """Write texts, with the run's network or one that stands before it; ``told``: how many words more there are."""
        model, process = self.model if model is None else model, self.run.process
        return generate(
            model, self.sampler, requests, self.vocabulary, batch_size=batch_size, process=process, progress=told
        )

    def words(self, sample: Sample) -> tuple[int, ...]:
        """Return a text's tokens without its end."""
        return sample.tokens[:-1] if sample.ended else sample.tokens


def opened(run: str | Path | Run, sampler: str | None, settings: Mapping[str, Any]) -> Mind:
    """Open a run that has thoughts.

    Raises:
        Error: as for writing; a run without thoughts.
    """
    run, chosen, resolved = resolve(run, sampler, settings)
    return mind_of(run, chosen, resolved)


def mind_of(run: Run, chosen: Sampler, resolved: Settings) -> Mind:
    """Return a run with thoughts and how it is to write.

    Raises:
        Error: a run without thoughts.
    """
    if run.recipe.thought is None or run.recipe.thought.shape is None:
        raise Error(f"run {run.path} has no thoughts; train one that has: unmask train nano-thought --output DIR")
    model = run.model()
    options = options_of(model)
    if options is None:
        raise Error(f"the network of run {run.path} has no thoughts, though its recipe says so; train it again.")
    return Mind(run, chosen, resolved, model, vocabulary_of(run.tokenizer, model), options)


def origin_of(run: Run) -> Origin:
    """Return whose the thoughts of a run are."""
    with (run.path / WEIGHTS).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return Origin(run.name, weights, run.tokenizer.fingerprint)


def read_text(mind: Mind, text: str) -> Kept:
    """Read a text into a thought; a space at its end is left to the word that follows.

    Raises:
        Error: an empty text.
    """
    before, space = hand_over_space(own_text(text, mind.run), mind.vocabulary)
    kept = keep(mind.model, (mind.vocabulary.bos, *mind.run.tokenizer.encode(before)), mind.vocabulary)
    return Kept(kept.tokens, kept.cells, kept.before, kept.stack, space)


def read_end(mind: Mind, source: str | Path) -> tuple[str, Kept]:
    """Return the text and thought of a text, or of a thought file (``.safetensors``).

    Raises:
        Error: an empty text; a file that is no thought, or another network's.
    """
    if not str(source).endswith(SUFFIX):
        return str(source), read_text(mind, str(source))
    found = read_file(mind, source)
    tokenizer = mind.run.tokenizer
    return shown(tokenizer.decode(found.kept.tokens), tokenizer), found.kept


def read_file(mind: Mind, path: str | Path) -> ThoughtFile:
    """Read a thought file of this run.

    Raises:
        Error: a file that is no thought, or another network's.
    """
    found = read_thought(path)
    check_origin(path, found, mind.options, origin_of(mind.run))
    return found


def read_all(mind: Mind, texts: Sequence[tuple[int, ...]]) -> Float[Tensor, "B C E"]:
    """Return the thoughts of written texts; zeros for one without words."""
    none = torch.zeros(mind.options.cells, mind.options.channels)
    return torch.stack([keep(mind.model, t, mind.vocabulary).cells if len(t) > 1 else none for t in texts])


def one_passage(mind: Mind, prompt: str, max_tokens: int | None) -> tuple[tuple[int, ...], frozenset[int]]:
    """Lay out a prompt and room for what is written behind it, all in one passage.

    Raises:
        Error: no room.
    """
    before, leads = hand_over_space(own_text(prompt, mind.run), mind.vocabulary)
    ids = mind.run.tokenizer.encode(before)
    room = mind.options.passage - 1 - len(ids)
    wanted = room if max_tokens is None else max_tokens
    if not 1 <= wanted <= room:
        raise Error(
            f"a prompt of {len(ids)} tokens and {wanted} to write do not fit into one passage of "
            f"{mind.options.passage} tokens (1 is BOS); the thought is that of one passage: shorten one of them."
        )
    return canvas([ids, []], [wanted], mind.vocabulary, [0] if leads else [])
