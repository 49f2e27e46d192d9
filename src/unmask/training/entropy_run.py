"""A run as the entropy model of another: ``backbone.entropy: run:DIR``, a small causal run of bytes.

Only the run's network is taken; the run that uses it keeps a copy of its own. Whether a run is fit for it is known
before torch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unmask.data.patches import PATCHERS
from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.models.byte_entropy import NetworkEntropy


def entropy_run(spec: str) -> Run | None:
    """Open the run that ``backbone.entropy`` names; ``None``: it names none.

    Raises:
        Error: no run, or one that cannot tell the entropy of a byte from the bytes before it.
    """
    if not spec.startswith(ENTROPY_RUN):
        return None
    run = Run.open(spec.removeprefix(ENTROPY_RUN))
    process = run.recipe.process.name
    wrong = {
        f"its process is {process}": PROCESSES.facts(process).visibility != "causal",
        f"its tokenizer is {run.tokenizer.name}": run.tokenizer.name != "bytes",
        "it has thoughts": run.recipe.thought is not None,
        "it reads evidence": run.recipe.evidence is not None,
        "its patches follow from entropies themselves": _cuts_by_entropy(run),
    }
    for what, found in wrong.items():
        if found:
            raise Error(
                f"backbone.entropy: run {run.path} is no plain causal run of the tokenizer bytes ({what}); train one: "
                "unmask train nano-causal -o data.tokenizer=bytes --output DIR"
            )
    return run


def entropy_of(run: Run) -> NetworkEntropy:
    """Return the entropies of a run that :func:`entropy_run` opened."""
    from unmask.models.byte_entropy import NetworkEntropy

    return NetworkEntropy(run.model())


def _cuts_by_entropy(run: Run) -> bool:
    patcher = (run.recipe.backbone.model_extra or {}).get("patcher", "fixed")
    return run.recipe.backbone.name == "bytes" and bool(PATCHERS.get(patcher).needs_entropy)
