"""Several runs, one honest report."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unmask.data.sources import open_source
from unmask.errors import Error, nearest
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.compare.rows import Comparison

JUDGE = "judge-nano"
"""Recipe of the judge that ``auto`` trains."""
_FEWEST_BYTES = 16
"""Bytes for each position of the judge's blocks; less text would not fill a few blocks."""


def compare(
    runs: Sequence[str | Path | Run],
    output: str | Path,
    *,
    source: str | None = None,
    documents: int = 200,
    draws: int = 8,
    judge: str | Path | Run = "auto",
    samples: int = 32,
    holes: int = 64,
    length: int | None = None,
    steps: Sequence[int] = (8, 32, 128),
    batches: Sequence[int] = (1, 8, 32),
    budget: Literal["tokens", "flops", "time"] = "tokens",
    rules: str | Path | None = None,
    seed: int = 0,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compare runs on the same held-out text, beside controls, and write one report.

    The folder then holds ``report.html``, ``table.md`` and ``compare.json``.

    Args:
        runs: Run folders, Hub names or opened runs; the first one's corpus and n-grams are the reference. Runs that
            differ in nothing but their seed are one row.
        output: Folder of the report.
        source: Held-out text; default the valid split of the first run's corpus.
        documents: Most held-out documents.
        draws: Network calls a window where a likelihood is a bound.
        judge: ``auto`` trains a small left-to-right judge on the corpus's judge split once and keeps it in the cache;
            ``n-gram`` judges by an n-gram alone; ``none`` by nothing; else a run.
        samples: Texts that each way to sample writes.
        holes: Holes in held-out text that each run fills, where it can; 0: none.
        length: Tokens of a generated text; default what the shortest context holds, at most 256.
        steps: Steps of samplers that have them.
        batches: Batch sizes at which generation is timed.
        budget: What the rivals are said to be equal in; over 2 % of difference is a warning.
        rules: A YAML file of decision rules (``keep``, ``against``, ``rules``), beside those of the runs' recipes.
        seed: Of the documents chosen, the bounds, the samples and the intervals.
        command: The command line, for the report.
        say: Called with a line of progress.

    Returns:
        All that the report shows, as data.

    Raises:
        Error: no such run, unfit text, or a judge that was trained on a rival's text.
    """
    from unmask.compare.compare import Speed
    from unmask.compare.compare import compare as measure
    from unmask.compare.decide import read_rules
    from unmask.compare.fairness import BUDGETS, refuse_bytes

    if budget not in BUDGETS:
        raise Error(f"unknown budget {budget!r}.{nearest(budget, BUDGETS)} Choose from {', '.join(BUDGETS)}.")
    asked = [read_rules(Path(rules))] if rules is not None else []
    for name, values in (("steps", steps), ("batches", batches)):
        if not values or min(values) < 1:
            raise Error(f"{name} must be numbers of at least 1, got {list(values)}.")
    for name, count in (("documents", documents), ("draws", draws), ("samples", samples), ("length", length)):
        if count is not None and count < 1:
            raise Error(f"{name} is {count}; it must be at least 1.")
    if holes < 0:
        raise Error(f"holes is {holes}; it must be 0 or more.")
    if Path(output).is_file():
        raise Error(f"--output {output} is a file; give a folder.")
    if source is not None:
        open_source(source)
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    if not opened:
        raise Error("there is nothing to compare; name at least one run.")
    refuse_bytes(opened)
    chosen: Run | Literal["n-gram", "none"]
    if judge == "auto":
        for run in opened:
            run.model("cpu")  # damaged weights are refused before a judge is trained
        chosen = auto_judge(opened[0], say)
    elif judge == "none":
        chosen = "none"
    elif judge == "n-gram":
        chosen = "n-gram"
    else:
        chosen = judge if isinstance(judge, Run) else Run.open(judge)
    return measure(
        opened,
        output,
        source=source,
        documents=documents,
        draws=draws,
        judge=chosen,
        samples=samples,
        holes=holes,
        length=length,
        speed=Speed(batches=tuple(batches), steps=tuple(steps)),
        budget=budget,
        rules=asked,
        seed=seed,
        command=command,
        say=say,
    )


def auto_judge(run: Run, say: Callable[[str], None]) -> Run | Literal["n-gram"]:
    """Return the cached judge of a run's corpus, trained now if there is none; ``n-gram`` where no text is set apart.

    It reads its split about six times, for more would be memorising it.
    """
    from unmask.compare.drawn_training import train_drawn
    from unmask.compare.held_out import corpus_of
    from unmask.data.cache import built, cache_folder
    from unmask.training.recipe import load_recipe

    corpus = corpus_of(run)
    try:
        corpus.split("judge")
    except Error as error:
        say(f"no AR judge: {error}")
        return "n-gram"
    wanted = run.recipe.data
    recipe = load_recipe(JUDGE)
    shared = ("source", "valid", "valid_fraction", "judge_fraction", "normalize", "text_field")
    data = recipe.data.model_copy(update={"split": "judge", **{name: getattr(wanted, name) for name in shared}})
    tokens = corpus.stats()["splits"]["judge"]["bytes"] / 3  # a token of its small vocabulary is about 3 bytes
    per_step = data.length * recipe.training.per_device_train_batch_size
    steps = max(50, min(recipe.training.max_steps, round(6 * tokens / per_step)))
    training = recipe.training.model_copy(update={"max_steps": steps})
    recipe = recipe.model_copy(update={"data": data, "training": training})
    sizes = {name: corpus.stats()["splits"][name]["bytes"] for name in ("judge", "valid")}
    if min(sizes.values()) < _FEWEST_BYTES * data.length:
        say(f"no AR judge: its text is too short ({sizes['judge']} bytes to train on, {sizes['valid']} held out)")
        return "n-gram"
    key = hashlib.sha256(f"{corpus.fingerprint} {recipe.to_yaml()}".encode()).hexdigest()[:12]
    folder = cache_folder() / "judges" / f"{corpus.fingerprint}-{key}"
    if not folder.is_dir():
        say(f"training the judge on the judge split of {corpus.source} (once; kept in {folder})")

    def build(aside: Path) -> None:
        if train_drawn(recipe, aside).manifest["status"] != "finished":
            raise KeyboardInterrupt
        shutil.rmtree(aside / "checkpoints", ignore_errors=True)

    return Run.open(built(folder, build))
