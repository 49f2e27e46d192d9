"""The page runs as it stands, and so does the benchmark behind its table."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_of_the_page_does_what_it_says(capsys):
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "concepts" / "energies.md").read_text(), re.MULTILINE | re.DOTALL
    )
    exec(compile(code, "docs/concepts/energies.md", "exec"), {})
    parted, share = capsys.readouterr().out.splitlines()
    assert float(parted.split()[-1]) == pytest.approx(22.5, abs=1e-4)
    assert float(share) == pytest.approx(0.7, abs=0.05)


def test_the_benchmark_runs(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    assert importlib.import_module("benchmarks.studies.energies.known").main(["--quick"]) == 0
    printed = capsys.readouterr().out
    assert all(f"## {name}" in printed for name in ("against the truth", "relative squared error", "speed"))
