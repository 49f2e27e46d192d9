"""The lines of a trace are the same in a file and in a stream, whoever shares the frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unmask.data.tokenizers import make_tokenizer
from unmask.sampling import SAMPLERS, fill_request, frames
from unmask.sampling.trace import Trace, TraceWriter, read_trace
from unmask.sampling.trace_lines import TraceLines

STREAM = Path(__file__).parent.parent / "fixtures" / "canvas-v1.sse"


def events(stream: str) -> tuple[list[str], list[str]]:
    """Return the data of the canvas events and of the other ones."""
    canvas, other = list[str](), list[str]()
    for event in stream.strip().split("\n\n"):
        *name, data = event.split("\n")
        (canvas if name == ["event: canvas"] else other).append(data.removeprefix("data: "))
    return canvas, other


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    path = tmp_path_factory.mktemp("canvas") / "t.jsonl"
    path.write_text("\n".join(events(STREAM.read_text(encoding="utf-8"))[0]) + "\n", encoding="utf-8")
    return read_trace(path)


def test_the_canvas_events_of_a_stream_are_a_trace(golden: Trace) -> None:
    _, (last, done) = events(STREAM.read_text(encoding="utf-8"))
    assert golden.whole and len(golden.frames) == 5 and done == "[DONE]"
    assert golden.texts() == [choice["text"] for choice in json.loads(last)["choices"]]
    opened = golden.frames[2][1]
    assert bool(opened.changed[0, 3]) and not bool(opened.committed[0, 3])  # the second step took a word back


def test_what_was_read_from_a_stream_is_written_as_the_same_lines(golden: Trace) -> None:
    class Words:
        name, fingerprint = "bpe", "0123456789ab"

        def decode_bytes(self, ids: list[int]) -> bytes:
            return b"".join(golden.strings[token] for token in ids)

    settings = SAMPLERS.facts("remasking")(steps=4, seed=7)
    requests = [fill_request([], 7, golden.vocabulary, settings, index=index) for index in range(2)]
    lines = TraceLines("remasking", requests, Words(), golden.vocabulary, "golden")  # type: ignore[arg-type]
    written = [lines.header(), *(lines.line(which, frame) for which, frame in golden.frames), lines.end()]
    was, _ = events(STREAM.read_text(encoding="utf-8"))
    assert written[1:] == was[1:]
    assert json.loads(written[0]).keys() == json.loads(was[0]).keys()


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_text_of_a_shared_frame_has_the_lines_that_it_has_alone(tmp_path: Path, tiny: Any, name: str) -> None:
    tokenizer = make_tokenizer("bytes", [], 0)
    words, settings = tokenizer.vocabulary, SAMPLERS.facts(name)()
    requests = [fill_request(tokenizer.encode("नम"), 5 + 3 * i, words, settings, index=i) for i in range(3)]
    mine = [replace(requests[1])]
    lines = TraceLines(name, mine, tokenizer, words, "a-run")
    shared, network, sampler = [lines.header()], tiny(vocab_size=260), SAMPLERS.get(name)()
    for which, frame in frames(network, sampler, requests, words, batch_size=3):
        if 1 in which:
            shared.append(lines.line([0], frame, [which.index(1)]))
    shared.append(lines.end())
    with TraceWriter(tmp_path / "t.jsonl", name, mine, tokenizer, words, "a-run") as writer:
        for which, frame in frames(network, sampler, mine, words):
            writer.write(which, frame)
    alone = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert shared[0].split('"created"')[0] == alone[0].split('"created"')[0] and len(shared) == len(alone)
    for one, other in zip(map(json.loads, shared[1:]), map(json.loads, alone[1:]), strict=True):
        assert one.keys() == other.keys() and one.get("end") == other.get("end")
        for row, single in zip(one.get("rows", []), other.get("rows", []), strict=True):
            assert [(p, t) for p, t, _ in row["set"]] == [(p, t) for p, t, _ in single["set"]]
            assert {k: v for k, v in row.items() if k not in ("set", "candidates")} == {
                k: v for k, v in single.items() if k not in ("set", "candidates")
            }
