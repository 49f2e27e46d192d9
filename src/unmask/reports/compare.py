"""``compare``: score, time and sample all runs on the same held-out text, beside the controls, and write the report.

The stages (``stages``) measure; what they share is a :class:`Session`; what they have finished is kept
(``finished_parts``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from unmask import __version__
from unmask.data.corpus import Corpus
from unmask.errors import Error
from unmask.lines import counted
from unmask.progress import Progress
from unmask.reports import stages
from unmask.reports.answer import answer
from unmask.reports.assemble import make_row, make_setup, stacked
from unmask.reports.dataclass_json import plain
from unmask.reports.decide import Evidence, Question, decide, question
from unmask.reports.entrants import Entrant, gather
from unmask.reports.fairness import Budget, check_judge, refuse_bytes, refuse_twice, shared_window, uneven
from unmask.reports.finished_parts import Parts, check_folder, digest, digest_texts
from unmask.reports.forecast import forecast
from unmask.reports.generation import ways
from unmask.reports.probes import Probes
from unmask.reports.report import write_report
from unmask.reports.rows import CompareResult, sharpest
from unmask.reports.scope import FULL, Scope
from unmask.reports.scripts import Scripts, keep_script
from unmask.reports.session import Session
from unmask.training.hardware import device_name
from unmask.training.held_out import corpus_of, held_out
from unmask.training.run import Run


def compare(
    runs: Sequence[str | Path | Run],
    folder: str | Path,
    *,
    scope: Scope = FULL,
    source: str | None = None,
    judge: Run | Literal["n-gram", "none"] = "n-gram",
    budget: Budget = "tokens",
    rules: Sequence[Question] = (),
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> CompareResult:
    """Compare runs and write ``report.html``, ``table.md`` and ``compare.json``.

    Args:
        runs: Run folders, Hub names or opened runs. Runs that differ in nothing but their seed are one row.
        folder: Where the report goes.
        scope: How much is measured.
        source: Held-out text; default the valid split of the first run's corpus.
        judge: A run that was trained on text that no rival saw, beside the n-gram judge; ``n-gram``: that alone;
            ``none``: no judge.
        budget: What the rivals are said to be equal in; a difference of over 2 % is a warning.
        rules: Decisions to take, beside those that the runs' recipes bring.
        seed: Of the choice of documents, the bounds' noise, the samples.
        resume: Go on with the interrupted comparison in ``folder``.
        force: Write over what ``folder`` holds of an earlier one.
        command: The command line, for the report.
        say: Called with a line of news.
        progress: Called with where the comparison stands.

    Raises:
        Error: no run, the same run twice, a folder in use, unfit held-out text, or a judge that was trained on what a
            rival was trained on.
    """
    if not runs:
        raise Error("there is nothing to compare; name at least one run.")
    folder = Path(folder)
    check_folder(folder, resume=resume, force=force)
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    refuse_twice(opened)
    refuse_bytes(opened)
    if isinstance(judge, Run):
        check_judge(judge, opened)
    entrants = gather(opened)
    asked = [*rules, *_own_rules(entrants)]
    for each in asked:
        _check_named(each, entrants)
    text = held_out(opened, source, scope.documents, seed)
    contexts = [int(e.models[0].config.max_position_embeddings) for e in entrants for _ in e.runs]
    window = shared_window(text.texts, [run for e in entrants for run in e.runs], contexts)
    length = scope.length or min(min(contexts) - 1, scope.longest)
    say(
        f"{counted(len(text.texts), 'held-out document')} of {text.source} ({text.fingerprint}), "
        f"windows of {window} bytes"
    )

    parts = Parts(folder, say)
    plan = {
        "format": 1,
        "runs": [[run.name, digest(run)] for run in opened],
        "text": digest_texts(text.texts),
        "window": window,
        **plain(scope),
        "length": length,
        "judge": [judge.name, digest(judge)] if isinstance(judge, Run) else judge,
        "budget": budget,
        "rules": plain(asked),
        "seed": seed,
        "device": device_name(),
        "versions": {"unmask": __version__, "torch": torch.__version__},
    }
    parts.begin(plan, resume=resume)
    corpus, split = _corpus(entrants, source if text.split == "valid" else None)
    session = Session(
        entrants=entrants,
        ways=[ways(entrant.first, scope.steps, length, scope.rivals) for entrant in entrants],
        corpus=corpus,
        split=split,
        text=text,
        window=window,
        length=length,
        scope=scope,
        seed=seed,
        parts=parts,
        tell=progress,
        warnings=[*text.notes, *uneven(entrants, budget)],
    )
    try:
        if not resume:  # of what is there already nobody knows how long it took
            session.tell = forecast(session, say)
        comparison = _measured(session, judge, budget, asked, command, folder)
    except BaseException:
        parts.abandon()
        raise
    write_report(comparison, folder)
    parts.finish()
    return comparison


def _measured(
    session: Session, chosen: Run | str, budget: Budget, asked: Sequence[Question], command: str, folder: Path
) -> CompareResult:
    """Go through the stages, and put what they found together."""
    entrants, text, scope, seed = session.entrants, session.text, session.scope, session.seed
    scores = stages.score(session)
    first = scores[0][0]
    bytes_each = max(4, round(session.length * first.bytes / first.tokens))  # a canvas of the first run, in bytes
    yardstick = stages.judge(session, chosen, bytes_each)
    cells = stages.clock(session)
    texts = stages.sample(session, yardstick, cells)
    probes = Probes.make(text.texts, session.window, scope.holes, seed, session.warnings.append, scope.probed)
    probed = stages.probe(session, probes)
    controls = stages.control(session, yardstick, bytes_each)
    scripts = keep_script(session) if "script" in scope.measures else Scripts()

    nats = {entrant.name: stacked(each) for entrant, each in zip(entrants, scores, strict=True)}
    base = nats[entrants[0].name]
    rows = [
        scripts.added_to(make_row(entrant, scores[i], texts[i], base if i else None, probed[i]))
        for i, entrant in enumerate(entrants)
    ]
    judges = [judge.name for judge in yardstick.judges]
    evidence = Evidence(nats, first.per_document[1], sharpest(controls, judges))
    held: dict[str, Any] = {
        "source": text.source,
        "split": text.split,
        "fingerprint": text.fingerprint,
        "documents": len(text.texts),
        "bytes": first.bytes,
        "characters": sum(map(len, text.texts)),
        "window": session.window,
    }
    return CompareResult(
        rows=rows,
        controls=controls,
        warnings=session.warnings,
        held_out=held,
        setup=make_setup(command, seed, scope, session.length, yardstick.judges, budget),
        curves={entrant.name: entrant.first.metrics() for entrant in entrants},
        folder=str(folder),
        decisions=[decide(each, rows, evidence) for each in asked],
        fills=probes.controls,
        scripts=scripts.tables,
        answer=answer(rows, controls, evidence),
    )


def _corpus(entrants: Sequence[Entrant], source: str | None) -> tuple[Corpus | None, str]:
    """Return the corpus that n-grams are counted in, and its part: of the first run whose texts are known here."""
    first = entrants[0].first
    known = next((each.first for each in entrants if each.first.has_texts), None)
    if known is None:
        return None, first.recipe.data.split
    return corpus_of(known, source if known is first else None), known.recipe.data.split


def _own_rules(entrants: Sequence[Entrant]) -> list[Question]:
    """Return the questions that recipes bring, where the row that they are held against is here."""
    found = []
    for entrant in entrants:
        section = entrant.first.recipe.decide
        if section is not None and any(section.against in (e.name, e.first.recipe.name) for e in entrants):
            found.append(question(entrant.name, section.against, list(section.rules), f"recipe of {entrant.name}"))
    return found


def _check_named(asked: Question, entrants: Sequence[Entrant]) -> None:
    """Refuse rules about rows that are not here before an hour is spent on measuring."""
    known = {name for entrant in entrants for name in (entrant.name, entrant.first.recipe.name)}
    for name in filter(None, (asked.keep, asked.against)):
        if name not in known:
            raise Error(f"the rules speak of {name!r}, which is not a row here. Rows: {', '.join(sorted(known))}.")
