"""Hub data sets are pinned to a revision and can be used again offline; the Hub itself is played by stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import pytest

from unmask.data import hub
from unmask.data.corpus import load_corpus
from unmask.errors import Error

CALLS: list[tuple[Any, ...]] = []


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch, stories: list[str]) -> pytest.MonkeyPatch:
    def load_dataset(repo: str, config: str | None, *, split: str, revision: str, streaming: bool) -> Iterator[Any]:
        CALLS.append((repo, config, split, revision, streaming))
        if split == "nope":
            raise ValueError("Bad split: nope.\nAvailable splits: ['train']")
        return iter([{"text": text, "id": 1} for text in stories])

    CALLS.clear()
    monkeypatch.setattr(hub, "_online", lambda: True)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: SimpleNamespace(sha="abc123"))
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return monkeypatch


def test_a_data_set_is_streamed_at_its_revision_and_used_again_offline(online: pytest.MonkeyPatch) -> None:
    first = load_corpus("hf:owner/name:small@train")
    assert CALLS == [("owner/name", "small", "train", "abc123", True)]
    assert first.stats()["documents"] == 200
    online.setattr(hub, "_online", lambda: False)
    assert load_corpus("hf:owner/name:small@train").fingerprint == first.fingerprint
    assert len(CALLS) == 1
    with pytest.raises(Error, match="cannot be reached"):
        load_corpus("hf:owner/name:other")


def test_wrong_names_splits_and_fields_are_one_line(online: pytest.MonkeyPatch) -> None:
    with pytest.raises(Error, match=r"hf:owner/name@nope cannot be read: Bad split: nope\.") as caught:
        load_corpus("hf:owner/name@nope")
    assert "\n" not in str(caught.value)
    with pytest.raises(Error, match=r"no field 'body' \(fields: id, text\)"):
        load_corpus("hf:owner/name", text_field="body")

    def unknown(*_: object, **__: object) -> None:
        answer = SimpleNamespace(headers={}, request=None, status_code=404)
        raise huggingface_hub.errors.RepositoryNotFoundError("404", response=answer)  # type: ignore[arg-type]

    online.setattr(huggingface_hub.HfApi, "dataset_info", unknown)
    with pytest.raises(Error, match="the Hub has no public data set hf:owner/nam"):
        load_corpus("hf:owner/nam")
