"""Weights in 8 bits: small in the file and in memory, computed as what they stand for, and told from floats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import unmask
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.half import halved
from unmask.models.int8 import Int8Linear, has_int8, in_float, in_int8, rounded
from unmask.models.safetensors_file import ALIGNED, stored_as
from unmask.models.transformer import Transformer
from unmask.training.run import Run

MAPS = Path("/proc/self/maps")
SIZES: dict[str, Any] = {
    "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
}  # fmt: skip


def network(**more: Any) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(TransformerConfig(**{**SIZES, "initializer_range": 0.2, **more})).eval()
    return made


def lies_in(value: torch.Tensor, folder: Path) -> bool:
    """Tell whether a tensor lies in the pages of a folder's weights; Linux says so."""
    if not MAPS.exists():
        pytest.skip("this system does not tell what is mapped")
    for line in MAPS.read_text().splitlines():
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= value.data_ptr() < end:
            return line.endswith(str((folder / "model.safetensors").resolve()))
    return False


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, 80, (2, 12), generator=torch.Generator().manual_seed(1))


def test_a_matrix_is_rounded_by_half_a_step_of_its_row_at_most() -> None:
    weight = torch.randn(7, 33) * torch.logspace(-3, 3, 7)[:, None]
    weight[3] = 0
    q, scale = rounded(weight)
    off = (q.float() * scale[:, None] - weight).abs().amax(1)
    assert q.dtype == torch.int8 and bool((off <= 0.501 * scale).all()) and bool((q[3] == 0).all())
    assert bool((q.abs().amax(1)[[0, 1, 2, 4, 5, 6]] == 127).all()), "a row uses all of its steps"


@torch.no_grad()
@pytest.mark.parametrize("more", [{"tie_word_embeddings": True}, {"tie_word_embeddings": False, "qkv_bias": True}])
def test_what_is_computed_is_what_the_rounded_matrices_give(more: dict[str, Any], tokens: torch.Tensor) -> None:
    small, plain = in_int8(network(**more)), network(**more)
    plain.load_state_dict(in_float(small.state_dict()))
    for visibility in ("causal", "bidirectional"):
        state = State(tokens, visibility)
        torch.testing.assert_close(small(state).logits, plain(state).logits, atol=1e-5, rtol=1e-5)
    cache = small.new_cache(2, 12)
    assert cache.keys.dtype == torch.float32
    told = small(State(tokens[:, :5], "causal"), cache=cache)
    torch.testing.assert_close(told.logits, plain(State(tokens, "causal")).logits.view(2, 12, -1)[:, 5])
    assert small.dtype == torch.float32 and isinstance(small.head, Int8Linear)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_it_lies_in_a_file_in_a_quarter_and_is_read_either_way(
    tied: bool, tokens: torch.Tensor, tmp_path: Path
) -> None:
    small = in_int8(network(tie_word_embeddings=tied))
    wanted = small(State(tokens, "causal")).logits
    small.save_pretrained(tmp_path / "int8")
    network(tie_word_embeddings=tied).save_pretrained(tmp_path / "fp32")
    sizes = {name: (tmp_path / name / "model.safetensors").stat().st_size for name in ("int8", "fp32")}
    assert sizes["int8"] < 0.45 * sizes["fp32"]  # headers and norms weigh something in a network of this size
    again = Transformer.from_pretrained(tmp_path / "int8", small=True, mapped=True)
    plain = Transformer.from_pretrained(tmp_path / "int8")
    assert has_int8(again) and not has_int8(plain) and plain.embed.weight.dtype == torch.float32
    assert torch.equal(again(State(tokens, "causal")).logits, wanted)
    torch.testing.assert_close(plain(State(tokens, "causal")).logits, wanted, atol=1e-5, rtol=1e-5)
    if tied:
        assert again.head.weight is again.embed.weight and plain.head.weight is plain.embed.weight
    assert stored_as(tmp_path / "int8" / "model.safetensors") == "int8"
    assert stored_as(tmp_path / "fp32" / "model.safetensors") == "float32"


def test_verbs_map_the_weights_and_what_lives_long_has_its_own(tiny_run: Path, tmp_path: Path) -> None:
    out = unmask.export(tiny_run, tmp_path / "out")
    once, kept = Run.open(out.path).model("cpu"), unmask.load(out.path).model("cpu")
    assert lies_in(once.embed.weight, out.path) and not lies_in(kept.embed.weight, out.path)
    assert torch.equal(once.embed.weight, kept.embed.weight)


def test_bf16_is_not_computed_of_8_bits(tokens: torch.Tensor) -> None:
    with pytest.raises(Error, match="int8 weights are computed in float32"):
        halved(in_int8(network()))


def test_a_network_with_candidates_is_refused() -> None:
    with pytest.raises(Error, match="store this run in bf16"):
        in_int8(network(candidate_input="pooled", candidates=4))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda held: held.pop("blocks.0.down.weight_scale"), "blocks.0.down.weight differs"),
        (lambda held: held.update({"norm.weight_scale": torch.ones(32)}), "no matrix of that name"),
        (lambda held: held.update({"blocks.0.down.weight_scale": torch.ones(3)}), "down.weight_scale differs"),
        (lambda held: held.update({"embed.weight": held["embed.weight"].float()}), "embed.weight differs"),
    ],
)
def test_scales_that_do_not_fit_are_one_line(change: Any, why: str, tmp_path: Path) -> None:
    in_int8(network()).save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    change(held)
    save_file(held, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(Error, match=why):
        Transformer.from_pretrained(tmp_path)


def test_a_file_of_ours_is_one_that_the_library_reads_and_begins_where_products_are_fast(tmp_path: Path) -> None:
    made = network(tie_word_embeddings=False).to(torch.bfloat16)
    made.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    held = load_file(path)
    assert all(torch.equal(value, held[name]) for name, value in made.state_dict().items())
    begins = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert begins % ALIGNED == 0 and json.loads(path.read_bytes()[8:begins])["__metadata__"] == {"format": "pt"}
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith("partial")] == []


def test_a_mapped_network_lies_in_the_file_and_outlives_its_replacement(tokens: torch.Tensor, tmp_path: Path) -> None:
    made = network()
    made.save_pretrained(tmp_path)
    mapped = Transformer.from_pretrained(tmp_path, mapped=True)
    own = Transformer.from_pretrained(tmp_path)
    assert lies_in(mapped.embed.weight, tmp_path) and not lies_in(own.embed.weight, tmp_path)
    wanted = made(State(tokens, "causal")).logits
    with torch.no_grad():
        mapped.norm.weight.mul_(2)  # what is changed in memory is not changed in the file
        mapped.save_pretrained(tmp_path)  # into the folder whose file it lies in
        assert not torch.equal(mapped(State(tokens, "causal")).logits, wanted)
        assert torch.equal(own(State(tokens, "causal")).logits, wanted)
        again = Transformer.from_pretrained(tmp_path, mapped=True)
        assert torch.equal(again(State(tokens, "causal")).logits, mapped(State(tokens, "causal")).logits)
