"""How likely a run says that texts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unmask.errors import Error, check_seed
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import common_window
from unmask.lines import counted, scored
from unmask.result import Result
from unmask.training.inference import Asked, check_precision, precision_of
from unmask.training.own_text import own_text
from unmask.training.run import Run


@dataclass(frozen=True, repr=False)
class LikelihoodResult(Result):
    """Scores of texts.

    Attributes:
        run: The run's folder.
        nats: -log p of each text.
        bits_per_byte: The same in bits for each of its bytes.
        bound: What kind of number that is: ``exact``, ``upper bound``, or ``exact for ...``.
        bytes: Bytes of each text.
        draws: Network calls a window behind a bound.
    """

    run: str
    nats: list[float]
    bits_per_byte: list[float]
    bound: str
    bytes: list[int]
    draws: int

    def _facts(self) -> tuple[str, ...]:
        mean = sum(b * size for b, size in zip(self.bits_per_byte, self.bytes, strict=True)) / sum(self.bytes)
        return (scored(mean, self.bound, counted(len(self.nats), "text")),)


def likelihood(
    run: str | Path | Run,
    texts: Sequence[str | bytes],
    *,
    draws: int = 8,
    likelihood: Literal["default", "duel"] = "default",
    end: bool = True,
    seed: int = 0,
    precision: Asked = "fp32",
) -> LikelihoodResult:
    """Score texts; no score depends on the other texts.

    A text longer than the context is cut into windows, and each is scored without the ones before. Bounds of several
    texts share their noise: what differs between them is the text. A process that tells its network how many tokens a
    text has pays for that number, too.

    Args:
        run: A run folder, an opened run, or a loaded one.
        texts: Texts; of a run of bytes any bytes.
        draws: Network calls a window where the likelihood is a bound.
        likelihood: ``default``, what the process says; ``duel``, exact for the sampler that unmasks the surest token
            first.
        end: Whether the end of a text is scored, too; without, a text may go on.
        seed: Of the bound's noise.
        precision: What the network computes in, as of :func:`unmask.evaluate`.

    Raises:
        Error: no such run or likelihood, no text, or an empty one.
    """
    check_seed(seed)
    check_precision(precision)
    run = run if isinstance(run, Run) else Run.open(run)
    owned = [own_text(text, run) for text in texts]
    if not owned:
        raise Error("there is no text to score; give at least one.")
    if "" in owned:
        raise Error(f"text {owned.index('')} is empty, and has no bits per byte; leave it out.")
    model = run.model(half=precision_of(run, precision).bf16)
    context = int(model.config.max_position_embeddings)
    found = [
        bits_per_byte(
            model,
            run.process,
            run.tokenizer,
            [text],
            window=common_window([text], [run.tokenizer], [context]),
            draws=draws,
            seed=seed,
            likelihood=likelihood,
            end=end,
        )
        for text in owned
    ]
    return LikelihoodResult(
        run=str(run.path),
        nats=[score.nats for score in found],
        bits_per_byte=[score.value for score in found],
        bound=found[0].bound,
        bytes=[score.bytes for score in found],
        draws=found[0].draws,
    )
