"""What names, files and options alone can tell is told without torch and transformers: in under a second.

All command lines run in one process in which neither can be imported.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from cli.test_bad_input import ROWS
from unmask.cli.app import VERBS

WITHOUT = """
import contextlib, importlib.abc, importlib.machinery, io, json, sys


class Barred(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    # May be looked for (where the files lie is no import), but not run.

    def find_spec(self, name, path=None, target=None):
        if name not in ("torch", "transformers"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = self
        return spec

    def exec_module(self, module):
        raise RuntimeError(f"{module.__name__} is imported")


sys.meta_path.insert(0, Barred())
from unmask.cli import console
from unmask.cli.app import run

for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    console.console.file = err
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run(line)
        except BaseException as failure:
            status = repr(failure)
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""
"""Runs the command lines of stdin."""

HEAVY = (
    "100000000000",
    "max-tokens 500",
    "masked --prompt",
    "runs/cut-weights",
    "runs/cut-tokenizer",
    "no-tokenizer",
    "newer-tokenizer",
    "runs/cut-config",
    "wider-config",
    "deeper-config",
    "--likelihood duel",
    "--judge causal",
    "--format llama",
    "newer --resume",
    "hf:nobody",
    "evaluate causal --source latin",
    "data.source=one.jsonl",
    "data.length=5000",
    "--length 1-99999999",
    "head.trace",
    "request.trace",
    "token.trace",
)
"""In mistakes that a corpus, a network, weights, a trace, the Hub or the trainer's own arguments tell."""
MORE = [
    ("chat", "'unmask serve RUN' answers OpenAI's clients"),
    ("train TYPO", "unknown recipe 'TYPO'"),
    ("train nano-masked -o data.source=empty.txt --output new", "empty.txt is empty. Give a file with text in it."),
    ("train nano-masked --steps 3", "-o training.max_steps=VALUE"),
    ("train nano-masked -o typo=1", "unknown recipe key 'typo'"),
    ("compare one --blind -o new", "--blind takes two runs, got 1."),
    ("compare causal", "missing option '--output'"),
    ("sample masked a --prompt b", "give one of them"),
    ("evaluate missing", "there is no run folder missing"),
    ("infill missing 'a ____'", "there is no run folder missing"),
    ("thoughts save missing --text a -o t.safetensors", "there is no run folder missing"),
    ("index search missing words", "missing"),
    ("index search missing words --rerank surprisl", "unknown rerank 'surprisl'. Did you mean 'surprisal'?"),
    ("index search missing words --rerank bm25 --exact", "leave one of them out"),
    ("export missing -o new", "there is no run folder missing"),
    ("serve missing", "there is no run folder missing"),
]
SOUND = ["--version", "recipes", "recipes nano-masked", "sweep --list", *(f"{verb} --help" for verb in VERBS)]


def without_torch(lines: list[str], folder: Path) -> list[tuple[object, str, str]]:
    """Return status, stdout and stderr of command lines, run where importing torch or transformers is an error."""
    call = [sys.executable, "-c", WITHOUT]
    asked = json.dumps([shlex.split(line) for line in lines])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(call, input=asked, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_mistakes_are_told_without_importing_torch(mistakes: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(mistakes, tmp_path / "here")
    rows = [*(row for row in ROWS if not any(part in row[0] for part in HEAVY)), *MORE]
    told = without_torch([line for line, _ in rows], folder)
    wrong = [
        (line, status, err)
        for (line, answer), (status, _, err) in zip(rows, told, strict=True)
        if status != 2 or answer not in err
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_names_and_help_are_told_without_importing_torch(tmp_path: Path) -> None:
    for line, (status, out, err) in zip(SOUND, without_torch(SOUND, tmp_path), strict=True):
        assert status == 0 and (out or err), (line, err)
