"""The embedded stories are there offline, whole, each once, and are a source like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from unmask.data import box_stories
from unmask.data.corpus import load_corpus
from unmask.data.find import EMBEDDED
from unmask.data.named import NAMED
from unmask.data.sources import absolute, open_source
from unmask.errors import Error


def test_there_are_351_stories_none_of_them_twice() -> None:
    texts = list(box_stories.documents())
    assert len(texts) == len(set(texts)) == 351
    assert all(text.strip() and "\ufffd" not in text for text in texts)


def test_they_are_split_alike_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path))
    corpus = load_corpus("box-stories")
    assert corpus.fingerprint == "6792b2262ecb"
    assert {name: len(corpus.split(name)) for name in ("train", "valid", "judge")} == {
        "train": 311,
        "valid": 21,
        "judge": 19,
    }


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_comes_with_unmask_is_found_from_any_folder_and_can_be_fetched_by_name(name: str) -> None:
    assert absolute(name) == name and name in NAMED
    assert open_source(name).identity == open_source(name).identity


@pytest.mark.parametrize("option", ["binary", "chat"])
def test_embedded_text_is_no_bytes_and_no_talk(option: str) -> None:
    with pytest.raises(Error, match="box-stories"):
        open_source("box-stories", **{option: True})  # type: ignore[arg-type]
