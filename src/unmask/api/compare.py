"""Several runs, one honest report."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unmask.data.lock import only_one
from unmask.data.sources import open_source
from unmask.errors import Error, check_seed, nearest
from unmask.training.loaded_run import held
from unmask.training.run import MANIFEST, Run

if TYPE_CHECKING:
    from unmask.progress import Progress
    from unmask.reports.rows import CompareResult

JUDGE = "judge-nano"
"""Recipe of the judge that ``auto`` trains."""
_FEWEST_BYTES = 16
"""Bytes for each position of the judge's blocks; less text would not fill a few blocks."""


def compare(
    runs: Sequence[str | Path | Run],
    output: str | Path,
    *,
    quick: bool = False,
    timing: bool = True,
    source: str | None = None,
    documents: int | None = None,
    draws: int | None = None,
    judge: str | Path | Run | None = None,
    samples: int | None = None,
    holes: int | None = None,
    length: int | None = None,
    steps: Sequence[int] | None = None,
    batches: Sequence[int] | None = None,
    measures: Sequence[str] = (),
    budget: Literal["tokens", "flops", "time"] = "tokens",
    rules: str | Path | None = None,
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    resume: bool = False,
    force: bool = False,
    command: str = "",
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> CompareResult:
    """Compare runs on the same held-out text, beside controls, and write one report.

    The folder then holds ``report.html``, ``table.md`` and ``compare.json``. What is finished before an interruption
    is kept in it, for ``resume``. Numbers that are ``None`` are those of the full or the quick comparison
    (:data:`unmask.reports.scope.FULL`, :data:`~unmask.reports.scope.QUICK`).

    Args:
        runs: Run folders, Hub names or opened runs; the first one's corpus and n-grams are the reference. Runs that
            differ in nothing but their seed are one row.
        output: Folder of the report; new or empty, unless ``resume`` or ``force``.
        quick: Measure less: under a minute for two nano runs on one core. What is given besides stays; samplers other
            than a run's own, and divergence, are left out.
        timing: Whether generation is timed; without, rules on speed and memory stay undecided.
        source: Held-out text; default the valid split of the first run's corpus.
        documents: Most held-out documents; 200, quick 60.
        draws: Network calls a window where a likelihood is a bound; 8, quick 4.
        judge: ``auto`` trains a small left-to-right judge on the corpus's judge split once and keeps it in the cache;
            ``n-gram`` judges by an n-gram alone; ``none`` by nothing; else a run. Default ``auto``, quick ``n-gram``.
        samples: Texts that each way to sample writes; 32, quick 12.
        holes: Holes in held-out text that each run fills, where it can; 0: none. 64, quick 16.
        length: Tokens of a generated text; default what the shortest context holds, at most 256, quick 64.
        steps: Steps of samplers that have them; 8, 32 and 128, quick 8 and 32.
        batches: Batch sizes at which generation is timed; 1, 8 and 32, quick 1.
        measures: What is measured besides: ``script``, whether runs that go on from prompts in Hindi, Hinglish and
            mixed script keep it (see :data:`unmask.reports.scope.MEASURES`).
        budget: What the rivals are said to be equal in; over 2 % of difference is a warning.
        rules: A YAML file of decision rules (``keep``, ``against``, ``rules``), beside those of the runs' recipes.
        seed: Of the documents chosen, the bounds, the samples.
        precision: What the networks of all runs compute in, for scores, texts and times alike.
        resume: Go on with the interrupted comparison in ``output``, which must be of the same runs and settings.
        force: Write over the report, or start anew the interrupted comparison, that ``output`` holds.
        command: The command line, for the report.
        say: Called with a line of news.
        progress: Called with where the comparison stands: its stage, how much of it is done, the seconds left of it
            and, roughly, of the whole.

    Returns:
        All that the report shows, as data.

    Raises:
        Error: no such run, a run named twice, a folder in use, unfit text, or a judge that was trained on a rival's
            text.
    """
    from unmask.reports.compare import compare as measure
    from unmask.reports.decide import read_rules
    from unmask.reports.fairness import BUDGETS, refuse_bytes, refuse_twice
    from unmask.reports.finished_parts import check_folder
    from unmask.reports.scope import choose

    if budget not in BUDGETS:
        raise Error(f"unknown budget {budget!r}.{nearest(budget, BUDGETS)} Choose from {', '.join(BUDGETS)}.")
    asked = [read_rules(Path(rules))] if rules is not None else []
    scope = choose(
        quick,
        timing,
        documents=documents,
        draws=draws,
        samples=samples,
        holes=holes,
        length=length,
        steps=steps,
        batches=batches,
        precision=precision,
        measures=measures,
    )
    check_seed(seed)
    if precision not in ("fp32", "bf16"):
        raise Error(f"precision is {precision!r}; all runs are compared in one of fp32 and bf16.")
    if (Path(output) / MANIFEST).is_file():
        raise Error(f"--output {output} is a run; to compare it too, give the runs as one list, and a folder besides.")
    check_folder(Path(output), resume=resume, force=force)
    if source is not None:
        open_source(source)
    opened = [held(run, half=precision == "bf16") for run in runs]
    if not opened:
        raise Error("there is nothing to compare; name at least one run.")
    refuse_twice(opened)
    refuse_bytes(opened)
    chosen: Run | Literal["n-gram", "none"]
    wanted = judge or ("n-gram" if quick else "auto")
    if wanted == "auto":
        for run in opened:
            run.model()  # damaged weights are refused before a judge is trained
        chosen = auto_judge(opened[0], say)
    elif wanted == "none":
        chosen = "none"
    elif wanted == "n-gram":
        chosen = "n-gram"
    else:
        chosen = wanted if isinstance(wanted, Run) else Run.open(wanted)
    busy = f"another comparison is at work in {output}"
    with only_one(Path(output), "comparing", busy, "wait for it, or choose another --output", make=True, say=say):
        return measure(
            opened,
            output,
            scope=scope,
            source=source,
            judge=chosen,
            budget=budget,
            rules=asked,
            seed=seed,
            resume=resume,
            force=force,
            command=command,
            say=say,
            progress=progress,
        )


def auto_judge(run: Run, say: Callable[[str], None]) -> Run | Literal["n-gram"]:
    """Return the cached judge of a run's corpus, trained now if there is none; ``n-gram`` where no text is set apart.

    It reads its split about six times, for more would be memorising it.
    """
    from unmask.data.cache import built, cache_folder
    from unmask.sweeps.train_recipe import train_recipe
    from unmask.training.held_out import corpus_of
    from unmask.training.places import place_of
    from unmask.training.recipe import load_recipe

    if not run.has_texts:
        say(f"no AR judge: what {run.name} learned from is not known here; name one with --judge RUN")
        return "n-gram"
    corpus = corpus_of(run)
    try:
        corpus.split("judge")
    except Error as error:
        say(f"no AR judge: {error}")
        return "n-gram"
    wanted = run.recipe.data
    recipe = load_recipe(JUDGE)
    shared = ("source", "valid", "valid_fraction", "judge_fraction", "normalize", "text_field", "keep")
    given = {name: getattr(wanted, name) for name in shared}
    for key in ("source", "valid"):
        if given[key] is not None:
            given[key] = place_of(run.manifest, key, given[key])
    data = recipe.data.model_copy(update={"split": "judge", **given})
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
        if train_recipe(recipe, aside).manifest["status"] != "finished":
            raise KeyboardInterrupt
        shutil.rmtree(aside / "checkpoints", ignore_errors=True)

    return Run.open(built(folder, build))
