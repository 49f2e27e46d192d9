"""Which of two runs do people prefer? Make a page for readers, and count what they chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unmask.data.lock import only_one
from unmask.errors import Error, check_seed, check_texts
from unmask.progress import Progress
from unmask.readers.blind import KEY, PAGE, make_page
from unmask.readers.blind import BlindResult as BlindResult
from unmask.readers.preference import TallyResult as TallyResult
from unmask.readers.preference import tally
from unmask.readers.prompts import RUBRIC, load_prompts, load_rubric
from unmask.training.run import Run


def blind(
    run_a: str | Path | Run,
    run_b: str | Path | Run,
    output: str | Path,
    *,
    prompts: str | Path = "stories",
    rubric: str | Path | None = None,
    pairs: int | None = None,
    length: int = 64,
    temperature: float = 0.8,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> BlindResult:
    """Let two runs go on from the same prompts and write a page on which readers choose without knowing whose is whose.

    Args:
        run_a: A run folder, a Hub name or an opened run.
        run_b: The other one.
        output: Folder for ``blind.html``, which readers get, and ``key.json``, which they must not see.
        prompts: ``indic``, ``reasoning``, ``stories``, or a file: one prompt a line, or JSON lines with a field
            ``prompt``.
        rubric: A YAML file of criteria; default coherence, grammar, follows the prompt.
        pairs: How many pairs; default one a prompt.
        length: Most tokens of a text.
        temperature: Of both runs; their samplers and steps are their own.
        seed: Of texts, choice, order and sides.
        say: Called with a line of news.
        progress: Called with where it stands.

    Returns:
        The files written.

    Raises:
        Error: no such run, prompts or rubric, prompts that do not fit, or a page that is already there.
    """
    for name, count in (("pairs", pairs), ("length", length)):
        if count is not None and count < 1:
            raise Error(f"{name} is {count}; it must be at least 1.")
    if pairs is not None:
        check_texts(pairs, "pairs")
    check_seed(seed)
    folder = Path(output)
    _check_place(folder)
    texts = load_prompts(prompts)
    criteria = RUBRIC if rubric is None else load_rubric(rubric)
    first, second = (run if isinstance(run, Run) else Run.open(run) for run in (run_a, run_b))
    busy = f"another process is making a page in {folder}"
    with only_one(folder, "making a blind page", busy, "wait for it, or give another folder", make=True, say=say):
        _check_place(folder)
        return make_page(
            (first, second),
            folder,
            texts,
            criteria,
            name=str(prompts),
            pairs=pairs,
            length=length,
            temperature=temperature,
            seed=seed,
            say=say,
            progress=progress,
        )


def _check_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise Error(f"--output {folder} is a file; give a folder.")
    for name in (KEY, PAGE):
        if (folder / name).exists():
            raise Error(f"{folder / name} exists; choices made with it would be lost. Give another folder.")


def blind_results(choices: Sequence[str | Path], folder: str | Path | None = None) -> TallyResult:
    """Count what readers chose on a blind page.

    Args:
        choices: The ``choices.json`` of each reader.
        folder: Where the page was made; default the folder of the first file.

    Returns:
        Preferences with intervals, a check for a favoured side, and the readers' agreement.

    Raises:
        Error: no key, or a file that is damaged, incomplete, of another page, or given twice.
    """
    files = [Path(path) for path in choices]
    if not files:
        raise Error("name at least one file of choices, such as DIR/choices.json.")
    return tally(Path(folder) if folder is not None else files[0].parent, files)
