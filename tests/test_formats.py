"""What is on people's disks and in their programs stays good: run folders, traces, public names and their types.

``fixtures/run-v1`` was written by the first version; a later one must open it and find the same numbers in it. Never
write these fixtures again: a new format gets a new fixture, and the old one stays.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import shutil
from pathlib import Path

import pytest

import unmask
from unmask.reports.rows import CompareResult
from unmask.sampling import trace_header
from unmask.training import run as runs
from unmask.training.plan import Plan

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = FIXTURES / "run-v1"
TRACE = FIXTURES / "trace-v1.jsonl"
TEXT = "A hen and a fox sat on the old bridge."

BITS_PER_BYTE = 2.4007

# The documented surface. A name leaves it only after a deprecation (CONTRIBUTING.md).
PUBLIC = {
    *(
        "Error",
        "Model",
        "Recipe",
        "Run",
        "__version__",
        "load",
        "compare",
        "copy_recipe",
        "data_convert",
        "data_fetch",
        "data_stats",
    ),
    *(
        "add_texts",
        "bench_index",
        "blind",
        "blind_results",
        "build_index",
        "calibrate",
        "certify",
        "choose",
        "demo",
        "distill",
        "doctor",
        "draw_trace",
        "evaluate",
        "export",
        "grep_index",
        "index_stats",
        "import_run",
        "infill",
        "link_indexes",
        "load_recipe",
        "load_run",
        "merge_indexes",
        "plan",
        "plan_sweep",
        "plot",
        "recipes",
        "sample",
        "samplers",
        "search_index",
        "sweep",
        "sweep_plans",
        "thoughts_analyse",
        "thoughts_interpolate",
        "thoughts_parallel",
        "thoughts_resume",
        "thoughts_save",
        "thoughts_steer",
        "train",
        "tune",
    ),
}
RESULTS = {
    "add_texts": "index texts documents bytes shelves added repeated fingerprint embedder seconds",
    "bench_index": "index queries k texts recall latency storage",
    "blind": "page key id names pairs prompts criteria",
    "blind_results": "names page raters pairs criteria left notes",
    "build_index": "index texts documents bytes shelves added repeated fingerprint embedder seconds",
    "compare": "rows controls warnings held_out setup curves folder",
    "data_convert": "output documents bytes",
    "data_fetch": "folder manifest",
    "data_stats": "corpus tokenizer",
    "demo": "causal masked report filled causal_text masked_text comparison",
    "doctor": "checks",
    "evaluate": "run name process bits_per_byte bound length_nats interval bytes documents tokens draws window source "
    "split corpus_fingerprint notes",
    "export": "path format run name process parameters files bytes",
    "grep_index": "index pattern results matches opened_shelves shelves texts bytes_read bytes",
    "index_stats": "index holds resident query elsewhere grep",
    "infill": "run sampler settings text texts fills lengths bits_per_byte bound tried",
    "link_indexes": "index texts documents bytes shelves added repeated fingerprint embedder seconds",
    "merge_indexes": "index texts documents bytes shelves added repeated fingerprint embedder seconds",
    "plan": "recipe parameters training_flops_per_token tokens memory_bytes vocab_size",
    "plot": "run name files missing text",
    "sample": "run sampler settings prompt suffix texts completions ended tokens steps forwards",
    "search_index": "index query router results opened opened_shelves shelves texts_read texts bytes_read certified k "
    "note",
    "thoughts_interpolate": "run sampler settings a b path noise ends points random",
    "thoughts_parallel": "run sampler settings prompt by bound hypotheses best mean blended text",
    "thoughts_resume": "run file sampler settings text texts completions ended tokens steps forwards output",
    "thoughts_save": "run path text tokens passages stack shape",
    "thoughts_steer": "run sampler settings property schedule where prompt rows",
    "tune": "run judge real_bits_per_byte front own chosen preset picture trials collapsed",
}
"""Public function -> the fields that its result has had since the first version."""


def test_the_golden_run_opens_with_its_recipe():
    run = unmask.load_run(GOLDEN)
    assert run.manifest["format"] == 1 and run.manifest["status"] == "finished"
    assert (run.recipe.name, run.process.name, run.tokenizer.name) == ("golden", "causal", "bytes")
    assert run.tokenizer.fingerprint == run.manifest["tokenizer_fingerprint"]
    assert unmask.load_recipe(GOLDEN / "recipe.yaml") == run.recipe
    assert [row["step"] for row in run.metrics() if "loss" in row] == [50, 100, 150, 200, 250, 300]
    assert sum(p.numel() for p in run.model().parameters()) == run.manifest["parameters"] == 6768


def test_the_golden_run_evaluates_to_its_stored_bits_per_byte(cli, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    found = json.loads(cli("evaluate", GOLDEN, "--source", tmp_path / "text.txt", "--json").out)
    assert found["bits_per_byte"] == pytest.approx(BITS_PER_BYTE, abs=1e-3)
    assert (found["bound"], found["bytes"], found["documents"]) == ("exact", len(TEXT.encode()), 1)


def test_the_golden_run_writes_its_stored_text(cli):
    found = json.loads(cli("sample", GOLDEN, "--seed", "3", "--max-tokens", "40", "-n", "3", "--json").out)
    assert found["sampler"] == "autoregressive"
    assert found["texts"] == [
        "A hen and a owl saw a red boat.",
        "The hen ran to the door.",
        "The dog bat oa the dor.",
    ]


def test_the_golden_trace_is_played_on_the_command_line(cli):
    played = json.loads(cli("sample", "--replay", TRACE, "--json").out)
    assert played["whole"] and played["header"]["format"] == 1
    assert played["texts"] == ["the cat sat on a mat", "the cat naps, \u0928\u092e\u0938\u094d\u0924\u0947"]


def test_fixtures_are_small_and_know_no_machine():
    files = [path for path in GOLDEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    for path in files:
        assert b"/home/" not in path.read_bytes() and b"/tmp/" not in path.read_bytes(), path


def test_a_run_of_the_next_format_is_refused_with_the_way_up(cli, tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "run")
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**manifest, "format": runs.FORMAT + 1}))
    (folder / "recipe.yaml").write_text("a_key_of_the_future: 1\n")
    for verb in ("sample", "evaluate"):
        ran = cli(verb, folder)
        assert ran.status == 2 and ran.out == ""
        assert f"has format {runs.FORMAT + 1}, this version reads up to {runs.FORMAT}; upgrade with" in ran.err


def test_a_trace_of_the_next_format_is_refused_with_the_way_up(cli, tmp_path):
    head, *body = TRACE.read_text(encoding="utf-8").splitlines()
    newer = {**json.loads(head), "format": trace_header.FORMAT + 1}
    (tmp_path / "t.jsonl").write_text("\n".join([json.dumps(newer), *body]), encoding="utf-8")
    ran = cli("sample", "--replay", tmp_path / "t.jsonl")
    assert ran.status == 2 and ran.out == ""
    assert (
        f"has format {trace_header.FORMAT + 1}, this version reads up to {trace_header.FORMAT}; upgrade with" in ran.err
    )


def test_what_is_written_today_has_the_format_that_is_read_today(tiny_run):
    assert json.loads((tiny_run / "run.json").read_text())["format"] == runs.FORMAT


def test_the_public_names_are_the_documented_ones():
    assert set(unmask.__all__) == PUBLIC and len(unmask.__all__) == len(PUBLIC)
    assert all(getattr(unmask, name) is not None for name in PUBLIC)


@pytest.mark.parametrize("name", sorted(n for n in PUBLIC if inspect.isfunction(getattr(unmask, n))))
def test_a_public_function_says_the_type_of_all_it_takes_and_gives(name):
    function = getattr(unmask, name)
    signature = inspect.signature(function)
    assert signature.return_annotation not in (inspect.Signature.empty, "Any", "None"), name
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values()), name


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_a_result_is_a_frozen_record_that_keeps_its_fields(name):
    function = inspect.unwrap(getattr(unmask, name))
    kind = vars(inspect.getmodule(function)).get(function.__annotations__["return"])
    if kind is None:  # imported for type checkers only
        kind = {"CompareResult": CompareResult, "Plan": Plan}[function.__annotations__["return"]]
    assert dataclasses.is_dataclass(kind)
    assert {field.name for field in dataclasses.fields(kind)} >= set(RESULTS[name].split())
    assert kind.__dataclass_params__.frozen
    assert name == "plan" or callable(kind.to_dict)
