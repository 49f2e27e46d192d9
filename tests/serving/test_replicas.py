"""Replicas behind a front: the same answers, and nobody whose replica ends waits in silence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import httpx2
import openai
import psutil
import pytest

from unmask.serving.counts import Counts, added
from unmask.serving.front import TOLD, Front
from unmask.serving.metrics import Metrics
from unmask.serving.replicas import Replica
from unmask.serving.safety import Guard
from unmask.serving.server import Server, address_of, bound

LONG = {"model": "causal", "prompt": "a", "max_tokens": 120, "unmask": {"settings": {"ignore_eos": True}}}


class Lost(Exception):
    """What a stand-in for Ray says of a dead replica."""


@contextmanager
def fronted(options, path, **more):
    """Serve a replica of this process behind a front; whoever asks is told that it died once `dead` is set."""
    told = replace(options, runs=(str(path),), **more)
    replica, counts, metrics, dead = Replica(told, ".", lambda text: counts.tell("a", text)), Counts(), Metrics(), []

    async def ask(request, body):
        answer, coming = replica.answer(request, body), None
        try:
            while True:
                coming = asyncio.ensure_future(anext(answer))
                while not coming.done():
                    if dead:
                        raise Lost("The actor died.\nMore lines.")
                    await asyncio.wait({coming}, timeout=0.01)
                try:
                    message = coming.result()
                except StopAsyncIteration:
                    return
                if message["type"] == TOLD:
                    await asyncio.sleep(0.2)  # another process's news of an answer come after the answer
                yield message
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await answer.aclose()

    async def counted():
        return added(metrics.text().decode(), counts.all())

    with bound(told) as listening:
        up, front = threading.Event(), Front(told, ask, (Lost,), counted)
        server = Server(Guard(front, told, metrics), front, told, up.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert up.wait(30)
            service = replica.app.state.service
            yield SimpleNamespace(address=address_of(listening), dead=dead, server=server, service=service)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def behind(served_runs, serve_options):
    return lambda **more: fronted(serve_options, served_runs["causal"], **more)


def client_at(address):
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none-of-them", max_retries=0)


def events(text):
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_a_replica_answers_as_a_server_does(live, behind):
    asked = {"model": "causal", "prompt": "the cat", "max_tokens": 12, "seed": 3}
    with behind() as found:
        for client in (live.client(), client_at(found.address)):
            whole = client.completions.create(**asked).choices[0].text
            parts = [chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True)]
            assert "".join(parts) == whole
            if client.base_url != live.client().base_url:
                assert whole == live.client().completions.create(**asked).choices[0].text
        with pytest.raises(openai.UnprocessableEntityError, match="unknown field 'nonesuch'"):
            client.completions.create(**asked, extra_body={"nonesuch": 1})
        assert httpx2.get(f"{found.address}/ready").json() == {"status": "ready"}
        given = httpx2.get(f"{found.address}/v1/models", headers={"x-request-id": "mine"})
        assert given.headers["x-request-id"] == "mine" and given.json()["data"][0]["id"] == "causal"


def test_an_answer_is_counted_under_its_route_though_the_client_has_gone_with_it(behind):
    with behind() as front:
        for stream in (False, True):
            httpx2.post(f"{front.address}/v1/completions", json={**LONG, "max_tokens": 2, "stream": stream}, timeout=60)
        line, until = 'unmask_requests_total{path="/v1/completions",status="200"} 2.0', time.monotonic() + 30
        while line not in (text := httpx2.get(f"{front.address}/metrics", timeout=30).text):
            assert time.monotonic() < until, text
            time.sleep(0.05)


def test_a_stream_that_is_lost_on_its_way_is_counted_under_its_route(behind):
    with (
        behind() as front,
        httpx2.stream("POST", f"{front.address}/v1/completions", json={**LONG, "stream": True}, timeout=60) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        front.dead.append(True)
        assert "replica_lost" in "".join(lines)
        text = httpx2.get(f"{front.address}/metrics", timeout=30).text
        assert 'unmask_requests_total{path="/v1/completions",status="200"} 1.0' in text


def test_keys_and_limits_are_kept_before_a_replica_is_asked(behind):
    with behind(keys=("secret-key",), body=2048) as found:
        url = f"{found.address}/v1/completions"
        assert httpx2.post(url, json=LONG).status_code == 401
        headers = {"authorization": "Bearer secret-key"}
        assert httpx2.post(url, json={**LONG, "prompt": "a" * 4096}, headers=headers).status_code == 413
        assert httpx2.post(url, json={**LONG, "max_tokens": 2}, headers=headers).status_code == 200


def test_a_request_whose_replica_ends_is_told_so(behind):
    with behind() as found:
        url = f"{found.address}/v1/completions"
        with httpx2.stream("POST", url, json={**LONG, "n": 8, "stream": True}, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            found.dead.append(True)
            last = [line for line in lines if line]
        assert last[-1] == "data: [DONE]"
        assert json.loads(last[-2][6:])["error"]["code"] == "replica_lost"
        answer = httpx2.post(url, json=LONG, timeout=60)
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["code"] == "replica_lost" and answer.json()["error"]["type"] == "server_error"
        assert httpx2.get(f"{found.address}/ready").status_code == 503
        assert httpx2.get(f"{found.address}/health").status_code == 200


def test_a_client_that_leaves_gives_its_texts_up_in_the_replica(behind):
    with behind() as found:
        url = f"{found.address}/v1/completions"
        with httpx2.stream("POST", url, json={**LONG, "n": 8, "stream": True}, timeout=60) as answer:
            next(answer.iter_lines())
        until = time.monotonic() + 30
        while b'kind="cancelled"' not in (text := found.service.metrics.text()):
            assert time.monotonic() < until, text
            time.sleep(0.02)


def test_a_front_that_stops_finishes_what_it_has_or_tells(behind):
    for drain in (30.0, 0.1):
        with behind(drain=drain) as found:
            url = f"{found.address}/v1/completions"
            body = {**LONG, "n": 1 if drain > 1 else 16, "stream": True}
            with httpx2.stream("POST", url, json=body, timeout=60) as answer:
                lines = answer.iter_lines()
                first = next(lines)
                found.server.should_exit = True
                told = events("\n".join([first, *lines]))
            finished = sum(1 for one in told for choice in one.get("choices", ()) if choice["finish_reason"])
            assert finished == body["n"] or (drain < 1 and told[-1]["error"]["code"] == "closed")


def test_counts_of_replicas_are_added_up_and_requests_counted_once():
    one, two, front = Metrics(), Metrics(), Metrics()
    job = SimpleNamespace(run=SimpleNamespace(name="m"))
    for each, words in ((one, 3), (two, 4)):
        each.stepped(job, 2, words, 0.01)
        each.waits(1, 2)
        each.answered("/v1/completions", 200, 0.1)
    front.answered("/v1/completions", 200, 0.1)
    text = added(front.text().decode(), [(True, one.text().decode()), (False, two.text().decode())]).decode()
    lines = text.splitlines()
    for line in (
        'unmask_tokens_total{model="m"} 7.0',
        'unmask_batch_texts_bucket{le="2.0",model="m"} 2.0',
        'unmask_step_seconds_count{model="m"} 2.0',
        "unmask_texts_waiting 1.0",
        'unmask_requests_total{path="/v1/completions",status="200"} 1.0',
        'unmask_request_seconds_count{path="/v1/completions"} 1.0',
    ):
        assert line in lines, text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--replicas", "2"], "--replicas and --address are of Ray; add --on ray"),
        (["--address", "auto"], "--replicas and --address are of Ray; add --on ray"),
        (["--on", "moon"], "--on is 'moon'; choose local or ray"),
        (["--on", "ray", "--workers", "2"], "with --on ray say --replicas"),
        (["--on", "ray", "--replicas", "0"], "--replicas is 0; it must be at least 1"),
    ],
)
def test_a_mistake_about_replicas_is_one_line(args, said, served_runs, cli):
    done = cli("serve", served_runs["causal"], *args)
    assert done.status == 2 and said in done.err.splitlines()[-1]


def test_without_ray_one_line_says_how_to_get_it(served_runs, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = cli("serve", served_runs["causal"], "--on", "ray", "--port", "0")
    assert done.status == 2 and "pip install 'unmask[ray]'" in done.err.splitlines()[-1]


def replicas_of(process):
    """Return the processes of Ray Serve's replicas under a process."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        try:
            if one.cmdline() and one.cmdline()[0].startswith("ray::ServeReplica"):
                found.append(one)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_a_replica_killed_under_load_is_replaced_and_no_request_ends_in_silence(served_runs):
    pytest.importorskip("ray.serve", reason="the extra is not installed: pip install 'unmask[ray]'")
    command = [sys.executable, "-m", "unmask", "serve", served_runs["causal"], "--on", "ray", "--replicas", "2"]
    process = subprocess.Popen([*map(str, command), "--port", "0"], stderr=subprocess.PIPE, text=True)
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if " at http://" in line:
                break
        address = "".join(said).partition(" at ")[2].split()[0]
        threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
        before = {one.pid for one in replicas_of(process)}
        assert len(before) == 2
        url, answers, stop = f"{address}/v1/completions", [], threading.Event()

        def load(number):
            stream = number % 2 == 0
            while not stop.is_set():
                began = time.monotonic()
                try:
                    answer = httpx2.post(url, json={**LONG, "seed": number, "stream": stream}, timeout=120)
                    ended = kind(answer, stream)
                except httpx2.HTTPError as error:
                    ended = f"broken: {error!r}"
                answers.append((number, ended, time.monotonic() - began))
                if ended != "whole":
                    time.sleep(0.2)

        def kind(answer, stream):
            if answer.status_code != 200:
                return f"{answer.status_code} {answer.json()['error']['code']}"
            if not stream:
                return "whole" if answer.json()["choices"][0]["finish_reason"] else "silent"
            told = events(answer.text)
            if "[DONE]" not in answer.text:
                return "silent"
            return "whole" if "error" not in told[-1] else f"stream {told[-1]['error']['code']}"

        clients = [threading.Thread(target=load, args=(number,)) for number in range(6)]
        for one in clients:
            one.start()
        await_count(answers, 12)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until = time.monotonic() + 180
        while len(now := {one.pid for one in replicas_of(process)} - {victim}) < 2:
            assert time.monotonic() < until, said
            time.sleep(0.2)
        await_count(answers, len(answers) + 24)
        stop.set()
        for one in clients:
            one.join(120)
            assert not one.is_alive(), "a request is without an answer"
        kinds = {ended for _, ended, _ in answers}
        counted = {ended: sum(1 for one in answers if one[1] == ended) for ended in kinds}
        print(f"{len(answers)} requests: {counted}; longest {max(one[2] for one in answers):.1f} s")
        assert kinds <= {"whole", "503 replica_lost", "stream replica_lost"} and len(kinds) > 1, counted
        assert len(now - before) == 1, "the dead one is replaced"
        assert httpx2.get(f"{address}/ready", timeout=30).status_code == 200
        text = httpx2.get(f"{address}/metrics", timeout=30).text
        assert 'unmask_texts_total{kind="finished",model="causal"}' in text
        taken = sum(1 for one in answers if not one[1].startswith("503"))
        assert f'unmask_requests_total{{path="/v1/completions",status="200"}} {taken}.0' in text, text
        with httpx2.stream("POST", url, json={**LONG, "stream": True}, timeout=60) as answer:
            lines = answer.iter_lines()
            first = next(lines)
            process.terminate()
            told = events("\n".join([first, *lines]))
        assert told[-1]["choices"][0]["finish_reason"], "what is being written is finished"
    finally:
        process.terminate()
        try:
            assert process.wait(120) == 143, said
        finally:
            process.kill()


def await_count(answers, count):
    until = time.monotonic() + 180
    while len(answers) < count:
        assert time.monotonic() < until, answers
        time.sleep(0.05)
