"""``POST /v1/completions``: text behind a prompt or between two, holes filled, canvases, and log-likelihoods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from unmask.api.likelihood import LikelihoodResult, likelihood
from unmask.evaluation.token_scores import TokenScores, reads_left_to_right, token_scores
from unmask.sampling.trace_lines import TraceLines
from unmask.serving import answers, asked, thoughts
from unmask.serving.answers import Head
from unmask.serving.asked import Canvas, How
from unmask.serving.candidates import candidates
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem, unsupported
from unmask.serving.schema import CompletionRequest, check_supported
from unmask.serving.served import Shelf
from unmask.serving.service import Service, service_of, unless_gone
from unmask.serving.streams import event
from unmask.serving.writing import Done, Plan, Writing, answered
from unmask.training.own_text import own_text, shown

router = APIRouter()

TOKENS = 16
"""Tokens to write where a request does not say: OpenAI's own default."""


@dataclass(frozen=True)
class Planned(Plan):
    """What a request comes to.

    Attributes:
        prompts: Token ids of each prompt, as the user has them.
        texts: The prompts as text.
    """

    prompts: list[list[int]]
    texts: list[str]

    @property
    def given(self) -> int:
        """Tokens of the user's; a prompt of several texts counts once."""
        each = max(1, len(self.canvases) // max(1, len(self.prompts)))
        return sum(one.given for one in self.canvases[::each]) or sum(map(len, self.prompts))


def planned(shelf: Shelf, options: ServeOptions, body: CompletionRequest) -> Planned:
    """Return what a request comes to.

    Raises:
        Problem: what is not to be had.
        Error: what the run cannot do.
    """
    extra = body.unmask
    asked.check_goes_together(body, body.prompt, body.suffix)
    way = asked.how(shelf, body)
    thoughts.check(way, body)
    if extra.steering is not None:
        way = thoughts.steered(way, extra.steering)
    stops = asked.own_stops(way, body.stop)
    count, tokens = body.n or 1, TOKENS if body.max_tokens is None else body.max_tokens
    if extra.infill or extra.canvas is not None:
        asked.check_counts(options, count, None)
        if extra.infill:
            canvases = asked.infills(way, body, str(body.prompt))
        else:
            canvases = asked.canvases(way, body, extra.canvas or [])
        mask = way.writer.vocabulary.mask
        asked.check_counts(options, count, max(one.request.tokens.count(mask) for one in canvases))
        if body.echo or body.logprobs is not None:
            raise unsupported("echo" if body.echo else "logprobs", "the whole text is answered; ask for confidence.")
        return Planned(way, canvases, stops, [], [])
    if extra.thought is not None:
        asked.check_counts(options, count, tokens)
        if body.echo or body.logprobs:
            raise unsupported("echo" if body.echo else "logprobs", "what stands before is in the thought.")
        return Planned(way, thoughts.continuations(way, body, tokens), stops, [], [])
    prompts = asked.prompts(body.prompt)
    asked.check_counts(options, count * len(prompts), tokens)
    run = way.writer.run
    ids, texts, given = [], [], list[str | list[int]]()
    for prompt in prompts:
        if isinstance(prompt, str):
            own = own_text(prompt, run)
            given.append(prompt)
            ids.append(run.tokenizer.encode(own))
            texts.append(shown(own, run.tokenizer))
        else:
            given.append(asked.own_ids(way.writer, prompt))
            ids.append(prompt)
            texts.append(shown(run.tokenizer.decode(prompt), run.tokenizer))
    if not tokens:
        if extra.return_thought:
            raise Problem(400, "max_tokens is 0 and a thought is that of what is written.", "unmask.return_thought")
        if not body.echo and extra.likelihood is None:
            raise Problem(400, "max_tokens is 0 and nothing is echoed; there is nothing to answer.", "max_tokens")
        if count > 1 or body.suffix or stops:
            raise Problem(400, "max_tokens is 0, so n, suffix and stop mean nothing; leave them out.", "max_tokens")
        _check_scores(way, body, max(map(len, ids)))
        return Planned(way, [], stops, ids, texts)
    canvases = [
        canvas for prompt in given for canvas in asked.completions(shelf, way, body, prompt, body.suffix or "", tokens)
    ]
    _check_scores(way, body, max(len(one.request.tokens) for one in canvases) - 1)
    return Planned(way, canvases, stops, ids, texts)


def _exact(body: CompletionRequest) -> bool:
    """Tell whether a text is scored again, as a whole: for its prompt, or for tokens that were not written."""
    return body.logprobs is not None and (bool(body.echo) or body.logprobs > 0)


def _check_scores(way: How, body: CompletionRequest, longest: int) -> None:
    """Refuse log-probabilities that are not known."""
    served, extra = way.writer, body.unmask
    if body.logprobs is not None and body.stream:
        raise unsupported("logprobs", "they are told of whole texts; leave out stream.")
    if extra.likelihood is not None and (body.stream or body.max_tokens != 0):
        raise Problem(400, "likelihood is that of the prompt; add max_tokens: 0, without stream.", "unmask.likelihood")
    if not _exact(body):
        return
    if not reads_left_to_right(served.run.process):
        what = "of a prompt" if body.echo else "of tokens that were not written"
        raise unsupported(
            "logprobs",
            f"model {served.id} was trained as {served.run.process.name}, and log-probabilities {what} one by one are "
            "those of a run that writes left to right. Ask for logprobs: 0 of what is written, or with max_tokens: 0 "
            'and unmask.likelihood: "default" for the nats of a whole prompt, which say what kind of bound they are.',
        )
    if longest + 1 > served.context:
        raise Problem(
            400,
            f"log-probabilities are those of one context of {served.context} tokens, and the text may have "
            f"{longest + 1} (1 is BOS); ask for {longest + 1 - served.context} tokens less.",
            "logprobs",
        )


@router.post("/v1/completions")
async def completions(request: Request, body: CompletionRequest) -> Response:
    """Write text."""
    check_supported(body)
    service, extra = service_of(request), body.unmask
    if extra.candidates is not None:
        work = service.laid(partial(candidates, service.shelf, body), asks=True)
        return JSONResponse(await unless_gone(request, work))
    asks = extra.infill or extra.index is not None or extra.steering is not None or extra.thought is not None
    plan = await service.laid(partial(planned, service.shelf, service.options, body), asks=asks)
    head = Head.of("cmpl", plan.way.served)
    request.state.told = {"model": plan.way.served.id, "texts": len(plan.canvases), "user": body.user}
    if not plan.canvases:
        return await unless_gone(request, _scored(service, head, plan, body))
    whole, canvas = partial(_whole, service, head, plan, body), partial(_canvas, service, head, plan, body)
    return await answered(request, body, plan, whole, partial(_text, head, plan, body), canvas)


async def _whole(
    service: Service, head: Head, plan: Planned, body: CompletionRequest, writing: Writing
) -> JSONResponse:
    done = await writing.whole()
    scores: list[TokenScores | None] = [None] * len(done)
    if body.logprobs is not None and not _exact(body):
        scores = [answers.chosen_scores(one) for one in done]
    elif body.logprobs is not None:
        run, most = plan.way.writer.run, body.logprobs
        texts, words = [one.whole for one in done], plan.way.writer.vocabulary
        scores = [*await service.laid(lambda: token_scores(run.network, texts, words, most), asks=True)]
    choices = [_choice(plan, body, number, one, scores[number]) for number, one in enumerate(done)]
    await _give_thoughts(service, plan, body, done, choices)
    return JSONResponse(head.answer("text_completion", choices, usage=_usage(plan, done)))


async def _give_thoughts(
    service: Service, plan: Planned, body: CompletionRequest, done: Sequence[Done], choices: Sequence[dict[str, Any]]
) -> None:
    """Put the thoughts of finished texts into their choices, where they are asked for."""
    if body.unmask.return_thought:
        kept = await service.laid(partial(thoughts.thoughts_of, plan.way, plan.canvases, done), asks=True)
        for choice, thought in zip(choices, kept, strict=True):
            choice["unmask"]["thought"] = thought


def _choice(
    plan: Planned, body: CompletionRequest, number: int, done: Done, scores: TokenScores | None = None
) -> dict[str, Any]:
    canvas = plan.canvases[number]
    choice = {
        "index": number,
        "text": (canvas.before if body.echo else "") + done.text,
        "logprobs": None if scores is None else _logprobs(plan, body, number, done, scores),
        "finish_reason": done.reason,
        "unmask": answers.told(plan.way, canvas, done, confidence=body.unmask.confidence),
    }
    return choice


def _logprobs(plan: Planned, body: CompletionRequest, number: int, done: Done, scores: TokenScores) -> dict[str, Any]:
    canvas, tokenizer, most = plan.canvases[number], plan.way.writer.run.tokenizer, body.logprobs or 0
    if not _exact(body):
        return answers.logprobs(tokenizer, done.tokens, scores, 0, False)
    if body.echo:
        prompt = plan.prompts[number // (len(plan.canvases) // len(plan.prompts))]
        bos = prompt[:1] == [tokenizer.bos_id]
        return answers.logprobs(tokenizer, done.whole[0 if bos else 1 :], scores, most, bos)
    first = canvas.start - 1
    mine = TokenScores(scores.logprobs[first:], scores.likeliest[first:])
    return answers.logprobs(tokenizer, done.whole[canvas.start :], mine, most, False)


async def _scored(service: Service, head: Head, plan: Planned, body: CompletionRequest) -> JSONResponse:
    """Answer what prompts are worth; nothing is written."""
    way, run = plan.way, plan.way.writer.run
    bos, words = run.tokenizer.bos_id, way.writer.vocabulary
    scores: list[TokenScores] = []
    whole: list[LikelihoodResult] = []
    if body.logprobs is not None and body.echo:
        texts = [one if one[:1] == [bos] else [bos, *one] for one in plan.prompts]
        most = body.logprobs
        scores = await service.laid(lambda: token_scores(run.network, texts, words, most), asks=True)
    if (kind := body.unmask.likelihood) is not None:
        for text in plan.texts:
            work = partial(likelihood, run, [text], likelihood=kind, end=False, seed=way.settings.seed)
            whole.append(await service.laid(work, asks=True))
    choices = []
    for number, prompt in enumerate(plan.prompts):
        own = None
        if scores:
            own = answers.logprobs(run.tokenizer, prompt, scores[number], body.logprobs or 0, prompt[:1] == [bos])
        choice = {"index": number, "text": plan.texts[number] if body.echo else "", "logprobs": own}
        choice |= {"finish_reason": "length"}
        if whole:
            found = whole[number]
            told = {"nats": found.nats[0], "bits_per_byte": found.bits_per_byte[0], "bound": found.bound}
            choice["unmask"] = {"likelihood": {**told, "draws": found.draws}}
        choices.append(choice)
    return JSONResponse(head.answer("text_completion", choices, usage=answers.usage(plan.given, 0)))


async def _text(head: Head, plan: Planned, body: CompletionRequest, writing: Writing) -> AsyncIterator[bytes]:
    """Yield text as it becomes final; of runs that write all over their canvas, when it is finished."""
    found: list[Done] = []
    more: dict[str, Any] = {"usage": None} if _wants_usage(body) else {}
    if body.echo:
        for number, canvas in enumerate(plan.canvases):
            yield event(head.answer("text_completion", [_part(number, canvas.before)], **more))
    async with aclosing(writing.told()) as texts:
        async for told in texts:
            if told.done is not None:
                found.append(told.done)
                choice = _choice(plan, body, told.number, told.done) | {"text": told.new}
                yield event(head.answer("text_completion", [choice], **more))
            elif told.new:
                yield event(head.answer("text_completion", [_part(told.number, told.new)], **more))
    if more:
        yield event(head.answer("text_completion", [], usage=_usage(plan, found)))


def _part(number: int, text: str) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": None, "finish_reason": None}


async def _canvas(
    service: Service, head: Head, plan: Planned, body: CompletionRequest, writing: Writing
) -> AsyncIterator[bytes]:
    """Yield the lines of a trace (docs/reference/canvas-events.md), then the answer."""
    found: dict[int, Done] = {}
    async with aclosing(trace(plan.way, plan.canvases, writing, found)) as lines:
        async for line in lines:
            yield line
    done = [found[number] for number in range(len(plan.canvases))]
    choices = [_choice(plan, body, number, one) for number, one in enumerate(done)]
    await _give_thoughts(service, plan, body, done, choices)
    yield event(head.answer("text_completion", choices, usage=_usage(plan, done)))


async def trace(way: How, canvases: Sequence[Canvas], writing: Writing, found: dict[int, Done]) -> AsyncIterator[bytes]:
    """Yield the canvas events of texts, and put these into ``found`` as they are finished."""
    run, words = way.writer.run, way.writer.vocabulary
    lines = TraceLines(way.settings.name, [one.request for one in canvases], run.tokenizer, words, way.writer.id)
    yield event(lines.header(), "canvas")
    async with aclosing(writing.told()) as texts:
        async for told in texts:
            moment = told.event
            if told.done is not None:
                found[told.number] = told.done
            if moment is not None and not (told.done and told.done.decided):  # the last step was told already
                yield event(lines.line([told.number], moment.tick.frame, [moment.row]), "canvas")
    yield event(lines.end(), "canvas")


def _usage(plan: Planned, done: Sequence[Done]) -> dict[str, int]:
    return answers.usage(plan.given, sum(len(one.tokens) for one in done))


def _wants_usage(body: CompletionRequest) -> bool:
    return body.stream_options is not None and body.stream_options.include_usage
