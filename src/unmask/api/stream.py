"""A text while it is being written: one iterator over the steps of a sampler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unmask.api.constraints import Schema
from unmask.api.prompted import Prompted, check_asked, lay_out
from unmask.api.verifier import check_alone, resolve_verified
from unmask.api.writing import Setting
from unmask.data.pieces import pieces
from unmask.lines import counted, excerpt, line
from unmask.roots.index import Index
from unmask.sampling import Frame, Sampler, ticks
from unmask.training.inference import Asked, check_precision, precision_of
from unmask.training.own_text import shown
from unmask.training.run import Run

OPEN = "\u2591"
"""Stands for an open position."""


@dataclass(frozen=True)
class Moment:
    """A text after a step.

    Attributes:
        number: Which of the texts, from 0.
        step: Steps that it has taken.
        text: The whole text, prompt and suffix included. An open position is a block; where a run writes left to right
            they are left out, for all of them lie ahead.
        done: Whether it is finished; then ``text`` is what :func:`unmask.sample` returns.
        frame: What the step did to all texts that share a batch.
        row: The row of this text in the frame.
    """

    number: int
    step: int
    text: str
    done: bool
    frame: Frame
    row: int

    def __repr__(self) -> str:
        steps = counted(self.step, "step")
        return line("Moment", f"text {self.number} after {steps}{', done' * self.done}", repr(excerpt(self.text, 64)))


def stream(
    run: str | Path | Run,
    prompt: str | bytes = "",
    *,
    suffix: str = "",
    max_tokens: int | None = None,
    n: int = 1,
    sampler: str | None = None,
    preset: bool = True,
    batch_size: int = 8,
    index: str | Path | Index | None = None,
    evidence: int | None = None,
    verifier: str | Path | Run | None = None,
    verify: str | None = None,
    precision: Asked = "auto",
    regex: str | None = None,
    json_schema: Schema | None = None,
    **settings: Setting,
) -> Iterator[Moment]:
    """Write ``n`` texts and yield each after each of its steps, the opening among them.

    The texts are those of :func:`unmask.sample`. Who stops asking stops the writing.

    Args:
        run: A run folder, an opened run, or a loaded one.
        prompt: Text before what is written.
        suffix: Text behind it (masked runs).
        max_tokens: Most tokens to write, as of :func:`unmask.sample`.
        n: How many texts.
        sampler: Name of a sampler; default: the preset's, else the recipe's, else the process's.
        preset: Whether a preset of the run (``unmask tune``) counts; it does not where a sampler is named.
        batch_size: Most texts in one network call.
        index: An index in which the prompt is looked up.
        evidence: How many texts are looked up.
        verifier: A causal run, or ``self``, as of :func:`unmask.sample`.
        verify: What it is for.
        precision: What the network computes in, as of :func:`unmask.sample`.
        regex: What each text must match, as of :func:`unmask.sample`.
        json_schema: What each text must be valid under.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out is the preset's or recipe's.

    Raises:
        Error: as :func:`unmask.sample`, before the first moment; a text longer than a passage of a run with thoughts.
    """
    check_alone(verifier, index=index)
    check_precision(precision)
    run, chosen, resolved, _ = resolve_verified(run, sampler, settings, verifier, verify, preset=preset)
    check_asked(n, index, evidence)
    computed = precision_of(run, precision, resolved)
    asked = lay_out(run, resolved, prompt, suffix, max_tokens, n, index, evidence, computed.bf16, regex, json_schema)
    return _moments(run, chosen, asked, batch_size)


def _moments(run: Run, sampler: Sampler, asked: Prompted, batch_size: int) -> Iterator[Moment]:
    block = "" if sampler.Settings.visibility == "causal" else OPEN
    texts = ticks(asked.model, sampler, asked.requests, asked.vocabulary, batch_size=batch_size, process=run.process)
    for tick in texts:
        frame = tick.frame
        done, steps = tick.window.done.tolist(), frame.step.tolist()
        for row, number in enumerate(tick.which):
            there = frame.valid[row]
            tokens = frame.tokens[row][there].tolist()
            parts = pieces(
                tokens,
                frame.committed[row][there].tolist(),
                lambda token: run.tokenizer.decode_bytes([token]),
            )
            text = "".join(block if part.text is None else part.text for part in parts)
            if done[row]:
                text = shown(run.tokenizer.decode(tokens), run.tokenizer)
            yield Moment(number, steps[row], text, done[row], frame, row)
