"""The byte ladder: n-grams, a plain transformer, and the byte network under each patcher, latent and head.

    python -m benchmarks.studies.bytes.ladder --source train.txt --valid valid.txt               # equal tokens
    python -m benchmarks.studies.bytes.ladder --source train.txt --valid valid.txt --equal-time  # seconds of "plain"

Nano sizes, blocks of 256 bytes, one thread. Held-out text is scored in windows of 254 bytes, without what came before
them, for all rows alike: n-grams read the windows too, and beside it the text as a whole. Time is processor time of
the training process, so that a busy machine does not matter. With ``--equal-time`` a row's steps are chosen from the
cost of a step in its equal-tokens row. *mixed* is lambda P_net + (1 - lambda) P_5-gram, lambda found on the first half
of the held-out text; it is scored on the second half, beside its parts.

Results go to ``benchmarks/results/byte_ladder.json``; rows that are already there are not run again.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from benchmarks.lib.ablation import corpus_of, keep, parser, stored_rows, trained
from benchmarks.lib.cells import spread
from benchmarks.lib.places import RESULTS
from unmask.data.ngram import ByteNgram
from unmask.data.patches.chance import like
from unmask.data.patches.patcher import mean_size
from unmask.diffusion.likelihood import token_nats, without
from unmask.diffusion.state import State
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.windows import cut
from unmask.models.bytes_config import BytesConfig
from unmask.training.patches import fit_patcher
from unmask.training.recipe import load_recipe
from unmask.training.run import Run

RESULT = RESULTS / "byte_ladder.json"
WINDOW = 254
WUBU = ["backbone.latent=wubu"]
TWIN = ["backbone.latent_layers=1", "backbone.latent_intermediate_size=316"]  # as many parameters as the levels
ROWS: dict[str, tuple[str, list[str]]] = {
    "plain": ("nano-plain-bytes", []),
    "fixed 4": ("nano-bytes", ["backbone.patcher=fixed", "backbone.patcher_options={stride: 4}"]),
    "whitespace": ("nano-bytes", ["backbone.patcher=whitespace"]),
    "babylon": ("nano-bytes", []),
    "random, babylon's lengths": ("nano-bytes", ["backbone.patcher=random"]),
    "delimiter": ("nano-bytes", ["backbone.patcher=delimiter"]),
    "every byte a patch": ("nano-bytes", ["backbone.patcher=none"]),
    "babylon, levels": ("nano-bytes", WUBU),
    "babylon, flat levels": ("nano-bytes", [*WUBU, "backbone.wubu={euclidean: true}"]),
    "babylon, one block": ("nano-bytes", TWIN),
    "babylon, nothing between": ("nano-bytes", ["backbone.latent=none"]),
    "babylon, levels alone": ("nano-bytes", [*WUBU, "backbone.wubu={patch_attention: false}"]),
    "babylon, flat head": ("nano-bytes", ["backbone.use_hierarchical_decoder=false"]),
    "babylon, no UTF-8 mask": ("nano-bytes", ["backbone.utf8=false"]),
    "babylon, no n-gram tables": ("nano-bytes", ["backbone.n_gram_sizes=[]"]),
    "babylon, reads the last patch": ("nano-bytes", ["backbone.memory_read=last"]),
}


def main() -> None:
    """Run what is missing and print the table."""
    options = parser(RESULT)
    options.add_argument("--equal-time", action="store_true")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    stored = stored_rows(arguments.results)
    name = Path(arguments.source).name
    command = f"python -m {__spec__.name} --source SOURCE --valid VALID [--equal-time]"
    for seed in range(arguments.seeds):
        for row, (recipe, overrides) in ROWS.items():
            if not re.search(arguments.only, row):
                continue
            steps = arguments.steps
            if arguments.equal_time:
                cost = _cost(stored["rows"], name, row, steps)
                steps = max(1, round(steps * _cost(stored["rows"], name, "plain", steps) / cost))
            key = f"{name} | {row} | seed {seed} | {steps} steps" + (" | equal time" if arguments.equal_time else "")
            if key not in stored["rows"]:
                stored["rows"][key] = one(recipe, overrides, seed, steps, arguments)
                keep(stored, arguments, command)
                print(key, stored["rows"][key], flush=True)
    key = f"{name} | counting"
    if key not in stored["rows"]:
        stored["rows"][key] = counting(arguments)
        keep(stored, arguments, command)
    table(stored["rows"], name)


def _cost(rows: dict[str, Any], source: str, row: str, steps: int) -> float:
    found = [v["cpu_seconds"] for k, v in rows.items() if k.startswith(f"{source} | {row} | ") and k.endswith(" steps")]
    if not found:
        raise SystemExit(f"run the row {row!r} at equal tokens first ({steps} steps)")
    return statistics.mean(found)


def one(recipe: str, overrides: list[str], seed: int, steps: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and score one row with one seed."""
    corpus, texts = corpus_of(arguments)
    if "backbone.patcher=random" in overrides:
        sizes = load_recipe(recipe).backbone.model_extra or {}
        babylon = fit_patcher(BytesConfig(vocab_size=260, **sizes), corpus.split("train")["text"])
        drawn = like(babylon, [text.encode() for text in corpus.split("train")["text"][:50]])
        overrides = [*overrides, f"backbone.patcher_options={json.dumps(drawn.options.model_dump(mode='json'))}"]
    begun = time.process_time()
    with trained(recipe, overrides, seed, steps, arguments) as run:
        spent = time.process_time() - begun
        model = run.model("cpu")
    bits = bits_per_byte(model, run.process, run.tokenizer, texts, window=WINDOW)
    found = {"bits_per_byte": round(bits.value, 4), "bound": bits.bound, "bytes": bits.bytes}
    found |= {key: run.manifest[key] for key in ("tokens_seen", "parameters", "corpus_fingerprint")}
    found |= {"cpu_seconds": round(spent, 1), "cpu_us_per_byte": round(1e6 * spent / run.manifest["tokens_seen"], 1)}
    patcher = getattr(model, "patcher", None)
    if patcher is not None:
        found["bytes_per_patch"] = round(mean_size(patcher, [text.encode() for text in texts]), 2)
    if not re.search("flat|random|alone", " ".join(overrides)):
        found |= mixed(run, model, corpus.split("train")["text"], texts)
    return found


def mixed(run: Run, model: Any, counted: list[str], texts: list[str]) -> dict[str, float]:
    """Score the network mixed with an order-5 n-gram, on the second half of the windows."""
    ngram = ByteNgram(5).fit(text.encode() for text in counted)
    windows = [window for text in texts for window in cut(text, WINDOW)]
    rows = [[run.tokenizer.bos_id, *run.tokenizer.encode(window)] for window in windows]
    nats = []
    for start in range(0, len(rows), 32):
        part = [torch.tensor(row) for row in rows[start : start + 32]]
        tokens = pad_sequence(part, batch_first=True, padding_value=run.tokenizer.pad_id)
        valid = tokens != run.tokenizer.pad_id
        at = valid & (tokens != run.tokenizer.bos_id)
        with torch.no_grad():
            logits = without(model(State(tokens, "causal", valid=valid), at=at).logits, run.tokenizer.mask_id)
        nats.append(token_nats(logits, tokens[at]).double().numpy())
    net = np.concatenate(nats)
    other = np.concatenate([ngram.nats(window.encode())[:-1] for window in windows])
    half = len(net) // 2

    def score(weight: float, part: slice) -> float:
        both = np.logaddexp(np.log(weight) - net[part], np.log1p(-weight) - other[part])
        return float(-both.mean() / np.log(2))

    weights = np.linspace(0.02, 0.98, 49)
    best = min(weights, key=lambda weight: score(weight, slice(0, half)))
    test = slice(half, None)
    return {
        "mixed": round(score(best, test), 4),
        "mixed_alone": round(float(net[test].mean() / np.log(2)), 4),
        "mixed_ngram": round(float(other[test].mean() / np.log(2)), 4),
        "mixed_weight": round(float(best), 2),
    }


def counting(arguments: argparse.Namespace) -> dict[str, float]:
    """Score what only counts: n-grams over windows and over the text, and xz."""
    corpus, texts = corpus_of(arguments)
    counted = corpus.split("train")["text"]
    size = sum(len(text.encode()) for text in texts)
    found: dict[str, float] = {}
    windows = [window.encode() for text in texts for window in cut(text, WINDOW)]
    for order in range(1, 6):
        ngram = ByteNgram(order).fit(text.encode() for text in counted)
        parts = {"windows": sum(float(ngram.nats(window)[:-1].sum()) for window in windows)}
        parts["text"] = sum(float(ngram.nats(text.encode()).sum()) for text in texts)
        found |= {f"order {order}, {name}": round(nats / np.log(2) / size, 4) for name, nats in parts.items()}
    held, known = "\n\n".join(texts).encode(), "\n\n".join(counted).encode()[-(64 << 20) :]
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 27}]

    def xz(data: bytes) -> int:
        return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))

    found["xz, alone"] = round(8 * xz(held) / len(held), 4)
    found["xz, after the training text"] = round(8 * (xz(known + held) - xz(known)) / len(held), 4)
    return found


def table(rows: dict[str, dict[str, Any]], source: str) -> None:
    """Print mean and spread over seeds as markdown."""
    print("\n| row | parameters | bytes a patch | us a byte | bits per byte | mixed with 5-gram | seeds |")
    print("|---|---|---|---|---|---|---|")
    for timed in ("", " | equal time"):
        for row in ROWS:
            found = [
                v for k, v in rows.items() if k.startswith(f"{source} | {row} | ") and k.endswith(" steps" + timed)
            ]
            if not found:
                continue
            cells = [f"{found[0]['parameters']:,}", str(found[0].get("bytes_per_patch", "-"))]
            cells.append(f"{statistics.mean(v['cpu_us_per_byte'] for v in found):.0f}")
            cells += [spread([v["bits_per_byte"] for v in found]), spread([v["mixed"] for v in found if "mixed" in v])]
            print(f"| {row}{timed.replace(' | ', ', ')} | {' | '.join(cells)} | {len(found)} |")
    print(rows.get(f"{source} | counting"))


if __name__ == "__main__":
    main()
