"""A blind comparison by people: pairs of texts in shuffled order with shuffled sides, on a page that knows no names.

Both runs go on from the same prompts with the same temperature, the same number of tokens and the same seed, each with
its own sampler. ``blind.html`` holds the texts; ``key.json``, which says which text is whose, stays with the one who
asks. A page is made anew, byte for byte, from the same runs and seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from unmask.lines import counted
from unmask.progress import Counter, Tell
from unmask.readers.prompts import Criterion
from unmask.result import Result
from unmask.training.go_on import go_on
from unmask.training.run import Run

FORMAT = 1
"""Of ``key.json`` and ``choices.json``."""
KEY = "key.json"
PAGE = "blind.html"
CHOICES = "choices.json"


@dataclass(frozen=True)
class Pair:
    """Two texts that go on from one prompt.

    Attributes:
        id: Its name on the page.
        prompt: The given beginning.
        texts: What the first and the second run wrote.
        left: Which of them stands on the left, 0 or 1.
    """

    id: str
    prompt: str
    texts: tuple[str, str]
    left: int


@dataclass(frozen=True, repr=False)
class BlindResult(Result):
    """A page to be judged.

    Attributes:
        page: The page.
        key: The file that says which text is whose; readers must not see it.
        id: Identity of the page's content.
        names: Of the first and the second run.
        pairs: Pairs of texts.
        prompts: Different prompts among them.
        criteria: What readers are asked.
    """

    page: Path
    key: Path
    id: str
    names: tuple[str, str]
    pairs: int
    prompts: int
    criteria: tuple[str, ...]

    def _facts(self) -> tuple[str, ...]:
        return (f"{self.page}", counted(self.pairs, "pair"), " and ".join(self.names))


def make_page(
    runs: tuple[Run, Run],
    folder: Path,
    prompts: Sequence[str],
    criteria: Sequence[Criterion],
    *,
    name: str,
    pairs: int | None,
    length: int,
    temperature: float,
    seed: int,
    say: Callable[[str], None],
    progress: Tell,
) -> BlindResult:
    """Sample both runs and write ``blind.html`` and ``key.json``.

    Args:
        runs: The two runs.
        folder: Where to.
        prompts: Beginnings.
        criteria: What readers are asked.
        name: Of the prompt set.
        pairs: How many pairs; default one a prompt. More take prompts again, with other texts; fewer, some of them.
        length: Most tokens of a text.
        temperature: Of both runs.
        seed: Of texts, choice, order and sides.
        say: Called with a line of news.
        progress: Called with where it stands.

    Raises:
        Error: a prompt that does not fit a run's context, an unknown sampler setting in a recipe.
    """
    rng = np.random.default_rng(seed)
    count = len(prompts) if pairs is None else pairs
    rounds = [rng.permutation(len(prompts)) for _ in range(-(-count // len(prompts)))]
    order = np.concatenate(rounds)[:count]
    chosen = [prompts[i] for i in order]
    written, used = [], []
    for number, run in enumerate(runs, 1):
        say(f"{run.name} writes {counted(count, 'text')}")
        counter = Counter("writing", progress, unit="tokens", what=run.name, place=(number, 2))
        texts, settings = _write(run, chosen, length, temperature, seed, counter)
        written.append(texts)
        used.append(settings)
    left = rng.permutation(np.arange(count) % 2)  # each run is on the left as often as on the right, give or take one
    made = []
    for number, (prompt, side) in enumerate(zip(chosen, left.tolist(), strict=True)):
        texts = (written[0][number], written[1][number])
        made.append(Pair(_digest(number, prompt, texts[side], texts[1 - side])[:8], prompt, texts, side))
    shown = [{"id": p.id, "prompt": p.prompt, "left": p.texts[p.left], "right": p.texts[1 - p.left]} for p in made]
    rubric = [asdict(criterion) for criterion in criteria]
    identity = _digest(shown, rubric)[:16]
    key = {
        "format": FORMAT,
        "page": identity,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [
            {"name": run.name, "path": str(run.path), "process": run.process.name, **settings}
            for run, settings in zip(runs, used, strict=True)
        ],
        "length": length,
        "temperature": temperature,
        "seed": seed,
        "prompts": name,
        "criteria": rubric,
        "pairs": [asdict(pair) for pair in made],
    }
    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(key, indent=2, ensure_ascii=False) + "\n"
    (folder / KEY).write_text(told, encoding="utf-8", errors="backslashreplace")
    content = {"format": FORMAT, "page": identity, "criteria": rubric, "pairs": shown, "file": CHOICES}
    (folder / PAGE).write_text(to_html(content), encoding="utf-8", errors="backslashreplace")
    names = tuple(criterion.name for criterion in criteria)
    runs_named = (runs[0].name, runs[1].name)
    return BlindResult(folder / PAGE, folder / KEY, identity, runs_named, count, len(set(chosen)), names)


def to_html(content: dict[str, Any]) -> str:
    """Render the page: one file, no external resource, every text as data and never as markup."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = files("unmask.readers") / "templates" / "blind.html"
    return environment.from_string(template.read_text(encoding="utf-8")).render(content=content)


def _write(
    run: Run, prompts: Sequence[str], length: int, temperature: float, seed: int, counter: Counter
) -> tuple[list[str], dict[str, Any]]:
    """Return what a run writes after each prompt, and the sampler and settings it used."""
    shared = {"temperature": temperature, "temperature_end": None, "top_k": 0, "top_p": 1.0, "seed": seed}
    own = run.recipe.sampler_settings()
    settings = own.but(**{key: value for key, value in shared.items() if key in own.known})
    total = length * len(prompts)
    texts = go_on(run, run.model(), prompts, settings, length, progress=lambda more: counter.add(more, total))
    kept = settings.model_dump(exclude={"seed", "temperature"})
    return texts, {"sampler": own.name, "settings": dict(sorted(kept.items()))}


def _digest(*parts: object) -> str:
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
