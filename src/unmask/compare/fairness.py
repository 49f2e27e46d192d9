"""What makes a comparison even: one window for all, an unbiased judge, and warnings where rivals are not matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from unmask.errors import Error
from unmask.evaluation.judge import refuse_biased_judge
from unmask.evaluation.windows import common_window
from unmask.models.cost import parameter_count
from unmask.training.run import Run


def names_of(runs: Sequence[Run]) -> list[str]:
    """Return the folders' names, told apart by their parents' or a number."""
    names = [run.name for run in runs]
    for again in ([f"{run.path.resolve().parent.name}/{run.name}" for run in runs], names):
        twice = {name for name, count in Counter(names).items() if count > 1}
        names = [other if name in twice else name for name, other in zip(names, again, strict=True)]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return names


def shared_window(texts: Sequence[str], runs: Sequence[Run], contexts: Sequence[int]) -> int:
    """Return the common window; rivals with the same tokenizer need one look, with the shortest context."""
    shortest: dict[str, tuple[int, Any]] = {}
    for run, context in zip(runs, contexts, strict=True):
        key = run.tokenizer.fingerprint
        if key not in shortest or context < shortest[key][0]:
            shortest[key] = (context, run.tokenizer)
    return common_window(texts, [t for _, t in shortest.values()], [c for c, _ in shortest.values()])


def uneven(names: Sequence[str], runs: Sequence[Run], models: Sequence[Any]) -> list[str]:
    """Say where the rivals differ by over 2 % in parameters or training tokens, and other ways to be uneven."""
    warnings = []
    for what, values in (
        ("parameters", [parameter_count(model) for model in models]),
        ("training tokens", [int(run.manifest.get("tokens_seen", 0)) for run in runs]),
    ):
        low, high = min(values), max(values)
        if high > 1.02 * low:
            listed = ", ".join(f"{name} {value:,}" for name, value in zip(names, values, strict=True))
            gap = f"by {high / low - 1:.0%}" if low else "without bound"
            warnings.append(f"{what} differ {gap}: {listed}. The comparison is not matched.")
    corpora = {(run.manifest.get("corpus_fingerprint"), run.recipe.data.split) for run in runs}
    if len(corpora) > 1:
        warnings.append(f"the runs were trained on {len(corpora)} different corpora or splits.")
    if len({run.tokenizer.fingerprint for run in runs}) > 1:
        warnings.append("the tokenizers differ: equal training tokens are not equal bytes of text.")
    for name, run in zip(names, runs, strict=True):
        if run.manifest.get("status") != "finished":
            warnings.append(f"{name} did not finish its training (status: {run.manifest.get('status')}).")
    return warnings


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
