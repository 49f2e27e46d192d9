"""What could stand at an open place is what the run would write there, with the probability that it would tell."""

from __future__ import annotations

from typing import Any

import openai
import pytest

CANVAS = [104, 101, None, 32, 97]


def ask(client: openai.OpenAI, model: str, canvas: list[int | None], **more: Any) -> Any:
    answer = client.completions.create(model=model, prompt="", extra_body={"unmask": {"canvas": canvas, **more}})
    return answer.choices[0].model_dump()["unmask"]


def test_the_likeliest_candidate_is_what_a_greedy_sampler_writes_and_as_probable(client: openai.OpenAI) -> None:
    (found,) = ask(client, "masked", CANVAS, candidates=5)["candidates"]
    settings = {"temperature": 0.0, "ignore_eos": True}
    written = ask(client, "masked", CANVAS, sampler="confidence", settings=settings, confidence=True)
    shares = [one["probability"] for one in found["likeliest"]]
    assert found["place"] == 3 and len(shares) == 5 and shares == sorted(shares, reverse=True) and sum(shares) < 1
    likeliest = next(one for one in found["likeliest"] if one["text"] != "")  # the sampler writes no end here
    assert written["canvas_ids"][2] == likeliest["token"]


def test_every_open_place_of_a_masked_canvas_is_told_and_the_next_one_of_a_causal_text(client: openai.OpenAI) -> None:
    several = ask(client, "masked", [None, 101, None], candidates=2)["candidates"]
    assert [one["place"] for one in several] == [1, 3]
    for model in ("causal", "block"):
        (following,) = ask(client, model, [104, 101, None, None], candidates=64)["candidates"]
        assert following["place"] == 3
        assert sum(one["probability"] for one in following["likeliest"]) > 0.2


def test_what_candidates_cannot_tell_is_refused_with_the_reason(client: openai.OpenAI) -> None:
    for model, canvas, words in (
        ("causal", [None, 101], "left to right"),
        ("masked", [104, 101], "no open place"),
        ("masked", [None] * 5000, "context"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            ask(client, model, canvas, candidates=2)
    with pytest.raises(openai.BadRequestError, match=r"unmask\.canvas"):
        client.completions.create(model="masked", prompt="the", extra_body={"unmask": {"candidates": 2}})
    with pytest.raises(openai.BadRequestError, match="writes nothing"):
        client.completions.create(
            model="masked", prompt="", n=2, extra_body={"unmask": {"canvas": CANVAS, "candidates": 2}}
        )
