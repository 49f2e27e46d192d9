"""The demo shows the box, trains, fills, writes and compares; a second call uses what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from unmask.api.demo import demo, held_out_sentences
from unmask.reports.rows import CompareResult
from unmask.training.run import Run

SHRUNK = [
    "data.tokenizer=bytes",
    "data.length=160",
    "backbone.hidden_size=32",
    "backbone.num_hidden_layers=1",
    "backbone.num_attention_heads=2",
    "backbone.intermediate_size=64",
    "training.max_steps=3",
    "training.per_device_train_batch_size=2",
    "training.valid_blocks=0",
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo-text")
    words = "river stone garden letter window silver morning answer signal number".split()
    for i in range(60):
        a, b, c = words[i % 10], words[(i * 3 + 1) % 10], words[(i * 7 + 2) % 10]
        number = " ".join(words[int(digit)] for digit in f"{i:02}")
        text = f"The old {a} beside the {b} keeps a {number} and a small {c}. It is number {i} of sixty.\n"
        (folder / f"{i:02}.txt").write_text(text * 4, encoding="utf-8")
    return folder


def test_demo_does_the_main_job_and_uses_finished_runs_again(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    options = [f"data.source={texts}", *SHRUNK]
    first = demo(tmp_path / "demo", overrides=options, say=said.append)
    assert first.report.is_file()
    assert first.box_text.startswith("Once upon a time") and first.box_filled.startswith("The ")
    shown = next(i for i, line in enumerate(said) if "model in the box" in line)
    assert shown < next(i for i, line in enumerate(said) if line.startswith("training demo-causal"))
    assert any("unmask serve box" in line for line in said), "the page is told"
    assert [row["bound"] for row in first.to_dict()["rows"]] == ["exact", "upper bound"]
    for filled in first.filled:
        assert filled.holes.count("____") == 2
        start, middle, end = filled.holes.split("____")
        assert filled.filled.startswith(start.rstrip()) and filled.filled.endswith(end)
    assert first.filled, "no held-out sentence was shown"
    weights = (first.masked / "model.safetensors").read_bytes()

    def compared(runs: Sequence[Run], report: Path, *, force: bool, **given: object) -> CompareResult:
        assert [run.path for run in runs] == [first.causal, first.masked] and force, "the report is written over"
        return first.comparison

    monkeypatch.setattr("unmask.api.compare.compare", compared)  # it is that of the first call, which was not patched
    second = demo(tmp_path / "demo", overrides=options, say=said.append)
    assert sum("trained before" in line for line in said) == 2
    assert (second.masked / "model.safetensors").read_bytes() == weights
    assert second.masked_text == first.masked_text


def test_demo_sentences_come_from_documents_that_training_never_saw(texts: Path, tmp_path: Path) -> None:
    from unmask.training.held_out import corpus_of
    from unmask.training.recipe import load_recipe
    from unmask.training.train import train

    run = train(load_recipe("demo-masked", [f"data.source={texts}", *SHRUNK]), tmp_path / "run")
    trained = "\n".join(corpus_of(Run.open(run.path)).split("train")["text"])
    sentences = held_out_sentences(run)
    assert sentences
    for original, holes in sentences:
        assert original not in trained
        assert len(holes.split()) == len(original.split())
