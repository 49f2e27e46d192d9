"""Quality against time of all samplers and rules: block and masked runs, and left to right with its cache.

    python -m benchmarks.studies.few_steps.pareto --causal RUN --block RUN --masked RUN [--draw]

One thread, 128 tokens that no end of text cuts short, batch 1 and 8: processor time, so a busy machine does not count
but for what shares its caches. All ways take turns; the texts of the turns of batch 8 are those that are judged: bits
per byte under an n-gram of bytes, fitted on documents that no run has seen, the entropy of their words and their
repeats, with real text of as many words beside. What a sampler's settings let one choose is read from their models, so
a rule that is new has a row. Aria's sweeps are rows: 8, 12 and 16 steps, and ``confidence_stop`` .95, .98 and .99.

Results go to ``benchmarks/results/pareto.json``, the picture to ``docs/img/pareto.svg``; the table of
``docs/studies/tune.md`` is written by ``benchmarks.docs.tables``. ``--draw`` draws what is stored; ``--quick`` writes a
few tokens and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from matplotlib.figure import Figure

from benchmarks.lib.measure import say, take_turns
from benchmarks.lib.places import IMAGES, RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.studies.block.frontier import Writer, label, quality
from benchmarks.studies.few_steps.front import BATCHES, collapsed, fronts, table
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.text import real_like
from unmask.pictures.pareto import Dot, draw_pareto
from unmask.sampling.search_space import kinds_of
from unmask.sampling.settings import Settings
from unmask.sweeps.bench import TOKENS
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

RESULT = RESULTS / "pareto.json"
PICTURE = IMAGES / "pareto.svg"
Way = tuple[str, str, dict[str, Any]]
STEPS = (8, 12, 16, 32, 64)
"""Of a masked canvas; the first three are Aria's."""
_PLAIN = 16
"""Steps at which rules are tried beside each other."""


def ways() -> list[Way]:
    """Return (run, sampler, settings) of all that is compared."""
    found: list[Way] = [("causal", "autoregressive", {}), ("block", "autoregressive", {})]
    for kind in kinds_of("masked"):
        stepped = "steps" in kind().known
        counts = [count for count in STEPS if count in (8, 16, 64) or kind.name in ("ancestral", "confidence")]
        rows: list[dict[str, Any]] = [{"steps": count} for count in counts] if stepped else [{}]
        rows += [{**({"steps": _PLAIN} if stepped else {"entropy_budget": 2.0}), **rule} for rule in rules(kind)]
        if kind.name == "confidence":
            rows += [{"steps": count, "confidence_noise": 1.0} for count in (8, 16, 32)]
            rows += [{"steps": 32, "confidence_stop": sure} for sure in (0.95, 0.98, 0.99)]
        if kind.name == "entropy-bound":
            rows += [{"entropy_budget": budget} for budget in (0.5, 2.0)]
        found += [("masked", kind.name, row) for row in rows]
    found += [("block", kind.name, {}) for kind in kinds_of("block") if kind.name not in ("block", "autoregressive")]
    (blocks,) = (kind for kind in kinds_of("block") if kind.name == "block")
    for size in (4, 8, 16):
        for rule in rules(blocks, {}, inner=size == 8):
            at = {"block_size": size, **rule}
            stepped = "steps" in blocks(**at).known
            more = [{"steps": size // 4}, {"steps": size // 2}] if stepped else budgets(blocks, at)
            inner = len(rule) > 1
            found += [("block", "block", {**at, **each}) for each in (more[1:2] or more if inner else more)]
    return [way for place, way in enumerate(found) if way not in found[:place]]


def rules(kind: type[Settings], plain: Mapping[str, Any] | None = None, inner: bool = True) -> list[dict[str, Any]]:
    """Return each choice of a sampler's that is not its default, one at a time.

    Args:
        kind: The sampler's settings.
        plain: What comes before them, if anything.
        inner: Whether choices that mean something under another one alone have a row beside it.
    """
    found = [] if plain is None else [dict(plain)]
    for key, choice in choices(kind, {}):
        found.append({key: choice})
        before = choices(kind, {})
        more = [each for each in choices(kind, {key: choice}) if each not in before and each[0] != key]
        found += [{key: choice, other: value} for other, value in more if inner]
    return found


def choices(kind: type[Settings], given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return (setting, choice) of what means something beside the given settings, defaults left out."""
    found = []
    for key, field in kind.model_fields.items():
        if get_origin(field.annotation) is Literal and key in kind(**given).known:
            found += [(key, choice) for choice in get_args(field.annotation) if choice != field.default]
    return [(key, choice) for key, choice in found if works(kind, {**given, key: choice})]


def works(kind: type[Settings], given: Mapping[str, Any]) -> bool:
    """Return whether settings can stand beside each other."""
    try:
        kind(**given)
    except Error:
        return False
    return True


def budgets(kind: type[Settings], at: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a rule without steps is tried with."""
    return [{"entropy_budget": b} for b in (0.1, 0.5, 2.0)] if "entropy_budget" in kind(**at).known else [{}]


def measure(writer: Writer, chosen: list[Way], judge: NgramJudge, real: list[str], turns: int) -> dict[str, Any]:
    """Return the rows: each way timed in turns at both batch sizes, and what it wrote at the larger one judged."""
    rows: dict[str, Any] = {label(way): {"run": way[0], "sampler": way[1], "settings": way[2]} for way in chosen}
    texts: dict[str, list[str]] = {name: [] for name in rows}

    def once(way: Way, batch: int) -> float:
        turn = len(texts[label(way)])
        began = time.thread_time()
        written = writer.write(way, batch, batch, seed=turn, ignore_eos=True)
        seconds = time.thread_time() - began
        if batch == BATCHES[-1]:
            texts[label(way)] += written
        return 1000 * TOKENS * seconds / writer.tokens

    for batch in BATCHES:
        say(f"batch {batch}: {len(chosen)} ways, {turns} turns")
        cases = {label(way): lambda way=way, batch=batch: once(way, batch) for way in chosen}
        for name, taken in take_turns(cases, turns).items():
            rows[name][f"ms, batch {batch}"] = statistics.median(taken)
            rows[name][f"range, batch {batch}"] = [min(taken), max(taken)]
    for name, written in texts.items():
        rows[name] |= quality(written, judge) | {"text": written[0][:200]}
    like = real_like(next(iter(texts.values())), real)
    rows["real text"] = {"run": "real", "sampler": "", "settings": {}, **quality(like, judge)}
    return rows


def draw(stored: Mapping[str, Any]) -> Figure:
    """Draw both batch sizes beside each other."""
    rows = stored["rows"]
    figure = Figure(figsize=(10.4, 4.6), layout="constrained")
    for axes, batch in zip(figure.subplots(1, 2, sharey=True), BATCHES, strict=True):

        def dot(name: str, text: str = "", batch: int = batch) -> Dot:
            row = rows[name]
            group = f"{row['run']}: {row['settings'].get('rule', row['sampler'])}"
            poor = collapsed(row, rows["real text"])
            return Dot(row[f"ms, batch {batch}"], row["judge, bits per byte"], group, text, poor)

        front = [dot(name) for name in fronts(rows, batch)]
        real = rows["real text"]["judge, bits per byte"]
        dots = [dot(name) for name in rows if name != "real text"]
        draw_pareto(axes, dots, front, real, f"milliseconds for 128 tokens, batch {batch}", "judge, bits per byte")
    return figure


def show(stored: Mapping[str, Any]) -> None:
    """Draw the picture."""
    draw(stored).savefig(PICTURE, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, draw and print, unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    for name in ("causal", "block", "masked"):
        options.add_argument(f"--{name}", type=Path, help=f"a trained {name} run")
    options.add_argument("--turns", type=int, default=4, help="turns of each way; at batch 8 each writes 8 texts")
    options.add_argument("--draw", action="store_true", help="draw what is stored, and measure nothing")
    options.add_argument("--quick", action="store_true", help="a few tokens and ways: does it run? nothing is kept")
    given = options.parse_args(arguments)
    if given.draw:
        show(json.loads(RESULT.read_text(encoding="utf-8")))
        return 0
    torch.set_num_threads(1)
    runs = {name: Run.open(getattr(given, name)) for name in ("causal", "block", "masked")}
    writer = Writer(runs, 16 if given.quick else TOKENS)
    chosen = ways()[:: 8 if given.quick else 1]
    corpus = corpus_of(runs["block"])
    judge = NgramJudge(ByteNgram().fit(text.encode() for text in documents(corpus.split("judge"))), name="judge")
    real = list(documents(corpus.split("valid")))[:500]
    rows = measure(writer, chosen, judge, real, 1 if given.quick else given.turns)
    told = {name: {key: run.manifest.get(key) for key in ("parameters", "tokens_seen")} for name, run in runs.items()}
    command = f"python -m {__spec__.name} --causal RUN --block RUN --masked RUN"
    stored = {**stamp(command), "tokens": writer.tokens, "turns": given.turns, "runs": told, "rows": rows}
    if not given.quick:
        store(RESULT, stored)
        show(stored)
    print("\n".join(told.table(table(stored))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
