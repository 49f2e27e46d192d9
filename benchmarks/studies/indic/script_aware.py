"""Script-aware hiding on and off, four systems at equal tokens: bits by kind of text, and whether texts are whole.

    python -m benchmarks.studies.indic.script_aware --texts FOLDER

``FOLDER`` holds ``stories-hi``, ``hinglish`` and ``mixed-hi-en``, each as ``.train.jsonl.gz`` and ``.valid.jsonl.gz``.
Each row is a recipe ``nano-indic-*``, with and without ``process.scripts``, scored on 40 kB of held-out documents of
each kind of text in bits per byte (an upper bound, of the same kind for all rows), and by what it writes behind the
first words of held-out documents: how much is broken before a text is finished and after, words that mix scripts
inside, and how far the share of Devanagari is from that of the text itself. Controls: the real text, and its words in
random order.
Results go to ``benchmarks/results/indic_script_aware.json``; rows that are there are not run again, and ``--seeds 3``
adds two. ``--runs`` keeps the trained runs in a folder, and takes those that are there.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.ablation import fill, parser
from benchmarks.lib.cells import seeds_of, spread
from benchmarks.lib.kept import begun, finished
from benchmarks.lib.places import RESULTS
from unmask.api.writing import resolve, vocabulary_of
from unmask.data.scripts import clusters, script_of, spans
from unmask.data.sources import open_source
from unmask.data.whole_text import broken
from unmask.evaluation.bits import bits_per_byte
from unmask.sampling import fill_request, generate
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train

RESULT = RESULTS / "indic_script_aware.json"
KINDS = ("stories-hi", "hinglish", "mixed-hi-en")
AWARE = ["process.scripts.devanagari=polynomial:1.25", "process.scripts.clusters=0.5"]
SYSTEMS = ("baseline", "eco", "sparse", "block")
ROWS = {f"{system}, {how}": (system, how) for system in SYSTEMS for how in ("alike", "aware")}
PROMPTS, WORDS, TOKENS = 8, 6, 48
"""Of each kind of text; words of a prompt; tokens written behind it."""


def run_of(row: str, seed: int, arguments: Any) -> Run:
    """Return the trained run of a row."""
    system, how = ROWS[row]
    path = Path(arguments.runs) / f"{system}-{'on' if how == 'aware' else 'off'}-{seed}"
    if not finished(path):
        files = {
            part: ",".join(str(arguments.texts / f"{kind}.{part}.jsonl.gz") for kind in KINDS)
            for part in ("train", "valid")
        }
        given = [
            f"data.source={files['train']}",
            f"data.valid={files['valid']}",
            f"training.max_steps={arguments.steps}",
        ]
        given += ["training.valid_blocks=0", "training.save_steps=100000", f"seed={seed}"]
        train(load_recipe(f"nano-indic-{system}", [*(AWARE if how == "aware" else []), *given]), path, begun(path))
    return Run.open(path)


def held_out(arguments: Any) -> dict[str, list[str]]:
    """Return the first held-out documents of each kind, as many as ``--bytes`` hold."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        size, found[kind] = 0, []
        for text in open_source(arguments.texts / f"{kind}.valid.jsonl.gz").documents():
            if size >= arguments.bytes:
                break
            found[kind].append(text)
            size += len(text.encode())
    return found


def prompted(texts: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return prompts, each with the text that followed."""
    long = [
        text.split(" ")
        for kind in KINDS
        for text in [t for t in texts[kind] if len(t.split(" ")) > WORDS + 4][:PROMPTS]
    ]
    return [(" ".join(words[:WORDS]) + " ", " ".join(words[WORDS : WORDS + 30])) for words in long]


def measures(written: Sequence[tuple[str, bytes]], references: Sequence[str]) -> dict[str, float]:
    """Return what is wrong with some continuations, as shares; each is what stands behind its prompt."""
    wrong = signs = letters = mixed = words = torn = 0
    apart = []
    for (prompt, data), reference in zip(written, references, strict=True):
        before = prompt.encode()
        bad = broken(before + data)[0][len(before) :]
        text = data.decode("utf-8", "replace")
        torn += text.count("\ufffd")
        wrong += bool(bad.any())
        signs += sum(1 for place in clusters(text) if text[place] != "\ufffd" and broken(text[place].encode())[0].any())
        letters += len(clusters(text))
        parts = [span.script for span in spans(text) if span.script in ("devanagari", "latin", "other", "mixed")]
        mixed, words = mixed + parts.count("mixed"), words + len(parts)
        apart.append(abs(_devanagari(text) - _devanagari(reference)))
    return {
        "broken_texts": round(wrong / len(written), 4),
        "torn_characters": round(torn / max(1, letters), 5),
        "signs_alone": round(signs / max(1, letters), 5),
        "mixed_words": round(mixed / max(1, words), 4),
        "devanagari_apart": round(statistics.mean(apart), 4),
    }


def _devanagari(text: str) -> float:
    scripts = [script_of(c) for c in text]
    both = scripts.count("devanagari") + scripts.count("latin")
    return scripts.count("devanagari") / both if both else 0.0


def written(run: Run, prompts: Sequence[str], finish: bool) -> list[tuple[str, bytes]]:
    """Return what a run writes behind prompts, finished or as its sampler left it."""
    run, sampler, settings = resolve(run, None, {})
    model, tokenizer = run.model("cpu"), run.tokenizer
    words = vocabulary_of(tokenizer, model)
    words = words if finish else replace(words, table=None)
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    room = model.config.max_position_embeddings - 1
    requests = [
        fill_request(own[-(room - TOKENS) :], TOKENS, words, settings, index=number) for number, own in enumerate(ids)
    ]
    with torch.no_grad():
        samples = generate(model, sampler, requests, words, process=run.process)
    return [(p, tokenizer.decode_bytes(s.written)) for p, s in zip(prompts, samples, strict=True)]


def scored(row: str, seed: int, arguments: Any) -> dict[str, Any]:
    """Train a row with one seed, or take its run; return its bits and what its texts are like."""
    run, texts = run_of(row, seed, arguments), held_out(arguments)
    model = run.model("cpu")
    bits = {kind: bits_per_byte(model, run.process, run.tokenizer, texts[kind], window=128, draws=8) for kind in KINDS}
    prompts, references = zip(*prompted(texts), strict=True)
    raw, done = (measures(written(run, prompts, finish), references) for finish in (False, True))
    manifest = run.manifest
    return {
        "bits_per_byte": {kind: round(found.value, 4) for kind, found in bits.items()},
        "bound": bits[KINDS[0]].bound,
        "bytes": {kind: found.bytes for kind, found in bits.items()},
        "as_sampled": raw,
        "finished": done,
        "tokens_seen": manifest["tokens_seen"],
        "parameters": manifest["parameters"],
        "corpus_fingerprint": manifest["corpus_fingerprint"],
        "seconds": manifest["train_seconds"],
    }


def controls(arguments: Any) -> dict[str, Any]:
    """Return the measures of real continuations, and of their words in random order."""
    pairs = prompted(held_out(arguments))
    draw = random.Random(0)
    shuffled = [" ".join(draw.sample(words, len(words))) for _, text in pairs for words in [text.split(" ")]]
    references = [text for _, text in pairs]
    return {
        name: measures([(prompt, text.encode()) for (prompt, _), text in zip(pairs, each, strict=True)], references)
        for name, each in (("real text", references), ("its words in random order", shuffled))
    }


def table(rows: dict[str, Any], real: dict[str, Any], steps: int) -> str:
    """Return the stored rows as markdown."""
    lines = [
        "| row | Hindi | Hinglish | mixed | broken, as sampled | finished | mixed words | Devanagari apart | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        if found := seeds_of(rows, row, steps):
            bits = [f"<= {spread([one['bits_per_byte'][kind] for one in found])}" for kind in KINDS]
            shares = [
                f"{statistics.mean(one[part][key] for one in found):.1%}"
                for part, key in (
                    ("as_sampled", "broken_texts"),
                    ("finished", "broken_texts"),
                    ("finished", "mixed_words"),
                    ("finished", "devanagari_apart"),
                )
            ]
            lines.append(f"| {' | '.join([row, *bits, *shares, str(len(found))])} |")
    for name, one in real.items():
        shares = [f"{one[key]:.1%}" for key in ("broken_texts", "broken_texts", "mixed_words", "devanagari_apart")]
        lines.append(f"| *control:* {name} | | | | {' | '.join(shares)} | |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Train and score what is not stored yet, and print the table."""
    options = parser(RESULT)
    options.set_defaults(seeds=1)
    options.add_argument(
        "--bytes", type=int, default=40_000, help="held-out bytes of each kind of text that are scored"
    )
    options.add_argument("--texts", type=Path, required=True, help="folder of the six files")
    options.add_argument("--runs", default="runs/script-aware", help="folder of the trained runs")
    next(action for action in options._actions if action.dest == "source").required = False
    given = options.parse_args(arguments)
    given.source = "stories-hi, hinglish, mixed-hi-en"
    command = f"python -m {__spec__.name} --texts FOLDER --steps {given.steps}"
    rows = fill(given, command, ROWS, lambda row, seed: scored(row, seed, given))
    print("\n" + table(rows, controls(given), given.steps))
    return 0


if __name__ == "__main__":
    sys.exit(main())
