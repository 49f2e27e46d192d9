"""Keep a thought on disk, and take it up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.api.thought_run import SUFFIX, opened, origin_of, read_file, read_text
from unmask.api.writing import Setting
from unmask.errors import Error, check_texts
from unmask.lines import counted, excerpt
from unmask.progress import Counter, Progress
from unmask.result import Result
from unmask.sampling import Request, Sample
from unmask.sampling.kept_thought import go_on
from unmask.sampling.thought_file import ThoughtFile, refuse_other, write_thought
from unmask.training.own_text import shown
from unmask.training.run import Run


@dataclass(frozen=True, repr=False)
class SaveResult(Result):
    """A thought on disk.

    Attributes:
        run: The run's folder.
        path: The file.
        text: The text that was read.
        tokens: Its tokens, without BOS.
        passages: Its finished passages.
        stack: How many of their thoughts are kept.
        shape: Shape of a thought.
    """

    run: str
    path: str
    text: str
    tokens: int
    passages: int
    stack: int
    shape: list[int]

    def _facts(self) -> tuple[str, ...]:
        return (self.path, f"the thought of {counted(self.tokens, 'token')}", repr(excerpt(self.text)))


@dataclass(frozen=True, repr=False)
class ResumeResult(Result):
    """Texts that went on from a thought.

    Attributes:
        run: The run's folder.
        file: The thought file.
        sampler: Name of the sampler.
        settings: All its settings.
        text: The text so far.
        texts: The whole texts.
        completions: What was written.
        ended: For each text, whether the model ended it.
        tokens: For each text, how many tokens were written.
        steps: For each text, the steps taken.
        forwards: For each text, the network calls it took part in.
        output: Where the longer text's thought was kept; ``None``: nowhere.
    """

    run: str
    file: str
    sampler: str
    settings: dict[str, Any]
    text: str
    texts: list[str]
    completions: list[str]
    ended: list[bool]
    tokens: list[int]
    steps: list[int]
    forwards: list[int]
    output: str | None

    def _facts(self) -> tuple[str, ...]:
        written = repr(excerpt(self.completions[0], 64)) if self.completions else ""
        return (f"{counted(len(self.texts), 'text')} behind {excerpt(self.text, 40)!r}", written)


def thoughts_save(run: str | Path | Run, text: str, output: str | Path) -> SaveResult:
    """Read a text into a thought, and keep it.

    Args:
        run: A run folder with thoughts, or an opened run.
        text: What is read.
        output: The file, ``NAME.safetensors``; an older thought there is replaced.

    Raises:
        Error: a run without thoughts, an empty text, a place that cannot be written to.
    """
    _check_output(output)
    mind = opened(run, None, {})
    kept = read_text(mind, text)
    write_thought(output, ThoughtFile(kept, mind.options, origin_of(mind.run)))
    return SaveResult(
        run=str(mind.run.path),
        path=str(output),
        text=text,
        tokens=len(kept.tokens) - 1,
        passages=len(kept.tokens) // mind.options.passage,
        stack=len(kept.stack),
        shape=list(mind.options.shape or ()),
    )


def thoughts_resume(
    run: str | Path | Run,
    file: str | Path,
    *,
    max_tokens: int | None = None,
    n: int = 1,
    output: str | Path | None = None,
    sampler: str | None = None,
    batch_size: int = 8,
    progress: Callable[[Progress], None] = lambda told: None,
    **settings: Setting,
) -> ResumeResult:
    """Go on with a text from its kept thought: as if it had not been left.

    What was written before the passage that the text is in is not read again; texts may grow beyond the context.

    Args:
        run: The run that had the thought.
        file: The thought file.
        max_tokens: Most tokens to write; default: one passage.
        n: How many continuations.
        output: Keep the longer text's thought here, too (one continuation).
        sampler: Name of a sampler; default: the recipe's, else the process's.
        batch_size: Most texts in one network call.
        progress: Called with how much has been written.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out comes from the recipe.

    Raises:
        Error: no thought file, another network's, a text that has ended; as :func:`unmask.sample`.
    """
    check_texts(n)
    if output is not None:
        _check_output(output)
        if n > 1:
            raise Error(f"--output keeps one thought, and n is {n}; ask for one text.")
    mind = opened(run, sampler, settings)
    start = read_file(mind, file).kept
    most = mind.options.passage if max_tokens is None else max_tokens
    counter = Counter("writing", progress, unit="tokens", what=mind.run.name)

    def write(asked: Sequence[Request]) -> list[Sample]:
        return mind.write(asked, batch_size, told=lambda more: counter.add(more, n * most))

    found = go_on(mind.model, [start] * n, most, mind.vocabulary, mind.settings, write)
    if output is not None:
        write_thought(output, ThoughtFile(found[0].kept, mind.options, origin_of(mind.run)))
    text = mind.run.tokenizer.decode(start.tokens) + " " * start.space
    tokenizer = mind.run.tokenizer
    texts = [tokenizer.decode(one.kept.tokens) for one in found]
    return ResumeResult(
        run=str(mind.run.path),
        file=str(file),
        sampler=mind.settings.name,
        settings=mind.settings.model_dump(),
        text=shown(text, tokenizer),
        texts=[shown(whole, tokenizer) for whole in texts],
        completions=[shown(whole.removeprefix(text), tokenizer) for whole in texts],
        ended=[one.kept.ended for one in found],
        tokens=[len(one.written) for one in found],
        steps=[one.steps for one in found],
        forwards=[one.forwards for one in found],
        output=None if output is None else str(output),
    )


def _check_output(output: str | Path) -> None:
    if not str(output).endswith(SUFFIX):
        raise Error(f"a thought is kept in a file NAME{SUFFIX}; {output} has another name.")
    refuse_other(Path(output))  # before anything is read
