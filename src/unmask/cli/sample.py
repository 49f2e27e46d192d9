"""``unmask sample``: write text with a run, watch it being written, record it, play a record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.canvas import Canvas, check_speed
from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import console, note, print_json, say
from unmask.cli.index_print import short
from unmask.cli.outputs import Force
from unmask.cli.settings import How, UsePreset, told, writes
from unmask.errors import Error
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine
from unmask.training.inference import check_precision

if TYPE_CHECKING:
    from unmask.api.prompt_evidence import EvidenceText
    from unmask.api.verifier import CheckedText

Number = Annotated[int, typer.Option("-n", "--n", help="How many texts.")]
BatchSize = Annotated[int, typer.Option(help="Most texts in one network call; no text depends on it.")]
Trace = Annotated[Path | None, typer.Option(help="Record every step in this file (.gz compresses).")]
Watch = Annotated[bool, typer.Option("--watch", help="Show the text being written (on stderr).")]
WatchSpeed = Annotated[
    float | None,
    typer.Option(help="Most steps a second that a terminal is shown; default 6; 0: as they come."),
]
Precision = Annotated[
    str, typer.Option(help="What the network computes in: fp32, bf16, or auto: bf16 where measured to be faster.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


Verifier = Annotated[
    str | None,
    typer.Option(help="A causal run of the same tokenizer that reads along, or self: the run's own such side."),
]
Verify = Annotated[
    str | None,
    typer.Option(
        help="What the verifier is for: lossless (the texts are its own, the run drafts them) or repair (the run "
        "writes, and writes again what the verifier finds unlikely)."
    ),
]


Regex = Annotated[str | None, typer.Option(help="What is written matches this regular expression, all of it.")]
JsonSchema = Annotated[
    str | None,
    typer.Option(help="What is written is JSON, valid under this JSON schema: a file, or the schema itself."),
]


_REPLAYED = ("replay", "output", "watch", "watch_speed", "json")
"""Options that mean something to a record."""

_DASHED = {"settings": "set", "preset": "no-preset"}


def _refuse(given: Parameters) -> None:
    prompt, prompt_file, output, n = (given[name] for name in ("prompt", "prompt_file", "output", "n"))
    if given["replay"] is not None:
        for name, parameter in signature(sample).parameters.items():
            if name not in _REPLAYED and given[name] not in (parameter.default, ()):
                what = name.upper() if name in ("run", "start") else f"--{_DASHED.get(name, name.replace('_', '-'))}"
                raise Error(
                    f"--replay plays what was recorded, and {what} changes nothing of it; leave one of them out."
                )
        check_speed(given["watch_speed"])
        return
    watching(given["watch"], given["watch_speed"])
    check_verifier(given)
    check_precision(given["precision"])
    if given["run"] is None:
        raise Error("name a run folder: unmask sample RUN (or a record: unmask sample --replay FILE).")
    if given["start"] is not None and (prompt or prompt_file is not None):
        raise Error("PROMPT and --prompt or --prompt-file all say what stands before; give one of them.")
    if prompt and prompt_file is not None:
        raise Error("--prompt and --prompt-file both say what stands before; leave one out.")
    if output is not None and n != 1:
        raise Error(f"--output holds one text, and -n is {n}; leave -n out, and change --seed for another text.")


@refused_by(_refuse)
@writes
def sample(
    *,
    run: Annotated[str | None, typer.Argument(help="Run folder; not needed with --replay.")] = None,
    start: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="Text before what is written.")] = None,
    prompt: Annotated[str, typer.Option(help="The same, as an option.")] = "",
    prompt_file: Annotated[
        Path | None, typer.Option(help="File whose bytes are the prompt; of a run of text it is UTF-8.")
    ] = None,
    suffix: Annotated[str, typer.Option(help="Text behind what is written (masked runs).")] = "",
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens to write, of any number; default: what the context has room for.")
    ] = None,
    n: Number = 1,
    how: How,
    preset: UsePreset = True,
    batch_size: BatchSize = 8,
    precision: Precision = "auto",
    trace: Trace = None,
    watch: Watch = False,
    watch_speed: WatchSpeed = None,
    fallback: Annotated[
        str | None, typer.Option(help="A causal run that writes again what has collapsed (repetition).")
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="Folder of an index: the prompt's nearest texts are the network's memory.")
    ] = None,
    evidence: Annotated[
        int | None, typer.Option(help="How many texts to look up; default: as many as in training.")
    ] = None,
    verifier: Verifier = None,
    verify: Verify = None,
    regex: Regex = None,
    json_schema: JsonSchema = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write the text's bytes to this file, as they are, instead of printing it; "
            "with --replay a page (.html) or an animated picture (.svg)."
        ),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Play a recorded trace instead; --output x.html or x.svg writes it.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write text with a run. What is left out comes from the run's preset or recipe."""
    if replay is not None:
        _play(replay, output, check_speed(watch_speed), json)
        return
    speed = watching(watch, watch_speed)
    assert run is not None  # _refuse saw to it
    prompt = prompt or start or ""
    from unmask.api.byte_files import read_prompt, write_bytes
    from unmask.api.sample import sample as write
    from unmask.training.run import Run

    opened = Run.open(run)
    with ExitStack() as stack:
        drawn = Canvas(console, lambda i: opened.tokenizer.decode_bytes([i]), speed) if watch else None
        canvas = stack.enter_context(drawn) if drawn else None
        line = ProgressLine("writing")
        if drawn is None:
            stack.enter_context(line)
        result = write(
            opened,
            prompt if prompt_file is None else read_prompt(prompt_file),
            suffix=suffix,
            max_tokens=max_tokens,
            n=n,
            preset=preset,
            batch_size=batch_size,
            precision=precision,  # type: ignore[arg-type]  # _refuse saw to it
            trace=trace,
            watch=canvas.show if canvas else None,
            progress=line,
            fallback=fallback,
            index=index,
            evidence=evidence,
            verifier=verifier,
            verify=verify,
            regex=regex,
            json_schema=json_schema,
            **how,
        )
    told(result.preset)
    if result.prompt_seen < result.prompt_tokens:
        whole, seen = counted(result.prompt_tokens, "token"), result.prompt_seen
        note(f"note: the prompt has {whole}, more than the context holds: {seen} of them are in view, its end")
    if trace is not None:
        note(f"trace: {trace} (play it with: unmask sample --replay {shell(trace)})")
    for number, passages in enumerate(result.rewritten or [], 1):
        if passages:
            note(f"text {number}: the fallback wrote passage {', '.join(str(p + 1) for p in passages)} again")
    print_checked(result.checked)
    for number, fits in enumerate(result.satisfied or [], 1):
        if not fits:
            note(f"text {number}: cut off before it was what it had to be; give it more --max-tokens")
    if output is not None:
        write_bytes(result.data[0], output)
        note(f"{counted(len(result.data[0]), 'byte')}: {output}")
    if json:
        print_json(result.to_dict())
    elif output is None:
        print_texts(result.texts)
    if not json and result.evidence is not None:
        print_evidence(result.evidence)


def print_evidence(texts: Sequence[EvidenceText]) -> None:
    """Print the texts that the network was given: cosine with the prompt, document, excerpt."""
    say("\nevidence:" if texts else "\nevidence: none (the index holds nothing but near-copies of the prompt)")
    for found in texts:
        say(f"  {found.score:.3f}  document {found.document}  {short(found.text)}")


def check_verifier(given: Parameters) -> None:
    """Refuse what does not go with a verifier, or needs one."""
    from unmask.api.verifier import check_alone, check_mode

    if given["verifier"] is None:
        check_mode(given["verify"])
    check_alone(given["verifier"], fallback=given.get("fallback"), index=given.get("index"))


def print_checked(texts: Sequence[CheckedText] | None) -> None:
    """Say on stderr what the verifier said of each text."""
    from unmask.sampling.checks import VERDICTS

    for number, one in enumerate(texts or [], 1):
        counts = {what: sum(s.behind - s.first for s in one.spans if s.verdict == what) for what in VERDICTS[1:]}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        calls = counted(one.calls, "call")
        note(
            f"text {number}: {told or 'nothing to verify'}; {calls} of the verifier, {counted(one.read, 'token')} read"
        )


def print_texts(texts: list[str]) -> None:
    """Print texts on stdout, numbered if there are several."""
    for number, text in enumerate(texts, 1):
        say(f"[{number}] {text}" if len(texts) > 1 else text)


def watching(watch: bool, speed: float | None) -> float:
    """Return the speed of ``--watch``.

    Raises:
        Error: a speed and nothing to watch, or no speed.
    """
    if speed is not None and not watch:
        raise Error("--watch-speed paces --watch and --replay; add one of them.")
    return check_speed(speed)


def _play(path: Path, output: Path | None, speed: float, json: bool) -> None:
    """Show a recorded trace, or write it as a page or a picture; no run is needed."""
    if output is not None:
        from unmask.api.draw_trace import draw_trace

        drawn = draw_trace(path, output)
        if not drawn.whole:
            note(f"the trace {path} is cut short; {output} holds its {counted(drawn.frames, 'whole frame')}.")
        if json:
            print_json(drawn.to_dict())
        else:
            say(str(drawn.path))
        return
    from unmask.sampling.trace import read_trace

    trace = read_trace(path)
    if not trace.whole:
        note(f"the trace {path} is cut short; playing its {counted(len(trace.frames), 'whole frame')}.")
    with Canvas(console, lambda i: trace.strings.get(i, b""), speed) as canvas:
        for which, frame in trace.frames:
            canvas.show(which, frame)
    if json:
        print_json({"replay": path, "whole": trace.whole, "header": trace.header, "texts": trace.texts()})
    else:
        print_texts(trace.texts())
