"""A small network against an order-5 n-gram as the entropy model of patches, on held-out documents of a run's corpus.

    unmask train nano-causal -o data.tokenizer=bytes ... --output entropy
    python -m benchmarks.studies.patches.neural_entropy --run entropy

Both are causal and learned from the same training split. *Agreement* is of cuts, theta set to the same mean size: the
share of one's cuts that the other makes too (F1), beside what as many cuts at random places would share.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import timed
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from unmask.data.corpus import documents
from unmask.data.entropy import ByteEntropy
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import make_patcher
from unmask.data.patches.calibrate import calibrate
from unmask.training.entropy_run import entropy_of, entropy_run
from unmask.training.held_out import corpus_of, in_order
from unmask.training.patches import BYTES

SIZE = 4.5
RESULT = RESULTS / "neural_entropy.json"


def speed(source: ByteEntropy, texts: list[bytes]) -> tuple[float, float]:
    """Return MB/s of whole texts and of a stream."""
    few, size = texts[0][:2000], sum(map(len, texts))

    def stream() -> None:
        reader = source.stream()
        for byte in few:
            reader.push(byte)
            _ = reader.value

    def whole() -> None:
        for text in texts:
            source.entropy(text)

    return size / timed(whole) / 1e6, len(few) / timed(stream) / 1e6


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="A causal run of the tokenizer bytes.")
    parser.add_argument("--bytes", type=int, default=150_000, help="Held-out bytes, half for theta.")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    run = entropy_run(f"run:{options.run}")
    assert run is not None
    corpus, read = corpus_of(run), 0
    learn: list[bytes] = []
    for text in documents(corpus.split("train")):
        learn.append(text.encode())
        read += len(learn[-1])
        if read > BYTES:
            break
    held: list[bytes] = []
    for text in in_order(documents(corpus.split("valid"))):
        held.append(text.encode())
        if sum(map(len, held)) > options.bytes:
            break
    half = len(held) // 2
    fit, test = held[:half], held[half:]
    network = entropy_of(run)
    model = ByteNgram(5).fit(learn)
    sources: dict[str, Any] = {"n-gram, order 5": NgramEntropy(model), "network": network}
    nats = {
        "n-gram, order 5": np.concatenate([model.nats(text)[:-1] for text in test]),
        "network": np.concatenate([network.nats(text) for text in test]),
    }
    rows: list[dict[str, Any]] = []
    entropies: dict[str, Any] = {}
    cuts: dict[str, Any] = {}
    for name, source in sources.items():
        entropies[name] = np.concatenate([source.entropy(text) for text in test])
        patcher = calibrate(make_patcher("babylon", {}, source), fit, SIZE)
        cuts[name] = np.concatenate([patcher.starts(text) for text in test])
        whole, stream = speed(source, test[: max(len(test) // 4, 1)])
        rows.append(
            {
                "model": name,
                "bits a byte": float(nats[name].mean() / math.log(2)),
                "entropy, mean bits": float(entropies[name].mean() / math.log(2)),
                "entropy against surprise, r": float(np.corrcoef(entropies[name], nats[name])[0, 1]),
                "bytes a patch": float(len(cuts[name]) / cuts[name].sum()),
                "surprise of first bytes, bits": float(nats[name][cuts[name]].mean() / math.log(2)),
                "of others": float(nats[name][~cuts[name]].mean() / math.log(2)),
                "MB/s": whole,
                "MB/s, stream": stream,
            }
        )
    one, other = cuts.values()
    common = float((one & other).sum())
    across = {
        name: [float(nats[judge][cut].mean() / math.log(2)), float(nats[judge][~cut].mean() / math.log(2))]
        for name, cut, judge in zip(cuts, (one, other), list(nats)[::-1], strict=True)
    }
    found = {
        "rows": rows,
        "correlation of the two entropies": float(np.corrcoef(*entropies.values())[0, 1]),
        "agreement of cuts, F1": 2 * common / float(one.sum() + other.sum()),
        "agreement by chance": 2 * float(one.mean() * other.mean()) / float(one.mean() + other.mean()),
        "surprise of first and other bytes under the other model": across,
        "held-out bytes": len(one),
        "corpus": corpus.fingerprint,
        "parameters": run.manifest["parameters"],
        "training": {key: run.manifest[key] for key in ("steps", "tokens_seen", "train_seconds")},
        **stamp(f"python -m {__spec__.name} --run {options.run.name}"),
    }
    store(options.output, found)
    for row in rows:
        print(row, file=sys.stderr)
    print({key: value for key, value in found.items() if key != "rows"}, file=sys.stderr)


if __name__ == "__main__":
    main()
