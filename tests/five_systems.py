"""All five systems in one run of three steps: an index, and a network with slots, candidates, thoughts and evidence."""

from __future__ import annotations

from pathlib import Path

from roots.small_corpus import lines, write
from unmask.cli.app import run as command

RECIPE = """
base: nano
data: {{source: {source}, tokenizer: bytes, length: 120, valid_fraction: 0.1}}
process: {{name: sparse, candidates: 3}}
backbone: {{name: eco, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 48,
  memory_width: 64, memory_slots: 4}}
thought: {{shape: [2, 2, 8], passage: 60, stack: 2}}
evidence: {{index: {index}, texts: 3, query: 24}}
qcontroller: {{name: mended, every: 2, probe: 2}}
training: {{max_steps: 3, per_device_train_batch_size: 4, valid_blocks: 4, eval_steps: 3, logging_steps: 1}}
"""


def five_systems(root: Path) -> Path:
    """Write ``text.jsonl``, ``index``, ``five.yaml`` and ``run`` into a folder, by the verbs; returns it."""
    one, two = lines(120, 1), lines(120, 2)
    source = write(root / "text.jsonl", [f"{a} {b}" for a, b in zip(one, two, strict=True)])
    (root / "five.yaml").write_text(RECIPE.format(source=source, index=root / "index"), encoding="utf-8")
    built = f"index build {source} --output {root / 'index'} --shelves 4 --embedder wordllama-64 --split train"
    for verb in (built, f"train {root / 'five.yaml'} --output {root / 'run'}"):
        assert command(verb.split()) == 0
    return root
