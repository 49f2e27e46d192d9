"""What a terminal is sent: no character of a text, a trace or an index acts on it, and what was filled stands out."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

from unmask.cli.console import print_json, say
from unmask.data.visible import cells, clusters, visible

ACTS = "\x1b]0;title\x07 \x1b[2J \x9b31m \x08 \r \u202egnp\u2069 \x7f"
HINDI = "क्षत्रिय वीर सिंह की तरह हिन्दी"


def in_a_terminal(*args: object) -> str:
    """Run a command line whose stdout and stderr are a terminal, and return all that it wrote there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "unmask", *map(str, args)]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    got = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other end has closed
            break
        if not part:
            break
        got += part
    os.close(ours)
    assert process.wait() == 0, got
    return got.decode()


def test_every_control_character_is_shown_and_joiners_stay():
    shown = visible("".join(map(chr, range(0x3000))) + ACTS)
    left = {c for c in shown if unicodedata.category(c) == "Cc"}
    assert left == {"\n", "\t"} and visible(HINDI + "क्\u200dष \u200c 👨\u200d👩\u200d👧") == (
        HINDI + "क्\u200dष \u200c 👨\u200d👩\u200d👧"
    )
    assert not re.search("[\u2028-\u202e\u2066-\u2069]", shown)
    assert visible("a\x1b[31m\x9b\u202e\r") == "a␛[31m\\x9b\\u202e␍"


def test_letters_are_whole_and_their_width_is_the_most_that_a_terminal_takes():
    assert clusters("हिन्दी") == ["हि", "न्दी"] and "".join(clusters(HINDI)) == HINDI
    assert cells("की") == 2 and cells("हिन्दी") == 5 and cells("abc") == 3 and cells("你好") == 4
    assert cells("\u2764\ufe0f") == 2 and cells("e\u0301") == 1


def test_a_pipe_gets_a_text_as_it_is_and_json_is_the_same_everywhere(capsys):
    say(ACTS)
    assert capsys.readouterr().out == ACTS + "\n"
    print_json({"text": ACTS})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": ACTS} and visible(out) == out


def test_no_verb_prints_a_text_from_elsewhere_but_through_say():
    folder = Path(importlib.import_module("unmask.cli").__file__).parent
    foreign = re.compile(r"\bprint\(.*(\.text\b|texts\b|\.excerpt\b|short\(|around\()")
    found = [f"{path.name}: {line}" for path in folder.glob("*.py") for line in path.read_text().splitlines()]
    assert [line for line in found if foreign.search(line) and not line.lstrip().startswith("#")] == []


def test_a_trace_cannot_act_on_the_terminal_that_plays_it(tmp_path):
    header = {"format": 1, "kind": "unmask-trace", "sampler": "confidence", "run": ACTS, "created": ACTS}
    header |= {"vocabulary": {"pad": 0, "bos": 1, "eos": 2, "mask": 3}, "tokenizer": {"name": "x", "fingerprint": "0"}}
    header |= {"requests": [{"length": 3, "index": 0, "settings": {}}]}
    row = {"request": 0, "step": 1, "set": [[0, 8, 1.0], [1, 9, 0.5]], "length": 3}
    lines = [header, {"rows": [row], "strings": {"8": HINDI, "9": ACTS}}, {"end": 1}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    got = in_a_terminal("sample", "--replay", tmp_path / "t.jsonl")
    ours = re.sub(r"\x1b\[(?:[0-9;]*[mKA]|\?25[lh])|\r\n?", "", got)  # rich's own: colours, lines anew, the cursor
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", ours)
    assert "\x1b[2J" not in got and "␛]0;title␇" in got and "decided just now" in got


def test_infill_shows_what_it_wrote(tiny_masked_run, cli):
    line = ["infill", tiny_masked_run, "the ____ sat on ____.", "--length", "1", "--steps", "2"]
    result = json.loads(cli(*line, "--json").out)
    (fills,), (text,) = result["fills"], result["texts"]
    piped = cli(*line)
    assert piped.out == text + "\n" and f"filled: the [{fills[0]}] sat on [{fills[1]}]." in piped.err
    got = in_a_terminal(*line)
    for fill in filter(str.strip, map(visible, fills)):
        assert re.search(rf"\x1b\[1;4;32m{re.escape(fill)}\x1b\[0m", got)
    assert "filled:" not in got
