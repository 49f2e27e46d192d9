"""All pictures of a run that it has something for: its training, its patches, its nested levels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from unmask.errors import Error
from unmask.evaluation.windows import cut
from unmask.models.bytes import Bytes
from unmask.models.network import Denoiser
from unmask.pictures.fonts import fall_back
from unmask.pictures.labels import named
from unmask.pictures.metrics import TRAINING, bends, bends_figure, series, training_figure
from unmask.pictures.patches import ROOM, cut_text, patches_figure
from unmask.pictures.wubu_levels import discs_figure, spheres_figure, transitions_figure
from unmask.pictures.wubu_view import look
from unmask.training.held_out import held_out
from unmask.training.run import Run

BUILT_IN = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this "
    "truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property "
    "of some one or other of their daughters."
)
"""Austen 1813: what is drawn where a run's own held-out text cannot be had."""
WINDOWS = 16
"""Windows of text whose patches are points, at most."""
_DOCUMENTS = 16


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        files: The pictures.
        missing: Name of each other one that such a run can have, and why there is none.
    """

    files: list[Path]
    missing: dict[str, str]


def shown_texts(run: Run) -> tuple[list[str], str]:
    """Return held-out text of a run's corpus, and where it comes from; a built-in one where there is none."""
    try:
        held = held_out([run], count=_DOCUMENTS)
    except Error as error:
        return [BUILT_IN], f"a built-in one, for the run's held-out text cannot be had: {error}"
    return held.texts, f"{held.source}, held out"


def shows_text(run: Run) -> bool:
    """Return whether some picture of a run would show a text."""
    return run.recipe.backbone.name == "bytes" and run.recipe.data.tokenizer == "bytes"


def draw_run(run: Run, model: Denoiser | None, texts: Sequence[str], folder: Path) -> Drawn:
    """Draw a run.

    Args:
        run: The run, finished or not.
        model: Its network; ``None``: there are no weights yet.
        texts: What is cut into patches; the first one with room for it, or the longest, is drawn as text.
        folder: Where to; made if absent.

    Raises:
        Error: the folder cannot be written to.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    figures, missing = _of_training(run)
    for found, without in (_of_patches(run, model, texts), _of_levels(run, model, texts)):
        figures |= found
        missing |= without
    return Drawn([_written(figure, name, folder) for name, figure in figures.items()], missing)


_Found = tuple[dict[str, Figure], dict[str, str]]
"""Pictures by name, and why there are no others."""


def _of_training(run: Run) -> _Found:
    rows, figures, missing = run.metrics(), dict[str, Figure](), dict[str, str]()
    if series(rows, TRAINING):
        figures["metrics"] = training_figure(rows, named(run.name))
    else:
        missing["metrics"] = "nothing was logged yet."
    if bends(rows):
        figures["levels"] = bends_figure(rows, f"{named(run.name)}: nested levels while they were trained")
    elif _has_levels(run):
        missing["levels"] = "no level has told its curvature in metrics.jsonl."
    return figures, missing


def _of_patches(run: Run, model: Denoiser | None, texts: Sequence[str]) -> _Found:
    if not shows_text(run):
        return {}, {}
    if not isinstance(model, Bytes) or model.patcher is None:
        return {}, {"patches": _NO_WEIGHTS}
    long = (text for text in texts if len(text.encode()) >= ROOM)
    cuts = cut_text(model.patcher, next(long, max(texts, key=len)))
    return {"patches": patches_figure(cuts, f"{named(run.name)}: patches")}, {}


def _of_levels(run: Run, model: Denoiser | None, texts: Sequence[str]) -> _Found:
    names = ("discs", "spheres", "transitions")
    if not _has_levels(run):
        return {}, {}
    if not isinstance(model, Bytes):
        return {}, dict.fromkeys(names, _NO_WEIGHTS)
    try:
        view = look(model, _rows(run, model, texts), run.process.visibility)
    except Error as error:
        return {}, dict.fromkeys(names, str(error))
    about = f"{len(view.patches)} patches"
    figures = {
        "discs": discs_figure(view, f"{named(run.name)}: {about} in the nested levels"),
        "spheres": spheres_figure(view, f"{named(run.name)}: {about}, boundary points (\u25c6), descriptors (\u2605)"),
    }
    if not view.transitions:
        return figures, {"transitions": "there is one level, and none to pass on to."}
    title = f"{named(run.name)}: tangent vectors of {about} between levels"
    return figures | {"transitions": transitions_figure(view, title)}, {}


_NO_WEIGHTS = "there are no weights yet."


def _has_levels(run: Run) -> bool:
    return shows_text(run) and (run.recipe.backbone.model_extra or {}).get("latent", "wubu") == "wubu"


def _rows(run: Run, model: Bytes, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of the first windows of the texts, each behind BOS, as long as the network's context."""
    room = model.config.max_position_embeddings - 1
    pieces = [piece for text in texts for piece in cut(text[: WINDOWS * room], room)][:WINDOWS]
    return [[run.tokenizer.bos_id, *ids] for ids in run.tokenizer.encode_batch(pieces)]


def _written(figure: Figure, name: str, folder: Path) -> Path:
    path, partial = folder / f"{name}.png", folder / f".{name}.partial"
    with _writing(path):
        fall_back(figure)
        figure.savefig(partial, format="png", dpi=100, metadata={"Software": None})
        os.replace(partial, path)
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Error(f"{path} cannot be written ({error.strerror}); give another folder with --output.") from error
