"""How well a run predicts text that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unmask.data.sources import check_source
from unmask.errors import check_seed
from unmask.lines import counted, scored
from unmask.progress import Counter, Progress
from unmask.result import Result
from unmask.training.inference import Asked, check_precision, precision_of
from unmask.training.run import Run


@dataclass(frozen=True, repr=False)
class EvaluateResult(Result):
    """The score of one run.

    Attributes:
        run: The run's folder.
        name: Its name.
        process: Its process.
        bits_per_byte: Nats of all tokens, end-of-text included, / ln 2 / UTF-8 bytes.
        bound: ``exact``, ``upper bound``, or ``exact for ...``.
        length_nats: Nats among them for the lengths of windows, where the network is told these; else 0.
        interval: 95 % interval over documents; ``None`` for a single one.
        bits_per_character: Bits of a character of the text, a code point; ``None`` where bytes are no text.
        bytes: Bytes scored.
        documents: Documents scored.
        tokens: Tokens scored.
        draws: Network calls a window behind a bound.
        window: Bytes of a window.
        source: Where the text comes from.
        split: The part of it.
        corpus_fingerprint: Of that text.
        notes: What to know about the text.
        left_to_right: Exact bits per byte of the same weights left to right, where they write so, too; else ``None``.
        precision: What the network computed in, ``fp32`` or ``bf16``.
    """

    run: str
    name: str
    process: str
    bits_per_byte: float
    bound: str
    length_nats: float
    bits_per_character: float | None
    interval: tuple[float, float] | None
    bytes: int
    documents: int
    tokens: int
    draws: int
    window: int
    source: str
    split: str
    corpus_fingerprint: str
    notes: tuple[str, ...]
    left_to_right: float | None = None
    precision: str = "fp32"

    def _facts(self) -> tuple[str, ...]:
        return (f"{self.name}: {scored(self.bits_per_byte, self.bound, counted(self.documents, 'document'))}",)


def evaluate(
    run: str | Path | Run,
    *,
    source: str | None = None,
    documents: int = 200,
    draws: int = 8,
    likelihood: Literal["default", "duel"] = "default",
    seed: int = 0,
    precision: Asked = "fp32",
    progress: Callable[[Progress], None] = lambda told: None,
) -> EvaluateResult:
    """Score a run in bits per byte.

    Args:
        run: A run folder, a Hub name or an opened run.
        source: Text to score; default the valid split of the run's own corpus. Documents it was trained on are dropped.
        documents: Most documents, chosen by their content and the seed.
        draws: Network calls a window where the likelihood is a bound.
        likelihood: ``default``, what the process says; ``duel``, exact for the sampler that unmasks the surest token
            first (as many network calls as tokens).
        seed: Of the choice, the bound's noise.
        precision: What the network computes in: ``fp32``, as for all published numbers; ``bf16``; or ``auto``,
            bf16 where it was measured to be faster.
        progress: Called with where the scoring stands.

    Raises:
        Error: no such run, no text, or no such likelihood.
    """
    check_seed(seed)
    check_precision(precision)
    opened = run if isinstance(run, Run) else Run.open(run)
    binary = opened.recipe.data.binary
    if source is not None:
        check_source(source, binary)
    from unmask.evaluation.bits import bits_per_byte
    from unmask.evaluation.windows import common_window
    from unmask.training.held_out import held_out

    text = held_out([opened], source, documents, seed)
    computed = precision_of(opened, precision)
    model = opened.model(half=computed.bf16)
    window = common_window(text.texts, [opened.tokenizer], [int(model.config.max_position_embeddings)])
    kinds: list[Literal["default", "duel", "causal"]] = [likelihood]
    if "causal" in opened.process.likelihoods:
        kinds.append("causal")

    score, *beside = (
        bits_per_byte(
            model,
            opened.process,
            opened.tokenizer,
            text.texts,
            window=window,
            draws=draws,
            seed=seed,
            likelihood=kind,
            progress=Counter("scoring", progress, unit="windows", what=opened.name, place=(number, len(kinds))),
        )
        for number, kind in enumerate(kinds, 1)
    )
    return EvaluateResult(
        run=str(opened.path),
        name=opened.name,
        process=opened.process.name,
        bits_per_byte=score.value,
        bound=score.bound,
        length_nats=score.length_nats,
        bits_per_character=None if binary else score.value * score.bytes / sum(map(len, text.texts)),
        interval=score.interval,
        bytes=score.bytes,
        documents=score.documents,
        tokens=score.tokens,
        draws=score.draws,
        window=window,
        source=text.source,
        split=text.split,
        corpus_fingerprint=text.fingerprint,
        notes=tuple(text.notes),
        left_to_right=beside[0].value if beside else None,
        precision=str(computed),
    )
