"""``unmask index``: what it prints, and that a mistake is one line that harms nothing."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from unmask.roots.manifest import FILE

WORDS = "ship sail harbour captain bake sugar flour oven flower seed soil water street market bridge tower".split()
SMALL = ["--shelves", 4, "--embedder", "wordllama-64"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A corpus, its index, and damaged ones."""
    folder = tmp_path_factory.mktemp("indexes")
    rows = ({"text": f"The {WORDS[i % 16]} and the {WORDS[i * 7 % 16]}, number {i}."} for i in range(80))
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "blank.txt").write_text(" \n ")
    (folder / "binary.txt").write_bytes(b"\x7fELF\0\1")
    (folder / "other").mkdir()
    (folder / "other" / "mine.md").write_text("keep me")
    from unmask.api.index import build_index

    build_index(str(folder / "text.jsonl"), folder / "index", shelves=4, embedder="wordllama-64")

    def spoiled(name):
        return shutil.copytree(folder / "index", folder / name)

    (spoiled("half") / FILE).unlink()
    members = spoiled("cut") / "segment-1" / "members.safetensors"
    members.write_bytes(members.read_bytes()[:-9])
    (spoiled("gone") / "segment-1" / "texts.bin").unlink()
    core = spoiled("odd") / "core-1.safetensors"
    core.write_bytes(b"x" * core.stat().st_size)
    for name, change in {
        "newer": {"format": 2},
        "foreign": {"embedder": "wordllama-128"},
        "list": {"segments": []},
    }.items():
        path = spoiled(name) / FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (spoiled("text") / FILE).write_text("{")
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_build_search_grep_add_merge_and_stats_work_together(cli, here, tmp_path):
    index = tmp_path / "i"
    built = cli("index", "build", "text.jsonl", "--output", index, *SMALL, "--json")
    told = json.loads(built.out)
    assert built.status == 0 and told["texts"] == told["added"] == 80 and told["shelves"] == 4
    assert f"next: unmask index search {index} QUERY" in built.err
    found = json.loads(cli("index", "search", index, "a ship with a captain", "--k", 3, "--json").out)
    assert len(found["results"]) == 3 and "text" in found["results"][0] and found["texts"] == 80
    shown = cli("index", "search", index, "a ship", "-k", 2, "--exact")
    assert shown.out.count("\n") == 2 and "certified: nothing better is left." in shown.err
    again = cli("index", "search", index, "a ship", "-k", 2, "--rerank", "bm25", "--rerank-of", 9)
    assert again.out.count("\n") == 2 and "nothing nearer is left." in again.err
    assert "9 candidates in a new order, by the first number: cosine (the second) and BM25." in again.err
    told = json.loads(cli("index", "search", index, "a ship", "-k", 2, "--rerank", "surprisal", "--json").out)
    assert (told["rerank"], told["candidates"]) == ("surprisal", 50)
    assert {"score", "rerank", "term"} <= set(told["results"][0]) and told["results"][0]["term"] > 0
    hits = json.loads(cli("index", "grep", index, "number 7", "--json").out)
    assert hits["matches"] == 11 and hits["results"][0]["text"][hits["results"][0]["offset"] :].startswith("number 7")
    shown = cli("index", "grep", index, "number 7", "-n", 1)
    assert shown.out.count("\n") == 1 and "number 7" in shown.out and "11 of 80 texts; read " in shown.err
    (tmp_path / "more.txt").write_text("A zebra in the zoo.")
    assert json.loads(cli("index", "add", index, tmp_path / "more.txt", "--json").out)["added"] == 1
    assert json.loads(cli("index", "grep", index, "zebra", "--json").out)["matches"] == 1
    merged = json.loads(cli("index", "merge", index, "--output", tmp_path / "m", "--json").out)
    assert merged["texts"] == 81 and merged["added"] == 81
    stats = json.loads(cli("index", "stats", tmp_path / "m", "--json").out)
    assert (
        stats["holds"]["texts"] == 81 and stats["resident"]["core"] > 0 and set(stats) >= {"query", "elsewhere", "grep"}
    )
    assert "router in memory" in cli("index", "stats", index).out


def test_bench_shows_controls_beside_the_index(cli, here):
    ran = cli("index", "bench", "index", "--queries", 12, "--k", 3, "--json")
    told = json.loads(ran.out)
    assert ran.status == 0 and {row["router"] for row in told["recall"]} >= {"moments", "centroid", "random", "exact"}
    exact = next(row for row in told["recall"] if row["router"] == "exact")
    assert exact["recall"] == exact["certified"] == 1
    assert {row["storage"] for row in told["storage"]} == {"int8", "float16", "float32"}
    ways = {row["way"]: row["recall"] for row in told["latency"]}
    assert (
        ways["brute force, numpy float32"] == 1
        and ways["index, open 1.0"] > 0.9
        and all(  # ties may fall otherwise
            0 <= r <= 1 for r in ways.values()
        )
    )
    assert "neighbours kept" in cli("index", "bench", "index", "--queries", 5, "--k", 2).out


MISTAKES = [
    ("search nowhere ship", "there is no index nowhere. Make one with: unmask index build SOURCE --output nowhere"),
    ("search other ship", "other is not an index (no index.json). Make one with: unmask index build"),
    ("search half ship", "half is not an index (no index.json)"),
    ("search cut ship", "the index cut is damaged (segment-1/members.safetensors has"),
    ("grep gone ship", "the index gone is incomplete (segment-1/texts.bin is missing)."),
    ("stats odd", "core-1.safetensors cannot be read"),
    ("stats list", "index.json is damaged"),
    ("stats text", "index.json is damaged"),
    ("search newer ship", "has format 2, this version reads 1; upgrade with: pip install -U unmask"),
    ("search foreign ship", "wordllama-128 gives 128 numbers, the index foreign has 64"),
    ("search index ship --embedder wordllama-256", "gives 256 numbers, the index index has 64"),
    ("search index ''", "the query is empty. Give some words."),
    ("search index ship --k 0", "k is 0; it must be at least 1."),
    ("search index ship --k 0", "k is 0"),
    ("search index ship --open 2", "open is 2.0; give a share"),
    ("search index ship --open 0.1 --exact", "give one of open, bytes, recall and exact"),
    ("search index ship --bytes 10", "bytes is 10, and one vector has 68; give more."),
    ("search index ship --recall 0.9 --router centroid", "recall was set for the router 'moments', not 'centroid'"),
    ("search index ship --router momentum", "unknown router 'momentum'. Did you mean 'moments'?"),
    ("search index ship --router ebm", "the router 'ebm' learns, and the index index was built with 'moments'."),
    ("grep index ''", "the pattern is empty, and every text holds it."),
    ("grep index x --limit -1", "limit is -1; it must be 0 or more."),
    ("build missing.txt -o new", "no data source 'missing.txt'"),
    ("build blank.txt -o new", "blank.txt holds no text. Give a source with text in it."),
    ("build binary.txt -o new", "is binary (a zero byte at offset 4). Give a UTF-8 text file."),
    ("build text.jsonl -o other", "other is not empty and holds no index; choose another output."),
    ("build text.jsonl -o other --force", "other is not empty and holds no index; choose another output."),
    (
        "build text.jsonl -o index",
        "index already holds an index; choose another output, replace it with force, or use: unmask index add index",
    ),
    ("build text.jsonl -o blank.txt", "output blank.txt is a file; give a folder."),
    ("build text.jsonl -o new --shelves 0", "shelves is 0; give at least 1."),
    ("build text.jsonl -o new --shelves 500 --embedder wordllama-64", "80 vectors do not fill 500 shelves"),
    ("build text.jsonl -o new --partition kmean", "unknown partitioner 'kmean'. Did you mean 'kmeans'?"),
    ("build text.jsonl -o new --embedder wordlama-64", "Did you mean 'wordllama-64'?"),
    (
        "build text.jsonl -o new --embedder hf:nobody/nothing",
        "which cannot be reached. Use wordllama-256, or hf:FOLDER.",
    ),
    ("build text.jsonl -o new --embedder run:nowhere", "there is no run folder nowhere"),
    ("build text.jsonl -o new --storage int4", "storage is 'int4'; choose int8, float16, float32."),
    ("build text.jsonl -o new --core float32", "core is 'float32'; choose float16 or int8."),
    ("build text.jsonl -o new --grams 5", "grams is 5; choose 2, 3, 4"),
    ("build text.jsonl -o new --passage 5", "passage is 5; give pieces at least 64 bytes, or 0"),
    ("build text.jsonl -o new --split test", "split is 'test'; choose all, train, valid, judge."),
    ("build text.jsonl -o new --max-texts 0", "--max-texts is 0; give at least 1."),
    ("build text.jsonl -o new --seed -1", "seed is -1; it must be 0 or more"),
    ("build text.jsonl -o new --like other", "other is not an index"),
    ("add nowhere text.jsonl", "there is no index nowhere"),
    ("add index missing.txt", "no data source 'missing.txt'"),
    ("merge index nowhere -o new", "there is no index nowhere"),
    ("merge index -o other", "other is not empty and holds no index"),
    ("bench index --k 81", "k is 81, and the index index holds 80 texts"),
    ("bench index --queries 0", "queries is 0; ask at least 1."),
    ("bulid text.jsonl", "unknown verb 'bulid'. Did you mean 'build'?"),
]


@pytest.mark.parametrize(("line", "answer"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_line_with_its_fix_and_harms_nothing(cli, here, line, answer):
    import shlex

    before = snapshot(here)
    ran = cli("index", *shlex.split(line), "--json")
    assert ran.status == 2 and ran.out == "" and "Traceback" not in ran.err
    *progress, last = ran.err.splitlines()
    assert last.startswith("error: ") and answer in last and not any("error" in one for one in progress)
    assert snapshot(here).keys() == before.keys()
    assert {p: t for p, t in snapshot(here).items() if p.is_file()} == {p: t for p, t in before.items() if p.is_file()}


@pytest.mark.parametrize("verb", ["build", "add"])
def test_ctrl_c_in_the_middle_is_one_line_and_leaves_nothing(cli, here, monkeypatch, verb):
    module = "unmask.roots.building.build" if verb == "build" else "unmask.roots.building.change"
    monkeypatch.setattr(f"{module}.group", lambda *a: signal.raise_signal(signal.SIGINT))
    (here.parent / "fresh.txt").write_text("A text that is new.")
    before = snapshot(here).keys()
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        line = ["text.jsonl", "--output", "new", *SMALL] if verb == "build" else ["index", here.parent / "fresh.txt"]
        ran = cli("index", verb, *line, "--json")
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert (ran.status, ran.out) == (130, "") and ran.err.splitlines()[-1] == "interrupted."
    assert snapshot(here).keys() == before
