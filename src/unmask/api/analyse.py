"""Look at a run's thoughts: what they do while a text is written, and every measure of them beside its controls."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.errors import Error, check_seed, check_texts
from unmask.lines import counted
from unmask.progress import Counter, Progress
from unmask.result import Result
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.evaluation.thought_measures import Collapse
    from unmask.evaluation.trajectories import Moment, Trajectory
    from unmask.reports.cells import Table
    from unmask.reports.thought_table import Measure


@dataclass(frozen=True)
class ThoughtText:
    """A text and what happened to its thought.

    Attributes:
        text: The finished text.
        ended: Whether the network ended it.
        moments: Answers of the network, thinned out to the asked distance.
    """

    text: str
    ended: bool
    moments: list[Moment]


@dataclass(frozen=True, repr=False)
class AnalyseResult(Result):
    """What a run's thoughts do and are worth.

    Attributes:
        run: The run's folder.
        name: Its name.
        process: Its process.
        shape: Of its thoughts.
        passage: Tokens of a passage.
        sampler: How the texts were written.
        settings: All settings of it.
        every: Steps between two moments.
        texts: The texts.
        measures: The table; empty where it was not asked for.
        collapse: Whether thoughts of held-out passages have collapsed; ``None`` without a table.
        source: Where the held-out text comes from.
        split: The part of it.
        corpus_fingerprint: Of that text.
        documents: How many of its documents were read.
        notes: What to know about the text.
        files: What was written.
    """

    run: str
    name: str
    process: str
    shape: list[int]
    passage: int
    sampler: str
    settings: dict[str, Any]
    every: int
    texts: list[ThoughtText]
    measures: list[Measure]
    collapse: Collapse | None
    source: str
    split: str
    corpus_fingerprint: str
    documents: int
    notes: list[str]
    files: list[Path] = field(default_factory=list)

    def _facts(self) -> tuple[str, ...]:
        return (self.name, counted(len(self.texts), "text"), counted(len(self.measures), "measure"))

    def table(self) -> Table:
        """Return the measures as a table of text."""
        from unmask.reports.thought_table import to_table

        return to_table(self.measures)


def thoughts_analyse(
    run: str | Path | Run,
    *,
    n: int = 8,
    steps: int | None = None,
    every: int = 4,
    sampler: str | None = None,
    source: str | None = None,
    documents: int = 64,
    draws: int = 4,
    seed: int = 0,
    table: bool = True,
    output: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> AnalyseResult:
    """Record how thoughts become clear while ``n`` texts are written, and measure thoughts beside controls.

    Args:
        run: A run folder, a Hub name or an opened run, trained with a section ``thought``.
        n: Texts to write, of a passage each; text i is the same whatever ``n`` is.
        steps: Steps of the sampler; default the recipe's.
        every: Steps between two moments that are shown. Stability is always over consecutive answers.
        sampler: Name of a sampler that carries thoughts; default the recipe's, else the process's.
        source: Held-out text; default the valid split of the run's own corpus.
        documents: Most documents of it.
        draws: Network calls a window where the likelihood is a bound.
        seed: Of the texts, the documents and every control.
        table: Whether to measure; without it no held-out text is needed.
        output: Folder for ``thoughts.html``, ``thoughts.json`` and the pictures.
        say: Called with a line a stage.
        progress: Called with where it stands.

    Raises:
        Error: no such run, one without thoughts, a sampler that carries none, no held-out text, or numbers that cannot
            work.
    """
    from unmask.api.writing import resolve, vocabulary_of, words_told
    from unmask.evaluation.thought_reading import read_documents, thinking
    from unmask.evaluation.trajectories import record
    from unmask.evaluation.windows import common_window
    from unmask.sampling import fill_request
    from unmask.training.held_out import held_out

    check_seed(seed)
    check_texts(n)
    if every < 1:
        raise Error(f"every is {every}; it must be at least 1 step.")
    if output is not None and Path(output).is_file():
        raise Error(f"--output {output} is a file; give a folder.")
    run, chosen, settings = resolve(run, sampler, {"steps": steps, "seed": seed})
    model, tokenizer = run.model(), run.tokenizer
    options = thinking(model, run.process)
    text = held_out([run], source, documents, seed) if table else None
    vocabulary = vocabulary_of(tokenizer, model)
    context = int(model.config.max_position_embeddings)
    room = min(options.passage, context) - 1
    say(f"writing {counted(n, 'text')} of up to {counted(room, 'token')}")
    requests = [fill_request([], room, vocabulary, settings, index=index) for index in range(n)]
    stages = 1 if text is None else 4
    told = words_told(progress, run, requests, vocabulary, (1, stages))
    trajectories = record(model, chosen, requests, tokenizer, vocabulary, progress=told)
    measures: list[Measure] = []
    verdict = None
    if text is not None:
        from unmask.reports.thought_scores import HOLES, likelihood_measures, text_measures
        from unmask.reports.thought_table import code_measures, course_measures

        window = common_window(text.texts, [tokenizer], [context])
        say(f"reading the thoughts of {counted(len(text.texts), 'document')}")
        progress(Progress("reading thoughts", 2, stages, run.name, 0, len(text.texts), 0.0, None, "documents"))
        read = read_documents(model, run.process, tokenizer, text.texts, window=window)
        code, verdict = code_measures(read, seed=seed)
        say("scoring held-out text")
        counter = Counter("scoring", progress, unit="windows", what=run.name, place=(3, stages))
        scored = likelihood_measures(run, model, text.texts, window=window, draws=draws, seed=seed, progress=counter)
        say("filling holes")
        progress(Progress("filling holes", 4, stages, run.name, 0, HOLES, 0.0, None, "holes"))
        written = [each.text for each in trajectories]
        filled = text_measures(run, model, chosen, settings, text.texts, written, seed=seed)
        measures = [*code, *course_measures(trajectories), *scored, *filled]
    result = AnalyseResult(
        run=str(run.path),
        name=run.name,
        process=run.process.name,
        shape=list(options.shape or ()),
        passage=options.passage,
        sampler=settings.name,
        settings=settings.model_dump(),
        every=every,
        texts=[ThoughtText(each.text, each.ended, each.moments(every)) for each in trajectories],
        measures=measures,
        collapse=verdict,
        source=text.source if text else "",
        split=text.split if text else "",
        corpus_fingerprint=text.fingerprint if text else "",
        documents=len(text.texts) if text else 0,
        notes=list(text.notes) if text else [],
    )
    return result if output is None else _written(result, trajectories, Path(output))


_WHOLE = 3
"""Texts whose thought is drawn cell by cell."""


def _written(result: AnalyseResult, trajectories: list[Trajectory], folder: Path) -> AnalyseResult:
    """Write the page, the numbers and the pictures, and say where they are."""
    from unmask.pictures.thought_courses import courses, crossing
    from unmask.reports.report import finite, page

    folder.mkdir(parents=True, exist_ok=True)
    each, together = courses(trajectories[:_WHOLE]), crossing(trajectories)
    drawn = {f"text-{number}.svg": uri for number, (_, uri) in enumerate(each, start=1)}
    if together is not None:
        drawn["paths.svg"] = together[1]
    for name, uri in drawn.items():
        (folder / name).write_bytes(base64.b64decode(uri.partition(",")[2]))
    result = replace(result, files=[folder / name for name in ("thoughts.html", "thoughts.json", *drawn)])
    html = page("thoughts.html").render(found=result, table=result.table(), courses=each, together=together)
    (folder / "thoughts.html").write_text(html, encoding="utf-8", errors="backslashreplace")
    content = json.dumps(finite(result.to_dict()), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "thoughts.json").write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
    return result
