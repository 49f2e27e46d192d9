"""What goes with what: every network with every process, its samplers, candidates, warm start and exports, by trying.

    python -m benchmarks.studies.combinations.write            # writes docs/reference/combinations.md
    python -m benchmarks.studies.combinations.write --check    # exit status 1 if the page is not what the code does

Nothing is listed by hand. A tiny network of each pair takes a training step, each sampler that says it drives the
process writes a text with it, and what is refused stands there with the words of the refusal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.lib.places import DOCS
from unmask.api.export import check_native
from unmask.data.batch import Batch
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.thought import ThoughtOptions
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error
from unmask.models.families.convert import to_native
from unmask.models.families.registry import FAMILIES
from unmask.models.registry import BACKBONES
from unmask.sampling import SAMPLERS, Settings, Vocabulary, drives, fill_request, generate
from unmask.sampling.settings import SteppedSettings
from unmask.training.options import backbone_kinds

PAGE = DOCS / "reference" / "combinations.md"
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16}
IDS = 24
WORDS = Vocabulary(size=IDS)
HEAD = """# What goes with what

Which network learns which process, and which samplers write with it. Nothing is listed by hand: with the defaults of
each process a tiny network of each pair takes a training step, and each sampler writes with it. A test keeps the page
true.

- *Candidates*: how [weighted candidates](../concepts/sparse.md) may enter the network, the process's own choice first.
- *Warm start*: the first steps train left to right (`causal_warmup`).
- *Thoughts*: texts in passages with a [thought](../concepts/thoughts.md).
- *Export*: formats of `unmask export`.

```bash
python -m benchmarks.studies.combinations.write
```
"""


@dataclass(frozen=True)
class Pair:
    """One network with one process; ``refused`` says why there is none."""

    backbone: str
    process: str
    refused: str = ""
    candidates: tuple[str, ...] = ()
    warm_start: str = "-"
    thoughts: str = "-"
    samplers: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    page = render()
    if parser.parse_args(arguments).check:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page
        if not same:
            print(
                "docs/reference/combinations.md is not what the code does; "
                "run: python -m benchmarks.studies.combinations.write",
                file=sys.stderr,
            )
        return 0 if same else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


def render() -> str:
    """Return the page."""
    pairs = [tried(backbone, process) for backbone in BACKBONES for process in PROCESSES]
    lines = [HEAD, "| backbone | process | samplers | candidates | warm start | thoughts | export |", "|---" * 7 + "|"]
    for pair in pairs:
        if not pair.refused:
            told = (pair.samplers, pair.candidates, (pair.warm_start,), (pair.thoughts,), pair.exports)
            cells = [", ".join(cell) or "-" for cell in told]
            lines.append(f"| {pair.backbone} | {pair.process} | {' | '.join(cells)} |")
    lines += ["", "Refused, in the words of the refusal:", ""]
    lines += [f"- {pair.backbone} with {pair.process}: {pair.refused}" for pair in pairs if pair.refused]
    return "\n".join(lines) + "\n"


def tried(backbone: str, process: str) -> Pair:
    """Return what works with a network and a process."""
    try:
        model, made = _trained(backbone, process)
    except Error as error:
        return Pair(backbone, process, refused=str(error))
    pair = Pair(backbone, process)
    options = PROCESSES.get(process).Options
    own = options().network().get("candidate_input")
    if own is not None:
        others = [kind for kind in ("pooled", "full") if kind != own]
        ways = [
            kind for kind in (own, *others) if _works(lambda k=kind: _trained(backbone, process, candidate_input=k))
        ]
        pair = replace(pair, candidates=tuple(ways))
    if "causal_warmup" in options.model_fields:
        works = _works(lambda: _trained(backbone, process, {"causal_warmup": 0.4}))
        pair = replace(pair, warm_start="yes" if works else "no")
    pair = replace(pair, thoughts="yes" if _works(lambda: _thinking(backbone, process)) else "no")
    writers = tuple(name for name in SAMPLERS if drives(SAMPLERS.facts(name), made))
    for name in writers:  # one that says it drives and cannot is a defect, and stops this
        sampler = SAMPLERS.get(name)
        generate(model, sampler(), [fill_request([], 6, WORDS, _short(name))], WORDS)
    exports = ["hub"]
    if _works(lambda: check_native("", made, backbone, "llama")):
        to_native(model, FAMILIES.get("llama"))
        exports.append("llama")
    return replace(pair, samplers=writers, exports=tuple(exports))


def _trained(backbone: str, process: str, given: dict[str, Any] | None = None, **sizes: Any) -> tuple[Any, Any]:
    """Return a network that took a step with a process; at progress 0 and at 1, so that warm starts are tried."""
    kind = PROCESSES.get(process)
    options = kind.Options(**(given or {}))
    known = backbone_kinds(backbone)
    asked = {key: value for key, value in options.network().items() if key in known}
    made = kind(options, WORDS)
    torch.manual_seed(0)
    parts = BACKBONES.get(backbone)
    model = parts.model(parts.config(vocab_size=IDS, **{**SIZES, **asked, **sizes}))
    if sizes.get("thought"):
        made = Thinking(made, ThoughtOptions(**sizes["thought"]))
    made.check(model.config)
    tokens = torch.randint(4, IDS, (2, 12))
    tokens[:, 0] = WORDS.bos
    batch = Batch(tokens, torch.ones_like(tokens), torch.arange(2), WORDS.bos)
    for progress in (0.0, 1.0):
        made.loss(model, batch, 0, progress)["loss"].backward()
    return model.eval(), made


def _thinking(backbone: str, process: str) -> None:
    """Take a step with thoughts, and write two passages with each sampler that drives the process."""
    options = ThoughtOptions(shape=(2, 3, 4), passage=6)
    model, made = _trained(backbone, process, thought=options.model_dump(mode="json"))
    for name in SAMPLERS:
        if drives(SAMPLERS.facts(name), made) and name != "speculative":  # which refuses them
            generate(model, SAMPLERS.get(name)(), [fill_request([], 10, WORDS, _short(name))], WORDS)


def _short(sampler: str) -> Settings:
    """Return settings of a sampler with few steps, where it has any."""
    kind: type[Settings] = SAMPLERS.facts(sampler)
    return kind(ignore_eos=True, **({"steps": 2} if issubclass(kind, SteppedSettings) else {}))


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except Error:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
