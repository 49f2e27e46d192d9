"""A folder full of mistakes: files that are no text, runs that are damaged, traces that break off."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

TRACE = Path(__file__).parent.parent / "fixtures" / "trace-v1.jsonl"


def cut(path: Path, size: int) -> None:
    """Keep the first bytes of a file, or, below 0, all but the last ones."""
    path.write_bytes(path.read_bytes()[:size])


def change(path: Path, **values: object) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


TEXTS: dict[str, bytes] = {
    "empty.txt": b"",
    "blank.txt": b" \n\t \n",
    "binary.txt": b"\x7fELF\0\1\2",
    "latin.txt": "caf\u00e9 au lait ".encode("latin-1") * 50,
    "broken.jsonl": b'{"text": "fine"}\n{"text": oops\n',
    "nofield.jsonl": b'{"body": "a"}\n',
    "surrogate.jsonl": b'{"text": "a \\ud800 b"}\n',
    "nothing.jsonl.gz": gzip.compress(b""),
    "cut.jsonl.gz": gzip.compress(b"".join(b'{"text": "line %d"}\n' % i for i in range(999)))[:-30],
    "bad.parquet": b"PAR1 and no more",
    "table.csv": b"a,b\n",
    "one.jsonl": json.dumps({"text": "word " * 200}).encode(),
    "bad.yaml": b"data: [1,",
    "latin.yaml": b"about: caf\xe9",
    "section.yaml": b"data: 5",
}
RUNS: dict[str, Callable[[Path], None]] = {
    "empty": lambda run: (shutil.rmtree(run), run.mkdir())[1],
    "half": lambda run: (run / "model.safetensors").unlink(),
    "newer": lambda run: change(run / "run.json", format=2),
    "cut-manifest": lambda run: cut(run / "run.json", 50),
    "odd-manifest": lambda run: (run / "run.json").write_text("[]") and None,
    "no-recipe": lambda run: (run / "recipe.yaml").unlink(),
    "odd-recipe": lambda run: (run / "recipe.yaml").write_text("data: {srce: x}") and None,
    "cut-weights": lambda run: cut(run / "model.safetensors", -100),
    "cut-tokenizer": lambda run: cut(run / "tokenizer" / "tokenizer.json", 300),
    "no-tokenizer": lambda run: shutil.rmtree(run / "tokenizer"),
    "newer-tokenizer": lambda run: change(run / "tokenizer" / "unmask_tokenizer.json", format=2),
    "cut-config": lambda run: cut(run / "config.json", 30),
    "wider-config": lambda run: change(run / "config.json", hidden_size=64),
    "deeper-config": lambda run: change(run / "config.json", num_hidden_layers=3),
}


def _traces() -> dict[str, bytes]:
    head, *body = TRACE.read_bytes().splitlines(keepends=True)
    frame = b'{"rows":[{"request":%d,"step":0,"set":[[0,%d,1.0]],"length":5}]}\n{"end":1}\n'
    return {
        "empty.trace": b"",
        "cut.trace": head[:60],
        "head.trace": head,
        "text.trace": b"hello",
        "list.trace": b"[1]\n",
        "newer.trace": head.replace(b'"format":1', b'"format":3') + b"".join(body),
        "request.trace": head + frame % (7, 1),
        "token.trace": head + frame % (0, 99),
        "cut.trace.gz": gzip.compress(head)[:20],
    }


@pytest.fixture(scope="session")
def mistakes(tiny_run: Path, tiny_masked_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder. ``causal`` and ``masked`` in it are sound runs, ``text.jsonl`` is sound text."""
    place = tmp_path_factory.mktemp("mistakes")
    for name, content in {**TEXTS, **_traces()}.items():
        (place / name).write_bytes(content)
    shutil.copy(tiny_run.parent / "text.jsonl", place)
    (place / "code").mkdir()
    (place / "code" / "main.py").write_text("print()")
    (place / "tables").mkdir()
    (place / "tables" / "a.csv").write_text("a,b")
    shutil.copytree(tiny_run, place / "causal")
    shutil.copytree(tiny_masked_run, place / "masked")
    for name, spoil in RUNS.items():
        shutil.copytree(tiny_run, place / "runs" / name, ignore=shutil.ignore_patterns("checkpoints", "raw"))
        spoil(place / "runs" / name)
    return place
