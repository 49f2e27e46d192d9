"""Draw a run: how it trained, where it cuts text into patches, and what its nested levels make of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unmask.data.corpus import normalized
from unmask.errors import Error
from unmask.lines import counted
from unmask.result import Result
from unmask.training.find_run import find_run, own_folder
from unmask.training.run import WEIGHTS, Run, open_folder


@dataclass(frozen=True, repr=False)
class PlotResult(Result):
    """What was drawn of a run.

    Attributes:
        run: The run's folder.
        name: Its name.
        files: The pictures, PNG.
        missing: Name of each picture that such a run can have and this one has not, and why.
        text: Where the text comes from that patches were cut of; empty where none was needed.
    """

    run: str
    name: str
    files: list[Path]
    missing: dict[str, str]
    text: str

    def _facts(self) -> tuple[str, ...]:
        return (self.name, counted(len(self.files), "picture"), f"{len(self.missing)} left out")


def plot(run: str | Path | Run, *, text: str | Path | None = None, output: str | Path | None = None) -> PlotResult:
    """Draw everything that a run has something for.

    ``metrics``: loss, gradient norm, learning rate and speed. Of a run of backbone ``bytes`` also ``patches``, and of
    one with ``latent: wubu`` also ``levels`` (curvature, scale and spread over training), ``discs``, ``spheres`` and
    ``transitions``.

    Args:
        run: A run folder, finished or not, a Hub name or an opened run.
        text: What is cut into patches: a text, or a file that holds it. Default held-out text of the run's corpus, or a
            built-in one where that cannot be had.
        output: Folder for the pictures; default ``plots`` in the run's.

    Raises:
        Error: no such run, one that has logged nothing, an empty text or one that is not UTF-8, or a folder that cannot
            be written to.
    """
    from unmask.pictures.run import draw_run, shown_texts, shows_text
    from unmask.sweeps.train_recipe import PLOTS

    given = None if text is None else _read(text)
    run = _opened(run)
    if not run.metrics():
        raise Error(f"run {run.path} has no metrics (metrics.jsonl is absent or empty), so there is nothing to draw.")
    folder = own_folder(run.path) / PLOTS if output is None else Path(output)
    model, texts, source = None, list[str](), ""
    if shows_text(run):
        model = run.model() if (run.path / WEIGHTS).is_file() else None
        texts, source = (
            shown_texts(run) if given is None else ([normalized(given[0], run.recipe.data.normalize)], given[1])
        )
    drawn = draw_run(run, model, texts, folder)
    return PlotResult(str(run.path), run.name, drawn.files, drawn.missing, source)


def _opened(run: str | Path | Run) -> Run:
    """Open a run, also one that has no weights yet."""
    if isinstance(run, Run):
        return run
    folder = find_run(run)
    return Run.open(run) if folder is None else Run(folder, *open_folder(folder))


def _read(text: str | Path) -> tuple[str, str]:
    """Return a text, and where it comes from."""
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # no name of a file
        is_file = False
    if isinstance(text, Path) and not is_file:
        raise Error(f"there is no file {text}; give one that holds the text, or the text itself.")
    try:
        found = Path(text).read_text(encoding="utf-8-sig") if is_file else str(text)
        found.encode()
    except UnicodeError as error:
        raise Error(f"the text {'in ' + str(text) if is_file else 'given'} is not UTF-8; give one that is.") from error
    if not found:
        raise Error(f"the text {'in ' + str(text) if is_file else 'given'} is empty; give one with letters in it.")
    return found, str(text) if is_file else "the text given"
