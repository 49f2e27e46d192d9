"""The main job, offline: the model in the box writes; then two models of the same parameters learn and are compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.api.train import resolve, train
from unmask.errors import Error
from unmask.lines import counted
from unmask.result import Result
from unmask.training.find_run import BOX
from unmask.training.loaded_run import held
from unmask.training.run import MANIFEST, Run

if TYPE_CHECKING:
    from unmask.api.writing import Watch
    from unmask.progress import Progress
    from unmask.reports.rows import CompareResult

PROMPT = "Once upon a time"
HOLES = "The ____ was ____."


@dataclass(frozen=True)
class Filled:
    """A held-out sentence, the same with holes, and what the masked model wrote into them."""

    original: str
    holes: str
    filled: str


@dataclass(frozen=True, repr=False)
class DemoResult(Result):
    """What the demo made.

    Attributes:
        box_text: What the model in the box wrote.
        box_filled: A sentence with holes, filled by it.
        causal: Folder of the left-to-right run.
        masked: Folder of the masked run.
        report: The HTML report.
        filled: Held-out sentences with holes, filled by the masked model.
        causal_text: Free writing, left to right.
        masked_text: Free writing, by unmasking.
        comparison: All numbers of the report.
    """

    box_text: str
    box_filled: str
    causal: Path
    masked: Path
    report: Path
    filled: list[Filled]
    causal_text: str
    masked_text: str
    comparison: CompareResult

    def _facts(self) -> tuple[str, ...]:
        return (f"report in {self.report}", f"runs {self.causal} and {self.masked}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = super().to_dict()
        comparison = found.pop("comparison")
        return {**found, "rows": comparison["rows"]}


def demo(
    output: str | Path = "runs/demo",
    *,
    overrides: Iterable[str] = (),
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda told: None,
    watch: Callable[[Run], AbstractContextManager[Watch | None]] = lambda run: nullcontext(),
) -> DemoResult:
    """Let the model in the box write; train ``demo-causal`` and ``demo-masked``, let both write, and compare them.

    Runs that an earlier call finished are used again; an interrupted one is resumed.

    Args:
        output: Folder for the two runs and the report.
        overrides: ``section.key=value`` for both recipes (a smaller budget, another corpus).
        say: Called with a line of news.
        progress: Called with where the comparison stands.
        watch: Given a run, a context whose value is called at each step of one text's denoising.

    Raises:
        Error: as train, sample and compare.
    """
    folder, overrides = Path(output), list(overrides)
    _check_place(folder)
    for name in ("causal", "masked"):
        resolve(f"demo-{name}", overrides)
    from unmask.api.compare import compare
    from unmask.api.infill import infill
    from unmask.api.sample import sample

    box = held(Run.open(BOX))
    say(f"The model in the box ({counted(box.manifest['parameters'], 'parameter')}) writes, a few words at a time:")
    with watch(box) as show:
        box_text = sample(box, PROMPT, max_tokens=60, seed=1, watch=show).texts[0]
    say(f"  {_flat(box_text)}")
    say("")
    say("It fills holes, for within a block it sees both sides of them:")
    box_filled = infill(box, HOLES, length="1-2", length_by="likeliest", temperature=0.0).texts[0]
    say(f"  with holes {HOLES}")
    say(f"  filled     {box_filled}")
    say("")
    say(f"Any run can be watched in a browser: unmask serve {BOX}")
    say("")
    say("Now two small models learn the same stories, left to right and by unmasking (about two minutes).")
    runs = {name: held(_train(f"demo-{name}", folder / name, overrides, say)) for name in ("causal", "masked")}
    if interrupted := [r for r in runs.values() if r.manifest["status"] != "finished"]:
        raise Error(f"stopped while training {interrupted[0].path}; the same command goes on from there.")
    say("")
    say("Held-out sentences with holes, filled by the masked model (it sees both sides of a hole):")
    filled = []
    for original, holes in held_out_sentences(runs["masked"]):
        text = infill(runs["masked"], holes, length="1-2", length_by="likeliest", temperature=0.0).texts[0]
        filled.append(Filled(original, holes, text))
        say(f"  with holes {holes}")
        say(f"  filled     {text}")
        say(f"  original   {original}")
        say("")
    say("Free writing by the masked model, all positions open at first, decided step by step:")
    with watch(runs["masked"]) as show:
        masked_text = sample(
            runs["masked"], PROMPT, max_tokens=60, steps=30, temperature=0.8, seed=1, ignore_eos=True, watch=show
        ).texts[0]
    say(f"  {_flat(masked_text)}")
    say("")
    say("Free writing from left to right:")
    causal_text = sample(runs["causal"], PROMPT, max_tokens=60, temperature=0.8, seed=1, ignore_eos=True).texts[0]
    say(f"  {_flat(causal_text)}")
    say("")
    say("This is what a minute of training each buys: words, not sense. The model in the box had an hour and more.")
    say("")
    report = folder / "report"
    comparison = compare(
        list(runs.values()),
        report,
        quick=True,
        force=True,
        command="unmask demo",
        say=say,
        progress=progress,
    )
    return DemoResult(
        box_text,
        box_filled,
        runs["causal"].path,
        runs["masked"].path,
        report / "report.html",
        filled,
        causal_text,
        masked_text,
        comparison,
    )


def _check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier demo, whose report is written anew."""
    report = folder / "report"
    theirs = not (report / "compare.json").is_file() and not (report / "parts").is_dir()
    if report.is_dir() and any(report.iterdir()) and theirs:
        raise Error(f"{report} is not empty and holds no report; choose another --output.")


def _train(recipe: str, folder: Path, overrides: list[str], say: Callable[[str], None]) -> Run:
    begun = (folder / MANIFEST).is_file()
    if begun:
        try:
            run = Run.open(folder)
        except Error:
            run = None
        if run is not None and run.manifest["status"] == "finished":
            say(f"using {folder}, trained before (remove it to train again)")
            return run
    say(f"training {recipe}" + (" (going on where it stopped)" if begun else ""))
    return train(recipe, overrides, output=folder, resume=begun)


def held_out_sentences(run: Run, count: int = 4) -> list[tuple[str, str]]:
    """Return plain sentences that the training text does not hold, each with a copy in which two words are holes."""
    from unmask.training.held_out import corpus_of

    corpus = corpus_of(run)
    trained = "\n".join(corpus.split("train")["text"])
    found = []
    for text in corpus.split("valid")["text"]:
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            words = sentence.split(" ")
            if not (9 <= len(words) <= 14 and re.fullmatch(r"[A-Z][A-Za-z ,'-]+\.", sentence)):
                continue
            hidden = (len(words) // 3, 2 * len(words) // 3)
            holes = ["____" if i in hidden else word for i, word in enumerate(words)]
            if all(words[i].isalpha() for i in hidden) and sentence not in trained:
                found.append((sentence, " ".join(holes)))
                break
        if len(found) == count:
            break
    return found


def _flat(text: str) -> str:
    return " ".join(text.split())
