"""Bytes of any kind: nothing is lost, nothing is counted twice, and text is never mistaken for them."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unmask
from unmask.api.evaluate import evaluate
from unmask.api.sample import sample
from unmask.data.binary import as_text, pieces, raw
from unmask.data.blocks import pack
from unmask.data.corpus import documents, load_corpus
from unmask.data.readers import LONG, PASSAGE
from unmask.data.tokenizers import Tokenizer, load_tokenizer, make_tokenizer
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.evaluation.windows import common_window, cut_all
from unmask.reports.compare import compare
from unmask.training.held_out import held_out
from unmask.training.patches import fit_patcher
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train

ALL = bytes(range(256))
TINY = [
    "data.binary=true",
    "data.tokenizer=bytes",
    "data.length=48",
    "data.valid_fraction=0.2",
    "backbone.hidden_size=32",
    "backbone.num_hidden_layers=2",
    "backbone.num_attention_heads=4",
    "backbone.intermediate_size=48",
    "training.max_steps=3",
    "training.per_device_train_batch_size=4",
    "training.valid_blocks=4",
    "training.warmup_steps=0",
]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real binary files: our own modules, compiled, beside an array, a file of all bytes and an empty one."""
    import marshal

    folder = tmp_path_factory.mktemp("binary")
    own = Path(unmask.__file__).parent / "data"
    for path in sorted(own.glob("*.py"))[:6]:
        (folder / f"{path.stem}.pyc").write_bytes(marshal.dumps(compile(path.read_text("utf-8"), path.name, "exec")))
    np.save(folder / "all.npy", np.frombuffer(ALL, np.uint8))
    (folder / "all.bin").write_bytes(ALL + b"\0")
    (folder / "none").touch()
    return folder


@pytest.fixture(scope="session")
def binary_run(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = load_recipe("nano-causal", [f"data.source={compiled}", *TINY])
    return train(recipe, tmp_path_factory.mktemp("binary-run") / "run")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return make_tokenizer("bytes", [], 0, binary=True)


def content(corpus: Any) -> list[bytes]:
    return [raw(text, True) for name in ("train", "valid", "judge") for text in split(corpus, name)]


def split(corpus: Any, name: str) -> list[str]:
    return list(documents(corpus.split(name))) if corpus.stats()["splits"][name]["documents"] else []


@given(st.lists(st.binary(max_size=40)), st.integers(1, 9), st.integers(0, 20))
def test_pieces_are_the_file_and_a_short_file_is_one(chunks: list[bytes], size: int, more: int) -> None:
    whole, found = b"".join(chunks), list(pieces(chunks, size + more, size))
    assert b"".join(found) == whole
    assert found == ([whole] if whole else []) or len(whole) > size + more
    assert len(whole) <= size + more or all(len(piece) == size for piece in found[:-1])


def test_a_corpus_of_bytes_holds_every_byte_of_every_file_once(compiled: Path) -> None:
    corpus = load_corpus(str(compiled), binary=True)
    files = [path.read_bytes() for path in compiled.iterdir() if path.suffix == ".pyc"]
    wanted = [data[i : i + PASSAGE] for data in files if len(data) > LONG for i in range(0, len(data), PASSAGE)]
    wanted += [data for data in files if len(data) <= LONG] + [ALL, ALL + b"\0"]
    assert sorted(content(corpus)) == sorted(wanted) and any(len(data) > LONG for data in files)
    assert corpus.stats()["bytes"] == sum(map(len, wanted)) == corpus.stats()["characters"]
    assert load_corpus(str(compiled / "*.pyc"), binary=True).fingerprint != corpus.fingerprint


def test_documents_that_differ_in_blank_ends_differ(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}").write_bytes(b"x" + b" " * number)
    assert load_corpus(str(folder), valid_fraction=0.2, binary=True).stats()["dropped"] == {"duplicates": 0, "empty": 0}


def test_text_read_as_bytes_is_another_corpus_than_as_text(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.txt").write_text(f"caf\u00e9 {number}", "utf-8")
    text, binary = load_corpus(str(folder)), load_corpus(str(folder), binary=True)
    assert text.fingerprint != binary.fingerprint and text.stats()["bytes"] == binary.stats()["bytes"]
    assert sorted(content(binary)) == sorted(t.encode() for n in ("train", "valid", "judge") for t in split(text, n))


@given(st.binary())
def test_any_bytes_come_back_from_their_tokens(tokenizer: Tokenizer, data: bytes) -> None:
    ids = tokenizer.encode(as_text(data))
    assert ids == tokenizer.encode_bytes(data) == [byte + 4 for byte in data]
    assert tokenizer.decode_bytes(ids) == data and raw(tokenizer.decode(ids), True) == data


def test_a_stored_tokenizer_of_bytes_is_one_and_is_told_from_that_of_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.binary and again.fingerprint == tokenizer.fingerprint
    assert make_tokenizer("bytes", [], 0).fingerprint != tokenizer.fingerprint
    with pytest.raises(Error, match="character 1 of a binary text is U\\+20AC"):
        tokenizer.encode("a\u20ac")


def test_blocks_and_windows_count_bytes_not_characters_of_utf8(compiled: Path, tokenizer: Tokenizer) -> None:
    corpus = load_corpus(str(compiled), binary=True)
    blocks = pack(corpus.split("train"), tokenizer, 64)
    assert blocks.bytes == corpus.stats()["splits"]["train"]["bytes"]
    assert blocks.tokens == blocks.bytes + blocks.documents
    texts = split(corpus, "train")
    windows = cut_all(texts, 62, binary=True)
    assert sum(w.bytes for w in windows) == blocks.bytes and max(w.bytes for w in windows) == 62
    assert "".join(w.text for w in windows) == "".join(texts)
    assert common_window(texts, [tokenizer], [64]) == 62


def test_a_run_of_bytes_scores_its_files_exactly(binary_run: Run) -> None:
    found = evaluate(binary_run)
    corpus = load_corpus(binary_run.recipe.data.source, valid_fraction=0.2, binary=True)
    held = split(corpus, "valid")
    assert found.bound == "exact" and found.bytes == sum(map(len, held)) and found.documents == len(held)
    nats, model, context = 0.0, binary_run.model(), 48
    for text in held:  # the chain rule by hand, in the same windows
        for start in range(0, len(text), context - 2):
            piece = raw(text[start : start + context - 2], True)
            end = [2] if start + context - 2 >= len(text) else []
            tokens = torch.tensor([[1, *(byte + 4 for byte in piece), *end]])
            with torch.no_grad():
                logits = model(State(tokens, "causal")).logits.view(*tokens.shape, -1)[0, 1:]
            logits[:, 3] = -torch.inf
            nats -= float(logits.double().log_softmax(-1).gather(1, tokens[0, 1:, None]).sum())
    assert math.isclose(found.bits_per_byte, nats / math.log(2) / found.bytes, rel_tol=1e-5)


def test_noise_costs_eight_bits_and_no_fewer(binary_run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(random.Random(0).randbytes(20_000))
    noise = evaluate(binary_run, source=str(tmp_path / "noise"))
    assert noise.bytes == 20_000 and noise.split == "all" and 7.95 < noise.bits_per_byte
    np.save(tmp_path / "noise.npy", np.frombuffer((tmp_path / "noise").read_bytes(), np.uint8))
    assert evaluate(binary_run, source=str(tmp_path / "noise.npy")).bits_per_byte == noise.bits_per_byte


def test_what_is_written_is_bytes(binary_run: Run, cli: Callable[..., Any], tmp_path: Path) -> None:
    given_bytes = b"\xe3\x00\xff"
    (tmp_path / "prompt").write_bytes(given_bytes)
    out = tmp_path / "out.bin"
    asked = ("sample", binary_run.path, "--prompt-file", tmp_path / "prompt", "--max-tokens", 12, "--seed", 3)
    assert cli(*asked, "--output", out).status == 0
    data = out.read_bytes()
    assert data.startswith(given_bytes) and sample(binary_run, given_bytes, max_tokens=12, seed=3).data == [data]
    told = json.loads(cli(*asked, "--json").out)
    assert base64.b64decode(told["base64"][0]) == data and told["texts"] == [data.decode("utf-8", "replace")]
    assert sample(binary_run, "\u00e9", max_tokens=2).data[0].startswith("\u00e9".encode())
    assert "leave -n out" in cli(*asked, "--output", out, "-n", 2).err
    assert "leave one out" in cli(*asked, "--prompt", "a").err


def test_a_run_of_text_writes_its_bytes_to_a_file_too(tiny_run: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "prompt").write_text("Caf\u00e9 ", "utf-8")
    asked = ("sample", tiny_run, "--prompt-file", tmp_path / "prompt", "--max-tokens", 4)
    assert cli(*asked, "--output", tmp_path / "out").status == 0
    assert (tmp_path / "out").read_bytes().startswith("Caf\u00e9 ".encode())
    assert "base64" not in json.loads(cli(*asked, "--json").out)
    (tmp_path / "prompt").write_bytes(b"\xff")
    assert "the prompt is not UTF-8" in cli(*asked).err


@pytest.mark.parametrize(
    ("override", "fix"),
    [
        ("data.tokenizer=bpe", "set it to bytes"),
        ("data.normalize=NFC", "leave one out"),
        ("backbone={name: bytes, utf8: true}", "set backbone.utf8=false"),
        ("evidence=index", "leave one out"),
    ],
)
def test_what_speaks_of_text_is_refused_with_the_fix(override: str, fix: str) -> None:
    with pytest.raises(Error, match=fix):
        load_recipe("nano-causal", [*TINY, override])


def test_without_the_switch_bytes_that_are_no_text_stay_an_error_that_names_it(compiled: Path, tmp_path: Path) -> None:
    for name, data in (("zero.txt", b"a\0b"), ("latin.txt", b"caf\xe9 au lait")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Error, match="data.binary=true"):
            load_corpus(str(tmp_path / name))
    with pytest.raises(Error, match="data.binary=true"):
        load_corpus(str(compiled / "all.bin"))
    for source in ("pydocs", "hf:owner/name"):
        with pytest.raises(Error, match="Name a file, folder or glob"):
            load_corpus(source, binary=True)
    with pytest.raises(Error, match="no file with bytes in it"):
        load_corpus(str(compiled / "non*"), binary=True)


def test_runs_of_bytes_and_of_text_are_not_compared(binary_run: Run, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(Error, match="cannot be scored together"):
        held_out([Run.open(tiny_run), binary_run])
    with pytest.raises(Error, match="Score it with: unmask evaluate"):
        compare([binary_run, Run.open(tiny_run)], tmp_path / "report")


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_patches_of_bytes_join_back(data: bytes) -> None:
    from unmask.models.bytes_config import BytesConfig

    patcher = fit_patcher(BytesConfig(vocab_size=260, patcher="babylon"), [as_text(ALL * 8)] * 40, binary=True)
    starts = patcher.starts(data)
    assert starts[0] and len(starts) == len(data) and patcher.entropy.unit == "byte"


def test_a_byte_network_learns_any_bytes(compiled: Path, tmp_path: Path) -> None:
    sizes = [o for o in TINY if not o.startswith("backbone")]
    small = ["backbone.utf8=false", "backbone.patcher=babylon", "backbone.patch_size=2.0"]
    run = train(load_recipe("nano-bytes", [f"data.source={compiled}", *sizes, *small]), tmp_path / "run")
    assert (
        run.manifest["train_bytes"]
        == load_corpus(str(compiled), valid_fraction=0.2, binary=True).stats()["splits"]["train"]["bytes"]
    )
    assert evaluate(run, documents=3).bound == "exact"
