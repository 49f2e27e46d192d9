"""Names from elsewhere (of runs, recipes, criteria) are data everywhere: in tables, bars, pictures and Markdown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from unmask import progress_line
from unmask.pictures.labels import label_points, named
from unmask.progress import Progress
from unmask.reports.cells import Table, line, to_markdown, to_rich
from unmask.sweeps.train_recipe import train_recipe
from unmask.training.recipe import Recipe

pytestmark = pytest.mark.strangers

NAMES = [
    "exp{lr}",
    "{0.__class__}",
    "{",
    "100%s %d %",
    "[bold]loud[/bold]",
    "[/bold]",
    "[link=file:///etc/passwd]x[/link]",
    "end\\",
    ":smile: \N{GRINNING FACE}",
    "$\\frac{1}{0$ and $x$",
    "$",
    "_private",
    "a|b",
    "a\\|b",
    "</script><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "=1+1",
    "\x1b[2J\x1b]0;title\x07",
    "line\nfeed",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
]
IDS = [repr(name) for name in NAMES]


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=200, legacy_windows=False)


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_table_shows_a_name_as_it_stands(name: str) -> None:
    console = terminal()
    console.print(to_rich(Table(name, [name, "b"], [[name, name]], frozenset({0}), name)))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in told and "\x1b]" not in told
    if name.isprintable():
        assert told.count(name) == 5
    row = line([name, "b"])
    assert "\n" not in row and "<" not in row and "](" not in row
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert len(to_markdown(Table("t", ["a", "b"], [[name, "b"]], frozenset(), "n")).splitlines()) == 7


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_progress_line_shows_a_name_as_it_stands(name: str, monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    console = terminal()
    monkeypatch.setattr(progress_line, "console", console)
    with progress_line.ProgressLine() as line:
        line(Progress(number=1, stages=2, stage="score", what=name, done=1, total=2, share=0.5, left=None))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "score (1 of 2) 1/2" in told and "\x1b[2J" not in told and "\x1b]0" not in told
    if name.isprintable() and len(name) <= 40:
        assert name in told


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_picture_shows_a_name_as_it_stands(name: str, tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=named(name))
    axes.set_title(named(name))
    legend = axes.legend()
    label_points(axes, [(0.5, 0.5, name)])
    figure.savefig(tmp_path / "x.svg")
    (text,) = legend.get_texts()
    assert not text._preprocess_math(text.get_text())[1]
    if name.isprintable():
        assert text._preprocess_math(text.get_text())[0].strip() == name


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["exp{lr}", "100%s", "[bold]$x$", "_\N{GRINNING FACE}"])
def test_a_recipe_file_of_that_name_trains_and_is_drawn(tiny_tree: Callable[[str], Recipe], tmp_path, name) -> None:
    run = train_recipe(tiny_tree(name), tmp_path / name)
    assert run.manifest["status"] == "finished" and run.name == name
    assert list((run.path / "plots").glob("*.png"))


@pytest.fixture
def tiny_tree(tmp_path: Path) -> Callable[[str], Recipe]:
    """A recipe of a name that trains in no time and draws its run."""
    from unmask.training.recipe import load_recipe

    (tmp_path / "text.jsonl").write_text('{"text": "The cat sat on the mat and the dog sat on the cat."}\n' * 1)
    (tmp_path / "text.jsonl").write_text(
        "".join(f'{{"text": "The cat number {i} sat on mat {i * 7 % 13}."}}\n' for i in range(60))
    )

    def make(name: str) -> Recipe:
        path = tmp_path / f"{name}.yaml"
        path.write_text("base: nano-causal\n", encoding="utf-8")
        small = [
            f"data.source={tmp_path / 'text.jsonl'}",
            "data.tokenizer=bytes",
            "data.length=32",
            "backbone.hidden_size=16",
            "backbone.num_hidden_layers=1",
            "backbone.num_attention_heads=2",
            "training.per_device_train_batch_size=2",
            "training.max_steps=2",
            "training.valid_blocks=0",
            "training.logging_steps=1",
            "training.plot_every=1",
        ]
        return load_recipe(path, small)

    return make
