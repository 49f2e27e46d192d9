"""A network in a folder, and on the Hub: what ``transformers`` users expect of one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch

from unmask.errors import Error
from unmask.models.stored import StoredNetwork
from unmask.training.run import Run

pytestmark = pytest.mark.strangers


def test_a_network_is_pushed_as_the_folder_that_is_read_again(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    class Api:
        def __init__(self, token: str | None) -> None:
            told["token"] = token

        def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any:
            told.update(private=private, exist_ok=exist_ok)
            return SimpleNamespace(repo_id=f"ada/{repo_id}")

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            told.update(repo=repo_id, message=commit_message, files=sorted(p.name for p in Path(folder_path).iterdir()))
            told["model"] = type(model).from_pretrained(folder_path)
            return "done"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    model = Run.open(tiny_run).model("cpu")
    assert isinstance(model, StoredNetwork) and model.push_to_hub("mine", private=True, token="t") == "done"
    again = told.pop("model").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    assert told == {
        **{"token": "t", "private": True, "exist_ok": True, "repo": "ada/mine", "message": "Upload Transformer"},
        "files": ["config.json", "model.safetensors"],
    }


def test_what_the_hub_refuses_is_one_line(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("401\nunauthorised")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(Error, match="mine cannot be uploaded \\(401 unauthorised\\)"):
        Run.open(tiny_run).model("cpu").push_to_hub("mine")
