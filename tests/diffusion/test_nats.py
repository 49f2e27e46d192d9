"""The nats of tokens in fewer passes are PyTorch's cross-entropy, bit by bit, and so is their gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from unmask.diffusion.likelihood import token_nats, without


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("never", [None, 3])
@pytest.mark.parametrize("count", [0, 7])
def test_nats_and_gradient_are_those_of_the_cross_entropy_without_the_token(dtype, never, count):
    torch.manual_seed(0)
    logits = (3 * torch.randn(count, 37)).to(dtype).requires_grad_()
    targets, weights = torch.randint(4, 37, (count,)), torch.rand(count)
    kept = logits.detach().clone()
    left = logits if never is None else without(logits, never)
    found, wanted = token_nats(logits, targets, never), F.cross_entropy(left.float(), targets, reduction="none")
    assert found.dtype == torch.float32 and torch.equal(found, wanted)
    for _ in range(2):  # a graph that is kept can be asked again
        pair = [torch.autograd.grad((nats * weights).sum(), logits, retain_graph=True)[0] for nats in (found, wanted)]
        assert torch.equal(*pair)
    assert torch.equal(logits, kept)
