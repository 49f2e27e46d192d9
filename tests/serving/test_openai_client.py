"""The official ``openai`` client works unchanged against a live server."""

from __future__ import annotations

import threading
import time

import openai
import pytest

import unmask
from unmask.api.likelihood import likelihood
from unmask.serving.limits import Busy

NAMES = ("causal", "masked", "block")


def own(served_shelf, name, prompt="the cat", **asked):
    return unmask.sample(served_shelf.models[name].run, prompt, precision="fp32", **asked)


@pytest.mark.parametrize("name", NAMES)
def test_a_completion_is_the_text_that_sample_writes(name, client, served_shelf):
    there = own(served_shelf, name, max_tokens=12, n=2, seed=7)
    answer = client.completions.create(model=name, prompt="the cat", max_tokens=12, n=2, seed=7)
    assert [one.text for one in answer.choices] == there.completions
    assert [one.index for one in answer.choices] == [0, 1]
    assert [one.finish_reason for one in answer.choices] == ["stop" if e else "length" for e in there.ended]
    assert answer.model == name and answer.object == "text_completion" and answer.id.startswith("cmpl-")
    assert answer.usage.prompt_tokens == 7
    assert answer.usage.total_tokens == 7 + answer.usage.completion_tokens
    assert answer.choices[0].unmask["seed"] == 7


def test_several_prompts_are_answered_each_as_alone(client, served_shelf):
    ids = served_shelf.models["causal"].run.tokenizer.encode("the dog")
    answer = client.completions.create(model="causal", prompt=["the cat", "a"], max_tokens=5, n=2, seed=1)
    texts = [own(served_shelf, "causal", prompt, max_tokens=5, n=2, seed=1).completions for prompt in ("the cat", "a")]
    assert [one.text for one in answer.choices] == texts[0] + texts[1]
    by_ids = client.completions.create(model="causal", prompt=ids, max_tokens=5, seed=1)
    assert by_ids.choices[0].text == own(served_shelf, "causal", "the dog", max_tokens=5, seed=1).completions[0]
    both = client.completions.create(model="causal", prompt=[ids, [1, *ids]], max_tokens=5, seed=1)
    assert {one.text for one in both.choices} == {by_ids.choices[0].text}


def test_without_a_seed_each_answer_is_another_and_tells_its_seed(client):
    one, two = (client.completions.create(model="causal", prompt="a", max_tokens=12).choices[0] for _ in range(2))
    assert one.unmask["seed"] != two.unmask["seed"] and one.text != two.text
    again = client.completions.create(model="causal", prompt="a", max_tokens=12, seed=one.unmask["seed"])
    assert again.choices[0].text == one.text


def test_a_suffix_is_infilled(client, served_shelf):
    there = own(served_shelf, "masked", "the", suffix=" sat", max_tokens=4, seed=3)
    answer = client.completions.create(model="masked", prompt="the", suffix=" sat", max_tokens=4, seed=3)
    assert answer.choices[0].text == there.completions[0]
    assert answer.usage.prompt_tokens == 7


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("causal", "writes left to right and cannot take a suffix"),
        ("block", "a block sees nothing of what stands behind"),
    ],
)
def test_a_suffix_that_a_run_cannot_see_is_refused_with_the_reason(name, said, client):
    with pytest.raises(openai.BadRequestError, match=said):
        client.completions.create(model=name, prompt="the", suffix=" sat", max_tokens=4)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_the_text_told_as_it_becomes_final(name, client):
    asked = {"model": name, "prompt": "the cat", "max_tokens": 20, "seed": 5, "n": 2}
    answer = client.completions.create(**asked)
    texts, ends, parts, usage = ["", ""], {}, [0, 0], None
    for chunk in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        assert not (chunk.usage and chunk.choices)
        for choice in chunk.choices:
            assert choice.index not in ends
            texts[choice.index] += choice.text
            parts[choice.index] += bool(choice.text)
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert texts == [one.text for one in answer.choices]
    assert ends == {one.index: one.finish_reason for one in answer.choices}
    assert usage == answer.usage
    assert max(parts) == 1 if name == "masked" else max(parts) > 1


def test_a_stop_string_ends_a_text_and_no_part_of_it_is_told(client, served_shelf):
    asked = {"model": "causal", "prompt": "the cat", "max_tokens": 24}
    for seed in range(50):  # an untrained run writes bytes that are no text, too: of these nothing is told early
        early = [
            chunk.choices[0].text
            for chunk in client.completions.create(**asked, seed=seed, stream=True)
            if chunk.choices[0].finish_reason is None
        ]
        if len(text := "".join(early)) >= 3:
            break
    asked |= {"seed": seed, "stop": [text[2], "never there"]}
    answer = client.completions.create(**asked)
    assert answer.choices[0].text == text[: text.index(text[2])]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].unmask["steps"] < 24, "nothing is written behind it"
    chunks = list(client.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_log_probabilities_are_those_of_likelihood(client, served_shelf):
    text = "the cat sat"
    (nats,) = likelihood(served_shelf.models["causal"].run, [text], end=False).nats
    asked = {"model": "causal", "prompt": text, "max_tokens": 0, "echo": True, "logprobs": 2}
    answer = client.completions.create(**asked)
    told = answer.choices[0].logprobs
    assert answer.choices[0].text == text and "".join(told.tokens) == text
    assert -sum(told.token_logprobs) == pytest.approx(nats, rel=1e-5)
    assert told.text_offset == list(range(len(text))) and all(len(best) == 2 for best in told.top_logprobs)
    assert answer.usage.completion_tokens == 0
    written = client.completions.create(**{**asked, "max_tokens": 3, "seed": 1})
    own = written.choices[0].logprobs
    assert own.token_logprobs[: len(text)] == pytest.approx(told.token_logprobs, rel=1e-4)
    alone = client.completions.create(**{**asked, "max_tokens": 3, "seed": 1, "echo": False, "logprobs": 0})
    assert alone.choices[0].logprobs.token_logprobs == pytest.approx(own.token_logprobs[len(text) :], abs=0.03)


def test_log_probabilities_of_a_run_that_has_none_are_refused_unless_its_bound_is_asked_for(client, served_shelf):
    asked = {"model": "masked", "prompt": "the cat", "max_tokens": 0}
    with pytest.raises(openai.BadRequestError, match="logprobs is not supported: model masked was trained as masked"):
        client.completions.create(**asked, echo=True, logprobs=1)
    answer = client.completions.create(**asked, seed=4, extra_body={"unmask": {"likelihood": "default"}})
    told = answer.choices[0].unmask["likelihood"]
    there = likelihood(served_shelf.models["masked"].run, ["the cat"], end=False, seed=4)
    assert told["bound"] == "upper bound" and told["nats"] == pytest.approx(there.nats[0], rel=1e-6)
    chosen = client.completions.create(model="masked", prompt="the", max_tokens=5, logprobs=0)
    assert len(chosen.choices[0].logprobs.token_logprobs) == chosen.usage.completion_tokens


def test_a_block_run_scores_by_its_left_to_right_side(client):
    asked = {"model": "block", "prompt": "the cat", "max_tokens": 0, "echo": True, "logprobs": 1}
    told = client.completions.create(**asked).choices[0].logprobs
    assert len(told.token_logprobs) == 7 and max(told.token_logprobs) < 0


def test_a_chat_is_a_prompt_by_the_plain_template(client, served_shelf):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]
    prompt = "System: Be kind.\nUser: Hi\nAssistant:"
    answer = client.chat.completions.create(model="causal", messages=messages, max_tokens=9, seed=3)
    there = own(served_shelf, "causal", prompt, max_tokens=9, seed=3).completions[0]
    assert answer.choices[0].message.content == there.removeprefix(" ")
    assert answer.choices[0].message.role == "assistant" and answer.object == "chat.completion"
    chunks = list(client.chat.completions.create(model="causal", messages=messages, max_tokens=9, seed=3, stream=True))
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert told == answer.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason
    scored = client.chat.completions.create(
        model="causal", messages=messages[1:], max_completion_tokens=3, seed=3, logprobs=True, top_logprobs=2
    )
    content = scored.choices[0].logprobs.content
    assert len(content) == scored.usage.completion_tokens and len(content[0].top_logprobs) == 2


def test_models_are_listed(client):
    assert [one.id for one in client.models.list()] == list(NAMES)
    assert client.models.retrieve("masked").owned_by == "unmask"


@pytest.mark.parametrize(
    ("asked", "kind", "said", "param"),
    [
        ({"model": "other"}, openai.NotFoundError, "no model 'other'; there is causal, masked, block", "model"),
        ({"best_of": 3}, openai.BadRequestError, "best_of is not supported: texts are not ranked", "best_of"),
        ({"logit_bias": {"5": 1}}, openai.BadRequestError, "logit_bias is not supported", "logit_bias"),
        ({"frequency_penalty": 0.5}, openai.BadRequestError, "repetition_penalty", "frequency_penalty"),
        ({"max_tokens": 1000}, openai.BadRequestError, "writes at most 128 a text", "max_tokens"),
        ({"n": 17}, openai.BadRequestError, "asks for 17 texts; a request has at most 16", "n"),
        ({"temperature": -1}, openai.UnprocessableEntityError, "greater than or equal to 0", "temperature"),
        ({"extra_body": {"max_token": 1}}, openai.UnprocessableEntityError, "Did you mean 'max_tokens'", "max_token"),
        (
            {"extra_body": {"unmask": {"samplr": "x"}}},
            openai.UnprocessableEntityError,
            "unknown field 'unmask.samplr'. Did you mean 'sampler'",
            "unmask.samplr",
        ),
        (
            {"extra_body": {"unmask": {"settings": {"stepz": 4}}}},
            openai.UnprocessableEntityError,
            "unknown setting 'stepz'. Did you mean 'steps'",
            "unmask.settings",
        ),
        ({"extra_body": {"unmask": {"steps": 4}}}, openai.BadRequestError, "does not use steps", None),
        ({"extra_body": {"unmask": {"sampler": "confidence"}}}, openai.BadRequestError, "causal", None),
        ({"prompt": [9999]}, openai.BadRequestError, "token 9999 does not exist", "prompt"),
        ({"prompt": [3]}, openai.BadRequestError, "is a special token", "prompt"),
        ({"stop": ""}, openai.BadRequestError, "a stop string is empty", "stop"),
        ({"logprobs": 2, "stream": True}, openai.BadRequestError, "leave out stream", "logprobs"),
        ({"extra_body": {"unmask": {"index": "i"}}}, openai.NotFoundError, "no index 'i'", "unmask.index"),
        ({"prompt": "a" * 200, "echo": True, "logprobs": 1}, openai.BadRequestError, "context of 32", "logprobs"),
    ],
)
def test_what_cannot_be_answered_says_why(asked, kind, said, param, client):
    with pytest.raises(kind) as caught:
        client.completions.create(**{"model": "causal", "prompt": "a", "max_tokens": 4, **asked})
    assert said in caught.value.message and caught.value.param == param
    assert "/" not in caught.value.message.replace("/v1/", ""), "no folder of this machine"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools is not supported"),
        ({"tool_choice": "required"}, "tool_choice is not supported"),
        ({"reasoning_effort": "high"}, "reasoning_effort is not supported"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "image_url"),
        ({"top_logprobs": 3}, "top_logprobs are for logprobs: true"),
    ],
)
def test_what_a_chat_cannot_have_says_why(asked, said, client):
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "causal", "messages": messages, "max_tokens": 4, **asked})
    assert said in caught.value.message


def test_a_full_queue_is_429_with_a_time_after_which_the_client_asks_again(live, monkeypatch):
    submit, asked = live.service.engine.submit, []

    def full(jobs):
        asked.append(time.monotonic())
        if len(asked) < 3:
            raise Busy("the queue is full.", 0.1)
        return submit(jobs)

    monkeypatch.setattr(live.service.engine, "submit", full)
    with pytest.raises(openai.RateLimitError) as caught:
        live.client().completions.create(model="causal", prompt="a", max_tokens=2)
    assert int(caught.value.response.headers["retry-after"]) >= 1
    asked.clear()
    answer = live.client(max_retries=2).completions.create(model="causal", prompt="a", max_tokens=2)
    assert len(asked) == 3 and answer.choices


def test_who_leaves_gives_its_texts_up(live, monkeypatch):
    tickets, submit = [], live.service.engine.submit

    def kept(jobs):
        tickets.extend(found := submit(jobs))
        return found

    monkeypatch.setattr(live.service.engine, "submit", kept)
    with live.client().completions.create(model="causal", prompt="a", max_tokens=128, stream=True) as stream:
        next(iter(stream))
    asking = live.client(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        asking.completions.create(model="causal", prompt="a", max_tokens=128, n=8)
    until = time.monotonic() + 20
    while (len(tickets) < 9 or not all(ticket.over for ticket in tickets)) and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert len(tickets) == 9 and any(ticket.cancelled for ticket in tickets)
    assert all(ticket.over for ticket in tickets)
