"""Thoughts over HTTP: given back, gone on from, pushed."""

from __future__ import annotations

import base64

import openai
import pytest

import unmask
from thought_runs import PASSAGE, thought_run
from unmask.serving.served import shelf


@pytest.fixture(scope="module")
def thinking(tmp_path_factory):
    return thought_run(tmp_path_factory.mktemp("thinking") / "thinking")


def test_a_text_goes_on_from_its_thought_as_if_it_had_not_been_left(thinking, running_with, served_runs, tmp_path):
    there = shelf([str(thinking), str(served_runs["masked"])])
    with running_with(there) as live:
        client = live.client()

        def ask(**extra):
            more = {key: extra.pop(key) for key in ("prompt", "max_tokens", "model") if key in extra}
            body = {"model": "thinking", "prompt": None, "max_tokens": 3, "seed": 2, **more}
            return client.completions.create(**body, extra_body={"unmask": extra}).choices[0]

        first = ask(prompt="the cat", max_tokens=3, return_thought=True)
        file = tmp_path / "mine.safetensors"
        file.write_bytes(base64.b64decode(first.unmask["thought"]))
        own = unmask.thoughts_resume(there.find("thinking").run, file, max_tokens=3, seed=2)
        again = ask(thought=first.unmask["thought"], return_thought=True)
        assert again.text == own.completions[0] and again.unmask["thought"] != first.unmask["thought"]

        extra = {"unmask": {"stream": "canvas", "return_thought": True}}
        asked = {"model": "thinking", "prompt": "the cat", "max_tokens": 3, "seed": 2, "stream": True}
        *_, last = client.completions.create(**asked, extra_body=extra)
        assert last.choices[0].unmask["thought"] == first.unmask["thought"]  # a canvas ends with it, too
        assert pytest.raises(
            openai.BadRequestError, client.completions.create, **asked, extra_body={"unmask": {"return_thought": True}}
        )

        plain, pushed = ask(prompt="the cat"), ask(prompt="the cat", steering={"keywords": ["boat"], "strength": 0.5})
        none = ask(prompt="the cat", steering={"keywords": ["boat"], "strength": 0})
        assert none.text == plain.text
        rows = unmask.thoughts_steer(
            there.find("thinking").run, keywords=["boat"], strengths=(0.5,), prompt="the cat", max_tokens=3, n=1, seed=2
        ).rows
        assert [f"the cat{one.text}" for one in (plain, pushed)] == [row.texts[0] for row in rows[:2]]
        for extra, said in (
            ({"thought": "no base64!"}, "not base64"),
            ({"thought": base64.b64encode(b"x" * 99).decode()}, "is not a thought"),
            ({"thought": first.unmask["thought"], "max_tokens": PASSAGE}, "has room for"),
            ({"prompt": "a", "steering": {"toward": "/etc/passwd.safetensors"}}, "say with away"),
            ({"prompt": "a", "steering": {}}, "one property"),
            ({"prompt": "a", "model": "masked", "return_thought": True}, "has no thoughts"),
            ({"prompt": "a", "model": "masked", "steering": {"keywords": ["a"]}}, "has no thoughts"),
            ({"prompt": "the cat " * 9, "max_tokens": 9}, "passage"),
        ):
            with pytest.raises(openai.BadRequestError, match=said) as caught:
                ask(**extra)
            assert "/" not in caught.value.message.replace("/v1", "")
