"""Certify samplers: do they write what they promise, given a network that makes no mistake?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import unmask
from unmask.certificates.certify import DEEP, LENGTH, SAMPLES, STEPS, TOLERANCE, Certificate, certifiable
from unmask.certificates.certify import certify as measure
from unmask.certificates.ground import Ground
from unmask.certificates.worlds import WORLDS
from unmask.errors import Error, check_seed
from unmask.lines import counted
from unmask.progress import Progress, Stage
from unmask.reports.cells import Table, to_markdown
from unmask.result import Result
from unmask.sampling import SAMPLERS
from unmask.training.hardware import processor_name

_OWN = {
    "steps": "steps are set by --steps.",
    "seed": "the seed is set by --seed.",
    "ignore_eos": "every text has the same length here; leave ignore_eos out.",
}


@dataclass(frozen=True, repr=False)
class CertifyResult(Result):
    """What was measured.

    Attributes:
        certificates: One a world, sampler and set of settings.
        setup: Command, machine, date, versions, seconds.
    """

    certificates: tuple[Certificate, ...]
    setup: dict[str, Any]

    def _facts(self) -> tuple[str, ...]:
        failed = sum(certificate.failed for certificate in self.certificates)
        verdict = f"{failed} failed" if failed else "none failed"
        return (counted(len(self.certificates), "certificate"), verdict)

    @property
    def passed(self) -> bool:
        """Whether no promise was shown to be broken."""
        return not any(certificate.failed for certificate in self.certificates)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"passed": self.passed, **super().to_dict()}

    def tables(self) -> list[Table]:
        """Return one table a world."""
        worlds = dict.fromkeys(certificate.world for certificate in self.certificates)
        return [_table([c for c in self.certificates if c.world == world]) for world in worlds]

    def to_markdown(self) -> str:
        """Return the tables as markdown, and what they were measured on."""
        setup = ", ".join(f"{key}: {value}" for key, value in self.setup.items() if value)
        return "\n".join([*(to_markdown(table) for table in self.tables()), f"{setup}.", ""])


def certify(
    samplers: str | Sequence[str] | None = None,
    *,
    steps: Sequence[int] = STEPS,
    samples: int = SAMPLES,
    seed: int = 0,
    world: str = "all",
    settings: Mapping[str, Any] | None = None,
    tolerance: float = TOLERANCE,
    output: str | Path | None = None,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> CertifyResult:
    """Measure the total variation between samplers' texts and the truth, with a perfect network in small worlds.

    See :mod:`unmask.certificates.certify` for what is compared and :mod:`unmask.certificates.total_variation` for the
    band.

    Args:
        samplers: Names; default: every registered sampler that a known source can answer.
        steps: Numbers of steps, for samplers that have them.
        samples: Texts a cell.
        seed: Of the texts.
        world: Name of a world, or ``all``.
        settings: Settings of the samplers to test; default: each sampler's defaults and its variants.
        tolerance: Largest total variation that keeps a promise.
        output: Folder for ``certify.json`` and ``certify.md``.
        command: The command line, to be recorded.
        say: Called with a line a certificate.
        progress: Called with where it stands.

    Raises:
        Error: no such sampler, world or setting, or numbers that cannot work.
    """
    names = [samplers] if isinstance(samplers, str) else list(samplers or certifiable())
    parts = [SAMPLERS.get(name)() for name in dict.fromkeys(names)]
    for part in parts:
        if (facts := part.Settings).name not in certifiable():
            raise Error(
                f"the {facts.name!r} sampler shows {facts.shows} at open positions, which no known source can answer. "
                f" Certifiable: {', '.join(certifiable())}."
            )
    if world == "both":
        raise Error(f"there are more than two worlds now: say all, or one of {', '.join(WORLDS)}.")
    worlds = list(WORLDS) if world == "all" else [world]
    makers = {name: WORLDS.get(name) for name in worlds}
    if not steps or min(steps) < 1:
        raise Error(f"steps must be numbers of at least 1, got {list(steps)}.")
    check_seed(seed)
    if samples < 100:
        raise Error(f"samples is {samples}; fewer than 100 texts show nothing.")
    if not 0 < tolerance < 1:
        raise Error(f"tolerance is {tolerance}; it must be between 0 and 1.")
    if output is not None and Path(output).is_file():
        raise Error(f"--output {output} is a file; give a folder.")
    for key in settings or {}:
        if key in _OWN:
            raise Error(_OWN[key])
    variants = [[settings] if settings else [{}, *part.variants] for part in parts]
    asked = [(part, part.Settings(**one)) for part, own in zip(parts, variants, strict=True) for one in own]
    began = time.perf_counter()
    certificates = []
    calls = [float(sum(set(steps)) if "steps" in own.known else LENGTH) for _, own in asked]
    stage = Stage("certifying", (1, 1), calls * len(worlds), progress)
    with _one_thread():
        for name in worlds:
            ground = Ground(name, makers[name](), LENGTH)
            for part, own in asked:
                stage.item(f"{name}: {own.label}")
                found = measure(part, own, ground, steps=steps, samples=samples, seed=seed, tolerance=tolerance)
                say(f"{name}: {found.name}: {found.verdict}")
                certificates.append(found)
                stage.finish()
    setup = {
        "command": command,
        "processor": processor_name(),
        "threads": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "unmask": unmask.__version__,
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - began, 1),
    }
    result = CertifyResult(tuple(certificates), setup)
    if output is not None:
        folder = Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "certify.json").write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")
        (folder / "certify.md").write_text(result.to_markdown(), encoding="utf-8")
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: its operations here are so small that more threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _table(certificates: Sequence[Certificate]) -> Table:
    """Lay out one world: a row a sampler, its distance at each number of steps, then the controls."""
    first = certificates[0]
    counts = sorted({cell.steps for c in certificates for cell in c.cells if cell.steps is not None})
    rows = []
    for certificate in certificates:
        last = certificate.cells[-1]
        by_steps = {cell.steps: f"{cell.tv.value:.3f}" for cell in certificate.cells}
        only = by_steps.get(None, "-")
        off = [cell.off for cell in certificate.cells if cell.off is not None]
        rows.append(
            [
                certificate.name,
                certificate.promise,
                *([by_steps.get(count, only) for count in counts] or [only]),
                f"{last.tv.low:.3f} to {last.tv.high:.3f}",
                f"{last.entropy:.2f}",
                f"{last.forwards:.1f}",
                f"{max(d.high for d in off):.3f}" if off else "-",
                certificate.verdict,
            ]
        )
    wide = len(counts) or 1
    rows.append(
        [
            "exact texts",
            "control",
            *[f"{first.floor:.3f}"] * wide,
            "-",
            f"{first.entropy:.2f}",
            "-",
            "-",
            "the noise floor",
        ]
    )
    rows.append(
        ["independent words", "control", *[f"{first.independent:.3f}"] * wide, *["-"] * 4, "one masked step, computed"]
    )
    ways = len(certificates)
    return Table(
        f"World {first.world}: total variation from the truth",
        [
            "sampler",
            "promise",
            *([f"N={count}" for count in counts] or ["TV"]),
            "95 % band, last",
            "bits, last",
            "calls, last",
            "off its promise, at most",
            "verdict",
        ],
        rows,
        frozenset((ways, ways + 1)),
        f"A perfect network, texts of {first.length} words ({first.texts} possible ones), {first.samples:,} texts a "
        f"cell, seed {first.seed}, tolerance {first.tolerance}. N: steps; a sampler without steps has one number. An "
        "estimate leans upwards by about the noise floor. Last: at the most steps; bits: entropy of a text. A promise "
        f"about the limit is judged at {DEEP * first.length} steps and more.",
    )
