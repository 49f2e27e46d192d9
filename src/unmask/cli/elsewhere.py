"""What other tools call things, and what it is here: the answer to a verb or an option that is nobody's typing slip."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from unmask.errors import nearest

_WRITE = "'unmask sample RUN PROMPT' writes on from a text."
_SERVE = "'unmask serve RUN' answers OpenAI's clients, chats among them, and has a page."
_SCORE = "'unmask evaluate RUN' scores a run, 'unmask compare RUN RUN -o DIR' several."
_TRAIN = "'unmask train RECIPE' trains from a recipe, 'unmask recipes' lists them."
_HUB = "'unmask export RUN --output DIR' makes a folder for the Hub."
_BEGIN = "'unmask recipes NAME --copy FILE.yaml' gives you one to start from."
_LIST = "'unmask recipes' lists recipes, 'unmask sweep --list' plans of many runs; runs lie in the folder runs."
VERBS = {
    "chat": _SERVE,
    "server": _SERVE,
    "api": _SERVE,
    "generate": _WRITE,
    "complete": _WRITE,
    "predict": _WRITE,
    "inference": _WRITE,
    "run": _WRITE,
    "write": _WRITE,
    "fill": "'unmask infill RUN TEXT' fills the holes of a text.",
    "test": _SCORE,
    "eval": _SCORE,
    "score": _SCORE,
    "perplexity": _SCORE,
    "benchmark": _SCORE,
    "finetune": f"There is no tuning of other models yet. {_TRAIN}",
    "fine-tune": f"There is no tuning of other models yet. {_TRAIN}",
    "fit": _TRAIN,
    "pretrain": _TRAIN,
    "learn": _TRAIN,
    "resume": "'unmask train DIR/recipe.yaml --output DIR --resume' goes on with a run.",
    "list": _LIST,
    "ls": _LIST,
    "models": _LIST,
    "init": _BEGIN,
    "new": _BEGIN,
    "download": "'unmask data fetch NAME --output DIR' brings a corpus here.",
    "upload": _HUB,
    "push": _HUB,
    "publish": _HUB,
    "check": "'unmask doctor' checks this machine.",
    "help": "Say: unmask --help.",
    "version": "Say: unmask --version.",
}
"""Verb of another tool -> what does that here."""

_DEVICE = "A GPU is used if there is one; CUDA_VISIBLE_DEVICES= before the command keeps to the processor."
_DEVICES = dict.fromkeys(("--device", "--gpu", "--gpus", "--cuda", "--cpu"), _DEVICE)
_DEVICES_OF_TRAINING = dict.fromkeys(_DEVICES, f"{_DEVICE[:-1]}, and so does -o training.use_cpu=true.")
_SAME = {
    "--max-new-tokens": "--max-tokens",
    "--max-length": "--max-tokens",
    "--num-samples": "--n",
    "--num-return-sequences": "--n",
    "--count": "--n",
    "--number": "--n",
    "--strategy": "--sampler",
    "--method": "--sampler",
    "--temp": "--temperature",
    "--output-dir": "--output",
    "--out": "--output",
    "--outdir": "--output",
    "--output-file": "--output",
    "--overwrite": "--force",
    "--dataset": "--source",
    "--data": "--source",
    "--corpus": "--source",
    "--dry": "--dry-run",
    "--resume-from-checkpoint": "--resume",
    "--set": "--option",
    "--override": "--option",
}
"""Option of another tool -> ours, where the verb has it."""
_KEYS = {
    "dataset": "data.source",
    "data": "data.source",
    "corpus": "data.source",
    "model": "backbone",
    "max_seq_length": "data.length",
    "seq_length": "data.length",
    "context": "data.length",
    "hidden_dim": "backbone.hidden_size",
    "layers": "backbone.num_hidden_layers",
    "heads": "backbone.num_attention_heads",
    "seed": "seed",
    "name": "name",
    "bs": "training.per_device_train_batch_size",
    "num_epochs": "training.epochs",
    "dtype": "training.precision",
}
"""Option of another trainer -> the key of a recipe."""


def verb_hint(wrong: str, verbs: Collection[str], groups: Mapping[str, Collection[str]]) -> str:
    """Say which verb was meant, or what does here what a verb of that name does elsewhere.

    Args:
        wrong: What was typed.
        verbs: Those that there are here.
        groups: Verb -> verbs of its own.
    """
    if wrong.lower() in VERBS and len(groups) > 0:
        return f" {VERBS[wrong.lower()]}"
    if hint := nearest(wrong, verbs):
        return hint
    inside = [f"{group} {wrong}" for group, names in groups.items() if wrong in names]
    return f" Did you mean {' or '.join(map(repr, inside))}?" if inside else ""


def option_hint(wrong: str, options: Collection[str], recipe_keys: bool) -> str:
    """Say which option was meant, or what decides here what one of that name does elsewhere.

    Args:
        wrong: What was typed, dashes included.
        options: Those of the verb.
        recipe_keys: Whether the verb takes keys of a recipe with ``-o``.
    """
    plain = "--" + wrong.lstrip("-").lower().replace("_", "-")
    if plain in options:
        return f" Did you mean {plain!r}?"
    if plain in _DEVICES:
        return f" {(_DEVICES_OF_TRAINING if recipe_keys else _DEVICES)[plain]}"
    if recipe_keys and (key := recipe_key(plain)):
        return f" Keys of a recipe are given with -o: -o {key}=VALUE."
    if _SAME.get(plain) in options:
        return f" Did you mean {_SAME[plain]!r}?"
    if hint := nearest(wrong, options):
        return hint
    if recipe_keys and (key := recipe_key(plain, near=True)):
        return f" Keys of a recipe are given with -o: -o {key}=VALUE."
    return ""


def recipe_key(option: str, near: bool = False) -> str | None:
    """Return the key of a recipe that an option of another trainer is, ``near``: but for a slip; how to train first."""
    from unmask.training.options import places_of
    from unmask.training.sections import ALIASES

    name = option.lstrip("-").replace("-", "_")
    if name in _KEYS:
        return _KEYS[name]
    found = [place.partition(".") for place in places_of(name)]
    keys = {section: ALIASES.get(section, {}).get(key, key) for section, _, key in found if near or key == name}
    first = next((section for section in ("training", "data", "backbone", *keys) if section in keys), None)
    return None if first is None else f"{first}.{keys[first]}"
