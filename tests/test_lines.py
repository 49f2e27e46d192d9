import importlib
import re
from pathlib import Path

from unmask.lines import counted


def test_one_thing_has_the_nouns_own_form():
    assert counted(1, "document") == "1 document" and counted(0, "document") == "0 documents"
    assert counted(1200, "shelf", "shelves") == "1,200 shelves" and counted(1, "shelf", "shelves") == "1 shelf"


def test_no_verb_counts_in_the_plural_alone():
    nouns = "documents|texts|steps|tokens|draws|rows|files|frames|pairs|shelves|bytes|passages"
    plain = re.compile(r"\{[^{}]*\} (?:whole |finished )?(" + nouns + r")\b")
    folder = Path(importlib.import_module("unmask.cli").__file__).parent
    found = [f"{path.name}: {hit[0]}" for path in folder.glob("*.py") for hit in plain.finditer(path.read_text())]
    # means, which are never one thing
    assert [one for one in found if ":,.0f}" not in one and ":.2f}" not in one] == []
