"""Starting, stopping, counting, loading again, sharing a port."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import openai
import pytest
from safetensors.torch import load_file, save_file

from unmask.serving.served import shelf

IGNORE = {"unmask": {"settings": {"ignore_eos": True}}}


def start(*args: object, **environment: str) -> tuple[subprocess.Popen[str], str, list[str]]:
    """Start the command; return it, its address and what it has said."""
    command = [sys.executable, "-m", "unmask", "serve", *map(str, args), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"at (http://\S+)", line):
            threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()
            return process, found[1], said
    raise AssertionError("".join(said))


def test_a_terminated_server_finishes_what_it_has_and_ends(served_runs):
    process, address, said = start(served_runs["causal"], "--drain", "120")
    try:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        asked = {"model": "causal", "prompt": "a", "max_tokens": 200, "seed": 1, "extra_body": IGNORE}
        stream = client.completions.create(**asked, stream=True)
        first = next(iter(stream))
        process.send_signal(signal.SIGTERM)
        text = "".join(choice.text for chunk in [first, *stream] for choice in chunk.choices)
        assert process.wait(150) == 143
    finally:
        process.kill()
    assert text and "interrupted" in "".join(said)
    requests = [json.loads(line) for line in said if '"event": "request"' in line]
    assert requests and requests[-1]["status"] == 200 and "prompt" not in requests[-1]


def test_what_cannot_be_finished_in_time_is_told_so(serving):
    with serving(drain=0.2) as live:
        asked = {"model": "causal", "prompt": "a", "max_tokens": 128, "n": 16, "extra_body": IGNORE}
        stream = live.client().completions.create(**asked, stream=True)
        iterator = iter(stream)
        next(iterator)
        live.server.should_exit = True
        try:
            chunks = list(iterator)
            assert {one.index for chunk in chunks for one in chunk.choices if one.finish_reason} == set(range(16))
        except openai.APIError as error:
            assert "stop" in str(error)
        assert live.service.draining


@pytest.mark.slow
def test_workers_share_a_port_and_their_counts(served_runs):
    process, address, _ = start(served_runs["causal"], "--workers", "2", "--quiet")
    try:
        body = {"model": "causal", "prompt": "a", "max_tokens": 1}
        for _ in range(6):
            assert httpx2.post(f"{address}/v1/completions", json=body, timeout=30).status_code == 200
        text = httpx2.get(f"{address}/metrics").text
        assert 'unmask_requests_total{path="/v1/completions",status="200"} 6.0' in text
    finally:
        process.terminate()
        assert process.wait(60) == 143


def test_counts_are_told_to_prometheus(live):
    live.client().completions.create(model="causal", prompt="a", max_tokens=3)
    with pytest.raises(openai.NotFoundError):
        live.client().completions.create(model="none", prompt="a")
    httpx2.get(f"{live.address}/no/such/path")
    text = httpx2.get(f"{live.address}/metrics").text
    for line in (
        r'unmask_requests_total\{path="/v1/completions",status="404"\} \d',
        r'unmask_requests_total\{path="other",status="404"\} \d',
        r'unmask_tokens_total\{model="causal"\} \d',
        r'unmask_texts_total\{kind="finished",model="causal"\} \d',
        r'unmask_first_frame_seconds_count\{model="causal"\} \d',
        r'unmask_steps_total\{model="causal"\} \d',
        "unmask_texts_waiting 0.0",
    ):
        assert re.search(line, text), line


def test_a_run_is_loaded_again_when_its_folder_changes(served_runs, tmp_path: Path):
    folder = tmp_path / "moving"
    shutil.copytree(served_runs["causal"], folder)
    there = shelf([str(folder)])
    before = there.find("moving")
    assert there.changed() == []
    other = tmp_path / "config.json"
    other.write_text("{")
    shutil.copy(other, folder / "config.json")
    assert there.changed() == ["moving"] and not there.renew("moving"), "a folder that is damaged is not taken"
    assert there.find("moving") is before
    shutil.copy(served_runs["causal"] / "config.json", folder / "config.json")
    assert there.renew("moving") and there.find("moving").run is not before.run and there.changed() == []


def louder(folder: Path, times: float, partial: Path) -> None:
    """Put other weights into a run folder, at once."""
    weights = {name: value * times for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, partial, metadata={"format": "pt"})
    os.replace(partial, folder / "model.safetensors")


def test_a_run_that_changes_under_load_is_taken_over_and_no_request_is_lost(
    served_runs, running_with, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("unmask.serving.app.LOOKS", 0.05)
    folder = tmp_path / "moving"
    shutil.copytree(served_runs["causal"], folder)
    with running_with(shelf([str(folder)]), reload=True) as live:
        client, found, stop = live.client(), [], threading.Event()

        def text():
            asked = {"model": "moving", "prompt": "the cat", "max_tokens": 24, "seed": 1, "extra_body": IGNORE}
            return client.completions.create(**asked).choices[0].text

        def load():
            while not stop.is_set():
                try:
                    found.append(text())
                except openai.APIError as error:
                    found.append(repr(error))

        def until(done, why):
            last = time.monotonic() + 60
            while not done():
                assert time.monotonic() < last, why
                time.sleep(0.01)

        before, old = live.shelf.find("moving"), text()
        clients = [threading.Thread(target=load) for _ in range(4)]
        for one in clients:
            one.start()
        try:
            whole = (folder / "config.json").read_bytes()
            (folder / "config.json").write_bytes(whole[:9])  # half a file changes nothing
            until(lambda: len(found) > 20, "no answers")
            assert live.shelf.find("moving") is before
            (folder / "config.json").write_bytes(whole)
            louder(folder, 30.0, tmp_path / "partial")
            until(lambda: live.shelf.find("moving") is not before and text() != old, "it is not loaded again")
            count = len(found)
            until(lambda: len(found) > count + 8, "no answers")
        finally:
            stop.set()
            for one in clients:
                one.join(60)
        assert set(found) == {old, text()}, "each text is whole, of the old weights or of the new ones"


def test_a_request_that_was_answered_before_is_answered_from_memory(served_runs, running_with, monkeypatch):

    with running_with(shelf([str(served_runs["masked"])], cache=1 << 20)) as live:
        asked = {"model": "masked", "prompt": "a", "max_tokens": 8, "seed": 1}
        one = live.client().completions.create(**asked)
        monkeypatch.setattr(live.service.engine, "submit", lambda jobs: pytest.fail("asked again"))
        assert live.client().completions.create(**asked).choices == one.choices
        (chunk,) = live.client().completions.create(**asked, stream=True)
        assert chunk.choices[0].text == one.choices[0].text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--port", "99999"], "ports are 0 to 65535"),
        (["--rows", "0"], "--rows is 0; it must be at least 1"),
        (["--index", "x"], "must be NAME=FOLDER"),
        (["--patience", "0"], "must be above 0 seconds"),
        (["--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(args, said, served_runs, cli):
    done = cli("serve", served_runs["causal"], *args)
    assert done.status == 2 and said in done.err.splitlines()[-1]


def test_without_a_run_the_model_in_the_box_answers_or_ones_own_are_named(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process, address, _ = start()
    try:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        assert [one.id for one in client.models.list()] == ["box"]
        assert client.completions.create(model="box", prompt="Once", max_tokens=8, seed=1).choices[0].text
    finally:
        process.kill()
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "run.json").write_text("{}")
    told = cli("serve").err
    assert "name a run: unmask serve runs/mine" in told and "unmask serve box" in told


def test_a_port_that_is_taken_and_two_runs_of_one_name_are_one_line(live, served_runs, tmp_path, cli):
    port = live.address.rsplit(":", 1)[1]
    taken = cli("serve", served_runs["causal"], "--port", port)
    assert taken.status == 2 and f"cannot listen at 127.0.0.1:{port}" in taken.err
    twin = tmp_path / "causal"
    shutil.copytree(served_runs["causal"], twin)
    twins = cli("serve", served_runs["causal"], twin, "--port", "0")
    assert twins.status == 2 and "two runs are called 'causal'" in twins.err


def test_help_needs_neither_torch_nor_the_extra_and_without_it_one_line_names_it(python):
    source = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fastapi", "torch", "uvicorn", "starlette", "prometheus_client"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in ("fastapi", "uvicorn") else find(name, *a)
from unmask.cli.app import run
assert run(["serve", "--help"]) == 0
sys.exit(run(["serve", "x"]))
"""
    done = python(source)
    assert done.status == 2 and "pip install 'unmask[serve]'" in done.err, done.err
