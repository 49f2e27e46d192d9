import gzip
import json
from pathlib import Path

import pytest
import torch

from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Vocabulary, fill_request, frames
from unmask.sampling.trace import TraceWriter, read_trace

FIXTURE = Path(__file__).parent.parent / "fixtures" / "trace-v1.jsonl"


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer("bytes", [], 0)


def record(path, tiny, tokenizer, name="confidence", n=3, **settings):
    vocabulary = tokenizer.vocabulary
    prompt = tokenizer.encode("नम")
    requests = [fill_request(prompt, 12, vocabulary, SAMPLERS.facts(name)(**settings), index=i) for i in range(n)]
    seen = []
    with TraceWriter(path, name, requests, tokenizer, vocabulary, "a-run") as writer:
        for which, frame in frames(tiny(vocab_size=260), SAMPLERS.get(name)(), requests, vocabulary, batch_size=2):
            writer.write(which, frame)
            seen.append((which, frame))
    return seen


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.jsonl.gz"])
@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_trace_gives_back_every_frame(tmp_path, tiny, tokenizer, name, sampler):
    seen = record(tmp_path / name, tiny, tokenizer, sampler)
    trace = read_trace(tmp_path / name)
    assert trace.whole and len(trace.frames) == len(seen)
    for (which, frame), (was_which, was) in zip(trace.frames, seen, strict=True):
        assert which == was_which
        for field in ("step", "tokens", "committed", "changed", "valid"):
            assert torch.equal(getattr(frame, field), getattr(was, field)), field
        assert torch.allclose(frame.confidence, was.confidence, atol=1e-5)
        assert (frame.block is None) == (was.block is None) and torch.equal(frame.waiting, was.waiting)
    last = {n: f.tokens[i] for which, f in seen for i, n in enumerate(which)}
    assert trace.texts() == [tokenizer.decode(last[n].tolist()) for n in sorted(last)]
    assert all(text.startswith("नम") for text in trace.texts())
    assert trace.header["sampler"] == sampler and trace.header["tokenizer"]["fingerprint"] == tokenizer.fingerprint


def test_a_trace_cut_short_gives_its_whole_frames_and_says_so(tmp_path, tiny, tokenizer):
    path = tmp_path / "trace.jsonl"
    record(path, tiny, tokenizer)
    whole = read_trace(path)
    lines = path.read_text().splitlines(keepends=True)
    for cut in ("".join(lines[:-1]), "".join(lines[:5]) + lines[5][: len(lines[5]) // 2]):
        path.write_text(cut)
        trace = read_trace(path)
        assert not trace.whole and 0 < len(trace.frames) <= len(whole.frames)
        assert all(
            a[0] == b[0] and torch.equal(a[1].tokens, b[1].tokens)
            for a, b in zip(trace.frames, whole.frames, strict=False)
        )
    record(tmp_path / "t.gz", tiny, tokenizer)
    data = (tmp_path / "t.gz").read_bytes()
    (tmp_path / "t.gz").write_bytes(data[: len(data) * 2 // 3])
    trace = read_trace(tmp_path / "t.gz")
    assert not trace.whole and len(trace.frames) > 2


def test_an_interrupted_recording_is_kept_as_cut_short(tmp_path, tiny, tokenizer):
    vocabulary = Vocabulary()
    request = fill_request([5], 5, vocabulary)
    with (
        pytest.raises(KeyboardInterrupt),
        TraceWriter(tmp_path / "t", "ancestral", [request], tokenizer, vocabulary) as writer,
    ):
        for which, frame in frames(tiny(vocab_size=260), SAMPLERS.get("ancestral")(), [request], vocabulary):
            writer.write(which, frame)
            raise KeyboardInterrupt
    assert not read_trace(tmp_path / "t").whole


def test_files_that_are_no_traces_are_refused(tmp_path):
    for name, content, message in (
        ("empty", b"", "not a trace"),
        ("text", b"hello\n", "not a trace"),
        ("other", b'{"a": 1}\n', "not a trace"),
        ("list", b"[1]\n", "not a trace"),
        ("binary", bytes(range(256)), "not a trace"),
        ("plain.gz", b"hello", "not a trace"),
        ("newer", b'{"kind": "unmask-trace", "format": 99}\n', "format 99"),
        ("broken", b'{"kind":"unmask-trace","format":1}\n{"rows":[]}\n', "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Error, match=message):
            read_trace(tmp_path / name)
    with pytest.raises(Error, match="there is no trace"):
        read_trace(tmp_path / "absent")
    with pytest.raises(Error, match="cannot be"):
        read_trace(tmp_path)


def test_a_trace_of_format_1_stays_readable():
    trace = read_trace(FIXTURE)
    assert trace.whole and trace.header["run"] == "golden"
    assert trace.texts() == ["the cat sat on a mat", "the cat naps, नमस्ते"]
    assert [(w, f.step.tolist()) for w, f in trace.frames] == [((0, 1), [0, 0]), ((0, 1), [1, 1]), ((1,), [2])]
    first = trace.frames[0][1]
    assert int(first.committed.sum()) == 2 and not bool(first.changed.any())
    assert int(trace.frames[1][1].valid[0].sum()) == 4  # the text ended before its canvas did


def test_traces_are_json_lines(tmp_path, tiny, tokenizer):
    record(tmp_path / "t.gz", tiny, tokenizer)
    lines = [json.loads(line) for line in gzip.open(tmp_path / "t.gz", "rt")]
    assert lines[0]["format"] == 1 and lines[-1] == {"end": len(lines) - 2}
