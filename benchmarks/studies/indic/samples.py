"""What runs write behind the packaged prompts, uncurated: the first ten of each class, the first seed.

    python -m benchmarks.studies.indic.samples RUN [RUN ...]

Each run writes 24 tokens a prompt, its own sampler, seed 0. ``docs/studies/hindi-samples.md`` is written anew, and
nothing is chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from unmask.api.writing import resolve, vocabulary_of
from unmask.evaluation.indic_set import indic_prompts
from unmask.sampling import fill_request, generate
from unmask.training.run import Run

PAGE = Path("docs/studies/hindi-samples.md")
HEAD = """# Hindi, Hinglish and mixed script: what small runs write

**Question.** What do such runs write? The first ten packaged prompts of each class and the first seed: nothing was
chosen or left out.

**Verdict.** They know letters and some words, and no story. The block run keeps most whole words; eco answers many
prompts in Devanagari with Latin letters. Letters are whole, which is what is held here. What is right in a text is
counted in [script-aware](script-aware.md), not read off this page.

## Setup
Four runs of 1 M parameters that read 0.81 M tokens of the three files
([recipes](../how-to/hindi-and-hinglish.md#recipes), seed 0, [hidden by script](script-aware.md)), 24 tokens a prompt,
each with its recipe's sampler.

```bash
python -m benchmarks.studies.indic.samples RUNS
```

"""
PROMPTS, TOKENS = 10, 24


def written(run: Run, prompts: list[str]) -> list[str]:
    """Return what a run writes behind prompts."""
    run, sampler, settings = resolve(run, None, {})
    model, tokenizer = run.model("cpu"), run.tokenizer
    vocabulary = vocabulary_of(tokenizer, model)
    requests = [
        fill_request(tokenizer.encode(prompt), TOKENS, vocabulary, settings, index=number)
        for number, prompt in enumerate(prompts)
    ]
    with torch.no_grad():
        samples = generate(model, sampler, requests, vocabulary, process=run.process)
    return [tokenizer.decode(sample.written) for sample in samples]


def table(runs: list[Run]) -> str:
    """Return the tables, one a class, as markdown."""
    parts = []
    for name, prompts in indic_prompts().items():
        rows = [(run.recipe.name, written(run, prompts[:PROMPTS])) for run in runs]
        lines = [
            f"## {name.capitalize()}",
            "",
            f"| prompt | {' | '.join(run for run, _ in rows)} |",
            "|---" * (len(rows) + 1) + "|",
        ]
        for number, prompt in enumerate(prompts[:PROMPTS]):
            said = [" ".join(texts[number].split()).replace("|", "\\|") for _, texts in rows]
            lines.append(f"| {prompt} | {' | '.join(said)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main() -> None:
    """Write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    given = parser.parse_args()
    PAGE.write_text(HEAD + table([Run.open(path) for path in given.runs]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
