"""Write texts from the thoughts between two texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.api.thought_run import Mind, one_passage, opened, read_all, read_end
from unmask.api.writing import Setting, words_told
from unmask.data.embeddings import Embedder, WordLlamaEmbedder
from unmask.diffusion.noise import Noise
from unmask.errors import Error, check_texts
from unmask.evaluation.closeness import Closeness, closeness
from unmask.lines import counted, excerpt
from unmask.progress import Progress
from unmask.result import Result
from unmask.sampling import Request
from unmask.sampling.blend import Path as Way
from unmask.sampling.blend import begun, between, unit
from unmask.sampling.kept_thought import Kept
from unmask.training.own_text import shown
from unmask.training.run import Run


@dataclass(frozen=True)
class Point:
    """Texts written from one thought.

    Attributes:
        share: How far from A to B; ``None``: random thoughts, the control.
        texts: What was written.
        to_a: How close the texts are to A.
        to_b: How close they are to B.
    """

    share: float | None
    texts: list[str]
    to_a: Closeness
    to_b: Closeness


@dataclass(frozen=True, repr=False)
class InterpolateResult(Result):
    """A way from one text to another.

    Attributes:
        run: The run's folder.
        sampler: Name of the sampler.
        settings: All its settings.
        a: Text A.
        b: Text B.
        path: ``spherical`` or ``linear``.
        noise: Share of noise that the thoughts began with.
        ends: How close A is to B: what the points are to be read beside.
        points: The points, from A to B.
        random: The control: as many texts, each from a random thought.
    """

    run: str
    sampler: str
    settings: dict[str, Any]
    a: str
    b: str
    path: str
    noise: float
    ends: Closeness
    points: list[Point]
    random: Point

    def _facts(self) -> tuple[str, ...]:
        ends = f"{excerpt(self.a, 40)!r} to {excerpt(self.b, 40)!r}"
        return (f"{counted(len(self.points), 'point')} from {ends}",)


def thoughts_interpolate(
    run: str | Path | Run,
    a: str | Path,
    b: str | Path,
    *,
    points: int = 7,
    path: Way = "spherical",
    noise: float = 0.5,
    prompt: str = "",
    max_tokens: int | None = None,
    n: int = 4,
    topic: bool = False,
    sampler: str | None = None,
    batch_size: int = 8,
    progress: Callable[[Progress], None] = lambda told: None,
    **settings: Setting,
) -> InterpolateResult:
    """Blend the thoughts of two texts, noise the blend, and denoise it again along with a masked text.

    Texts with the same number share all noise at every point, so that nothing but the thought tells them apart.

    Args:
        run: A run folder with thoughts, or an opened run.
        a: A text, or a thought file of this run (``.safetensors``).
        b: Another.
        points: How many blends, the ends among them.
        path: ``spherical``: equal angles between points; ``linear``: the same arc at another pace.
        noise: Share of noise in the variance of the thought that each text begins with.
        prompt: Text that all texts begin with.
        max_tokens: Most tokens to write; default: what one passage has room for.
        n: Texts at each point.
        topic: Measure closeness by static embeddings, too (WordLlama).
        sampler: Name of a sampler; default: the recipe's, else the process's.
        batch_size: Most texts in one network call.
        progress: Called with how much has been written.
        **settings: Of the sampler (``unmask samplers`` lists them); what is left out comes from the recipe.

    Raises:
        Error: fewer than two points, no text, a run without thoughts; as :func:`unmask.sample`.
    """
    if points < 2:
        raise Error(f"points is {points}; two are the ends themselves, ask for at least 2.")
    check_texts(n)
    mind = opened(run, sampler, settings)
    embedder = WordLlamaEmbedder() if topic else None
    ends = read_end(mind, a), read_end(mind, b)
    (text_a, one), (text_b, other) = ends
    shares = [i / (points - 1) for i in range(points)]
    cleans = [between(one.cells, other.cells, share, path).expand(n, -1, -1) for share in shares]
    draw = Noise(mind.settings.seed, torch.arange(n)).normal("random-thought", one.cells.numel())
    cleans.append(unit(draw.view(n, *one.cells.shape)))
    tokens, lead = one_passage(mind, prompt, max_tokens)
    requests = [
        Request(tokens, mind.settings, i, lead, begun(mind.options, clean[i], noise, mind.settings.seed, i))
        for clean in cleans
        for i in range(n)
    ]
    told = words_told(progress, mind.run, requests, mind.vocabulary)
    written = [mind.words(sample) for sample in mind.write(requests, batch_size, told=told)]
    groups = [written[i : i + n] for i in range(0, len(written), n)]
    found = [_point(mind, s, g, ends, embedder) for s, g in zip([*shares, None], groups, strict=True)]
    return InterpolateResult(
        run=str(mind.run.path),
        sampler=mind.settings.name,
        settings=mind.settings.model_dump(),
        a=text_a,
        b=text_b,
        path=path,
        noise=noise,
        ends=closeness([text_a], one.cells[None], text_b, other.cells, embedder),
        points=found[:-1],
        random=found[-1],
    )


def _point(
    mind: Mind,
    share: float | None,
    written: list[tuple[int, ...]],
    ends: tuple[tuple[str, Kept], tuple[str, Kept]],
    embedder: Embedder | None,
) -> Point:
    """Measure the texts of a point."""
    texts = [shown(mind.run.tokenizer.decode(tokens), mind.run.tokenizer) for tokens in written]
    thoughts: Float[Tensor, "N C E"] = read_all(mind, written)
    to_a, to_b = (closeness(texts, thoughts, text, kept.cells, embedder) for text, kept in ends)
    return Point(share, texts, to_a, to_b)
