"""Shells, pipes and terminals of strangers: closed streams, narrow encodings, and texts that would act if printed."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unmask.cli.console import printer
from unmask.cli.failures import explain
from unmask.reports.cells import Table, to_rich

pytestmark = pytest.mark.strangers
ACTS = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\u202egnp"
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
NOT_UTF8 = os.fsdecode(b"caf\xe9")


def run(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of the shell in which ``unmask`` is this one."""
    line = line.replace("unmask", f"{sys.executable} -m unmask")
    return subprocess.run(["bash", "-c", line], cwd=folder, env={**os.environ, **environment}, capture_output=True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_does_no_harm(tmp_path: Path, closed: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    done = run(f"unmask recipes nano --copy mine.yaml {closed}", tmp_path)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "mine.yaml").read_text().startswith("name:")
    assert run(f"unmask data stats missing.txt {closed}", tmp_path).returncode == 2
    assert (tmp_path / "a.txt").read_text() == "x"


def test_a_reader_that_leaves_gets_no_traceback(tmp_path: Path) -> None:
    done = run("unmask recipes | head -1", tmp_path)
    assert done.stdout.count(b"\n") == 1 and b"Traceback" not in done.stderr and b"Broken" not in done.stderr


def test_a_narrow_encoding_gets_escapes_and_whole_json(tmp_path: Path) -> None:
    name = "s\u2603\U0001f600.txt"
    (tmp_path / name).write_text("x")
    for encoding in ("ascii", "latin-1"):
        told = run(f"unmask data stats {name}", tmp_path, PYTHONIOENCODING=encoding)
        assert told.returncode == 0 and b"s\\u2603\\U0001f600.txt" in told.stdout
    told = run(f"unmask data stats {name} --json", tmp_path, PYTHONIOENCODING="ascii")
    assert json.loads(told.stdout)["source"] == name


def test_no_verb_prints_past_the_guards() -> None:
    folder = Path(importlib.import_module("unmask.cli").__file__ or "").parent
    for path in folder.glob("*.py"):
        if path.name not in ("console.py", "app.py"):
            assert not re.search(
                r"(?<![\w.])print\(|\bConsole\(|stdout\.write",
                path.read_text().replace("out = Console(highlight=False)", ""),
            ), path.name  # infill's, of texts made visible


def test_tables_show_foreign_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(f"[bold]{ACTS}", ["[x]", ACTS], [["[red]a[/]", ACTS]], frozenset(), f"[i]{ACTS}")
    printer(200).print(to_rich(table))
    shown = capsys.readouterr().out
    assert not ACTING.search(shown) and "[red]a[/]" in shown and "[x]" in shown and "[bold]" in shown


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is captured is taken for a terminal."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.usefixtures("terminal")
def test_no_verb_lets_a_text_act(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"a{ACTS}.jsonl".replace("\x9b", "")
    texts = [f"the {ACTS} cat {number} sat on the mat" for number in range(60)]
    Path(name).write_text("".join(json.dumps({"text": text, ACTS: 1}) + "\n" for text in texts))
    lines = [
        ["data", "stats", name],
        ["data", "convert", name, "b.jsonl"],
        ["data", "stats", name, "--text-field", "body"],
        ["data", "stats", f"{ACTS}.txt"],
        ["index", "build", name, "-o", "index", "--embedder", "wordllama-64"],
        ["index", "search", "index", "the cat"],
        ["index", "search", "index", "the cat", "--json"],
        ["index", "grep", "index", "cat"],
        ["index", "grep", "index", ACTS],
        ["index", "stats", "index"],
        ["index", "search", f"no{ACTS}", "cat"],
        ["train", f"no{ACTS}"],
        ["sample", f"no{ACTS}"],
        ["sample", "--replay", f"no{ACTS}"],
        ["infill", f"no{ACTS}", "a ____"],
        ["evaluate", f"no{ACTS}", "--source", ACTS],
        ["plot", f"no{ACTS}"],
        [f"no{ACTS}"],
    ]
    for line in lines:
        done = cli(*line)
        assert done.status in (0, 2), done.err
        assert not ACTING.search(done.out + done.err), line
        assert done.status == 0 or done.err.splitlines()[-1].startswith("error: ")


def test_a_name_that_is_not_utf8_is_refused_where_it_cannot_be_kept(cli, tmp_path: Path) -> None:
    for line in (
        ["train", "nano", "-o", f"data.source={NOT_UTF8}"],
        ["train", "nano", "--output", tmp_path / NOT_UTF8],
        ["index", "build", "pydocs", "-o", tmp_path / NOT_UTF8],
        ["index", "search", tmp_path / NOT_UTF8, "x"],
        ["sample", NOT_UTF8, "--prompt", "x"],
    ):
        done = cli(*line)
        assert done.status == 2 and done.err.count("\n") == 1 and done.err.startswith("error: "), done.err
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_not_utf8_is_indexed_and_asked(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path(f"{NOT_UTF8}.txt").write_text("a cat sat")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert cli("index", "build", f"{NOT_UTF8}.txt", "-o", "index", "--embedder", "wordllama-64").status == 0
    for line in (["search", "index", NOT_UTF8], ["grep", "index", NOT_UTF8]):
        done = cli("index", *line)
        assert done.status == 2 and "holds a lone surrogate at character 3" in done.err
    assert cli("index", "search", "index", "cat").status == 0
    assert json.loads(cli("data", "stats", f"{NOT_UTF8}.txt", "--json").out)["source"] == f"{NOT_UTF8}.txt"


def test_a_systems_refusal_is_one_line() -> None:
    assert "File name too long" in (explain(OSError(36, "File name too long", "x" * 5000)) or "")
    assert len(explain(OSError(36, "File name too long", "x" * 5000)) or "") < 300
    for error in (OSError(27, "File too large"), OSError(5, "Input/output error"), RuntimeError("I/O: (os error 27)")):
        assert "the system refuses to read or write" in (explain(error) or "")  # ulimit -f, FAT, a failing disk
    try:
        "caf\udce9".encode()
    except UnicodeEncodeError as error:
        assert explain(error) == "'caf\\udce9' is not UTF-8. Give it a name, or a text, that is."


HELD = """
import signal, sys, time
from unmask.cli import app
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what a job in the background ignores is ignored here, too
def verb(args):
    try:
        print("there", flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        open("saved", "x").close()
app.run = verb
app.main()
"""


def test_a_terminal_that_is_closed_stops_a_verb_as_sigterm_does(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-c", HELD])
    said = b""
    while b"there" not in said:
        said += os.read(terminal, 1024)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert (tmp_path / "saved").exists()
