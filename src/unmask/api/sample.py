"""Write text with a run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmask.api.constraints import Schema
from unmask.api.fallback import fallback_run, mended, pieces
from unmask.api.infill import infill as infill
from unmask.api.prompt_evidence import EvidenceText
from unmask.api.prompted import check_asked, lay_out
from unmask.api.settings import told_preset
from unmask.api.verifier import CheckedText, check_alone, resolve_verified
from unmask.api.writing import Setting, Watch, words_told, write
from unmask.errors import Error
from unmask.lines import counted, excerpt
from unmask.progress import Progress
from unmask.result import Result
from unmask.roots.index import Index
from unmask.training.inference import Asked, check_precision, precision_of
from unmask.training.own_text import shown
from unmask.training.run import Run


@dataclass(frozen=True, repr=False)
class SampleResult(Result):
    """Texts that a run wrote.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        prompt: Given text before.
        suffix: Given text behind.
        texts: The whole texts, prompt and suffix included.
        completions: What was written.
        ended: For each text, whether the model ended it (or filled its canvas).
        tokens: For each text, how many tokens were written.
        steps: For each text, the steps taken.
        forwards: For each text, the network calls it took part in.
        decided: For each text, the step that decided each written token, its end among them.
        looks: For each text, the network calls that each of these stood open in; both are told of what the sampler
            wrote, whatever a fallback wrote again.
        confidence: For each text, the model's probability of each written token when it was chosen: calibrated
            (``unmask calibrate``) with the setting ``calibrated``. Where a fallback wrote again, of what it replaced.
        rewritten: For each text, the passages that the fallback wrote again; ``None``: there was no fallback.
        verifier: The verifier's folder, what it was for, and the settings of a repair; ``None``: there was none.
        checked: For each text, what the verifier said of it; ``None``: there was none.
        query: The part of the prompt that evidence was looked up by; ``None``: there was no index.
        evidence: Texts that the network was given, best first; ``None``: there was no index.
        prompt_tokens: Tokens of the prompt.
        prompt_seen: How many of them the first word was written with; not all where they do not fit into the context.
        data: The whole texts as bytes, whatever they are; ``texts`` have U+FFFD where these are not UTF-8.
        binary: Whether the run models bytes; then JSON has ``data`` as ``base64``.
        precision: What the network computed in, ``fp32`` or ``bf16``.
        preset: The run's preset that it was written by; ``None``: there was none, or it did not count.
        satisfied: For each text, whether it is what it had to be; False where it was cut off before. ``None``: it could
            be anything.
    """

    run: str
    sampler: str
    settings: dict[str, Any]
    prompt: str
    suffix: str
    texts: list[str]
    completions: list[str]
    ended: list[bool]
    tokens: list[int]
    steps: list[int]
    forwards: list[int]
    decided: list[list[int]]
    looks: list[list[int]]
    confidence: list[list[float]]
    rewritten: list[list[int]] | None = None
    query: str | None = None
    evidence: list[EvidenceText] | None = None
    prompt_tokens: int = 0
    prompt_seen: int = 0
    data: list[bytes] = field(default_factory=list)
    binary: bool = False
    verifier: dict[str, Any] | None = None
    checked: list[CheckedText] | None = None
    precision: str = "fp32"
    preset: str | None = None
    satisfied: list[bool] | None = None

    def _facts(self) -> tuple[str, ...]:
        written = repr(excerpt(self.completions[0], 64)) if self.completions else ""
        tokens = counted(sum(self.tokens), "token")
        return (f"{counted(len(self.texts), 'text')} of {tokens} in all by {self.sampler}", written)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        plain = {key: value for key, value in super().to_dict().items() if key not in ("data", "binary")}
        return plain | ({"base64": [b64encode(one).decode() for one in self.data]} if self.binary else {})


def sample(
    run: str | Path | Run,
    prompt: str | bytes = "",
    *,
    suffix: str = "",
    max_tokens: int | None = None,
    n: int = 1,
    sampler: str | None = None,
    preset: bool = True,
    batch_size: int = 8,
    trace: str | Path | None = None,
    watch: Watch | None = None,
    progress: Callable[[Progress], None] = lambda told: None,
    fallback: str | Path | Run | None = None,
    index: str | Path | Index | None = None,
    evidence: int | None = None,
    verifier: str | Path | Run | None = None,
    verify: str | None = None,
    precision: Asked = "auto",
    regex: str | None = None,
    json_schema: Schema | None = None,
    **settings: Setting,
) -> SampleResult:
    """Write ``n`` texts, of any length: see :mod:`unmask.sampling.windows`.

    Args:
        run: A run folder, an opened run, or a loaded one (:func:`unmask.load`).
        prompt: Text before what is written; of a run of bytes (``data.binary``) any bytes.
        suffix: Text behind it (masked runs).
        max_tokens: Most tokens to write, more than the context holds where no suffix follows; default: what the context
            has room for.
        n: How many texts; text i is the same whatever ``n`` is.
        sampler: Name of a sampler; default: the preset's, else the recipe's, else the process's.
        preset: Whether a preset of the run (``unmask tune``) counts; it does not where a sampler is named.
        batch_size: Most texts in one network call; no text depends on it.
        trace: Also write a trace file.
        watch: Called at every step.
        progress: Called at every step with how many tokens have been written, and how many at most will be.
        fallback: A causal run that writes those passages again that have collapsed (see ``unmask.api.fallback``).
        index: An index in which the prompt is looked up: what is found is the network's memory.
        evidence: How many texts are looked up; default: as many as the run was trained with.
        verifier: A causal run of the same tokenizer, or ``self``: the run's own left-to-right side.
        verify: ``lossless``: the run drafts and the verifier writes, so that the texts are the verifier's own;
            ``repair``: the run writes, and what the verifier finds unlikely is written again. Default ``lossless``.
        precision: What the network computes in: ``fp32``, ``bf16``, or ``auto``, bf16 where measured to be faster
            (:mod:`unmask.training.inference`). Tokens are drawn in float64 from float32 logits either way.
        regex: What is written matches it as a whole (see :mod:`unmask.sampling.constraint`).
        json_schema: What is written is JSON that is valid under it: an object, its JSON, or a file with it.
        **settings: Of the sampler (``unmask samplers`` lists them), and of a repair (``span``, ``suspect``,
            ``unlikely``, ``rounds``); what is left out is the preset's or recipe's.

    Raises:
        Error: no such run or sampler, a sampler that cannot drive the run, settings it does not use or that cannot
            work, a suffix that does not fit into the context; an index that does not fit the run, or no prompt to look
            up; a verifier that cannot read the run's texts, or beside a fallback or an index; a constraint that cannot
            be read, that no text fits, or that the sampler cannot keep.
    """
    check_alone(verifier, fallback=fallback, index=index)
    check_precision(precision)
    run, chosen, resolved, plan = resolve_verified(run, sampler, settings, verifier, verify, preset=preset)
    check_asked(n, index, evidence)
    if fallback is not None and (regex is not None or json_schema is not None):
        raise Error("a fallback writes passages again, whatever a text must be; leave it or the constraint out.")
    computed = precision_of(run, precision, resolved)
    other = None if fallback is None else fallback_run(fallback)
    tokenizer = run.tokenizer
    if tokenizer.binary and other is not None:
        raise Error(f"a fallback writes text again, and {run.name} models bytes (data.binary); leave it out.")
    asked = lay_out(run, resolved, prompt, suffix, max_tokens, n, index, evidence, computed.bf16, regex, json_schema)
    own, tail, found = asked.prompt, asked.suffix, asked.found
    tell = words_told(progress, run, asked.requests, asked.vocabulary)
    samples = write(run, asked.model, chosen, asked.requests, asked.vocabulary, batch_size, trace, watch, tell)
    texts, rewritten = [tokenizer.decode(s.tokens) for s in samples], None
    data = [tokenizer.decode_bytes(s.tokens) for s in samples]
    if other is not None:
        size = None if run.recipe.thought is None else run.recipe.thought.passage
        spans = [pieces(s.tokens, asked.ahead, asked.behind + s.ended, size) for s in samples]
        passages = [
            mended(s.tokens, span, tokenizer, other, _behind, resolved.seed + i)
            for i, (s, span) in enumerate(zip(samples, spans, strict=True))
        ]
        texts, rewritten = [one.text for one in passages], [one.passages for one in passages]
        data = [one.data for one in passages]
    return SampleResult(
        run=str(run.path if plan is None else plan.run.path),
        sampler=resolved.name,
        settings=resolved.model_dump(),
        prompt=shown(own, tokenizer),
        suffix=suffix,
        texts=[shown(t, tokenizer) for t in texts],
        completions=[shown(t.removeprefix(own).removesuffix(tail), tokenizer) for t in texts],
        ended=[s.ended for s in samples],
        tokens=[len(s.written) for s in samples],
        steps=[s.steps for s in samples],
        forwards=[s.forwards for s in samples],
        decided=[[step for step in s.decided if step] for s in samples],
        looks=[[calls for calls, step in zip(s.looks, s.decided, strict=True) if step] for s in samples],
        confidence=[[round(value, 5) for value in s.sure] for s in samples],
        rewritten=rewritten,
        query=None if found is None else found.query,
        evidence=None if found is None else found.texts,
        prompt_tokens=asked.ahead - 1,
        prompt_seen=asked.seen - 1,
        data=data,
        binary=tokenizer.binary,
        verifier=None if plan is None else plan.to_dict(),
        checked=None if plan is None else [plan.told(s.checked, s.tokens) for s in samples if s.checked is not None],
        precision=str(computed),
        preset=told_preset(run, sampler, preset and verifier is None),
        satisfied=asked.satisfied(samples),
    )


def _behind(run: Run, before: str, count: int, seed: int) -> str:
    """Return what a causal run writes behind a text."""
    return sample(run, before, max_tokens=count, seed=seed, ignore_eos=True, preset=False).completions[0]
