"""Texts of one request on their way: submitted to the engine together, told as they grow, given up with the request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response

from unmask.sampling.checks import Checked
from unmask.sampling.finished import Sample
from unmask.sampling.result_cache import kept
from unmask.sampling.until import cut_at
from unmask.serving.asked import Canvas, How
from unmask.serving.limits import Busy, Closed, TooLarge
from unmask.serving.problems import Problem
from unmask.serving.schema import Common
from unmask.serving.service import client_of, service_of, unless_gone
from unmask.serving.streams import Stream
from unmask.serving.tickets import Failed, Finished, Job, Opened, Stepped, Ticket
from unmask.serving.written import Firm
from unmask.training.own_text import shown

if TYPE_CHECKING:
    from unmask.sampling.loop import Tick
    from unmask.serving.engine import Engine

log = logging.getLogger("unmask.serving")
_STATUS = {"model": 500, "internal": 500, "request": 400, "deadline": 504, "memory": 503, "closed": 503}


@dataclass(frozen=True)
class Plan:
    """What a request comes to.

    Attributes:
        way: How its texts are written.
        canvases: The texts; none where nothing is to be written.
        stops: Strings at which each text stops.
    """

    way: How
    canvases: list[Canvas]
    stops: list[str]


@dataclass(frozen=True)
class Done:
    """A text that is finished, or was cut at a stop string.

    Attributes:
        text: What is answered.
        whole: All its tokens, BOS first.
        tokens: The written ones, the end of the text among them.
        sure: The model's probability of each of these when it was chosen.
        decided: The step that decided each of these; empty where a stop string cut the text.
        ended: Whether the model ended it, or a stop string did.
        steps: Steps taken.
        forwards: Network calls that it took part in.
        checked: What a verifier said of it.
        tick: The last moment; ``None``: it was kept from before.
        row: Its row in there.
    """

    text: str
    whole: tuple[int, ...]
    tokens: tuple[int, ...]
    sure: tuple[float, ...]
    decided: tuple[int, ...]
    ended: bool
    steps: int
    forwards: int
    checked: Checked | None = None
    tick: Tick | None = None
    row: int = 0

    @property
    def reason(self) -> str:
        """Why it is no longer: OpenAI's ``finish_reason``."""
        return "stop" if self.ended else "length"


@dataclass(frozen=True)
class Told:
    """Something happened to a text.

    Attributes:
        number: Which of the request's.
        event: What the engine said; ``None``: the text was kept from before.
        new: Text that can no longer change, and was not told before.
        done: The text, if this is its end.
    """

    number: int
    event: Opened | Stepped | Finished | None
    new: str = ""
    done: Done | None = None


class Writing:
    """Texts that the engine took together.

    Args:
        engine: What writes.
        way: How they are written.
        canvases: The texts.
        stops: Strings at which each stops.
        client: Who asks.
        grows: Whether text is told as it grows.
        watched: Whether every step is told.

    Raises:
        Problem: the engine does not take them.
    """

    def __init__(
        self,
        engine: Engine,
        way: How,
        canvases: Sequence[Canvas],
        stops: Sequence[str] = (),
        *,
        client: str = "",
        grows: bool = False,
        watched: bool = False,
    ) -> None:
        self.way, self.canvases, self.stops, self.grows = way, canvases, stops, grows
        run = way.writer.run
        requests = [one.request for one in canvases]
        self._keys, self._found = kept(
            run.cache if way.usual and not watched else None, run.path, run.network, requests
        )
        self._steps = watched or grows or bool(stops)
        self._left = [i for i in range(len(canvases)) if not self._keys or self._keys[i] not in self._found]
        jobs = [
            Job(run, way.sampler, requests[i], way.writer.vocabulary, client, watched=self._steps, half=way.half)
            for i in self._left
        ]
        self._tickets = submitted(engine, jobs)

    def cancel(self) -> None:
        """Give all texts up that are not finished."""
        for ticket in self._tickets:
            ticket.cancel()

    async def told(self) -> AsyncIterator[Told]:
        """Yield what happens to the texts until all are finished; who stops listening gives them up.

        Raises:
            Problem: one fails.
        """
        news: asyncio.Queue[Told | Problem] = asyncio.Queue(maxsize=2)  # a slow reader slows its texts, and no other
        tasks = [
            asyncio.create_task(self._guarded(number, ticket, news))
            for number, ticket in zip(self._left, self._tickets, strict=True)
        ]
        try:
            for number in sorted(set(range(len(self.canvases))) - set(self._left)):
                done = _finished(self.way, self.canvases[number], self._found[self._keys[number]], self.stops, None, 0)
                yield Told(number, None, done.text, done)
            waiting = len(tasks)
            while waiting:
                told = await news.get()
                if isinstance(told, Problem):
                    raise told
                waiting -= told.done is not None
                yield told
        finally:
            self.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def whole(self) -> list[Done]:
        """Return the finished texts in their order.

        Raises:
            Problem: one fails.
        """
        found: dict[int, Done] = {}
        async with aclosing(self.told()) as texts:
            async for told in texts:
                if told.done is not None:
                    found[told.number] = told.done
        return [found[number] for number in range(len(self.canvases))]

    async def _guarded(self, number: int, ticket: Ticket, news: asyncio.Queue[Told | Problem]) -> None:
        try:
            await self._follow(number, ticket, news)
        except Exception:  # a fault of ours ends the request, and is not lost in a task
            log.exception("a text could not be followed")
            await news.put(Problem(500, "the server failed; its log has the reason."))

    async def _follow(self, number: int, ticket: Ticket, news: asyncio.Queue[Told | Problem]) -> None:
        way, canvas, run = self.way, self.canvases[number], self.way.writer.run
        lead = canvas.start in canvas.request.lead
        end = len(canvas.request.tokens) - (canvas.given - (canvas.start - 1))
        firm = Firm(run.tokenizer, way.writer.vocabulary, canvas.start, end, lead, canvas.before, self.stops)
        looks = self._steps and canvas.spans is None
        async with aclosing(ticket.events()) as events:
            async for event in events:
                if isinstance(event, Failed):
                    retry = 1.0 if event.kind == "memory" else None
                    await news.put(Problem(_STATUS.get(event.kind, 500), event.message, code=event.kind, retry=retry))
                elif isinstance(event, Finished):
                    if self._keys and run.cache is not None:
                        run.cache.put(self._keys[number], event.sample)
                    done = _finished(way, canvas, event.sample, self.stops, event.tick, event.row)
                    await news.put(Told(number, event, firm.rest(done.text) if self.grows else done.text, done))
                elif looks and firm.look(event.tick, event.row):
                    done = _stopped(canvas, firm, event.tick, event.row)
                    await news.put(Told(number, event, firm.news() if self.grows else done.text, done))
                    return
                else:
                    await news.put(Told(number, event, firm.news() if self.grows and looks else ""))


async def answered(
    request: Request,
    body: Common,
    plan: Plan,
    whole: Callable[[Writing], Coroutine[Any, Any, Response]],
    text: Callable[[Writing], AsyncIterator[bytes]],
    canvas: Callable[[Writing], AsyncIterator[bytes]],
) -> Response:
    """Have texts written, and answer as is asked for; a client that leaves gives them up.

    Args:
        request: Who asks.
        body: What was asked.
        plan: What it comes to.
        whole: Answers when all are finished.
        text: Yields events of text as it becomes final.
        canvas: Yields events of every step.

    Raises:
        Problem: the engine does not take them, one fails, or the client has left.
    """
    watched = bool(body.stream) and body.unmask.stream == "canvas"
    grows = bool(body.stream) and not watched and plan.way.settings.visibility != "bidirectional"
    engine, client = service_of(request).engine, client_of(request)
    writing = Writing(engine, plan.way, plan.canvases, plan.stops, client=client, grows=grows, watched=watched)
    if body.stream:
        return Stream((canvas if watched else text)(writing), writing.cancel)
    try:
        return await unless_gone(request, whole(writing))
    finally:
        writing.cancel()


def submitted(engine: Engine, jobs: Sequence[Job]) -> list[Ticket]:
    """Have an engine take jobs.

    Raises:
        Problem: it does not take them now, or at all.
    """
    try:
        return engine.submit(jobs) if jobs else []
    except Busy as error:
        raise Problem(429, str(error), code="busy", retry=error.retry_after) from error
    except TooLarge as error:
        raise Problem(503, str(error), code="memory") from error
    except Closed as error:
        raise Problem(503, str(error), code="closed") from error


def _finished(way: How, canvas: Canvas, sample: Sample, stops: Sequence[str], tick: Tick | None, row: int) -> Done:
    run = way.writer.run
    text = shown(run.tokenizer.decode(sample.tokens), run.tokenizer)
    if canvas.spans is None:
        text = text.removeprefix(canvas.before).removesuffix(canvas.behind)
    cut = cut_at(text, stops)
    mine = [place for place, step in enumerate(sample.decided) if step]
    return Done(
        text=cut,
        whole=sample.tokens,
        tokens=tuple(sample.tokens[place] for place in mine),
        sure=tuple(sample.confidence[place] for place in mine),
        decided=tuple(sample.decided[place] for place in mine),
        ended=sample.ended or cut != text,
        steps=sample.steps,
        forwards=sample.forwards,
        checked=sample.checked,
        tick=tick,
        row=row,
    )


def _stopped(canvas: Canvas, firm: Firm, tick: Tick, row: int) -> Done:
    frame = tick.frame
    mine = slice(canvas.start, canvas.start + firm.seen)
    tokens = tuple(frame.tokens[row].tolist())
    return Done(
        text=firm.stop_text,
        whole=tokens[: mine.stop],
        tokens=tokens[mine],
        sure=tuple(frame.confidence[row, mine].tolist()),
        decided=(),
        ended=True,
        steps=int(frame.step[row]),
        forwards=0 if frame.forwards is None else int(frame.forwards[row]),
        tick=tick,
        row=row,
    )
