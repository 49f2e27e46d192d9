"""What makes a comparison even: one window for all, an unbiased judge, and warnings where rivals are not matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from unmask.errors import Error
from unmask.evaluation.judge import refuse_biased_judge
from unmask.evaluation.windows import common_window
from unmask.lines import shell
from unmask.models.cost import parameter_count
from unmask.reports.entrants import Entrant
from unmask.training.ancestry import origin
from unmask.training.run import Run

Budget = Literal["tokens", "flops", "time"]
BUDGETS: dict[str, tuple[str, str]] = {
    "tokens": ("tokens_seen", "training tokens"),
    "flops": ("training_flops", "training FLOPs"),
    "time": ("train_seconds", "training seconds"),
}
"""What rivals may be matched by: attribute of an entrant, and its name in words."""


def shared_window(texts: Sequence[str], runs: Sequence[Run], contexts: Sequence[int]) -> int:
    """Return the common window; rivals with the same tokenizer need one look, with the shortest context."""
    shortest: dict[str, tuple[int, Any]] = {}
    for run, context in zip(runs, contexts, strict=True):
        key = run.tokenizer.fingerprint
        if key not in shortest or context < shortest[key][0]:
            shortest[key] = (context, run.tokenizer)
    return common_window(texts, [t for _, t in shortest.values()], [c for c, _ in shortest.values()])


def uneven(entrants: Sequence[Entrant], budget: Budget) -> list[str]:
    """Say where the rivals differ by over 2 % in parameters or in the declared budget, and other ways to be uneven."""
    warnings = []
    names = [entrant.name for entrant in entrants]
    attribute, words = BUDGETS[budget]
    spent = [getattr(entrant, attribute) for entrant in entrants]
    if missing := [name for name, value in zip(names, spent, strict=True) if value is None]:
        warnings.append(
            f"{words} of {', '.join(missing)} are not known: whether the budgets are equal was not checked."
        )
    for what, values in (("parameters", [parameter_count(e.models[0]) for e in entrants]), (words, spent)):
        known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
        low, high = (pick(value for _, value in known) for pick in (min, max)) if known else (0, 0)
        if high > 1.02 * low:
            listed = ", ".join(f"{name} {_figure(value)}" for name, value in known)
            gap = f"by {high / low - 1:.0%}" if low else "without bound"
            warnings.append(f"{what} differ {gap}: {listed}. The comparison is not matched.")
    runs = [run for entrant in entrants for run in entrant.runs]
    corpora = {(run.manifest.get("corpus_fingerprint"), run.recipe.data.split) for run in runs}
    if len(corpora) > 1:
        warnings.append(f"the runs were trained on {len(corpora)} different corpora or splits.")
    if len({run.tokenizer.fingerprint for run in runs}) > 1:
        warnings.append("the tokenizers differ: equal training tokens are not equal bytes of text.")
    for run in runs:
        if "init" in run.manifest:
            warnings.append(f"{run.name} began with {origin(run.manifest['init'])}; its budgets here count these, too.")
        if run.manifest.get("status") != "finished":
            warnings.append(f"{run.name} did not finish its training (status: {run.manifest.get('status')}).")
    counts = {len(entrant.runs) for entrant in entrants}
    if max(counts) > 1 and min(counts) == 1:
        single = ", ".join(e.name for e in entrants if len(e.runs) == 1)
        warnings.append(f"one seed only: {single}. Its interval speaks of that very run, not of its recipe.")
    return warnings


def _figure(value: float) -> str:
    return f"{value:.3g}" if value >= 1e9 else f"{value:,.0f}"


def refuse_bytes(runs: Sequence[Run]) -> None:
    """Raise for a run of bytes (``data.binary``): a comparison measures text, its words and its judges.

    Raises:
        Error: names the run.
    """
    for run in runs:
        if run.recipe.data.binary:
            raise Error(
                f"{run.name} models bytes (data.binary), and a comparison is of text. Score it with: "
                f"unmask evaluate {shell(run.path)} --source FILE; or compare runs of text."
            )


def refuse_twice(runs: Sequence[Run]) -> None:
    """Raise where a run stands beside itself: the same folder, however it is spelled.

    Raises:
        Error: names the run.
    """
    seen = set()
    for run in runs:
        place = run.path.resolve()
        if place in seen:
            raise Error(f"{run.path} is named twice; a run beside itself says nothing. Name each run once.")
        seen.add(place)


def check_judge(judge: Run, runs: Sequence[Run]) -> None:
    """Raise unless a judge's likelihood is exact and it was trained on text that no rival was trained on.

    Raises:
        Error: which of the two.
    """
    rivals = [(run.name, str(run.manifest.get("corpus_fingerprint")), run.recipe.data.split) for run in runs]
    if judge.process.visibility != "causal":
        raise Error(
            f"judge {judge.name} is of process {judge.process.name}, which has no exact likelihood; use a causal run."
        )
    refuse_biased_judge(judge.name, str(judge.manifest.get("corpus_fingerprint")), judge.recipe.data.split, rivals)
