"""The five systems as one machine, by its commands: an index, a network trained with it, a text and its evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.studies.evidence.worth import heads, worth_of_evidence
from five_systems import RECIPE, five_systems
from roots.small_corpus import lines, write
from unmask.api.index import build_index
from unmask.roots.index import open_index
from unmask.training.run import Run

PROMPT = "ship sail harbour captain wave"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, its index, and a run of all five."""
    return five_systems(tmp_path_factory.mktemp("five"))


def written(root: Path, cli, *more: object):
    ran = cli("sample", root / "run", "--prompt", PROMPT, "--max-tokens", 30, "--steps", 6, "--json", *more)
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def test_five_systems_write_one_text_and_show_its_evidence(root, cli):
    told = written(root, cli, "--index", root / "index", "-n", 2)
    assert len(told["texts"]) == 2 and all(text.startswith(PROMPT) for text in told["texts"])
    assert told["query"] == PROMPT[:24] and len(told["evidence"]) == 3
    index = open_index(root / "index")
    for found in told["evidence"]:
        assert found["text"] == index.text(found["id"]) and found["document"] == index.document(found["id"])
        assert any(word in found["text"] for word in PROMPT.split()) and 0 < found["score"] <= 0.95
    scores = [found["score"] for found in told["evidence"]]
    assert scores == sorted(scores, reverse=True)
    run = Run.open(root / "run")
    assert run.manifest["evidence"]["index"] == index.manifest.fingerprint
    model = run.model("cpu")
    assert model.retrieved and model.thoughts and model.candidates is not None and run.process.name == "sparse"
    assert len(written(root, cli, "--index", root / "index", "--evidence", 1)["evidence"]) == 1


def test_evidence_is_read_and_never_needed(root, cli):
    own, plain = written(root, cli, "--index", root / "index"), written(root, cli)
    assert plain["evidence"] is None and plain["query"] is None
    assert own["texts"] != plain["texts"]  # a network of three steps draws other bytes
    assert own["texts"] == written(root, cli, "--index", root / "index")["texts"]


def test_a_longer_text_keeps_its_evidence_from_passage_to_passage(root, cli):
    index = ("--index", root / "index", "--max-tokens", 80, "-s", "ignore_eos=true")
    assert written(root, cli, *index)["tokens"] == [80]


def test_the_terminal_shows_text_score_and_document(root, cli):
    ran = cli("sample", root / "run", "--prompt", PROMPT, "--index", root / "index", "--max-tokens", 9, "--steps", 3)
    shown = ran.out.split("evidence:\n")[1].splitlines()
    assert len(shown) == 3 and all("document" in line and line.strip().startswith("0.") for line in shown)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--index", "index"], "it is empty; give one with --prompt"),
        (["--index", "index", "--prompt", "   "], "it is empty; give one with --prompt"),
        (["--index", "nowhere", "--prompt", PROMPT], "nowhere"),
        (["--index", "index", "--prompt", PROMPT, "--evidence", "0"], "at least 1"),
        (["--evidence", "3", "--prompt", PROMPT], "--index"),
    ],
)
def test_a_mistake_is_one_line(root, cli, monkeypatch, arguments, message):
    monkeypatch.chdir(root)
    ran = cli("sample", root / "run", *arguments, "--steps", 3)
    assert ran.status == 2 and message in " ".join(ran.err.split()) and "Traceback" not in ran.err


def test_an_index_that_does_not_fit_is_refused_with_the_fix(root, cli, tiny_run, tmp_path):
    plain = cli("sample", tiny_run, "--index", root / "index", "--prompt", PROMPT)
    assert plain.status == 2 and "takes no evidence" in plain.err
    source = write(tmp_path / "few.jsonl", lines(30))
    build_index(str(source), tmp_path / "wide", shelves=2, embedder="wordllama-128")
    wide = cli("sample", root / "run", "--index", tmp_path / "wide", "--prompt", PROMPT)
    assert wide.status == 2 and "128 numbers" in wide.err and "takes 64" in " ".join(wide.err.split())
    manifest = json.loads((root / "run" / "run.json").read_text())
    other = tmp_path / "run"
    other.mkdir()
    for path in (root / "run").iterdir():
        (other / path.name).symlink_to(path)
    (other / "run.json").unlink()
    manifest["evidence"]["embedder"] = "hf:another/encoder"
    (other / "run.json").write_text(json.dumps(manifest))
    foreign = cli("sample", other, "--index", root / "index", "--prompt", PROMPT)
    assert foreign.status == 2 and "--embedder hf:another/encoder" in " ".join(foreign.err.split())


def test_what_evidence_is_worth_is_paired_and_none_of_it_changes_nothing(root):
    run = Run.open(root / "run")
    texts = [*lines(6, 3), "short"]
    rows = [row for row in heads(run.tokenizer, texts, 100, 24) if row]
    assert len(rows) == 6
    memories = {"some": [torch.randn(2, 64) for _ in rows], "nothing": [None] * len(rows)}
    found = worth_of_evidence(run.model("cpu"), run.process, run.tokenizer, rows, memories, query=24, draws=2)
    assert found["nothing"].value == found["none"].value and found["nothing"].gain == 0
    assert found["some"].value != found["none"].value and found["some"].bound == "upper bound"
    low, high = found["some"].gain_interval
    assert low <= found["some"].gain <= high and found["none"].gain_interval is None


@pytest.mark.strangers
def test_a_run_finds_its_index_from_another_folder_and_an_export_tells_no_place(root, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    (root / "near.yaml").write_text(RECIPE.format(source="text.jsonl", index="index"), encoding="utf-8")
    assert cli("train", "near.yaml", "--output", tmp_path / "run").status == 0
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["corpus_at"]["evidence"] == str(root / "index")
    (tmp_path / "run" / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    (tmp_path / "run" / "model.safetensors").unlink()
    monkeypatch.chdir(tmp_path)
    ran = cli("train", tmp_path / "run" / "recipe.yaml", "--output", tmp_path / "run", "--resume")
    assert ran.status == 0, ran.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert cli("export", root / "run", "--output", tmp_path / "out").status == 0  # its recipe has whole paths
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or str(root).encode() not in path.read_bytes(), path
