"""Options and constraints over HTTP: the numbers of the verb, texts that are what they must be, 400 for the rest."""

import json
import math
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import openai
import pytest

pytest.importorskip("llguidance")


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: dict[str, Any]


def _post(live, path, **body):
    """Ask without a client."""
    data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{live.address}/v1/{path}", data, kind)
    try:
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return Answer(answer.status, json.load(answer))
    except urllib.error.HTTPError as error:
        return Answer(error.code, json.load(error))


@pytest.mark.parametrize(("model", "prompt"), [("causal", "the cat"), ("masked", "the ____ sees"), ("block", "a red")])
def test_options_have_the_numbers_of_the_verb(live, model, prompt):
    options = ["dog", "old", "hen"]
    told = _post(live, "choices", model=model, prompt=prompt, options=options).body
    found = live.shelf.find(model).run.choose(prompt, options)
    assert [one["probability"] for one in told["choices"]] == found.probabilities
    assert [one["option"] for one in told["choices"]] == options
    assert math.isclose(sum(one["probability"] for one in told["choices"]), 1, abs_tol=1e-9)
    assert (told["kind"], told["calibrated"], told["choice"]) == (found.kind, False, found.choice)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "causal", "prompt": "a", "options": ["x"]}, 422, "options"),
        ({"model": "causal", "prompt": "a", "options": ["x", "x"]}, 400, "same text"),
        ({"model": "causal", "prompt": "a", "options": ["x", "y" * 900]}, 400, "shorten"),
        ({"model": "causal", "prompt": "a", "options": ["x", "y"], "stream": True}, 422, "stream"),
        ({"model": "none", "prompt": "a", "options": ["x", "y"]}, 404, "no model"),
        ({"model": "causal", "prompt": "a", "options": ["x", "\ud800"]}, 400, "surrogate"),
    ],
)
def test_options_that_cannot_be_weighed_are_answered_in_one_line(live, body, status, said):
    answer = _post(live, "choices", **body)
    assert (answer.status, said in answer.body["error"]["message"]) == (status, True), answer.body


@pytest.mark.parametrize("model", ["causal", "block"])
def test_a_completion_is_what_its_constraint_says(live, model):
    extra = {"unmask": {"constraint": {"regex": "(?:cat|dog) [0-9]{2}"}, "settings": {"seed": 4}}}
    told = live.client().completions.create(model=model, prompt="the ", max_tokens=24, n=2, extra_body=extra)
    for choice in told.choices:
        assert choice.finish_reason == "stop"
        assert re.fullmatch("(?:cat|dog) [0-9]{2}", choice.text)
        assert choice.unmask["satisfied"] is True
    cut = live.client().completions.create(model=model, prompt="the ", max_tokens=3, extra_body=extra)
    assert (cut.choices[0].finish_reason, cut.choices[0].unmask["satisfied"]) == ("length", False)


def test_a_chat_answers_in_json_of_a_schema(live):
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    told = live.client().chat.completions.create(
        model="causal",
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=20,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
    )
    assert json.loads(told.choices[0].message.content)["a"] in (1, 2)


def test_places_of_a_canvas_become_the_words_given_for_them(live):
    run = live.shelf.find("masked").run
    ids = run.tokenizer.encode("the c")
    extra = {"canvas": [*ids, None, None], "constraint": {"choices": {str(len(ids)): ["at", "ow"]}}}
    told = _post(live, "completions", model="masked", unmask=extra).body
    assert told["choices"][0]["text"] in ("the cat", "the cow")


@pytest.mark.parametrize(
    ("constraint", "model"),
    [
        ({"regex": "["}, "causal"),
        ({"regex": "a[^\\s\\S]"}, "causal"),
        ({"regex": "a", "json_schema": {}}, "causal"),
        ({"json_schema": {"type": "array", "items": {"$ref": "#"}, "minItems": 1}}, "block"),
        ({"choices": {"0": ["a"]}}, "masked"),
    ],
)
def test_a_constraint_that_cannot_be_kept_is_a_400(live, constraint, model):
    answer = _post(live, "completions", model=model, prompt="the", unmask={"constraint": constraint})
    assert answer.status == 400, answer.body
    with pytest.raises(openai.BadRequestError):
        live.client().chat.completions.create(
            model="causal", messages=[{"role": "user", "content": "hi"}], response_format={"type": "xml"}
        )
