"""The model in the box works on a fresh machine: a run that is small, is what its card says, and is not written to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

import unmask
from benchmarks.studies.box.pack import RESULT, card
from unmask.data.corpus import load_corpus
from unmask.errors import Error
from unmask.reports.controls import fit_ngram
from unmask.training.find_run import box, find_run, own_folder
from unmask.training.held_out import corpus_of, held_out
from unmask.training.recipe import load_recipe
from unmask.training.run import Run


@pytest.fixture(scope="module")
def run() -> Run:
    return Run.open(box())


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_name_box_is_ones_own_run_where_there_is_one_and_else_the_model_in_the_box(empty: Path) -> None:
    assert find_run("box") == box()
    shutil.copytree(box(), empty / "runs" / "of" / "box")
    assert find_run("box") == Path("runs/of/box")
    shutil.copytree(box(), empty / "runs" / "box")
    assert find_run("box") == Path("runs/box")
    shutil.copytree(box(), empty / "box")
    assert find_run("box") == Path("box")


def test_it_is_small_and_of_the_size_that_is_told(run: Run) -> None:
    size = sum(path.stat().st_size for path in box().rglob("*") if path.is_file())
    assert size <= 16e6
    with safe_open(box() / "model.safetensors", "pt") as weights:
        kinds = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    assert kinds == {"BF16"}
    assert 5e6 <= run.manifest["parameters"] <= 8e6
    assert run.manifest["parameters"] == sum(one.numel() for one in run.model("cpu").parameters())


def test_the_recipe_that_makes_it_again_is_the_one_that_it_was_made_by(run: Run) -> None:
    given = ["data.source=stories-en.train.jsonl.gz", "data.valid=stories-en.valid.jsonl.gz"]
    assert run.recipe == load_recipe("box", given)
    assert run.manifest["status"] == "finished" and run.manifest["steps"] == run.recipe.training.max_steps


def test_nothing_of_the_machine_that_made_it_is_in_it() -> None:
    for path in box().rglob("*"):
        if path.suffix in (".json", ".yaml", ".md", ".jsonl"):
            text = path.read_text("utf-8")
            assert "/home" not in text and "/tmp" not in text and "/root" not in text, path
    assert "corpus_at" not in json.loads((box() / "run.json").read_text("utf-8"))


def test_its_card_names_data_and_licence_and_its_numbers_are_the_stored_ones(run: Run) -> None:
    text = (box() / "README.md").read_text("utf-8")
    assert text == card(run), "python -m benchmarks.studies.box.pack --card"
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "mit" and "Llama 3.1" in text and "erikhyrkas/snakes" in text
    stored = json.loads(RESULT.read_text("utf-8"))
    assert stored["box"]["tokens_seen"] == run.manifest["tokens_seen"]
    assert all(f"{row['bits_per_byte']:.3f}" in text for row in stored["likelihood"].values())


def test_it_writes_and_fills_the_same_whoever_asks_and_from_wherever(empty: Path) -> None:
    texts = [unmask.sample("box", "Once upon a time", max_tokens=16, seed=1).texts for _ in range(2)]
    assert texts[0] == texts[1] and texts[0][0].startswith("Once upon a time")
    filled = unmask.infill("box", "The ____ was ____.", length=1, seed=1).texts[0]
    assert filled.startswith("The ") and filled.endswith(".")
    assert not list(empty.iterdir())


def test_it_predicts_stories_that_it_never_saw_better_than_an_ngram_that_read_others_of_them(empty: Path) -> None:
    found = unmask.evaluate("box", documents=4, draws=4)
    assert found.source == "box-stories" and "kept from" in found.notes[0]
    corpus = load_corpus("box-stories")
    texts = held_out([Run.open("box")], count=4).texts
    model = fit_ngram(corpus, "train", 5)
    ngram = sum(model.nats(text.encode()).sum() for text in texts) / 0.6931 / sum(len(t.encode()) for t in texts)
    assert found.left_to_right is not None and found.left_to_right < found.bits_per_byte < ngram - 0.1


def test_what_is_held_out_is_the_same_whether_its_text_is_named_or_not(empty: Path, run: Run) -> None:
    there, named = held_out([run]), held_out([run], "box-stories")
    assert there == named and there.split == "valid"
    assert set(there.texts).isdisjoint(corpus_of(run).split("train")["text"])


def test_a_copy_is_scored_on_its_own_text_where_that_is(empty: Path) -> None:
    lines = [json.dumps({"text": f"Story {i} of a {'very ' * (i % 7)}small house."}) for i in range(80)]
    (empty / "stories-en.train.jsonl.gz").write_text("\n".join(lines))
    (empty / "stories-en.train.jsonl.gz").rename(empty / "plain.jsonl")
    with pytest.raises(Error, match="no more at"):
        Run.open(_without(empty)).manifest and corpus_of(Run.open(empty / "copy"))
    other = held_out([Run.open("box")], str(empty / "plain.jsonl"), count=5)
    assert other.split == "all" and any("could not check" in note for note in other.notes)


def _without(folder: Path) -> Path:
    """Copy the box as a run that names no text which it was kept from."""
    shutil.copytree(box(), folder / "copy")
    told = json.loads((folder / "copy" / "run.json").read_text("utf-8"))
    del told["held_out_source"]
    (folder / "copy" / "run.json").write_text(json.dumps(told))
    return folder / "copy"


@pytest.mark.parametrize("verb", ["calibrate", "tune", "plot"])
def test_nothing_is_written_into_the_installation_and_the_way_out_is_told(empty: Path, verb: str) -> None:
    before = {path: path.read_bytes() for path in box().rglob("*") if path.is_file()}
    with pytest.raises(Error, match=r"cp -r .*box runs/box"):
        getattr(unmask, verb)("box")
    assert {path: path.read_bytes() for path in box().rglob("*") if path.is_file()} == before


def test_a_copy_may_be_written_to(empty: Path) -> None:
    shutil.copytree(box(), empty / "runs" / "box")
    assert own_folder(Run.open("box").path) == Path("runs/box")
