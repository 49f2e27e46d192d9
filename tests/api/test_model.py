"""A loaded run does what the verbs do, and no command reads a run's weights twice."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest
import torch

import unmask
from thought_runs import thought_run
from unmask.errors import Error
from unmask.models import stored
from unmask.training.loaded_run import held

QUICK = {"steps": 3, "seed": 4}
HOLES = "The ____ number 3 met"


def _for(name):
    """Return settings for a run: one that writes left to right has no steps."""
    return {"seed": 4} if name == "tiny_run" else QUICK


@pytest.fixture(scope="module")
def thoughts(tmp_path_factory):
    return thought_run(tmp_path_factory.mktemp("loads") / "thoughts")


@pytest.fixture
def loads(monkeypatch):
    """How often the weights of each run are read."""
    found: Counter[str] = Counter()
    read = stored.load_network

    def counting(kind, config_at, weights_at, *more):
        found[Path(weights_at).parent.name] += 1
        return read(kind, config_at, weights_at, *more)

    monkeypatch.setattr(stored, "load_network", counting)
    return found


@pytest.fixture
def all_collapse(monkeypatch):
    monkeypatch.setattr("unmask.api.fallback.collapse", lambda text: "it repeats")


def test_sampling_reads_the_weights_once_and_a_fallback_its_own_once_too(loads, all_collapse, cli, tiny_run, thoughts):
    byte = thought_run(thoughts.parent / "bytes", tokenizer="bytes")
    assert cli("sample", byte, "--prompt", "the", "--max-tokens", 40, "--steps", 2, "-n", 3, "--json").status == 0
    assert loads == {"bytes": 1}
    more = ("--fallback", tiny_run, "-s", "ignore_eos=true", "--json")
    ran = cli("sample", byte, "--prompt", "the", "--max-tokens", 40, "--steps", 2, "-n", 3, *more)
    assert ran.status == 0 and "passage 1, 2" in ran.err
    assert loads == {"bytes": 2, tiny_run.name: 1}


@pytest.mark.parametrize(
    "command",
    [
        "infill MASKED The____number --length 1-2 -n 2 --steps 2",
        "evaluate MASKED --draws 1 --documents 4",
        "export CAUSAL --output out",
        "export CAUSAL --output out --format llama",
        "compare CAUSAL MASKED --output out --quick --no-timing --documents 4 --holes 2",
        "compare CAUSAL --blind MASKED --output out --prompts prompts.txt --pairs 2 --length 8",
    ],
)
def test_a_verb_reads_the_weights_of_each_run_once(
    command, loads, cli, tiny_run, tiny_masked_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("The cat\nA dog\n")
    places = {"CAUSAL": tiny_run, "MASKED": tiny_masked_run}
    ran = cli(*(places.get(word, word) for word in command.split()))
    assert ran.status == 0, ran.err
    assert loads == {place.name: 1 for word, place in places.items() if word in command}


def test_runs_are_looked_at_before_a_judge_is_trained_and_not_read_again(loads, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("unmask.api.compare"), "auto_judge", lambda run, say: "n-gram")
    unmask.compare(
        [tiny_run], tmp_path / "out", quick=True, timing=False, judge="auto", documents=4, samples=2, holes=0
    )
    assert loads == {tiny_run.name: 1}


@pytest.mark.parametrize("verb", ["steer", "interpolate", "parallel", "save", "resume", "analyse"])
def test_the_verbs_of_thoughts_read_the_weights_once(verb, loads, thoughts, tiny_run, tmp_path):
    judge = tiny_run
    if verb == "steer":
        unmask.thoughts_steer(thoughts, keywords=["cat"], n=2, directions=1, judge=judge, max_tokens=4, **QUICK)
        assert loads.pop(judge.name) == 1
    elif verb == "interpolate":
        unmask.thoughts_interpolate(thoughts, "the cat", "a red boat", points=2, n=1, **QUICK)
    elif verb == "parallel":
        unmask.thoughts_parallel(thoughts, "the cat", hypotheses=2, blend=True, draws=1, **QUICK)
    elif verb == "analyse":
        unmask.thoughts_analyse(thoughts, n=1, steps=3, table=False)
    else:
        unmask.thoughts_save(thoughts, "the cat", tmp_path / "t.safetensors")
        if verb == "resume":
            loads.clear()
            unmask.thoughts_resume(thoughts, tmp_path / "t.safetensors", max_tokens=4, **QUICK)
    assert loads == {thoughts.name: 1}


def test_all_that_is_done_with_a_loaded_run_reads_nothing_again(loads, tiny_run, tiny_masked_run, tmp_path):
    model, other = unmask.load(tiny_masked_run), unmask.load(tiny_run)
    reading = dict(loads)
    assert reading == {tiny_masked_run.name: 1, tiny_run.name: 1}
    model.sample("The cat", max_tokens=6, **QUICK)
    unmask.sample(model, "The cat", max_tokens=6, fallback=other, **QUICK)
    list(model.stream("The cat", max_tokens=6, **QUICK))
    model.infill(HOLES, length=2, **QUICK)
    model.evaluate(draws=1, documents=2)
    model.likelihood("The cat", draws=1)
    more = {"quick": True, "timing": False, "documents": 4, "samples": 2, "holes": 0}
    unmask.compare([model, other], tmp_path / "out", **more)
    model.save(tmp_path / "saved")
    assert unmask.load(model) is model and loads == reading


@pytest.mark.parametrize("name", ["tiny_run", "tiny_masked_run"])
def test_a_loaded_run_says_what_its_folder_says(name, request, tmp_path):
    folder = request.getfixturevalue(name)
    model = unmask.load(folder)
    assert model.sample("The cat", n=2, max_tokens=9, **_for(name)) == unmask.sample(
        folder, "The cat", n=2, max_tokens=9, **_for(name)
    )
    assert model.evaluate(draws=2, documents=4) == unmask.evaluate(folder, draws=2, documents=4)
    if name == "tiny_masked_run":
        assert model.infill(HOLES, n=2, **QUICK) == unmask.infill(folder, HOLES, n=2, **QUICK)
    model.save(tmp_path / "saved")
    again = unmask.load(tmp_path / "saved")
    texts = [one.sample("The cat", n=2, max_tokens=9, **_for(name)).texts for one in (model, again)]
    assert texts[0] == texts[1] and model.likelihood(texts[0]).nats == again.likelihood(texts[0]).nats


@pytest.mark.parametrize("name", ["tiny_run", "tiny_masked_run"])
def test_a_stream_ends_at_the_texts_that_sample_writes(name, request):
    model, asked = unmask.load(request.getfixturevalue(name)), {"n": 3, "max_tokens": 9, "batch_size": 2, **_for(name)}
    moments = list(model.stream("The cat ", **asked))
    whole = model.sample("The cat ", **asked)
    last = {moment.number: moment for moment in moments}
    assert [last[number].text for number in range(3)] == whole.texts
    assert [last[number].step for number in range(3)] == whole.steps
    assert all(moment.done == (moment is last[moment.number]) for moment in moments)
    assert all(moment.text.startswith("The cat") and "\n" not in repr(moment) for moment in moments)
    opened = [moment.text.count("\u2591") for moment in moments if moment.number == 0]
    assert opened == ([9, *opened[1:]] if name == "tiny_masked_run" else [0] * len(opened))
    with pytest.raises(Error, match="max_tokens is 0"):
        model.stream("The cat", max_tokens=0)  # at the call, not at the first moment


def test_a_likelihood_is_that_of_evaluate_and_of_no_other_text(tiny_run, tiny_masked_run):
    from unmask.evaluation.bits import bits_per_byte

    for run in (tiny_run, tiny_masked_run):
        model = unmask.load(run)
        texts = ["The cat met a dog.", "The hen number 5 met an owl on day 49.", "x" * 200]
        found = model.likelihood(texts)
        assert found.nats == [model.likelihood(text).nats[0] for text in texts], "no score depends on the other texts"
        score = bits_per_byte(model.network, model.process, model.tokenizer, texts[:1], window=32, draws=8)
        assert (found.nats[0], found.bits_per_byte[0]) == (score.nats, score.value)
        assert found.bound == score.bound == ("exact" if run is tiny_run else "upper bound")
        assert found.bytes == [len(text) for text in texts] and found.bound in repr(found)
    with pytest.raises(Error, match="text 1 is empty"):
        model.likelihood(["a", ""])
    with pytest.raises(Error, match="no text to score"):
        model.likelihood([])


def test_mistakes_are_one_line(tiny_run, tmp_path):
    model = unmask.load(tiny_run)
    assert "causal" in repr(model) and "on cpu" in repr(model) and "\n" not in repr(model)
    with pytest.raises(Error, match=r"no argument 'temperatures'.*temperature"):
        model.sample("a", temperatures=1.0)
    with pytest.raises(Error, match="there is no device 'gpu'"):
        unmask.load(tiny_run, device="gpu")
    with pytest.raises(Error, match="is not a run folder"):
        unmask.load(tmp_path)


def test_a_kept_network_is_one_object_and_a_copy_on_another_device(tiny_run):
    run = held(tiny_run)
    assert run.model() is run.model("cpu") is held(run).model()
    there = run.model("meta")
    assert there.device == torch.device("meta") and run.model().device == torch.device("cpu")
