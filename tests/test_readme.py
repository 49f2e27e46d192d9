"""The documentation works: the code blocks of the README and of the first pages run as they stand, and verbs and
options exist in all pages.

A command that is run must be quick: use a ``nano`` recipe and few steps. Commands that fetch or build the project
itself (``git clone``, ``cd``, ``pip``, ``make`` ...) are checked without being run. Blocks run in order in one empty
folder, so a later block may use what an earlier one wrote; a command that an earlier page ran there has left what it
writes, and is not run again.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from unmask.cli.app import GROUPS, VERBS, build_app
from unmask.sampling.registry import SAMPLERS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
SET_UP = {"git", "cd", "pip", "make", "python3", ".", "source"}


class Block(NamedTuple):
    """One fenced code block."""

    page: Path
    line: int
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w+)[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(page, text.count("\n", 0, fence.start()) + 1, fence[1], fence[2]) for fence in fences]


def commands(block: Block) -> list[str]:
    joined = block.code.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def name(block: Block) -> str:
    return f"{block.page.name}:{block.line}"


RUN = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs" / "start").glob("first-*.md")]
RUNNABLE = [block for page in RUN if page in PAGES for block in blocks(page) if block.language in ("bash", "python")]
SHELL = [block for page in PAGES for block in blocks(page) if block.language == "bash"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder beside a ``bin`` where ``unmask`` and ``python`` are those under test."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "bin").mkdir()
    for tool, module in (("unmask", "-m unmask "), ("python", "")):
        script = folder / "bin" / tool
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module}"$@"\n')
        script.chmod(0o755)
    (folder / "work").mkdir()
    return folder


@pytest.fixture(scope="module")
def ran() -> set[str]:
    """Commands that have been run in the folder."""
    return set()


@pytest.mark.parametrize("block", RUNNABLE, ids=name)
def test_the_block_runs_as_it_stands(block, place, ran):
    if block.language == "python":
        call = [sys.executable, "-c", block.code]
    else:
        lines = [line for line in commands(block) if shlex.split(line, comments=True)[0] not in SET_UP]
        lines = [line for line in lines if line not in ran]
        ran.update(lines)
        call = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        call, cwd=place / "work", env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{name(block)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", SHELL, ids=name)
def test_every_command_names_targets_verbs_and_options_that_exist(block):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    group = typer.main.get_command(build_app())
    for line in commands(block):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word and not word.startswith("-")} <= targets, line
        if words[0] == "unmask":
            command, rest = group, words[1:]
            while rest and rest[0] in getattr(command, "commands", {}):
                command, rest = command.commands[rest[0]], rest[1:]
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            used = {word.split("=")[0] for word in rest if word.startswith("--")} - {"--help"}
            assert not hasattr(command, "commands") or not rest or rest[0].startswith("-"), f"no such verb: {line}"
            assert used <= known, f"no such option: {line}"


def test_every_sampler_and_every_verb_has_its_place_in_a_page():
    pages = "\n".join(
        page.read_text(encoding="utf-8")
        for page in PAGES
        if page.parent.name != "reference" and (page.parent != ROOT or page.name == "README.md")
    )
    choice = (ROOT / "docs" / "how-to" / "choose-a-sampler.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|", choice, flags=re.MULTILINE)
    assert [name for name in SAMPLERS if name not in rows] == [], "a row in docs/how-to/choose-a-sampler.md is missing"
    assert [verb for verb in (*VERBS, *GROUPS) if not re.search(rf"unmask {verb}\b", pages)] == [], "no page shows it"


def test_the_lines_that_register_a_part_are_in_the_files_that_contributing_names():
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"One line in \[[\w.]+\]\(([\w./]+)\)", told)
    lines = [(ROOT / file).read_text(encoding="utf-8") for file in files]
    assert (
        len(files) == 3
        and [
            file
            for file, text in zip(files, lines, strict=True)
            if not re.search(r"^[A-Z]+\.(at|add)\(", text, re.MULTILINE)
        ]
        == []
    )
