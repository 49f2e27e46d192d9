"""Bytes are those that a text stands for: not of U+FFFD where one is no UTF-8, nor of Latin-1 where none is text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unmask
from unmask.data.tokenizers import make_tokenizer
from unmask.evaluation.text import text_quality
from unmask.reports.generation import Way, write_texts
from unmask.sampling import Autoregressive
from unmask.training.network import make_model
from unmask.training.recipe import parse_recipe
from unmask.training.run import Run

pytestmark = pytest.mark.strangers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Run]:
    """Return a maker of untrained runs, whose bytes are seldom UTF-8."""

    def make(process: str, binary: bool) -> Run:
        folder = tmp_path_factory.mktemp("runs") / process
        recipe = parse_recipe(
            {
                "data": {"tokenizer": "bytes", "length": 64, "binary": binary},
                "process": {"name": process},
                "backbone": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            }
        )
        tokenizer = make_tokenizer("bytes", [], 0, binary)
        make_model(recipe, tokenizer.vocab_size).save_pretrained(folder)
        tokenizer.save(folder / "tokenizer")
        (folder / "recipe.yaml").write_text(recipe.to_yaml())
        (folder / "run.json").write_text(json.dumps({"format": 1, "status": "finished"}))
        return Run.open(folder)

    return make


def test_a_score_of_filled_bytes_is_a_byte_and_what_is_given_is_bytes(run) -> None:
    found = unmask.infill(run("masked", True), "\u20ac ____ \u20ac", length=3, steps=2, draws=4, ignore_eos=True)
    (text,), ((fill,),) = found.texts, found.fills
    assert text.startswith("\u20ac ") and text.endswith(" \u20ac") and fill in text
    # an untrained network spends about 8 bits on each of eleven bytes; of their Latin-1 in UTF-8 it would be half
    assert 7 < found.bits_per_byte[0] < 10


def test_a_prompt_of_the_shell_that_is_no_utf8_is_its_bytes(run) -> None:
    found = unmask.sample(run("causal", True), b"\xff\xfe".decode("utf-8", "surrogateescape"), max_tokens=2)
    assert found.data[0].startswith(b"\xff\xfe")


def test_texts_are_as_long_as_their_bytes(run) -> None:
    way = Way(Autoregressive.Settings(ignore_eos=True))
    for binary in (False, True):
        causal = run("causal", binary)
        written = write_texts(causal, causal.model(), way, length=20, samples=6, seed=0)
        assert written.sizes == [20] * 6 and text_quality(written.texts, written.sizes).bytes == 20.0
        longer = any(len(text.encode()) > 20 for text in written.texts)
        assert longer == binary, "text is whole; bytes of any kind stay as they are, and are shown a character each"
    assert text_quality(["a\ufffd"], [2]).bytes == 2.0


@pytest.mark.parametrize("verb", [unmask.sample, unmask.infill])
def test_more_texts_than_memory_is_for_are_refused_before_a_list_is_made(verb: Any, run) -> None:
    with pytest.raises(unmask.Error, match="one call writes 100000 texts at most"):
        verb(run("masked", False), "a ____ b", n=10**12)


@pytest.mark.parametrize(
    "more",
    [["--steps", 4], ["-n", 2], ["--prompt", "x"], ["-s", "ignore_eos=true"], ["--trace", "y"], ["--seed", 0]],
    ids=str,
)
def test_a_record_is_played_as_it_is_and_nothing_said_besides_is_ignored(cli, more: list[object]) -> None:
    record = Path(__file__).parent.parent / "fixtures" / "trace-v1.jsonl"
    ran = cli("sample", "--replay", record, *more)
    assert ran.status == 2 and "--replay plays what was recorded" in ran.err and not ran.out
    assert cli("sample", "runs/x", "--replay", record).status == 2
    assert cli("sample", "--replay", record, "--watch", "--watch-speed", 0).status == 0
