"""Make the model in the box of a trained run: weights in bf16, the run's files, a calibration and a card.

    unmask train box -o data.source=stories-en.train.jsonl.gz -o data.valid=stories-en.valid.jsonl.gz --output runs/box
    python -m benchmarks.studies.box.pack runs/box          # writes src/unmask/packaged/box
    python -m benchmarks.studies.box.pack --card            # writes its card again, with the numbers that are stored

The packed run is what every number of it is measured on, not the one that it was made of.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.lib.places import RESULTS
from unmask.api.calibrate import calibrate
from unmask.api.export import export
from unmask.lines import counted
from unmask.training.find_run import MANIFEST, box
from unmask.training.fingerprints import fingerprints
from unmask.training.run import Run, write_json

RESULT = RESULTS / "box.json"
TEXT = "box-stories"
DOCUMENTS = 100
"""Of the calibration."""
DROPPED = ("corpus_at", "versions", "precision_why")
CARD = """# Llama-told stories: the model in the box

A network of {parameters:,} parameters that writes short stories in English, in blocks of {block} tokens or left to
right, and fills holes. It comes with unmask, so that there is something to try before anything is
trained. It is small: its sentences hold, its stories wander.

```bash
unmask sample box --prompt "Once upon a time"
unmask infill box "The ____ was ____."
unmask serve box
```

## Data and licence
It learned {passes} of `stories-en`: 11,016 stories from
[erikhyrkas/snakes](https://github.com/erikhyrkas/snakes) (MIT, copyright Erik Hyrkas), which Llama 3.1 wrote. The
licence of Llama 3.1 asks that models made of its texts say so in their name, hence the name. It never saw the 351
stories of `box-stories`, which come with unmask. The weights are under MIT, as the stories are.

What it writes is made up. It carries over what its stories hold, their names, morals and biases included. It follows no
instructions.

## Numbers
{numbers}

## Make it again
Seed {seed}, {steps:,} steps of {tokens_step:,} tokens, {hours} on {device} ({precision}):

```bash
unmask train box -o data.source=stories-en.train.jsonl.gz -o data.valid=stories-en.valid.jsonl.gz --output runs/box
python -m benchmarks.studies.box.pack runs/box
python -m benchmarks.studies.box.measure
```

`unmask data fetch snakes-stories` gets stories of the same source.
"""


def packed(run: Path, folder: Path) -> None:
    """Write a run as the model in the box into a folder that is not there yet."""
    export(run, folder, dtype="bf16")
    told: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    told = {key: value for key, value in told.items() if key not in DROPPED}
    write_json(folder / MANIFEST, {**told, "held_out_source": TEXT, **fingerprints(folder)})
    calibrate(Run.open(folder), documents=DOCUMENTS)


def card(run: Run) -> str:
    """Return the card, with the numbers that are stored."""
    told = run.manifest
    matter = yaml.safe_dump({"license": "mit", "library_name": "unmask", "language": "en"}, sort_keys=False)
    stored = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    text = CARD.format(
        parameters=told["parameters"],
        block=run.recipe.process.model_dump().get("block_size"),
        passes=f"{told['tokens_seen']:,} tokens",
        numbers=numbers(stored),
        seed=run.recipe.seed,
        steps=told["steps"],
        tokens_step=round(told["tokens_seen"] / told["steps"]),
        hours=f"{told['train_seconds'] / 60:.0f} minutes",
        device=f"{told['device']}, {counted(told['threads'], 'thread')}",
        precision=told["precision"],
    )
    return f"---\n{matter}---\n\n{text}"


def numbers(stored: dict[str, Any]) -> str:
    """Return the numbers as lines, or where they will be."""
    if not stored:
        return "Not measured yet: `python -m benchmarks.studies.box.measure`."
    lines = []
    for name, row in stored["likelihood"].items():
        sign = "at most " if row["bound"] == "upper bound" else ""
        low, high = row["interval"]
        lines.append(
            f"- {name}: {sign}{row['bits_per_byte']:.3f} bits per byte [{low:.3f}, {high:.3f}], {row['bound']}"
        )
    texts = counted(stored["documents"], "held-out story").replace("storys", "stories")
    return "\n".join([*lines, "", f"On {texts} of `{TEXT}`. More: docs/studies/box.md."])


def main(arguments: list[str] | None = None) -> int:
    """Pack a run, or write the card again."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="a finished run of the recipe box")
    parser.add_argument("--card", action="store_true", help="write the card alone")
    parser.add_argument("--into", type=Path, default=box(), help="folder of the packed run; default: the package's")
    given = parser.parse_args(arguments)
    if not given.card:
        if given.run is None:
            parser.error("name a run, or --card")
        with tempfile.TemporaryDirectory() as aside:
            new = Path(aside) / "box"
            packed(given.run, new)
            shutil.rmtree(given.into, ignore_errors=True)
            shutil.copytree(new, given.into)
    (given.into / "README.md").write_text(card(Run.open(given.into)), "utf-8")
    size = sum(path.stat().st_size for path in given.into.rglob("*") if path.is_file())
    print(f"{given.into}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
