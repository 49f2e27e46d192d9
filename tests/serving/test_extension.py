"""The field ``unmask``: holes, canvases, confidence, a verifier, and streams that are traces."""

from __future__ import annotations

import json

import httpx2

import unmask
from unmask.sampling.trace import read_trace


def ask(client, model="masked", **extra):
    body = {"prompt": None, "seed": 3, **{key: extra.pop(key) for key in ("prompt", "max_tokens", "n") if key in extra}}
    return client.completions.create(model=model, **body, extra_body={"unmask": extra})


def test_holes_are_filled_as_infill_fills_them(client, served_shelf):
    own = unmask.infill(served_shelf.models["masked"].run, "the ____ sat on ____", length="1-2", n=2, seed=3)
    answer = ask(client, prompt="the ____ sat on ____", infill=True, lengths="1-2", n=2, confidence=True)
    assert [one.text for one in answer.choices] == own.texts
    assert [one.unmask["fills"] for one in answer.choices] == own.fills
    assert [one.unmask["lengths"] for one in answer.choices] == own.lengths
    assert [one.unmask["confidence"] for one in answer.choices] == own.confidence
    assert [one.unmask["decided"] for one in answer.choices] == own.decided


def test_given_places_of_a_canvas_stay_and_the_rest_is_written(client, served_shelf):
    tokens = served_shelf.models["masked"].run.tokenizer.encode("the cat")
    canvas = [*tokens[:3], None, None, *tokens[5:], None]
    choice = ask(client, canvas=canvas, steps=4).choices[0]
    ids = choice.unmask["canvas_ids"]
    assert len(ids) <= len(canvas) and choice.unmask["steps"] <= 4
    assert all(given in (None, own) for given, own in zip(canvas, ids, strict=False))
    again = ask(client, canvas=[*ids[:4], None, *ids[5:]]).choices[0].unmask["canvas_ids"]
    assert again[:4] == ids[:4] and again[5:] == ids[5:]


def test_a_verifier_says_which_spans_it_rewrote(client, served_shelf):
    models = served_shelf.models
    own = unmask.sample(
        models["masked"].run,
        "the",
        max_tokens=8,
        seed=3,
        verifier=models["causal"].run,
        verify="repair",
        precision="fp32",
    )
    choice = ask(client, prompt="the", max_tokens=8, verifier="causal", verify="repair").choices[0]
    assert choice.text == own.completions[0] and choice.unmask["verifier"]["mode"] == "repair"
    assert choice.unmask["checked"] == own.to_dict()["checked"][0]
    lossless = ask(client, prompt="the", max_tokens=8, verifier="causal").choices[0]
    assert lossless.unmask["sampler"] == "speculative"


def test_a_canvas_stream_is_a_trace_and_ends_with_the_answer(live, client, tmp_path):
    body = {"model": "masked", "prompt": "the", "max_tokens": 6, "n": 2, "seed": 3, "stream": True}
    lines, last, name = [], [], ""
    with httpx2.stream(
        "POST", f"{live.address}/v1/completions", json={**body, "unmask": {"stream": "canvas"}}, timeout=30
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name if line else ""
            if line.startswith("data: "):
                (lines if name == "canvas" else last).append(line.removeprefix("data: "))
    path = tmp_path / "stream.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    trace = read_trace(path)
    assert trace.whole and len(trace.header["requests"]) == 2
    whole = json.loads(last[0])
    assert last[1:] == ["[DONE]"] and whole["usage"]["completion_tokens"]
    same = client.completions.create(model="masked", prompt="the", max_tokens=6, n=2, seed=3)
    assert [one["text"] for one in whole["choices"]] == [one.text for one in same.choices]
    by_chat = {"model": "block", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4, "stream": True}
    text = httpx2.post(
        f"{live.address}/v1/chat/completions", json={**by_chat, "unmask": {"stream": "canvas"}}, timeout=30
    ).text
    assert text.startswith("event: canvas\ndata: {") and text.endswith("data: [DONE]\n\n")
