"""What students write in few steps, beside their teacher, and at which price in variety.

    python -m benchmarks.studies.few_steps.distill TEACHER --folder RUNS

Students of ``unmask distill`` (steps=4; both divergences; with a random mask) and their control, the teacher trained on
as long by its own loss, are trained into RUNS unless they are there. Each writes at 2 to 32 steps, and so does the
teacher, at temperature 1 and, since whoever loses variety pleases a judge, below it. The judge is an n-gram of bytes,
fitted on documents that no run has seen; real text as long stands beside.
Results go to ``benchmarks/results/few_steps_distill.json``. ``--quick`` trains and writes next to nothing, and keeps
nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.kept import begun, finished
from benchmarks.lib.measure import say
from benchmarks.lib.places import RESULTS
from benchmarks.studies.few_steps.coin import rows as coin_rows
from unmask.api.distill import distill, student
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.overlap import self_bleu
from unmask.evaluation.text import real_like, text_quality
from unmask.reports.generation import Way, write_texts
from unmask.training.held_out import corpus_of
from unmask.training.recipe import load_recipe
from unmask.training.run import RECIPE, Run
from unmask.training.train import train

RESULT = RESULTS / "few_steps_distill.json"
STUDENTS = {
    "forward": ["divergence=forward"],
    "reverse": ["divergence=reverse"],
    "mixture": ["divergence=reverse", "process.random_mask=16", "process.random_mask_words=8"],
}
STEPS = (2, 4, 8, 16, 32)
COOLER = (0.9, 0.8, 0.7)
"""Temperatures of the teacher's control rows."""


def students(teacher: Run, folder: Path, only: list[str], more: list[str]) -> dict[str, Run]:
    """Return the students and the control, trained unless they are there."""
    found = {}
    for name in only:
        place = folder / name.replace(", ", "-")
        if not finished(place):
            if name == "continued":
                train(continued(teacher, more), place, begun(place))
            else:
                distill(teacher, ["steps=4", *STUDENTS[name], *more], output=place, resume=begun(place))
        found[name] = Run.open(place)
    return found


def continued(teacher: Run, more: list[str]) -> Any:
    """Return the recipe of a run that goes on by the teacher's own loss, as long and at the rate of its students."""
    like = student(teacher, more)
    keys = [("training", like.training.model_dump()), ("seed", like.seed), ("process.causal_warmup", 0)]
    return load_recipe(teacher.path / RECIPE, [*keys, ("data", like.data.model_dump())])


def row(texts: list[str], judge: NgramJudge) -> dict[str, float | None]:
    """Return what the judge and the counts say of texts."""
    counts = text_quality(texts)
    return {
        "judge, bits per byte": judge.bits(texts),
        "entropy, bits a word": counts.entropy,
        "distinct-2": counts.distinct_2,
        "self-BLEU": self_bleu(texts),
        "repeated 4-grams": counts.repeated_4,
        "words": counts.words,
    }


def main(arguments: list[str] | None = None) -> int:
    """Train, write, judge, print the table, and keep it unless it is quick."""
    options = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    options.add_argument("teacher", help="a run of process masked or block")
    options.add_argument("--folder", type=Path, help="where students are, or are trained; default: a temporary one")
    options.add_argument("--only", nargs="*", default=[*STUDENTS, "continued"], help="students to look at")
    options.add_argument("--texts", type=int, default=128, help="texts of each row")
    options.add_argument("--length", type=int, default=128, help="tokens of a text")
    options.add_argument("--quick", action="store_true", help="does it run? nothing is kept")
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    teacher = Run.open(given.teacher)
    more = ["training.max_steps=3", "training.valid_blocks=0"] if given.quick else []
    with tempfile.TemporaryDirectory() as spare:
        runs = {"teacher": teacher, **students(teacher, given.folder or Path(spare), given.only, more)}
        corpus = corpus_of(teacher)
        judge = NgramJudge(ByteNgram().fit(text.encode() for text in documents(corpus.split("judge"))), name="judge")
        texts, length, counts = (2, 16, (2,)) if given.quick else (given.texts, given.length, STEPS)
        rows: dict[str, dict[str, Any]] = {}
        written: list[str] = []
        for name, run in runs.items():
            model, sampler = run.model("cpu"), run.recipe.sampler_settings()
            for steps in counts:
                for heat in (1.0, *COOLER) if name == "teacher" else (1.0,):
                    label = f"{name}, {steps} steps" + (f", temperature {heat}" if heat < 1 else "")
                    way = Way(sampler.but(steps=steps, temperature=heat, ignore_eos=True))
                    written = write_texts(run, model, way, length=length, samples=texts, seed=0).texts
                    rows[label] = {**row(written, judge), "text": written[0][:160]}
                    say(f"{label}: {json.dumps(rows[label], ensure_ascii=False)}")
        real = real_like(written, list(documents(corpus.split("valid")))[:1000])
        rows["real text, as many words"] = row(real, judge)
        told = {
            name: {
                key: run.manifest.get(key) for key in ("steps", "tokens_seen", "train_seconds", "valid_bits_per_byte")
            }
            for name, run in runs.items()
        }
    coin = coin_rows(5 if given.quick else 400)
    print(table(rows))
    if not given.quick:
        kept = {
            "command": f"python -m {__spec__.name} {teacher.name} --texts {texts}",
            "hardware": f"{platform.machine()}, 1 thread",
            "date": time.strftime("%Y-%m-%d"),
            "texts": texts,
            "length": length,
            "seed": 0,
            "runs": told,
            "coin": coin,
            "rows": rows,
        }
        RESULT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return 0


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the rows as markdown."""
    keys = ["judge, bits per byte", "entropy, bits a word", "distinct-2", "self-BLEU", "repeated 4-grams"]
    lines = [f"| written by | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name, found in rows.items():
        cells = ("-" if found.get(key) is None else f"{found[key]:.3f}" for key in keys)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
