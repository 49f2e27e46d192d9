"""A text that is found says where it stands: file and line, through adding, merging and linking."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unmask.api.index import add_texts, build_index, link_indexes, merge_indexes
from unmask.api.index_search import grep_index, search_index
from unmask.data.origin import lines_of, spot
from unmask.roots.index import open_index

SMALL = {"embedder": "wordllama-64", "shelves": 2}


def where(index: Path, word: str) -> list[str]:
    return sorted(hit.where for hit in grep_index(index, word).results)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    notes = [f"A line about the number {number}.\n" for number in range(1, 101)]
    notes[9] = "\n"
    Path("notes.md").write_text("".join(notes))
    rows = [{"text": f"row {number} sings\nof owls"} for number in range(1, 21)]
    lines = "\n".join(map(json.dumps, rows))
    Path("rows.jsonl").write_text("\n" + lines + "\n")  # a blank line counts
    Path("rows.jsonl.gz").write_bytes(gzip.compress(lines.replace("row", "packed").encode()))
    pq.write_table(pa.table({"text": [f"column {number} holds foxes" for number in range(1, 21)]}), "table.parquet")
    return tmp_path


def test_every_kind_of_file_tells_its_line_or_row(files: Path) -> None:
    build_index("notes.md,rows.jsonl,rows.jsonl.gz,table.parquet", "i", passage=128, **SMALL)
    lines = Path("notes.md").read_text().split("\n")
    for number in (1, 7, 11, 50, 100):
        assert where(Path("i"), f"number {number}.") == [f"notes.md:{number}"]
    assert where(Path("i"), "row 3 sings") == ["rows.jsonl:4"]
    assert where(Path("i"), "packed 3 sings") == ["rows.jsonl.gz:3"]
    assert where(Path("i"), "column 12 ") == ["table.parquet#row 12"]
    assert where(Path("i"), "30.\nA line about the number 31.") == ["notes.md:30-31"]
    for hit in search_index("i", "a line about the number fifty", k=20, exact=True).results:
        if hit.source == "notes.md":
            assert hit.line and hit.end
            assert "\n".join(lines[hit.line - 1 : hit.end]).strip("\n") == hit.text.strip("\n"), hit.where


def test_passages_of_a_long_file_keep_their_lines(tmp_path: Path) -> None:
    text = "".join(f"{'word ' * (number % 40)}number {number}.\n{chr(10) * (number % 3)}" for number in range(1, 2000))
    (tmp_path / "long.txt").write_text(text)
    build_index(str(tmp_path / "long.txt"), tmp_path / "i", passage=256, **SMALL)
    lines = text.split("\n")
    for number in (1, 2, 500, 777, 1999):
        line = next(place for place, one in enumerate(lines, 1) if one.endswith(f"number {number}."))
        assert where(tmp_path / "i", f"number {number}.") == [f"{tmp_path}/long.txt:{line}"]


def test_adding_merging_and_linking_keep_places_and_a_repeated_text_its_first(files: Path) -> None:
    build_index("rows.jsonl", "a", **SMALL)
    Path("again.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in ["row 3 sings\nof owls", "a new owl calls"])
    )
    add_texts("a", "again.jsonl")
    build_index("table.parquet", "b", like="a")
    merge_indexes(["a", "b"], "merged")
    link_indexes(["a", "b"], "linked")
    for index in map(Path, ("a", "merged", "linked")):
        assert where(index, "row 3 ") == ["rows.jsonl:4"]
        assert where(index, "a new owl") == ["again.jsonl:2"]
    for index in map(Path, ("b", "merged", "linked")):
        assert where(index, "column 20 ") == ["table.parquet#row 20"]


def test_a_split_and_a_part_keep_places(files: Path) -> None:
    build_index("rows.jsonl", "train", split="train", **SMALL)
    build_index("rows.jsonl", "part", part="1/2", **SMALL)
    for index in ("train", "part"):
        for hit in search_index(index, "owls", k=20, exact=True).results:
            number = int(hit.text.split()[1])
            assert (hit.source, hit.line, hit.end) == ("rows.jsonl", number + 1, None)


def test_a_place_costs_eight_bytes_a_text(files: Path) -> None:
    build_index("rows.jsonl", "i", **SMALL)
    (segment,) = open_index("i").segments
    assert segment.origins is not None and segment.origins.names == ["rows.jsonl"]
    assert {segment.origins.source.dtype, segment.origins.line.dtype} == {np.dtype(np.int32)}


def test_search_and_grep_print_the_place_and_tell_it_as_json(files: Path, cli) -> None:
    assert cli("index", "build", "rows.jsonl", "-o", "i", "--embedder", "wordllama-64").status == 0
    assert cli("index", "grep", "i", "row 3 ").out.startswith("rows.jsonl:4  row 3 sings")
    assert "  rows.jsonl:" in cli("index", "search", "i", "owls", "-k", "1").out
    (hit,) = json.loads(cli("index", "grep", "i", "row 3 ", "--json").out)["results"]
    assert (hit["source"], hit["line"], hit["end"]) == ("rows.jsonl", 4, None)


def test_blank_lines_at_the_ends_are_not_counted() -> None:
    assert lines_of(5, "\n \na\nb\n\n") == (7, 8)
    assert (
        spot("a.txt", 3, 3) == "a.txt:3"
        and spot("a.txt", 3, 5) == "a.txt:3-5"
        and spot("pydocs", None, None) == "pydocs"
    )
    assert spot("hf:a/b", 3, None) == "hf:a/b#row 3"
