"""Each code block of the how-to, start and concept pages runs as it stands, or says above it why not.

A page is gone through in order, in an empty folder: lines of ``unmask`` in this process, other lines in a shell, Python
blocks with the names of those before them. A block with a title (``yaml title="rules.yaml"``) is a file of that name.
``<!-- not run: REASON -->`` right above a block leaves it out. The first pages are run by ``tests/test_readme.py``.

A training is cut short: two steps of two examples, unless the line says how many. A tokenizer is trained once for each
text. Where two pages show the same line, and its text comes with unmask, the second page is given what the first made.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.docs.links import DOCS
from unmask.cli.app import run
from unmask.data import tokenizers
from unmask.data.find import EMBEDDED
from unmask.training import recipe

ELSEWHERE = {*(DOCS / "start").glob("first-*.md")}
"""Run by another test."""
PAGES = sorted(page for part in (".", "start", "how-to", "concepts") for page in (DOCS / part).glob("*.md"))
_BLOCK = re.compile(
    r"^ *(?:<!-- not run: (?P<reason>[^\n]+) -->\n *)?```(?P<language>\w*)(?P<more>[^\n]*)\n(?P<code>.*?)^ *```$",
    flags=re.MULTILINE | re.DOTALL,
)
_trained = cache(tokenizers._train_bpe)
SHORT = {"max_steps": 2, "per_device_train_batch_size": 2, "valid_blocks": 2}
"""What a training is cut to."""
DECISIONS = {0, 1, 3}
"""``compare --rules``: keep, drop, undecided."""


class Block(NamedTuple):
    """One fenced block."""

    line: int
    language: str
    title: str | None
    code: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for one in _BLOCK.finditer(text):
        title = re.search(r'title="([^"]+)"', one["more"])
        line = text.count("\n", 0, one.start("language")) + 1
        code = textwrap.dedent(one["code"])
        found.append(Block(line, one["language"], title and title[1], code, one["reason"]))
    return found


def commands(code: str) -> list[str]:
    """Return the lines of a shell block, those that go on joined."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def runs(page: Path) -> bool:
    """Tell whether a page has a block that is run."""
    return page not in ELSEWHERE and any(b.language in ("bash", "python") and not b.reason for b in blocks(page))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut trainings short, where the command line does not say how long they are, and train no tokenizer twice."""
    read = recipe._read

    def brief(name: str, seen: tuple[str, ...]) -> dict[str, object]:
        tree = read(name, seen)
        tree["training"] = {**tree.get("training", {}), **SHORT}
        return tree

    monkeypatch.setattr(recipe, "_read", brief)
    monkeypatch.setattr(tokenizers, "_train_bpe", lambda texts, *how: _trained(tuple(texts), *how))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What lines that are the same on every page have made."""
    return {}


def type_in(line: str, made: dict[str, Path], kept: Path) -> None:
    """Run one line of a shell block in the folder where we are."""
    words = shlex.split(line, comments=True)
    if words[0] != "unmask":
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return
    same = any(f"{before}{name}" in words for name in EMBEDDED for before in ("", "data.source="))
    output = Path(words[words.index("--output") + 1]) if "--output" in words else None
    if output and line in made:
        shutil.copytree(made[line], output)
        return
    assert run(words[1:]) in (DECISIONS if "--rules" in words else {0}), line
    if output and output.is_dir() and same and words[1] in ("train", "index"):
        made[line] = shutil.copytree(output, kept / str(len(made)))


@pytest.mark.parametrize("page", [*filter(runs, PAGES)], ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_blocks_of_a_page_run_as_they_stand(page, short, made, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        try:
            if block.title and not block.reason:
                Path(block.title).write_text(block.code, encoding="utf-8")
            elif block.language == "bash" and not block.reason:
                for line in commands(block.code):
                    type_in(line, made, tmp_path_factory.mktemp("made"))
            elif block.language == "python" and not block.reason:
                exec(compile(block.code, f"{page}:{block.line}", "exec"), names)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"{page}:{block.line}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_block_has_a_language_and_a_mark_has_a_block(page):
    text = page.read_text(encoding="utf-8")
    found = blocks(page)
    assert [block.line for block in found if not block.language] == [], "```bash, ```python, ```text ..."
    assert text.count("<!-- not run") == sum(block.reason is not None for block in found), "a mark stands right above"
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(found)


PAGE = """
<!-- not run: needs a network -->
```bash
unmask sample far/away
```

    ```python title="one.py"
    print(1)
    ```
"""


def test_a_mark_belongs_to_the_block_right_below_it(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    first, second = blocks(tmp_path / "page.md")
    assert (first.language, first.line, first.reason) == ("bash", 3, "needs a network")
    assert (second.title, second.reason, second.code) == ("one.py", None, "print(1)\n")
