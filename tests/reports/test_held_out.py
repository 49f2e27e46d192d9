"""The held-out text is the same for every order of the source, and nobody was trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unmask.data.corpus import documents
from unmask.errors import Error
from unmask.training.held_out import corpus_of, held_out
from unmask.training.run import Run


def test_the_default_is_the_valid_split_and_nothing_of_it_was_trained_on(make_run) -> None:
    runs = [Run.open(make_run("a")), Run.open(make_run("b", "masked"))]
    text = held_out(runs)
    corpus = corpus_of(runs[0])
    assert set(text.texts) == set(documents(corpus.split("valid")))
    assert not set(text.texts) & (set(documents(corpus.split("train"))) | set(documents(corpus.split("judge"))))
    assert (text.split, text.fingerprint, text.notes) == ("valid", corpus.fingerprint, [])
    assert len(held_out(runs, count=5).texts) == 5


def test_the_choice_depends_on_content_and_seed_not_on_order(make_run, tmp_path: Path) -> None:
    run = Run.open(make_run("a"))
    texts = [f"document number {i}" for i in range(50)]
    for name, order in (("up", texts), ("down", texts[::-1])):
        (tmp_path / f"{name}.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in order))
    up, down = (held_out([run], str(tmp_path / f"{name}.jsonl"), count=9) for name in ("up", "down"))
    assert sorted(up.texts) == sorted(down.texts) and up.fingerprint == down.fingerprint
    assert set(held_out([run], str(tmp_path / "up.jsonl"), count=9, seed=1).texts) != set(up.texts)


def test_documents_that_a_rival_trained_on_are_dropped_and_said(make_run, tmp_path: Path) -> None:
    run = Run.open(make_run("learner"))
    trained = list(documents(corpus_of(run).split("train")))[:4]
    other = tmp_path / "other.jsonl"
    other.write_text("".join(f'{{"text": "{text}"}}\n' for text in [*trained, "never seen before", "nor this one"]))
    text = held_out([run], str(other))
    assert sorted(text.texts) == ["never seen before", "nor this one"]
    assert any("4 of 6 held-out documents were dropped: learner was trained on them" in note for note in text.notes)
    other.write_text("".join(f'{{"text": "{text}"}}\n' for text in trained))
    with pytest.raises(Error, match="learner was trained on every held-out document"):
        held_out([run], str(other))


@pytest.mark.strangers
def test_a_copy_that_differs_in_case_white_space_or_line_ends_was_trained_on(make_run, tmp_path: Path) -> None:
    run = Run.open(make_run("learner"))
    text = next(iter(documents(corpus_of(run).split("train"))))
    copies = [text + " \n", text.upper(), text.replace(" ", "\r\n"), "  " + text.replace(" ", "  ")]
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"text": copy}) + "\n" for copy in [*copies, "never seen before"]))
    assert held_out([run], str(other)).texts == ["never seen before"]


def test_a_corpus_that_changed_since_training_is_said(make_run, world: Path, tmp_path: Path) -> None:
    source = tmp_path / "grows.jsonl"
    source.write_text((world / "text.jsonl").read_text())
    run = Run.open(make_run("a", source=str(source)))
    with source.open("a") as file:
        file.write('{"text": "one more document"}\n')
    assert any("has changed since a was trained" in note for note in held_out([run]).notes)


def test_no_documents_are_refused(make_run) -> None:
    with pytest.raises(Error, match="at least 1"):
        held_out([Run.open(make_run("a"))], count=0)
