"""``POST /v1/chat/completions``: a chat as a prompt, by the run's own template or a plain one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from unmask.evaluation.token_scores import TokenScores, reads_left_to_right, token_scores
from unmask.serving import answers, asked, thoughts
from unmask.serving.answers import Head
from unmask.serving.asked import How
from unmask.serving.chat_template import prompt_of
from unmask.serving.completions import trace
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem, unsupported
from unmask.serving.schema import ChatRequest, Message, check_supported
from unmask.serving.served import Shelf
from unmask.serving.service import Service, service_of
from unmask.serving.streams import event
from unmask.serving.writing import Done, Plan, Writing, answered

router = APIRouter()

TOKENS = 256
"""Tokens to write where a request does not say and the chat fills the context already."""
_ROLES = {"developer": "system"}


@dataclass(frozen=True)
class Planned(Plan):
    """What a chat comes to.

    Attributes:
        plain: Whether the plain template was used: then an answer's first space is the template's.
    """

    plain: bool


def planned(shelf: Shelf, options: ServeOptions, body: ChatRequest) -> Planned:
    """Return what a request comes to.

    Raises:
        Problem: what is not to be had.
        Error: what the run cannot do.
    """
    extra = body.unmask
    for name in ("infill", "canvas", "thought", "return_thought", "likelihood", "lengths"):
        if getattr(extra, name) not in (None, False):
            raise unsupported(f"unmask.{name}", "a chat has a prompt of its own; ask /v1/completions.")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise Problem(400, "max_tokens and max_completion_tokens say the same; leave one out.", "max_tokens")
    if body.max_tokens == 0:
        raise Problem(400, "max_tokens is 0; ask for at least 1.", "max_tokens")
    if body.top_logprobs is not None and not body.logprobs:
        raise Problem(400, "top_logprobs are for logprobs: true.", "top_logprobs")
    if body.logprobs and body.stream:
        raise unsupported("logprobs", "they are told of whole texts; leave out stream.")
    way = asked.how(shelf, body)
    if extra.steering is not None:
        way = thoughts.steered(way, extra.steering)
    chat = prompt_of(way.writer.run, [_message(one, place) for place, one in enumerate(body.messages)])
    tokens = body.max_completion_tokens or body.max_tokens
    asked.check_counts(options, body.n or 1, tokens)
    if tokens is None:
        room = way.writer.context - 1 - len(chat.ids)
        tokens = min(room if room > 0 else TOKENS, options.max_tokens)
    canvases = asked.completions(shelf, way, body, chat.ids, "", tokens)
    _check_scores(way, body, len(canvases[0].request.tokens))
    return Planned(way, canvases, [*asked.own_stops(way, body.stop), *chat.stops], chat.plain)


def _message(message: Message, place: int) -> dict[str, str]:
    if message.name is not None:
        raise unsupported(f"messages.{place}.name", "no template here tells speakers of one role apart.")
    role = _ROLES.get(message.role, message.role)
    if isinstance(message.content, str):
        return {"role": role, "content": message.content}
    said = []
    for part in message.content:
        if part.get("type") != "text" or not isinstance(part.get("text"), str) or set(part) != {"type", "text"}:
            kind = str(part.get("type"))[:40]
            raise unsupported(f"messages.{place}.content", f"runs read text alone, and a part is of type {kind!r}.")
        said.append(part["text"])
    return {"role": role, "content": "".join(said)}


def _check_scores(way: How, body: ChatRequest, longest: int) -> None:
    if not body.top_logprobs:
        return
    served = way.writer
    if not reads_left_to_right(served.run.process):
        raise unsupported(
            "top_logprobs",
            f"model {served.id} was trained as {served.run.process.name}; tokens that were not written have a "
            "log-probability one by one in runs that write left to right alone. Leave it out.",
        )
    if longest > served.context:
        raise Problem(
            400,
            f"top_logprobs are those of one context of {served.context} tokens, and the chat with its answer may have "
            f"{longest}; ask for {longest - served.context} tokens less.",
            "top_logprobs",
        )


@router.post("/v1/chat/completions")
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Answer a chat."""
    check_supported(body)
    service, extra = service_of(request), body.unmask
    work = partial(planned, service.shelf, service.options, body)
    plan = await service.laid(work, asks=extra.index is not None or extra.steering is not None)
    head = Head.of("chatcmpl", plan.way.served)
    request.state.told = {"model": plan.way.served.id, "texts": len(plan.canvases), "user": body.user}
    whole, canvas = partial(_whole, service, head, plan, body), partial(_canvas, head, plan, body)
    return await answered(request, body, plan, whole, partial(_text, head, plan, body), canvas)


async def _whole(service: Service, head: Head, plan: Planned, body: ChatRequest, writing: Writing) -> JSONResponse:
    done = await writing.whole()
    scores: list[TokenScores | None] = [None] * len(done)
    if body.logprobs and not body.top_logprobs:
        scores = [answers.chosen_scores(one) for one in done]
    elif body.top_logprobs:
        run, most = plan.way.writer.run, body.top_logprobs
        texts, words = [one.whole for one in done], plan.way.writer.vocabulary
        scores = [*await service.laid(lambda: token_scores(run.network, texts, words, most), asks=True)]
    choices = [_choice(plan, body, number, one, scores[number]) for number, one in enumerate(done)]
    return JSONResponse(head.answer("chat.completion", choices, usage=_usage(plan, done)))


def _choice(
    plan: Planned, body: ChatRequest, number: int, done: Done, scores: TokenScores | None = None
) -> dict[str, Any]:
    canvas, tokenizer = plan.canvases[number], plan.way.writer.run.tokenizer
    told = None
    if scores is not None:
        first = canvas.start - 1 if body.top_logprobs else 0
        mine = TokenScores(scores.logprobs[first:], scores.likeliest[first:])
        told = answers.chat_logprobs(tokenizer, done.tokens, mine, body.top_logprobs or 0)
    text = done.text.removeprefix(" ") if plan.plain else done.text
    return {
        "index": number,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": told,
        "finish_reason": done.reason,
        "unmask": answers.told(plan.way, canvas, done, confidence=body.unmask.confidence),
    }


def _delta(number: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": None, "finish_reason": reason}


async def _text(head: Head, plan: Planned, body: ChatRequest, writing: Writing) -> AsyncIterator[bytes]:
    """Yield text as it becomes final."""
    name, found, begun = "chat.completion.chunk", list[Done](), set[int]()
    usage = body.stream_options is not None and body.stream_options.include_usage
    more: dict[str, Any] = {"usage": None} if usage else {}
    for number in range(len(plan.canvases)):
        yield event(head.answer(name, [_delta(number, {"role": "assistant", "content": ""})], **more))
    async with aclosing(writing.told()) as texts:
        async for told in texts:
            new = told.new
            if new and told.number not in begun:
                begun.add(told.number)
                new = new.removeprefix(" ") if plan.plain else new
            if new:
                yield event(head.answer(name, [_delta(told.number, {"content": new})], **more))
            if told.done is not None:
                found.append(told.done)
                own = answers.told(plan.way, plan.canvases[told.number], told.done, confidence=body.unmask.confidence)
                last = _delta(told.number, {}, told.done.reason) | {"unmask": own}
                yield event(head.answer(name, [last], **more))
    if usage:
        yield event(head.answer(name, [], usage=_usage(plan, found)))


async def _canvas(head: Head, plan: Planned, body: ChatRequest, writing: Writing) -> AsyncIterator[bytes]:
    """Yield the lines of a trace (docs/reference/canvas-events.md), then the answer."""
    found: dict[int, Done] = {}
    async with aclosing(trace(plan.way, plan.canvases, writing, found)) as lines:
        async for line in lines:
            yield line
    done = [found[number] for number in range(len(plan.canvases))]
    choices = [_choice(plan, body, number, one) for number, one in enumerate(done)]
    yield event(head.answer("chat.completion", choices, usage=_usage(plan, done)))


def _usage(plan: Planned, done: list[Done]) -> dict[str, int]:
    return answers.usage(plan.canvases[0].given, sum(len(one.tokens) for one in done))
