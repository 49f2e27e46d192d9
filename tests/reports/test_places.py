"""A run's text is found from any folder; where it is gone, the message says where it was and how to give it again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import unmask

TINY = [
    "data.source=s.jsonl",
    "data.tokenizer=bytes",
    "data.length=32",
    "data.valid_fraction=0.3",
    "backbone.hidden_size=16",
    "backbone.num_hidden_layers=1",
    "backbone.num_attention_heads=2",
    "training.max_steps=1",
    "training.per_device_train_batch_size=2",
    "training.valid_blocks=0",
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    lines = (json.dumps({"text": f"Text number {i} speaks of {'abcdefgh'[i % 8] * 5} and ends."}) for i in range(60))
    Path("s.jsonl").write_text("\n".join(lines))
    unmask.train("nano-causal", TINY, output="r")
    return tmp_path / "here" / "r"


def test_a_run_is_evaluated_from_any_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = unmask.evaluate(run, documents=4)
    monkeypatch.chdir(run.parent.parent / "there")
    assert unmask.evaluate(run, documents=4).bits_per_byte == here.bits_per_byte
    Path("s.jsonl").write_text('{"text": "another file of the same name"}')
    assert unmask.evaluate(run, documents=4).bits_per_byte == here.bits_per_byte


def test_a_text_that_is_gone_can_be_given_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = unmask.evaluate(run, documents=4)
    there = run.parent.parent / "there"
    shutil.move(run.parent / "s.jsonl", there / "moved.jsonl")
    (there / "other.jsonl").write_text('{"text": "quite another text"}\n{"text": "of two documents"}')
    monkeypatch.chdir(there)
    with pytest.raises(unmask.Error, match=rf"{run.parent / 's.jsonl'}. Give it again with --source"):
        unmask.evaluate(run)
    again = unmask.evaluate(run, source="moved.jsonl", documents=4)
    assert again.bits_per_byte == here.bits_per_byte and again.split == "valid"
    assert any("is the text that r was trained on" in note for note in again.notes)
    other = unmask.evaluate(run, source="other.jsonl", documents=4)
    assert other.split == "all" and any("another text than r was trained on" in note for note in other.notes)


def test_an_export_tells_no_place_of_this_machine(run: Path) -> None:
    unmask.export(run, run.parent / "out")
    texts = [
        path.read_text(errors="replace") for path in (run.parent / "out").glob("*.*") if path.suffix != ".safetensors"
    ]
    assert not any(str(run.parent) in text for text in texts)


def test_bits_per_character_stand_beside_bits_per_byte(run: Path) -> None:
    score = unmask.evaluate(run, documents=4)
    assert score.bits_per_character == pytest.approx(score.bits_per_byte)  # ASCII: a byte a character


def test_a_name_that_is_given_means_the_file_of_this_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent.parent / "there")
    Path("s.jsonl").write_text('{"text": "the file of this folder"}')
    score = unmask.evaluate(run, source="s.jsonl")
    assert score.split == "all" and score.documents == 1


def test_a_run_is_resumed_from_another_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = run.parent / "stopped"
    shutil.copytree(run, stopped)
    manifest = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    (stopped / "model.safetensors").unlink()
    monkeypatch.chdir(run.parent.parent / "there")
    again = unmask.train(stopped / "recipe.yaml", output=stopped, resume=True)
    assert again.manifest["status"] == "finished" and again.manifest["corpus_at"] == manifest["corpus_at"]
