"""A network as a model of byte entropies: the stream is the whole, cuts see the past alone, a run carries its own."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.data.entropy import ByteEntropy
from unmask.data.patches import make_patcher
from unmask.data.patches.calibrate import calibrate
from unmask.data.patches.store import load_patcher
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.byte_entropy import CONFIG, WEIGHTS, NetworkEntropy, load_cutter, load_entropy, save_cutter
from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import Settings
from unmask.training.entropy_run import entropy_run
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "initializer_range": 0.5,
    "output_shift": 1,
}


def network(context: int = 12, kind: str = "transformer") -> NetworkEntropy:
    torch.manual_seed(0)
    if kind == "transformer":
        return NetworkEntropy(Transformer(TransformerConfig(**SIZES, max_position_embeddings=context)))
    more = {"patcher": "whitespace", "latent": "none", "n_gram_vocab_size": 50, "max_position_embeddings": context}
    return NetworkEntropy(Bytes(BytesConfig(**SIZES, **more)))


SOURCES = {"transformer": network(), "bytes": network(kind="bytes"), "shortest": network(4)}


def alone(source: NetworkEntropy, seen: bytes) -> float:
    """H after some bytes, by one plain call of the network and the sum over all symbols."""
    tokens = torch.tensor([[1, *(byte + 4 for byte in seen), 3]])
    at = torch.zeros_like(tokens, dtype=torch.bool)
    at[0, -1] = True
    with torch.no_grad():
        logits = source._model(State(tokens, "causal"), at=at).logits[0]
    p = torch.exp(logits - logits.max())[[2, *range(4, 260)]]
    p = p / p.sum()
    return -sum(float(q) * math.log(float(q)) for q in p if q > 0)


def streamed(source: ByteEntropy, data: bytes, forget: dict[int, int]) -> list[float]:
    stream, found = source.stream(), []
    for place, byte in enumerate(data):
        if place in forget:
            stream.forget(forget[place])
        found.append(stream.value)
        stream.push(byte)
    return found


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=60))
def test_the_entropy_is_that_of_the_bytes_in_sight(name: str, data: bytes) -> None:
    source = SOURCES[name]
    found = source.entropy(data)
    for t in range(len(data)):
        begin = int(source.begins(t, 0))
        assert 0 <= begin <= t and t - begin <= source.longest
        assert begin == 0 or t - begin >= source.longest // 2
        assert math.isclose(found[t], alone(source, data[begin:t]), abs_tol=1e-9)


def test_a_byte_costs_what_was_foreseen_for_it() -> None:
    source, data = SOURCES["transformer"], b"some text"
    every = np.array([source.nats(data[:-1] + bytes([byte]))[-1] for byte in range(256)])
    p = np.exp(-every)
    end = 1 - p.sum()
    assert 0 < end < 1
    assert math.isclose(source.entropy(data)[-1], float((p * every).sum() - end * math.log(end)), abs_tol=1e-9)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=50), forget=st.dictionaries(st.integers(0, 49), st.integers(0, 30), max_size=4))
def test_a_stream_says_what_the_whole_says(name: str, data: bytes, forget: dict[int, int]) -> None:
    source, since, origin = SOURCES[name], np.zeros(len(data), np.int64), 0
    for t in range(len(data)):
        origin = max(origin, t - forget.get(t, t))
        since[t] = origin
    assert np.allclose(source.entropy(data, since), streamed(source, data, forget), atol=1e-10, rtol=0)


@given(head=st.binary(max_size=40), a=st.binary(max_size=20), b=st.binary(max_size=20))
@settings(max_examples=20, deadline=None)
def test_no_entropy_and_no_cut_depends_on_its_byte_or_a_later_one(head: bytes, a: bytes, b: bytes) -> None:
    source, n = SOURCES["transformer"], len(head)
    one, other = source.entropy(head + a + b"x"), source.entropy(head + b + b"y")
    assert np.allclose(one[: n + 1], other[: n + 1], atol=1e-10, rtol=0)
    patcher = make_patcher("babylon", {"theta": 4.9}, source)
    one, other = patcher.starts(head + a + b"x"), patcher.starts(head + b + b"y")
    assert (one[: n + 1] == other[: n + 1]).all()


@pytest.mark.parametrize("reset", [None, 7, "newline"])
@pytest.mark.parametrize("rule", ["threshold", "jump"])
def test_a_stream_of_patches_cuts_as_the_whole(reset: Any, rule: str) -> None:
    data = np.random.default_rng(0).choice(np.frombuffer(b"ab \n", np.uint8), 200).tobytes()
    patcher = make_patcher("babylon", {"rule": rule, "reset": reset}, SOURCES["transformer"])
    patcher = calibrate(patcher, [data], 4.0)
    whole = patcher.starts(data)
    assert 3 < len(data) / whole.sum() < 5
    assert (patcher.stream().push(data) == whole).all()


def test_unfit_networks_are_refused() -> None:
    for change, why in (({"vocab_size": 300}, "260 tokens"), ({"output_shift": 0}, "left to right")):
        with pytest.raises(Error, match=why):
            NetworkEntropy(Transformer(TransformerConfig(**(SIZES | change))))


def test_a_stored_network_is_the_same_and_another_is_refused(tmp_path: Path) -> None:
    source = SOURCES["transformer"]
    save_cutter(make_patcher("babylon", {"theta": 4.0}, source), tmp_path)
    again = load_cutter(tmp_path)
    assert again.entropy.fingerprint == source.fingerprint
    assert (again.entropy.entropy(b"some text") == source.entropy(b"some text")).all()
    with pytest.raises(Error, match="was fitted with"):
        load_patcher(tmp_path, SOURCES["shortest"])
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:100])
    with pytest.raises(Error, match="damaged"):
        load_entropy(tmp_path)


BYTES = [
    "backbone.hidden_size=16",
    "backbone.num_attention_heads=2",
    "backbone.num_hidden_layers=1",
    "backbone.num_encoder_layers=1",
    "backbone.n_gram_vocab_size=50",
    "backbone.latent=none",
    "backbone.patch_size=4.0",
    "backbone.patcher=babylon",
    "training.max_steps=2",
    "training.per_device_train_batch_size=2",
    "training.valid_blocks=2",
    "data.length=48",
    "data.valid_fraction=0.2",
]


@pytest.fixture(scope="module")
def byte_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A byte run whose entropies came from a run that is gone by now, in a place that it was not trained in."""
    folder = tmp_path_factory.mktemp("entropy")
    shutil.copytree(tiny_run, folder / "small")
    source = Run.open(tiny_run).recipe.data.source
    overrides = [f"data.source={source}", f"backbone.entropy=run:{folder / 'small'}", *BYTES]
    train(load_recipe("nano-bytes", overrides), folder / "run")
    shutil.rmtree(folder / "small")
    return shutil.move(folder / "run", folder / "moved"), tiny_run


def test_a_run_carries_its_entropy_model_and_can_be_moved(byte_run: tuple[Path, Path]) -> None:
    moved, small = byte_run
    model: Any = Run.open(moved).model()
    assert model.patcher.entropy.fingerprint == NetworkEntropy(Run.open(small).model()).fingerprint
    assert json.loads((moved / "patcher.json").read_text("utf-8"))["fingerprint"] == model.patcher.entropy.fingerprint
    assert abs(model.patcher.calibration.found - 4.0) < 0.5
    assert (moved / CONFIG).is_file() and (moved / WEIGHTS).is_file() and model.config.entropy == "run:small"


def test_it_evaluates_and_samples_alike_with_and_without_a_cache(byte_run: tuple[Path, Path]) -> None:
    from unmask.api.evaluate import evaluate
    from unmask.api.writing import vocabulary_of
    from unmask.sampling import Request, canvas, generate
    from unmask.sampling.autoregressive import Autoregressive

    run = Run.open(byte_run[0])
    assert evaluate(run, documents=2).bound == "exact"
    model = run.model().double()
    vocabulary = vocabulary_of(run.tokenizer, model)
    tokens, lead = canvas([run.tokenizer.encode("The cat"), []], [12], vocabulary, [])
    written = [
        generate(model, Autoregressive(use_cache=cached), [Request(tokens, Settings(), 0, lead)], vocabulary)[0].tokens
        for cached in (True, False)
    ]
    assert written[0] == written[1]


def test_an_exported_run_names_no_folder_of_this_machine(byte_run: tuple[Path, Path], tmp_path: Path) -> None:
    from unmask.api.export import export

    export(byte_run[0], tmp_path / "out")
    for name in ("recipe.yaml", "config.json", "patcher.json", "entropy.json", "run.json"):
        assert str(byte_run[0].parent) not in (tmp_path / "out" / name).read_text("utf-8"), name
    model: Any = Run.open(tmp_path / "out").model()
    assert isinstance(model.patcher.entropy, NetworkEntropy)


def test_a_run_that_is_resumed_needs_the_other_no_more(byte_run: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(byte_run[0], folder)
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps(manifest | {"status": "interrupted"}), "utf-8")
    again = train(Run.open(folder).recipe, folder, resume=True)
    assert again.manifest["status"] == "finished"


def test_runs_that_cannot_tell_entropies_are_refused(
    tiny_run: Path, tiny_masked_run: Path, tmp_path: Path, byte_run: tuple[Path, Path]
) -> None:
    with pytest.raises(Error, match="its process is masked"):
        entropy_run(f"run:{tiny_masked_run}")
    for entropy, patcher, why in (
        ("run:", "babylon", "give ngram, or run:DIR"),
        ("there", "babylon", "run:there if it is a run"),
        ("run:there", "fixed", "leave it out"),
    ):
        with pytest.raises(Error, match=why):
            BytesConfig(vocab_size=260, patcher=patcher, entropy=entropy)
    asked = [f"backbone.entropy=run:{tmp_path / 'none'}", *BYTES]
    with pytest.raises(Error, match="no run folder"):
        train(load_recipe("nano-bytes", asked), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(Error, match="follow from entropies themselves"):
        entropy_run(f"run:{byte_run[0]}")
    source = Run.open(tiny_run).recipe.data.source
    small = [o for o in BYTES if not o.startswith("backbone")]
    sizes = ["backbone.hidden_size=16", "backbone.num_hidden_layers=1", "backbone.num_attention_heads=2"]
    words = load_recipe("nano-causal", [f"data.source={source}", "data.vocab_size=270", *sizes, *small])
    train(words, tmp_path / "words")
    with pytest.raises(Error, match="its tokenizer is bpe"):
        entropy_run(f"run:{tmp_path / 'words'}")


def test_a_run_that_is_unfit_is_told_before_torch_is_imported(tiny_masked_run: Path, tmp_path: Path, python) -> None:
    asked = [f"data.source={Run.open(tiny_masked_run).recipe.data.source}", f"backbone.entropy=run:{tiny_masked_run}"]
    ran = python(
        "import sys, unmask\n"
        f"try: unmask.train('nano-bytes', {asked}, output={str(tmp_path / 'run')!r})\n"
        "except unmask.Error as error: sys.exit(f\"{'torch' in sys.modules}: {error}\")"
    )
    assert ran.err.startswith("False: ") and "its process is masked" in ran.err
    assert not (tmp_path / "run").exists()
