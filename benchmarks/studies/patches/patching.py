"""What byte entropy and patches cost and where they cut: speed, bits per byte by order, hardness of first bytes.

    python -m benchmarks.studies.patches.patching --source tinyshakespeare.txt

A text is cut in three, in its order: the n-gram models are fitted on the first 80 %, theta is found on the next 10 %,
and all is measured on the last 10 %. The ladder of orders and xz learn from the first 90 %. *Surprise* is -log2 P of a
byte under a judge, a second order-5 model: the one that cuts and the judge are fitted on 40 % each, not the same 40 %.
"""

from __future__ import annotations

import argparse
import lzma
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.measure import Options, Result, Row, say, take_turns, timed
from benchmarks.lib.places import RESULTS
from benchmarks.lib.stored import stamp, store
from benchmarks.lib.told import markdown
from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import Patcher, make_patcher
from unmask.data.patches.calibrate import calibrate
from unmask.data.patches.chance import like
from unmask.data.patches.patcher import mean_size, sizes
from unmask.data.readers import read_documents
from unmask.data.utf8 import free
from unmask.errors import Error

RESULT = RESULTS / "patching.json"
SIZE = 4.0
TINY = "The cat sat on a mat, and saw one small bird. नमस्ते दुनिया!\n"


def read(path: Path, most: int) -> bytes:
    """Return up to ``most`` bytes of a file: a .txt as it is, else documents, shuffled, between blank lines."""
    if path.suffix == ".txt":
        return path.read_bytes()[:most]
    texts = list(read_documents(path))
    order = np.random.default_rng(0).permutation(len(texts))
    whole = "\n\n".join(texts[place] for place in order).encode()[:most]
    return whole.decode(errors="ignore").encode()


def ladder(learn: bytes, tail: bytes) -> list[dict[str, Any]]:
    """Return bits per byte of the tail under n-grams of each order, and under xz."""
    rows: list[dict[str, Any]] = [{"model": "uniform over 257 symbols", "bits a byte": math.log2(257)}]
    for order in range(1, 7):
        model = ByteNgram(order).fit([learn])
        bits = model.nats(tail)[:-1].mean() / math.log(2)
        mean = NgramEntropy(model).entropy(tail).mean() / math.log(2)
        rows.append({"model": f"order {order}", "bits a byte": float(bits), "its entropy, mean bits": float(mean)})
    xz = {
        name: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
        for name, data in (("alone", tail), ("learn", learn), ("both", learn + tail))
    }
    for name, size in (("xz -9e, tail after the rest", xz["both"] - xz["learn"]), ("xz -9e, tail alone", xz["alone"])):
        rows.append({"model": name, "bits a byte": 8 * size / len(tail)})
    return [{"model": "", "bits a byte": 0.0, "its entropy, mean bits": None} | row for row in rows]


def other_tenths(data: bytes, order: int) -> list[dict[str, Any]]:
    """Return bits per byte of one order when another tenth of the text is held out."""
    n, size = len(data), 4096
    pieces = [data[start : start + size] for start in range(0, n, size)]
    drawn = np.random.default_rng(0).permutation(len(pieces))
    tenth = max(len(pieces) // 10, 1)
    ways = {
        "the last": ([data[: n * 9 // 10]], [data[n * 9 // 10 :]]),
        "the first": ([data[n // 10 :]], [data[: n // 10]]),
        "pieces of 4 kB, at random": ([pieces[i] for i in drawn[tenth:]], [pieces[i] for i in drawn[:tenth]]),
    }
    rows = []
    for name, (learn, tail) in ways.items():
        model = ByteNgram(order).fit(learn)
        nats = sum(float(model.nats(text)[:-1].sum()) for text in tail)
        rows.append({"held out": name, "bits a byte": nats / math.log(2) / sum(map(len, tail))})
    return rows


def hashes(rows: int = 30_000) -> list[dict[str, Any]]:
    """Return how many rows of a table the trigrams of 26 letters use: ours, by chance, under Bytropix's hash."""
    import torch

    from unmask.models.byte_ngrams import byte_ngrams

    grams = torch.cartesian_prod(*[torch.arange(97, 123)] * 3)
    bytropix = (grams * torch.tensor([31, 37, 37])).sum(1) % rows
    return [
        {"hash": "byte_ngrams", "rows used": byte_ngrams(grams, [3], rows)[:, -1, 0].unique().numel()},
        {"hash": "by chance", "rows used": round(rows * (1 - (1 - 1 / rows) ** len(grams)))},
        {"hash": "Bytropix", "rows used": bytropix.unique().numel()},
    ]


def patchers(model: ByteNgram, held: bytes) -> dict[str, Patcher]:
    """Return every patcher, those with a size of their own brought to ``SIZE`` bytes on ``held``."""
    found: dict[str, Patcher] = {}
    entropy, characters = NgramEntropy(model), NgramEntropy(model, "character")
    ways: dict[str, dict[str, Any]] = {
        "babylon, threshold": {},
        "babylon, jump": {"rule": "jump"},
        "babylon, both": {"rule": "both"},
        "babylon by character, threshold": {},
        "babylon by character, jump": {"rule": "jump"},
        "babylon, threshold, reset at newline": {"reset": "newline"},
        "babylon, threshold, reset every 64": {"reset": 64},
        "babylon, threshold, no longest length": {"max_length": None},
    }
    for name, options in ways.items():
        try:
            source = characters if "character" in name else entropy
            found[name] = calibrate(make_patcher("babylon", options, source), [held], SIZE)
        except Error as error:
            say(f"patching: {name}: {error}")
    for name in ("whitespace", "delimiter"):
        size = mean_size(part := make_patcher(name), [held])
        try:
            found[f"babylon by character, threshold, at the size of {name}"] = calibrate(
                make_patcher("babylon", {"max_length": None}, characters), [held], size
            )
        except Error as error:
            say(f"patching: the size of {name}: {error}")
        found[name] = part
    for name in ("babylon, threshold", "babylon by character, threshold"):
        found[f"random, lengths of {name}"] = like(found[name], [held], seed=1)
    found["fixed, 4"] = make_patcher("fixed", {"stride": 4})
    found["none"] = make_patcher("none")
    return found


def hardness(parts: dict[str, Patcher], tail: bytes, own: ByteNgram, judge: ByteNgram) -> list[dict[str, Any]]:
    """Return how hard first bytes of patches are beside all others, on text that nobody was fitted on."""
    bits = 1 / math.log(2)
    h = NgramEntropy(own).entropy(tail) * bits
    judged = judge.nats(tail)[:-1] * bits
    letter = np.cumsum(free(tail)) - 1
    letters = np.bincount(letter, judged)
    rows = []
    for name, part in parts.items():
        first = part.starts(tail)
        long = sizes(first)
        rest, leads = ~first, np.isin(np.arange(len(letters)), letter[first])
        rows.append(
            {
                "patcher": name,
                "bytes a patch": mean_size(part, [tail]),
                "standard deviation": float(long.std()),
                "longest": int(long.max()),
                "entropy, first": float(h[first].mean()),
                "entropy, others": _mean(h[rest]),
                "surprise, first": float(judged[first].mean()),
                "surprise, others": _mean(judged[rest]),
                "surprise, first character": float(letters[leads].mean()),
                "surprise, other characters": _mean(letters[~leads]),
                "bits on first characters, %": float(100 * letters[leads].sum() / letters.sum()),
            }
        )
    return rows


def drift(entropy: NgramEntropy, fitted: bytes, held: bytes, tail: bytes) -> list[dict[str, Any]]:
    """Return the mean size on the tail of thetas that were found on other text."""
    rows = []
    for name, text in (("text it was fitted on", fitted), ("text it was not fitted on", held)):
        part = calibrate(make_patcher("babylon", {}, entropy), [text], SIZE)
        at_end = mean_size(part, [tail])
        rows.append(
            {"theta found on": name, "theta": part.options.theta, "there": part.calibration.found}
            | {"on the last 10 %": at_end}
        )
    return rows


def speed(data: bytes, parts: dict[str, Patcher], order: int, turns: int) -> list[Row]:
    """Return megabytes a second of fitting, the table, entropies and patchers; rivals take turns."""
    model = ByteNgram(order).fit([data])
    source = NgramEntropy(model)
    some = data[:20_000]
    cases = {
        f"fit order {order}": (lambda: ByteNgram(order).fit([data]), data),
        f"table of entropies, order {order}": (lambda: NgramEntropy(model), data),
        f"table of entropies of characters, order {order}": (lambda: NgramEntropy(model, "character"), data),
        f"entropies, order {order}": (lambda: source.entropy(data), data),
        **{f"cut: {name}": (lambda part=part: part.starts(data), data) for name, part in parts.items()},
        "stream: babylon, threshold": (lambda: parts["babylon, threshold"].stream().push(some), some),
    }
    found = take_turns({name: lambda c=case: len(c[1]) / 1e6 / timed(c[0]) for name, case in cases.items()}, turns)
    return [Row(name, "MB/s", samples) for name, samples in found.items()]


def measure(name: str, data: bytes, options: Options) -> Result:
    """Measure one text."""
    eight, nine = (len(data) * share // 10 for share in (8, 9))
    learn, held, tail = data[:eight], data[eight:nine], data[nine:]
    say(f"patching: {name}, {len(data):,} bytes")
    own, judge = ByteNgram(5).fit([learn[: eight // 2]]), ByteNgram(5).fit([learn[eight // 2 :]])
    halved = patchers(own, held)
    whole = patchers(model := ByteNgram(5).fit([learn]), held)
    result = Result(f"patching, {name}", {"bytes": len(data), "tail": len(tail), "wanted size": SIZE, "order": 5})
    result.rows = speed(data, whole, 5, options.turns(5))
    result.tables["bits a byte of the last 10 %, learnt from the rest"] = ladder(data[:nine], tail)
    result.tables["order 5, other tenths held out"] = other_tenths(data, 5)
    result.tables["first bytes and characters of patches against others, bits (two models, 40 % each)"] = hardness(
        halved, tail, own, judge
    )
    result.tables["theta that carries over"] = drift(NgramEntropy(model), learn, held, tail)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure each source and store one file."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, action="append", default=[], help="a text or .jsonl file; repeatable")
    parser.add_argument("--bytes", type=int, default=1_800_000, help="of each source, at most")
    parser.add_argument("--quick", action="store_true", help="a made-up text of some kB; nothing is stored by default")
    parser.add_argument("--results", type=Path, help="file; default: patching.json in benchmarks/results")
    given = parser.parse_args(arguments)
    options = Options(quick=given.quick)
    texts = {path.name.split(".")[0]: read(path, given.bytes) for path in given.source}
    if given.quick:
        rng = np.random.default_rng(0)
        texts = {"made up": " ".join(rng.choice(TINY.split(), 4000)).encode()}
    if not texts:
        print("error: name a text with --source", file=sys.stderr)
        return 2
    found = [measure(name, data, options) for name, data in texts.items()]
    found.append(Result("hashed trigrams", {"rows": 30_000}, tables={"17,576 trigrams of 26 letters": hashes()}))
    for result in found:
        print(markdown(result, given.quick))
    where = given.results or (None if given.quick else RESULT)
    if where is not None:
        command = f"python -m {__spec__.name} " + " ".join(f"--source {path.name}" for path in given.source)
        store(where, {**stamp(command.strip()), "texts": [result.to_dict() for result in found]})
    return 0


def _mean(values: Iterable[float]) -> float | None:
    values = np.asarray(values)
    return float(values.mean()) if len(values) else None


if __name__ == "__main__":
    raise SystemExit(main())
