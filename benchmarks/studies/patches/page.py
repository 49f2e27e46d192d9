"""The tables of docs/studies/patches.md and patch-entropy.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.lib.cells import Rows, Table, grid, one

CUTS = "first bytes and characters of patches against others, bits (two models, 40 % each)"
LEARNT = "bits a byte of the last 10 %, learnt from the rest"
ENGLISH = {
    "babylon, threshold": "babylon, threshold",
    "babylon, jump": "babylon, jump",
    "babylon, both": "babylon, both",
    "babylon, threshold, reset at newline": "babylon, threshold, reset at newline",
    "babylon, threshold, reset every 64": "babylon, threshold, reset every 64",
    "*control:* random, the same lengths": "random, lengths of babylon, threshold",
    "*control:* fixed, 4": "fixed, 4",
    "delimiter": "delimiter",
    "babylon, at the size of delimiter": "babylon by character, threshold, at the size of delimiter",
    "whitespace": "whitespace",
    "babylon, at the size of whitespace": "babylon by character, threshold, at the size of whitespace",
}
HINDI = {
    "babylon, threshold, by byte": "babylon, threshold",
    "babylon, jump, by byte": "babylon, jump",
    "babylon, threshold, **by character**": "babylon by character, threshold",
    "babylon, jump, by character": "babylon by character, jump",
    "*control:* random, lengths of threshold by byte": "random, lengths of babylon, threshold",
    "*control:* random, lengths of threshold by character": "random, lengths of babylon by character, threshold",
    "fixed, 4": "fixed, 4",
    "delimiter": "delimiter",
    "babylon by character, at the size of delimiter": "babylon by character, threshold, at the size of delimiter",
    "whitespace": "whitespace",
    "babylon by character, at the size of whitespace": "babylon by character, threshold, at the size of whitespace",
}


def _text(found: Any, name: str) -> dict[str, Any]:
    return one(found["texts"], name=f"patching, {name}")


def cuts(head: str, name: str, rows: Mapping[str, str]) -> Callable[[Any], Rows]:
    """Return what makes the table of a text."""

    def made(found: Any) -> Rows:
        table = _text(found, name)["tables"][CUTS]

        def both(patcher: str, of: str, others: str) -> str:
            row = one(table, patcher=patcher)
            return f"{row[of]:.2f}, {row[others]:.2f}"

        columns = {
            "bytes a patch (sd)": lambda p: (
                f"{one(table, patcher=p)['bytes a patch']:.2f} ({one(table, patcher=p)['standard deviation']:.1f})"
            ),
            "H before first bytes, others": lambda p: both(p, "entropy, first", "entropy, others"),
            "surprise of first characters, others": lambda p: both(
                p, "surprise, first character", "surprise, other characters"
            ),
            "share of all bits": lambda p: f"{one(table, patcher=p)['bits on first characters, %']:.1f} %",
        }
        return grid(head, rows, columns)

    return made


def orders(found: Any) -> Rows:
    """Return bits a byte of the models that tell entropies, and of xz."""
    texts = {"tinyshakespeare": "tinyshakespeare", "Hindi stories": "stories-hi"}

    def at(name: str, model: str) -> str:
        return f"{one(_text(found, name)['tables'][LEARNT], model=model)['bits a byte']:.2f}"

    models = {"uniform": "uniform over 257 symbols", "order 1": "order 1"}
    models |= {str(n): f"order {n}" for n in range(2, 7)}
    models |= {"xz -9e after the rest": "xz -9e, tail after the rest", "xz -9e alone": "xz -9e, tail alone"}
    return grid("", texts, {head: lambda name, model=model: at(name, model) for head, model in models.items()})


SPEED = {
    "fit": "fit order 5",
    "table of entropies": "table of entropies, order 5",
    "table of entropies, by character": "table of entropies of characters, order 5",
    "entropies": "entropies, order 5",
    "cut: babylon": "cut: babylon, threshold",
    "cut: fixed": "cut: fixed, 4",
    "cut: whitespace": "cut: whitespace",
    "cut: delimiter": "cut: delimiter",
    "cut: random": "cut: random, lengths of babylon, threshold",
    "stream: babylon, by byte": "stream: babylon, threshold",
}


def speed(found: Any) -> Rows:
    """Return megabytes a second."""
    columns = {
        head: lambda case, name=name: f"{one(_text(found, name)['rows'], case=case)['median']:.3g}"
        for head, name in (("tinyshakespeare", "tinyshakespeare"), ("Hindi stories", "stories-hi"))
    }
    return grid("MB/s", SPEED, columns)


def networks(found: Any) -> Rows:
    """Return the entropies of a network beside the n-gram's."""
    other = found["surprise of first and other bytes under the other model"]
    columns = {
        "bits a byte": lambda row: f"{row['bits a byte']:.2f}",
        "H, mean bits": lambda row: f"{row['entropy, mean bits']:.2f}",
        "r of H and surprise": lambda row: f"{row['entropy against surprise, r']:.2f}",
        "bytes a patch": lambda row: f"{row['bytes a patch']:.2f}",
        "surprise of first bytes, others, under itself": lambda row: (
            f"{row['surprise of first bytes, bits']:.2f}, {row['of others']:.2f}"
        ),
        "under the other": lambda row: ", ".join(f"{value:.2f}" for value in other[row["model"]]),
        "MB/s, stream": lambda row: f"{row['MB/s']:.3g}, {row['MB/s, stream']:.2g}",
    }
    return grid("", {row["model"]: row for row in found["rows"]}, columns)


_TURNS = {"repeats": "speeds: medians of 5 turns"}
TABLES = {
    "patches-english": Table("patching.json", cuts("tinyshakespeare", "tinyshakespeare", ENGLISH)),
    "patches-hindi": Table("patching.json", cuts("Hindi stories", "stories-hi", HINDI)),
    "patches-orders": Table("patching.json", orders),
    "patches-speed": Table("patching.json", speed, said=_TURNS),
    "patch-entropy": Table("neural_entropy.json", networks, said={"repeats": "one seed"}),
}
