"""Imported runs of all kinds are served as any other: completions, infilling, a chat by the template they came with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import unmask
from open_weights import a2d, llada, qwen2
from unmask.serving.served import shelf


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place, made = tmp_path_factory.mktemp("imported"), []
    for name, write in (("causal", qwen2), ("masked", llada), ("block", a2d)):
        write(place / f"{name}-source")
        made.append(str(unmask.import_run(place / f"{name}-source", place / name, length=64).path))
    made.append(str(unmask.import_run(place / "causal-source", place / "int8", length=64, dtype="int8").path))
    return made


@pytest.fixture
def served(imported: list[str], running_with: Any) -> Iterator[Any]:
    with running_with(shelf(imported)) as found:
        yield found


def test_they_are_served_side_by_side(served: Any, imported: list[str]) -> None:
    client = served.client()
    assert {model.id for model in client.models.list()} == {Path(path).name for path in imported}
    for path in imported:
        name = Path(path).name
        asked: dict[str, Any] = {"model": name, "prompt": "The hen", "max_tokens": 5, "seed": 1}
        told = client.completions.create(**asked)
        own = unmask.sample(path, prompt="The hen", max_tokens=5, seed=1).texts[0]
        assert own.startswith("The hen" + told.choices[0].text), name
        assert told.usage.completion_tokens <= 5
        said = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "The hen"}], max_tokens=4, seed=1
        )
        assert said.choices[0].finish_reason in ("stop", "length")
    hole: dict[str, Any] = {"prompt": "The ", "suffix": " met the fox.", "max_tokens": 2, "seed": 1}
    assert client.completions.create(model="masked", **hole).choices[0].finish_reason in ("stop", "length")
    for name in ("causal", "block"):
        with pytest.raises(openai.BadRequestError):
            client.completions.create(model=name, **hole)
    scored = client.completions.create(model="int8", prompt="The hen", max_tokens=2, seed=1, logprobs=1)
    assert all(value <= 0 for value in scored.choices[0].logprobs.token_logprobs)
