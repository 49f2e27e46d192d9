"""The model card of an exported run: what it is, how to use it, what it was trained on, what it cannot do."""

from __future__ import annotations

import re
from typing import Any

import yaml

from unmask import __version__
from unmask.api.public import public_name
from unmask.diffusion.registry import PROCESSES
from unmask.lines import counted, excerpt
from unmask.reports.cells import line as markdown_row
from unmask.training.ancestry import origin
from unmask.training.calibration_file import CALIBRATION
from unmask.training.recipe import Recipe
from unmask.training.run import Run


def model_card(run: Run, recipe: Recipe, format: str, name: str) -> str:
    """Return a model card as Markdown with YAML front matter.

    Args:
        run: The run.
        recipe: Its recipe as it may be shown, without paths of the training machine.
        format: ``hub``, or the family that ``transformers`` reads it as.
        name: Name of the exported folder, used in the commands.
    """
    kind = PROCESSES.facts(run.process.name).about
    name_of_recipe = excerpt(recipe.name).replace("`", "'")
    finished = run.manifest.get("status") == "finished"
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(run, recipe, format), sort_keys=False)}---",
        f"# {name}",
        f"{run.manifest['parameters']:,} parameters, {kind}. {_made(run, name_of_recipe)}",
        "" if finished else f"**Its training did not finish** (status: {run.manifest.get('status')}).",
        "> The license is not chosen yet: replace `license: other` above by one that suits the weights and the text "
        "that they were trained on.",
        "## Use",
        _usage(run, format, name),
        "## Figures",
        _table(_figures(run, recipe)),
        "## Limits",
        _limits(run, recipe),
        "## Recipe",
        _fenced(recipe.to_yaml()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _made(run: Run, recipe: str) -> str:
    """Say with what it was trained, or where its weights come from."""
    ours = "[unmask](https://pypi.org/project/unmask) " + run.manifest.get("versions", {}).get("unmask", __version__)
    if not run.imported:
        return f"Trained with {ours} from the recipe `{recipe}`."
    told = run.manifest["imported"]
    source = public_name(str(told.get("source"))).replace("`", "'")
    return f"Its weights are those of `{source}` ({told.get('family')}), brought into {ours}; nothing was trained."


def _front_matter(run: Run, recipe: Recipe, format: str) -> dict[str, Any]:
    tags = ["unmask", run.process.name]
    if run.process.visibility == "bidirectional":
        tags += ["diffusion", "masked-diffusion" if run.process.shows == "mask" else "discrete-diffusion", "infilling"]
    matter: dict[str, Any] = {
        "license": "other",
        "library_name": "unmask" if format == "hub" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": tags,
    }
    if recipe.data.source.startswith("hf:"):
        matter["datasets"] = [recipe.data.source.removeprefix("hf:").partition(":")[0]]
    return matter


def _usage(run: Run, format: str, name: str) -> str:
    if format == "modernbert":
        return (
            "```python\n"
            "from transformers import AutoModelForMaskedLM, AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")\n'
            f'model = AutoModelForMaskedLM.from_pretrained("{name}")\n'
            "```"
        )
    if format != "hub":
        return (
            "```python\n"
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")\n'
            f'model = AutoModelForCausalLM.from_pretrained("{name}")\n'
            'inputs = tokenizer("Once upon a time", return_tensors="pt")\n'
            "print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))\n"
            "```\n\nThe tokenizer puts BOS before a text, as in training. "
            "Generation leaves out the mask, BOS and padding tokens."
        )
    lines = [f'unmask sample {name} --prompt "Once upon a time"', f"unmask evaluate {name} --source YOUR_TEXT.txt"]
    if run.process.visibility == "bidirectional":
        length = "" if run.process.shows == "mask" else " --length 2"
        lines.insert(1, f'unmask infill {name} "the ____ sat on the ____"{length}')
    commands = "\n".join(["pip install unmask", *lines])
    return f"```bash\n{commands}\n```\n\n`{name}` is this folder, or its name on the Hub."


def _figures(run: Run, recipe: Recipe) -> list[tuple[str, str]]:
    manifest = run.manifest
    rows = [
        ("process", run.process.name),
        ("backbone", recipe.backbone.name),
        ("parameters", f"{manifest['parameters']:,}"),
        ("tokenizer", f"{recipe.data.tokenizer}, {run.tokenizer.vocab_size:,} ids ({run.tokenizer.fingerprint})"),
        ("context", f"{recipe.data.length} tokens"),
        ("corpus", f"{recipe.data.source}, fingerprint {manifest['corpus_fingerprint']}"),
    ]
    if "train_bytes" in manifest:
        rows.append(("training text", f"{counted(manifest['train_bytes'], 'byte')}"))
    if {"tokens_seen", "steps"} <= manifest.keys():
        rows.append(("tokens seen", f"{manifest['tokens_seen']:,} in {counted(manifest['steps'], 'step')}"))
    if "init" in manifest:
        rows.append(("began with", f"{origin(manifest['init'])}, which the tokens seen do not count"))
    if {"device", "precision"} <= manifest.keys():
        rows.append(("trained on", f"{manifest['device']}, {manifest['precision']}, seed {recipe.seed}"))
    scores = [row["valid_nats_per_token"] for row in run.metrics() if "valid_nats_per_token" in row]
    if scores:
        label = "exact" if run.process.visibility == "causal" else "an upper bound"
        if label == "exact" and recipe.thought is not None and recipe.thought.shape is not None:
            label = "exact for thoughts held at noise"
        label += ", its documents' lengths given" if run.process.told_length else ""
        rows.append(("held-out text", f"{scores[-1]:.3f} nats a token ({label})"))
    if (run.path / CALIBRATION).exists():
        told = run.calibration
        after = told.get("measured", {}).get("forced", {}).get("after", {}).get("all") or {}
        ece = f", expected calibration error {after['ece']:.4f}" if "ece" in after else ""
        rows.append(("calibrated", f"{told['method']}{ece} (`-s calibrated=true`)"))
    return rows


def _fenced(text: str) -> str:
    """Return YAML as code that no sign within it ends."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}yaml\n{text}{fence}"


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *map(markdown_row, rows)])


def _limits(run: Run, recipe: Recipe) -> str:
    lines = [
        "What its weights were trained on, under which license and with which limits, is said where they come from."
        if run.imported
        else "It is small and was trained on one corpus: it knows nothing else, states falsehoods fluently, and "
        "carries over what that text holds, its biases and names included. It follows no instructions and is not "
        "aligned.",
        f"It reads at most {recipe.data.length} tokens.",
    ]
    if run.process.visibility == "bidirectional":
        lines.append("Its likelihoods are upper bounds; do not set them beside exact ones without saying so.")
    return "\n".join(f"- {line}" for line in lines)
