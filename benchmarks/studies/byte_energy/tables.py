"""Rows of the tables: means over seeds with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from unmask.evaluation.intervals import seed_interval

Found = dict[str, list[float]]


def summary(found: list[Found], columns: tuple[str, ...], against: str | None = None) -> list[dict[str, Any]]:
    """Return one row a name: means over seeds with their t interval, and the differences from one of the names."""
    rows = []
    for name in found[0]:
        row: dict[str, Any] = {"what": name}
        for k, column in enumerate(columns):
            values = np.array([each[name][k] for each in found])
            row[column] = spread(values)
            if against:
                gain = values - np.array([each[against][k] for each in found])
                row[f"{column}, gain"] = None if name == against else spread(gain, "+.3f")
        rows.append(row)
    return rows


def spread(values: np.ndarray, form: str = ".3f") -> str:
    """Return the mean of one number a seed, with its t interval."""
    at = seed_interval(values)
    return f"{values.mean():{form}}" + (f" ({at[0]:{form}} to {at[1]:{form}})" if at else "")


def averaged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return equal rows of several seeds as one: means, and what is no number as it is."""
    return {k: v if isinstance(v, str) else float(np.mean([row[k] for row in rows])) for k, v in rows[0].items()}


def wide(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turn 'energy | negatives' rows into one row an energy."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name, _, kind = row["what"].partition(" | ")
        found.setdefault(name, {"energy": name})[kind] = row["AUC"]
    return list(found.values())
