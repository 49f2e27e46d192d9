"""The tables of docs/studies/codes.md."""

from __future__ import annotations

from typing import Any

from benchmarks.lib.cells import Rows, Table, as_stored, one

HEADS = {
    "bytes": "bytes",
    "codec": "codec",
    "shared KiB": "shared KiB",
    "recall": "recall",
    "distortion": "distortion",
    "error": "error",
    "spread": "spread",
    "fit seconds": "fit, s",
    "decode seconds a thousand": "decode 1,000, s",
}


def codecs(found: Any) -> Rows:
    """Return every codec at every size."""
    rows = [{**row, "fit seconds": row["fit seconds"] or None} for row in found["table"]]  # 0: fitted with another row
    return as_stored(rows, HEADS)


def beaten(found: Any) -> Rows:
    """Return recall of product quantisation and of the autoencoder."""
    columns = {"PQ, balanced": "PQ, balanced", "autoencoder": "autoencoder"}
    return [
        {"recall at": f"{size} bytes"}
        | {label: one(found["table"], bytes=size, codec=codec)["recall"] for label, codec in columns.items()}
        for size in (4, 8, 16)
    ]


def langevin(found: Any) -> Rows:
    """Return what a draw has beside what it should have: twice the error of the mean."""

    def error(size: int, codec: str) -> float:
        return float(one(found["table"], bytes=size, codec=codec)["error"].split()[0])

    return [
        {
            "bytes": str(size),
            "error of the mean": f"{error(size, 'diffusion autoencoder, mean without a chain'):.3f}",
            "a draw should have": f"{2 * error(size, 'diffusion autoencoder, mean without a chain'):.3f}",
            "a draw has": f"{error(size, 'diffusion autoencoder, one draw'):.3f}",
        }
        for size in (4, 8, 16)
    ]


TABLES = {
    "codes": Table("codes.json", codecs),
    "codes-beaten": Table("codes.json", beaten),
    "codes-langevin": Table("codes.json", langevin),
}
