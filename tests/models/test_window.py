import pytest
import torch
from torch.nn import functional as F

from unmask.diffusion.state import State
from unmask.models.eco_config import EcoConfig
from unmask.models.fused import rotate
from unmask.models.rope import rotary
from unmask.models.token_places import layout_of
from unmask.models.window import WindowAttention


def plainly(module, x, by, owners, window):
    """Attention with a mask over all pairs."""
    rows, places, width = x.shape
    qkv = module.qkv(module.norm(x)).view(rows, places, 3, module.heads, -1)
    query, key, value = (qkv[:, :, i].transpose(1, 2) for i in range(3))
    at = torch.arange(places)
    near = (at[:, None] - at).abs() <= window
    together = (owners[:, :, None] == owners[:, None, :]) & (owners[:, :, None] >= 0)
    allowed = (near & together) | torch.eye(places, dtype=torch.bool)
    mixed = F.scaled_dot_product_attention(rotate(query, *by), rotate(key, *by), value, attn_mask=allowed[:, None])
    return module.out(mixed.transpose(1, 2).reshape(rows, places, width))


@pytest.mark.parametrize("window", [1, 2, 5, 40])  # the last reaches everywhere
@pytest.mark.parametrize("kind", ["rows", "padded", "packed"])
def test_a_window_is_attention_with_a_band_for_a_mask(window, kind):
    torch.manual_seed(0)
    tokens = torch.ones(3, 17, dtype=torch.int64)
    segments = {
        "rows": None,
        "padded": (torch.arange(17) < torch.tensor([17, 9, 1])[:, None]).long(),
        "packed": torch.where(torch.arange(17) < torch.tensor([4, 9, 16])[:, None], 1, 2),
    }[kind]
    layout = layout_of(State(tokens, segments=segments), reach=3)
    module = WindowAttention(EcoConfig(hidden_size=16, num_attention_heads=2, window=window))
    x = layout.spread(torch.randn(3, 17, 16)).requires_grad_()
    by = rotary(layout.positions, 8, 100.0)
    owners = torch.zeros(x.shape[:2]) if layout.owners is None else layout.owners
    ours, theirs = module(x, by, layout), plainly(module, x, by, owners, window)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    if kind != "rows":
        assert ours[owners < 0].count_nonzero() == 0
    grad = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(y, (x, module.qkv.weight), grad) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
