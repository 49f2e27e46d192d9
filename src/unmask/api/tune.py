"""Search how a run writes well and fast on this machine, and keep what is chosen as the run's preset."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.api.tune_results import FrontLine as FrontLine
from unmask.api.tune_results import TuneResult as TuneResult
from unmask.errors import Error, check_seed, wrong_count
from unmask.progress import Progress
from unmask.training.find_run import own_folder
from unmask.training.loaded_run import held
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.evaluation.continued import ContinuationJudge
    from unmask.sweeps.bench import Point

FOLDER = "tune"
"""In the run: the trials, the front's picture and its numbers."""


def tune(
    run: str | Path | Run,
    *,
    trials: int = 40,
    minutes: float | None = None,
    batch_size: int = 1,
    judge: str | Path | Run | None = None,
    source: str | None = None,
    prompts: int = 16,
    length: int | None = None,
    choose: str = "balanced",
    seed: int = 0,
    force: bool = False,
    progress: Callable[[Progress], None] = lambda told: None,
) -> TuneResult:
    """Search sampler, rules, steps, block sizes and temperatures of a run for quality and speed on this machine.

    Every trial is kept in the run (``tune/studies.log``), so the same call goes on where one was interrupted, and one
    that has its trials already chooses anew at once. What is chosen becomes the run's preset (``sampler.json``), by
    which it writes from then on where nothing else is said.

    Args:
        run: A run folder, a Hub name or an opened run.
        trials: Ways to try in all, those of earlier calls included.
        minutes: No new trial begins after so many minutes of this call.
        batch_size: Texts at once that are timed.
        judge: ``own``: the run's own left-to-right side; ``n-gram``: a byte n-gram of its corpus's judge split; else a
            causal run that was trained on text that this one was not. Default: ``own`` where there is one, else
            ``n-gram``.
        source: Held-out text; default the valid split of the run's corpus.
        prompts: Documents whose first words are prompts.
        length: Tokens that are written and timed; default 128, or what the context has room for.
        choose: ``fast``, ``good``, ``balanced``, the number of a row of the front, or ``none``: no preset is written.
        seed: Of the choice of documents, the search and the texts.
        force: Begin this search anew.
        progress: Called with where the search stands.

    Raises:
        Error: Optuna is not installed, no such run, a judge that cannot judge, too little text, or nothing to choose.
        KeyboardInterrupt: Ctrl-C; every trial is saved, and the same call goes on.
    """
    from unmask.sweeps.tune_checks import check_choice, import_optuna

    import_optuna()
    check_choice(choose)
    check_seed(seed)
    for name, number in (("trials", trials), ("batch_size", batch_size), ("prompts", prompts), ("length", length or 1)):
        if wrong := wrong_count(name, number, 1):
            raise Error(wrong)
    if minutes is not None and not minutes > 0:
        raise Error(f"minutes is {minutes}; it must be above 0.")
    run = held(run)
    own_folder(run.path)
    import torch

    from unmask import __version__
    from unmask.data.lock import only_one
    from unmask.reports.fairness import refuse_bytes
    from unmask.sampling.search_space import LEFT, Room, kinds_of
    from unmask.sweeps import pareto
    from unmask.sweeps.bench import PROMPT, TOKENS, Bench, prompted
    from unmask.sweeps.tune import Search
    from unmask.training.hardware import device_name
    from unmask.training.held_out import held_out
    from unmask.training.preset import Preset, run_weights, write_preset

    refuse_bytes([run])
    model = run.model()
    room = int(model.config.max_position_embeddings) - 1 - PROMPT
    tokens = min(length or TOKENS, room)
    if tokens < 1 or length is not None and length > room:
        raise Error(
            f"length is {length or TOKENS}, and behind a prompt of {PROMPT} tokens {run.name} has room for {room}."
        )
    text = held_out([run], source, 4 * prompts, seed)
    given, real = prompted(run, text.texts, prompts, tokens)
    scorer, about_judge = _judge(run, model, judge)
    bench = Bench(run, model, run.tokenizer.vocabulary, scorer, given, real, tokens, batch_size, 3, seed)
    machine, threads, weights = device_name(), torch.get_num_threads(), run_weights(run)
    about = {
        "weights": weights,
        "judge": about_judge,
        "text": [text.fingerprint, len(given), tokens],
        "batch_size": batch_size,
        "seed": seed,
        "machine": [machine, threads],
        "versions": [__version__, torch.__version__],
    }
    kinds = kinds_of(run.recipe.process.name)
    kept = {key: value for key, value in run.recipe.sampler_settings().given.items() if key in LEFT and key != "seed"}
    own = run.recipe.sampler_settings()
    own = type(own)(**{key: value for key, value in own.given.items() if key != "seed"})
    config = model.config
    block = int(getattr(config, "block_size", 0) or 0)
    candidates = int(getattr(config, "candidates", 0)) if getattr(config, "candidate_input", None) else 0
    folder = run.path / FOLDER
    busy = f"another search is at work in {run.path}"
    with only_one(folder, "tuning", busy, "wait for it", make=True):
        search = Search(folder, bench, kinds, Room(tokens, block, candidates), kept, about, anew=force)
        search.run(trials, None if minutes is None else 60 * minutes, progress)
        front, beside = search.front(own, progress)
        points, bits = search.points, search.real_bits()
        best = pareto.chosen(front, bits, choose)
        picture = _drawn(folder, points, front, beside, bits, f"{run.name}; judge: {scorer.name}", batch_size)
        result = TuneResult(
            run=str(run.path),
            judge=scorer.name,
            real_bits_per_byte=bits,
            front=[FrontLine.of(point) for point in front],
            own=FrontLine.of(beside),
            chosen=None if best is None else front.index(best) + 1,
            preset=None,
            picture=picture,
            trials=search.done,
            collapsed=sum(point.collapsed for point in points),
            prompts=len(given),
            length=tokens,
            batch_size=batch_size,
            seed=seed,
            machine=machine,
            threads=threads,
            notes=text.notes,
        )
        if best is None:
            return result
        measured = {
            "bits_per_byte": best.bits,
            "real_bits_per_byte": bits,
            "judge": scorer.name,
            "ms_per_128_tokens": best.ms,
            "batch_size": batch_size,
            "machine": machine,
            "threads": threads,
            "seed": best.seed,
            "date": time.strftime("%Y-%m-%d"),
        }
        preset = Preset(choose, best.way, weights, measured)
        return replace(result, preset=write_preset(run, preset))


def _judge(run: Run, model: Any, judge: str | Path | Run | None) -> tuple[ContinuationJudge, Any]:
    """Return the judge, and what tells it from another.

    Raises:
        Error: it cannot judge this run.
    """
    from unmask.evaluation.continued import left_to_right, network_judge, ngram_judge
    from unmask.reports.controls import fit_ngram
    from unmask.reports.fairness import check_judge
    from unmask.training.held_out import corpus_of
    from unmask.training.preset import run_weights

    wanted = judge or ("n-gram" if left_to_right(run.process) is None else "own")
    if wanted == "own":
        name = run.name if left_to_right(run.process) is None else f"{run.name}, left to right"
        return network_judge(name, model, run.process, run.tokenizer), "own"
    if wanted == "n-gram":
        corpus = corpus_of(run)
        try:
            return ngram_judge(fit_ngram(corpus, "judge", 5)), ["n-gram", corpus.fingerprint]
        except Error as error:
            raise Error(f"no n-gram judge: {str(error).rstrip('.')}. Give --judge RUN, a causal run.") from error
    other = wanted if isinstance(wanted, Run) else Run.open(wanted)
    check_judge(other, [run])
    return network_judge(other.name, other.model(), other.process, other.tokenizer), run_weights(other)


def _drawn(
    folder: Path, points: list[Point], front: list[Point], own: Point, real: float, title: str, batch: int
) -> Path:
    """Draw the front over all that was tried, and return the file."""
    from unmask.pictures.pareto import Dot, pareto_figure

    def dots(some: list[Point], numbered: bool = False) -> list[Dot]:
        return [
            Dot(one.ms, one.bits, one.sampler, str(number) if numbered else "", one.collapsed)
            for number, one in enumerate(some, 1)
            if one.bits is not None
        ]

    across = f"milliseconds for 128 tokens, batch {batch}"
    figure = pareto_figure(dots([*points, own]), dots(front, True), real, title, across, "bits per byte")
    path = folder / "front.png"
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    return path
