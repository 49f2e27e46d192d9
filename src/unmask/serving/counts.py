"""What replicas count, added up: each tells its counts to one place, from which the front reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

TELLS = 2.0
"""Seconds between two times that a replica tells."""
_SILENT = 5 * TELLS
"""Seconds after which a replica that tells nothing is held to be gone."""
_FRONT = ("unmask_requests", "unmask_request_seconds")
"""What the front counts itself."""


class Counts:
    """The place: what each replica has told last."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, str]] = {}

    def tell(self, replica: str, text: str) -> None:
        """Take a replica's counts."""
        self._told[replica] = time.monotonic(), text

    def all(self) -> list[tuple[bool, str]]:
        """Return whether each replica is there, and its counts; those of one that is gone stay counted."""
        now = time.monotonic()
        return [(now - when < _SILENT, text) for when, text in self._told.values()]


class _Sums(Collector):
    def __init__(self, texts: Sequence[tuple[bool, str]]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        sums: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
        for alive, text in self._texts:
            for family in text_string_to_metric_families(text):
                if family.name.endswith("_created") or (family.type == "gauge" and not alive):
                    continue
                found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    key = family.name, sample.name, tuple(sample.labels.items())
                    sums[key] = sums.get(key, 0.0) + sample.value
        for (family_name, name, labels), value in sums.items():
            found[family_name].add_sample(name, dict(labels), value)
        yield from found.values()


def added(front: str, replicas: Sequence[tuple[bool, str]]) -> bytes:
    """Return all counts as Prometheus reads them: requests as the front counts them, the rest of all replicas."""
    registry = CollectorRegistry()
    own = [(alive, _without(text)) for alive, text in replicas]
    registry.register(_Sums([(True, front), *own]))
    return generate_latest(registry)


def _without(text: str) -> str:
    """Return a replica's counts without those of the front."""
    left = []
    for line in text.splitlines():
        name = line.split(" ")[2] if line.startswith("# ") else line
        if not name.startswith(_FRONT):
            left.append(line)
    return "\n".join(left) + "\n"
