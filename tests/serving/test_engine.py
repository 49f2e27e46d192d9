"""The engine writes each text as it is alone, whoever comes, goes, fails or waits beside it."""

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from guards.parts import VOCABULARY, make_process, make_requests, network
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.sampling import SAMPLERS, fill_request, generate
from unmask.sampling.confidence import Confidence
from unmask.serving.engine import Engine
from unmask.serving.limits import Busy, Closed, Limits, TooLarge
from unmask.serving.memory import row_bytes
from unmask.serving.tickets import Failed, Finished, Job, Opened, Stepped


class Asked:
    """A network that does something when it is asked, on the engine's thread, before it answers."""

    def __init__(self, model, act=lambda state: None):
        self.model, self.act, self.rows = model, act, []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, state, at=None, **given):
        self.act(state)
        self.rows.append(len(state.tokens))
        return self.model(state, at=at, **given)


class Run:
    """A loaded run."""

    def __init__(self, process="causal", act=lambda state: None, **sizes):
        self.process, self.asked = make_process(process), Asked(network("transformer", **sizes), act)

    def model(self, half=False):
        return self.asked


class Observed:
    def __init__(self):
        self.rows, self.ends, self.opened = [], [], []

    def waits(self, waiting, writing):
        self.last = (waiting, writing)

    def stepped(self, job, rows, words, seconds):
        self.rows.append((job.sampler.Settings.name, rows, words))

    def ended(self, job, kind, seconds, first):
        self.ends.append((job.client, kind))


@pytest.fixture
def engine():
    """Return a maker of engines that are stopped behind the test."""
    made = []

    def make(observe=None, start=True, **limits):
        made.append(Engine(Limits(**limits), observe))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close(0)


def job(run, name="autoregressive", number=0, words=9, given=(5, 6), **more):
    settings = SAMPLERS.facts(name)(seed=number, **more.pop("settings", {}))
    request = fill_request(given, words, VOCABULARY, settings, index=number)
    return Job(run, SAMPLERS.get(name)(), request, VOCABULARY, **more)


async def events(ticket):
    return [event async for event in ticket.events()]


def read(tickets):
    """Return the events of each ticket, read at once."""

    async def each():
        return await asyncio.gather(*map(events, tickets))

    return asyncio.run(each())


def alone(one):
    return generate(one.run.asked.model, one.sampler, [one.request], VOCABULARY)[0].tokens


def test_texts_of_several_runs_and_samplers_are_those_that_they_are_alone(engine):
    runs = {name: Run(name, **sizes) for name, sizes in (("causal", {}), ("masked", {}), ("block", {"block_size": 4}))}
    jobs = [
        Job(runs[process], SAMPLERS.get(name)(), request, VOCABULARY, client=str(number % 2))
        for process, name in (("causal", "autoregressive"), ("masked", "confidence"), ("block", "block"))
        for number, request in enumerate(make_requests(SAMPLERS.get(name)(), 4))
    ]
    served = engine(rows=3)
    first = served.submit(jobs[::2])
    told = read(first + served.submit(jobs[1::2]))
    for one, (opened, finished) in zip(jobs[::2] + jobs[1::2], told, strict=True):
        assert isinstance(opened, Opened) and isinstance(finished, Finished)
        assert finished.sample.tokens == alone(one)


def test_every_step_of_a_watched_text_is_told_in_order(engine):
    run = Run(max_position_embeddings=16)
    jobs = [job(run, number=n, words=30, settings={"ignore_eos": True}, watched=n == 0) for n in range(3)]
    watched, *others = read(engine().submit(jobs))
    assert [type(event) for event in watched] == [Opened, *[Stepped] * 30, Finished]
    assert [int(event.tick.frame.step[event.row]) for event in watched[:-1]] == list(range(31))
    assert all(event.tick.window.cache is None for event in watched)
    shown = watched[-2].tick.frame
    assert tuple(shown.tokens[watched[-2].row][shown.valid[watched[-2].row]].tolist()) == watched[-1].sample.tokens
    assert [[type(event) for event in told] for told in others] == [[Opened, Finished]] * 2


def test_a_text_that_is_cancelled_leaves_before_the_next_step_inside_its_block(engine):
    tickets = []

    def act(state):
        if len(run.asked.rows) == 2 and tickets:
            tickets[0].cancel()

    run = Run("block", act, block_size=8)
    jobs = [job(run, "block", n, 16, settings={"rule": "confidence", "steps": 8, "ignore_eos": True}) for n in range(3)]
    served = engine(start=False)
    tickets += served.submit(jobs)
    served.start()
    told = read(tickets)
    assert told[0][-1].kind == "cancelled"
    assert run.asked.rows[:4] == [3, 3, 3, 2]
    assert [events[-1].sample.tokens for events in told[1:]] == [alone(one) for one in jobs[1:]]


def test_who_stops_reading_cancels(engine):
    run, seen, gate = Run(), Observed(), threading.Event()
    run.asked.act = lambda state: gate.wait(10)
    served = engine(seen)
    tickets = served.submit([job(run, number=n, words=40, client=str(n)) for n in range(2)])

    async def leave():
        reader = tickets[0].events()
        assert isinstance(await anext(reader), Opened)
        await reader.aclose()
        gate.set()
        return await events(tickets[1])

    assert isinstance(asyncio.run(leave())[-1], Finished)
    served.close(60)  # the observer is told after the reader
    assert ("0", "cancelled") in seen.ends and ("1", "finished") in seen.ends


def test_a_deadline_ends_a_text_that_is_written_and_one_that_waits(engine):
    run = Run()

    def act(state):
        if len(run.asked.rows) == 3:
            tickets[0].until = 0.0

    run.asked.act = act
    served = engine(start=False, rows=2)
    jobs = [
        job(run, number=n, words=9, settings={"ignore_eos": True}, deadline=1e-9 if n == 2 else None) for n in range(4)
    ]
    tickets = served.submit(jobs)
    served.start()
    told = read(tickets)
    assert [events[-1].kind for events in (told[0], told[2])] == ["deadline"] * 2
    assert [type(event) for event in told[2]] == [Failed]
    assert [told[n][-1].sample.tokens for n in (1, 3)] == [alone(jobs[n]) for n in (1, 3)]


def test_an_answer_that_is_not_finite_fails_its_text_and_no_other(engine):
    run = Run("masked")

    class Poisoned(Asked):
        def __call__(self, state, at=None, **given):
            answer = super().__call__(state, at, **given)
            bad = (state.tokens[:, 1] == 21)[at.nonzero()[:, 0]]
            return replace(answer, logits=torch.where(bad[:, None], torch.nan, answer.logits))

    run.asked = Poisoned(run.asked.model)
    jobs = [job(run, "confidence", n, given=(21 if n == 1 else 5, 6)) for n in range(4)]
    told = read(engine().submit(jobs))
    assert told[1][-1].kind == "model" and "not finite" in told[1][-1].message
    for n in (0, 2, 3):
        assert told[n][-1].sample.tokens == alone(jobs[n])


@pytest.mark.parametrize(
    "fault, kind", [(MemoryError(), "memory"), (KeyError("x"), "internal"), (Error("no such words"), "request")]
)
def test_whatever_a_step_raises_fails_its_text_and_the_engine_lives_on(engine, fault, kind):
    def act(state):
        if bool((state.tokens == 21).any()):
            raise fault

    run, served = Run("masked", act), engine()
    jobs = [job(run, "confidence", n, given=(21 if n == 1 else 5, 6), settings={"steps": 1}) for n in range(3)]
    told = read(served.submit(jobs))
    assert (told[1][-1].kind, told[0][-1].sample.tokens) == (kind, alone(jobs[0]))
    later = read(served.submit(jobs[2:]))
    assert later[0][-1].sample.tokens == told[2][-1].sample.tokens == alone(jobs[2])


def test_texts_that_fail_together_only_are_all_failed(engine):
    def act(state):
        if len(state.tokens) > 1:
            raise MemoryError

    run, served = Run("causal", act), engine(start=False)
    tickets = served.submit([job(run, number=n) for n in range(2)])
    served.start()
    assert [events[-1].kind for events in read(tickets)] == ["memory"] * 2
    assert isinstance(read(served.submit([job(run)]))[0][-1], Finished)


def test_what_cannot_be_written_is_refused_at_once(engine):
    causal, served = Run("causal"), engine()
    with pytest.raises(Error, match="was trained as causal"):
        served.submit([job(causal, "confidence")])
    suffix = fill_request((5,), 4, VOCABULARY, suffix=(7,))
    with pytest.raises(Error, match="cannot take a suffix"):
        served.submit([replace(job(causal), request=suffix)])
    options = ThoughtOptions(shape=(2, 3, 4), passage=8)
    thinking = Run("masked", thought=options.model_dump(mode="json"))
    with pytest.raises(Error, match="does not fit into a passage of 8"):
        served.submit([job(thinking, "confidence", words=20)])
    assert isinstance(read(served.submit([job(thinking, "confidence", words=4)]))[0][-1], Finished)


def test_a_full_queue_says_when_to_come_back_and_takes_none_of_what_has_no_room(engine):
    run, served = Run(), engine(start=False, queue=3)
    served.submit([job(run, number=n) for n in range(2)])
    with pytest.raises(Busy) as refused:
        served.submit([job(run, number=n) for n in range(2)])
    assert 1 <= refused.value.retry_after <= 60
    with pytest.raises(TooLarge, match="4 texts are asked for at once"):
        served.submit([job(run, number=n) for n in range(4)])
    served.submit([job(run)])
    with pytest.raises(Busy):
        served.submit([job(run)])


def test_memory_bounds_what_is_written_at_once(engine):
    run, seen = Run(), Observed()
    one = job(run, words=40, settings={"ignore_eos": True})
    size = row_bytes(run.asked, one.sampler, one.request, 43)
    served = engine(seen, start=False, memory=2 * size)
    tickets = served.submit([replace(one, request=replace(one.request, index=n)) for n in range(3)])
    served.start()
    assert all(isinstance(events[-1], Finished) for events in read(tickets))
    assert max(rows for _, rows, _ in seen.rows) == 2
    with pytest.raises(TooLarge, match="ask for a shorter one"):
        engine(start=False, memory=size // 2).submit([one])


def test_a_large_text_is_not_starved_of_memory_by_small_ones(engine):
    run, seen = Run(), Observed()
    large = job(run, words=40, settings={"ignore_eos": True}, client="large")
    size = row_bytes(run.asked, large.sampler, large.request, 43)
    served = engine(seen, start=False, memory=size)
    small = [job(run, number=n, words=4, client="small", settings={"ignore_eos": True}) for n in range(6)]
    tickets = served.submit([*small[:2], large, *small[2:]])
    served.start()
    read(tickets)
    assert seen.ends.index(("large", "finished")) <= 2


def test_clients_take_turns(engine):
    run, seen = Run(), Observed()
    served = engine(seen, start=False, rows=1)
    many = [job(run, number=n, words=3, client="many") for n in range(5)]
    tickets = served.submit(many) + served.submit([job(run, words=3, client="one"), job(run, words=3, client="two")])
    served.start()
    read(tickets)
    assert [client for client, _ in seen.ends[:4]] == ["many", "one", "two", "many"]


def test_batches_take_turns_by_what_their_steps_cost(engine, monkeypatch):
    clock = SimpleNamespace(now=0.0)

    def dear(state):
        clock.now += 3.0

    def cheap(state):
        clock.now += 1.0

    monkeypatch.setattr(
        "unmask.serving.group.time", SimpleNamespace(perf_counter=lambda: clock.now, monotonic=lambda: 1.0)
    )
    seen, runs = Observed(), [Run("masked", dear), Run("causal", cheap)]
    served = engine(seen, start=False)
    given = {"ignore_eos": True}
    tickets = served.submit(
        [job(runs[0], "confidence", words=8, settings=given | {"steps": 8}), job(runs[1], words=24, settings=given)]
    )
    served.start()
    read(tickets)
    order = [name for name, _, _ in seen.rows]
    assert order[:8].count("autoregressive") == 6 and order[:16].count("autoregressive") == 12


def test_a_text_whose_reader_is_behind_rests_and_keeps_nobody_waiting(engine):
    run = Run()
    slow = job(run, number=1, words=20, settings={"ignore_eos": True}, watched=True)
    served = engine(start=False, unread=4)
    behind, *others = served.submit([slow, *(job(run, number=n, words=30) for n in (2, 3))])
    served.start()
    assert all(isinstance(events[-1], Finished) for events in read(others))
    assert behind.unread == 4 and not behind.over
    (told,) = read([behind])
    assert [type(event) for event in told] == [Opened, *[Stepped] * 20, Finished]
    assert told[-1].sample.tokens == alone(slow)


def test_closing_finishes_what_was_taken_and_takes_no_more(engine):
    run, served = Run(), engine()
    tickets = served.submit([job(run, number=n, words=20) for n in range(5)])
    served.close(60)
    assert not served.alive and all(isinstance(events[-1], Finished) for events in read(tickets))
    with pytest.raises(Closed):
        served.submit([job(run)])


def test_closing_tells_those_it_does_not_wait_for(engine):
    run, served = Run(), engine(start=False)
    tickets = served.submit([job(run, number=n) for n in range(2)])
    served.close(0)
    assert [[event.kind for event in events] for events in read(tickets)] == [["closed"]] * 2


def test_an_observer_that_fails_stops_nobody(engine):
    run = Run()
    served = engine(SimpleNamespace())
    assert isinstance(read(served.submit([job(run)]))[0][-1], Finished)


def test_words_and_ends_are_told_to_the_observer(engine):
    run, seen = Run(), Observed()
    served = engine(seen)
    read(served.submit([job(run, number=n, words=9, settings={"ignore_eos": True}) for n in range(2)]))
    served.close(60)  # the observer is told after the reader
    assert sum(words for _, _, words in seen.rows) == 18
    assert [kind for _, kind in seen.ends] == ["finished"] * 2


def test_limits_that_let_nothing_in_are_refused():
    for wrong in ({"rows": 0}, {"queue": 0}, {"memory": 0}, {"deadline": 0.0}, {"unread": 0}):
        with pytest.raises(Error, match=next(iter(wrong))):
            Limits(**wrong)


def test_samplers_alike_share_a_batch():
    run = Run("masked")
    from unmask.serving.group import Group

    group = Group(job(run, "confidence"))
    assert group.holds(job(run, "confidence", 3)) and not group.holds(job(run, "ancestral"))
    assert not group.holds(replace(job(run, "confidence"), half=True)) and Confidence() == Confidence()
