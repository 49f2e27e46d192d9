"""Attention written out in bfloat16 is PyTorch's attention, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from unmask.models.attention import attend


def _given(dtype: torch.dtype, heads: int = 4) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, h, 6, 8, dtype=dtype, requires_grad=True) for h in (4, heads, heads)]


MASKS = {
    "none": None,
    "seen": (torch.arange(36).view(1, 1, 6, 6) % 3 == 0) | torch.eye(6, dtype=torch.bool),
    "added": torch.linspace(-2, 2, 12).view(2, 1, 1, 6),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("heads", [4, 2])
def test_in_bf16_it_is_pytorchs_in_float32_within_rounding(mask, heads):
    half = _given(torch.bfloat16, heads)
    full = [part.detach().float().requires_grad_() for part in half]
    bias = mask if mask is None or mask.dtype == torch.bool else mask.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(*half, bias)
    wanted = F.scaled_dot_product_attention(*full, attn_mask=mask, enable_gqa=heads != 4)
    assert found.dtype == torch.bfloat16
    grad = torch.randn_like(wanted)
    found.backward(grad.bfloat16())
    wanted.backward(grad)
    for ours, theirs in zip((found, *(p.grad for p in half)), (wanted, *(p.grad for p in full)), strict=True):
        apart = (ours.float() - theirs).norm() / theirs.norm()
        assert float(apart.detach()) < 0.03  # bf16 has 8 bits, about 0.004


def test_causal_queries_in_bf16_see_nothing_behind_them():
    query, key, value = _given(torch.bfloat16)
    found = attend(query, key, value, causal=True)
    with torch.no_grad():
        key[:, :, 4:], value[:, :, 4:] = 7, 7
    assert torch.equal(attend(query, key, value, causal=True)[:, :, :4], found[:, :, :4])


@pytest.mark.parametrize("causal", [False, True])
def test_elsewhere_it_is_pytorchs_bit_by_bit(causal):
    given = _given(torch.float32)
    assert torch.equal(attend(*given, causal=causal), F.scaled_dot_product_attention(*given, is_causal=causal))
