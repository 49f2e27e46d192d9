import importlib
import re
import threading
from pathlib import Path

from unmask.lines import counted, sized, slow


def test_one_thing_has_the_nouns_own_form():
    assert counted(1, "document") == "1 document" and counted(0, "document") == "0 documents"
    assert counted(1200, "shelf", "shelves") == "1,200 shelves" and counted(1, "shelf", "shelves") == "1 shelf"


def test_no_verb_counts_in_the_plural_alone():
    nouns = "documents|texts|steps|tokens|draws|rows|files|frames|pairs|shelves|bytes|passages"
    plain = re.compile(r"\{[^{}]*\} (?:whole |finished )?(" + nouns + r")\b")
    folder = Path(importlib.import_module("unmask.cli").__file__).parent
    found = [f"{path.name}: {hit[0]}" for path in folder.glob("*.py") for hit in plain.finditer(path.read_text())]
    assert [one for one in found if not re.search(r"\.\df\}", one)] == [], "means alone are never one thing"


def test_bytes_are_told_in_a_unit_that_shows_digits():
    told = {0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1234: "1.2 kB", 999_949: "999.9 kB", 999_950: "1.0 MB"}
    assert {count: sized(count) for count in told} == told
    assert sized(4_200_000) == "4.2 MB" and sized(3 * 10**9) == "3.0 GB" and sized(10**16) == "10,000.0 TB"


def test_work_is_told_where_it_takes_long_and_not_where_it_is_quick(capsys, monkeypatch):
    with slow("reading it"):
        pass
    assert capsys.readouterr().err == ""
    told = threading.Event()
    monkeypatch.setattr("unmask.lines._SOON", 0.0)
    monkeypatch.setattr("unmask.lines.tell", lambda text: (print(text), told.set()))
    with slow("reading it"):
        assert told.wait(30)
    assert capsys.readouterr().out == "reading it ...\n"
