"""Whatever goes wrong, the command line says it in one line and ends with the right status."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from unmask.cli import app, console
from unmask.errors import Error


@pytest.fixture
def failing(monkeypatch):
    """Make ``unmask broken`` raise what the test gives."""

    def arrange(failure: BaseException) -> None:
        def broken() -> None:
            raise failure

        monkeypatch.setitem(sys.modules, "unmask.cli.broken", types.SimpleNamespace(broken=broken))
        monkeypatch.setattr(app, "VERBS", {"broken": "broken", "sound": "broken"})
        monkeypatch.setattr(app, "_command", app._command.__wrapped__)  # made anew, of these verbs
        monkeypatch.setitem(sys.modules, "unmask.cli.sound", types.SimpleNamespace(broken=lambda: None))
        monkeypatch.setattr(app, "GROUPS", {})

    return arrange


def one_line(text: str) -> str:
    assert text.count("\n") == 1 and text.endswith("\n"), text
    return text.strip()


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (Error("no recipe 'x' [y] :smile:. Use 'z'."), "error: no recipe 'x' [y] :smile:. Use 'z'."),
        (OSError(errno.ENOSPC, "No space left on device", "/data/run"), "disk that holds /data/run"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), f"disk that holds {os.getcwd()}"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "no space left"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "story.txt"), "story.txt: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (MemoryError(), "Lower the batch size"),
    ],
)
def test_a_failure_outside_our_code_is_one_line_and_status_2(cli, failing, failure, line):
    failing(failure)
    ran = cli("broken")
    assert ran.status == 2 and ran.out == ""
    assert one_line(ran.err).startswith("error: ") and line in ran.err


def test_a_long_line_is_not_wrapped(cli, failing):
    failing(Error("word " * 100 + "end."))
    assert "end." in one_line(cli("broken").err)


def test_a_bug_of_ours_keeps_its_traceback(cli, failing):
    failing(ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        cli("broken")


def test_debug_shows_the_traceback_and_keeps_the_status(cli, failing, monkeypatch):
    monkeypatch.setenv("UNMASK_DEBUG", "1")
    failing(Error("wrong."))
    ran = cli("broken")
    assert ran.status == 2
    assert "Traceback" in ran.err and ran.err.endswith("error: wrong.\n")


def test_ctrl_c_is_one_line_and_status_130(cli, failing):
    failing(KeyboardInterrupt())
    ran = cli("broken")
    assert (ran.status, ran.err) == (130, "interrupted.\n")


def test_a_verb_that_returns_ends_with_status_0(cli, failing):
    failing(Error("unused"))
    assert cli("sound").status == 0


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (["doktor"], "unknown verb 'doktor'. Did you mean 'doctor'?"),
        (["zzzz"], "unknown verb 'zzzz'. See 'unmask --help'."),
        (["doctor", "--jsno"], "unknown option '--jsno'. Did you mean '--json'? See 'unmask doctor --help'."),
        (["doctor", "extra"], "got unexpected extra argument"),
        (["--verzion"], "Did you mean '--version'?"),
    ],
)
def test_a_wrong_command_line_gets_the_nearest_right_one(cli, args, answer):
    ran = cli(*args)
    assert ran.status == 2 and ran.out == ""
    assert answer in one_line(ran.err)


def test_no_verb_prints_the_help(cli):
    ran = cli()
    assert ran.status == 0
    assert all(verb in ran.out for verb in [*app.VERBS, *app.GROUPS])


def test_every_verb_explains_itself(cli):
    for verb in [*app.VERBS, *app.GROUPS]:
        ran = cli(verb, "--help")
        assert ran.status == 0 and "Usage: unmask" in ran.out, verb


def test_a_reader_that_leaves_early_is_not_an_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "unmask", "--help"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == "" and done.returncode == 1


def test_libraries_are_quiet_unless_the_user_says_otherwise(monkeypatch):
    for name in app.QUIET:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    monkeypatch.setattr(sys, "argv", ["unmask", "--version"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_json_has_no_nan_and_no_object_that_json_lacks(capsys):
    console.print_json({"loss": float("nan"), "folder": Path("runs/a"), "rows": [(1, float("inf"))], "text": "नमस्ते"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"loss": None, "folder": "runs/a", "rows": [[1, None]], "text": "नमस्ते"}
    with pytest.raises(TypeError):
        console.print_json({"bad": object()})
