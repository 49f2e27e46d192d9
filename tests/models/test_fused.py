import pytest
import torch

from unmask.models.fused import RMSNorm, rotate
from unmask.models.rope import rotary


def test_rotation_is_the_textbook_one_and_its_gradient_is_right():
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    cos, sin = rotary(torch.arange(5)[None], 8, 100.0)
    pairs = torch.complex(x[..., :4], x[..., 4:]) * torch.complex(cos.double(), sin.double())
    torch.testing.assert_close(rotate(x, cos, sin), torch.cat([pairs.real, pairs.imag], -1))
    assert torch.autograd.gradcheck(lambda y: rotate(y, cos, sin), (x,))


def test_rotation_in_bf16_rounds_once():
    x = torch.randn(2, 3, 5, 8, dtype=torch.bfloat16)
    by = rotary(torch.arange(5)[None], 8, 100.0)
    assert torch.equal(rotate(x, *by), rotate(x.float(), *by).bfloat16())


def test_norm_is_pytorchs_and_its_gradient_is_right():
    x = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)
    norm = RMSNorm(8, eps=1e-5).double()
    torch.nn.init.normal_(norm.weight)
    torch.testing.assert_close(norm(x), torch.nn.functional.rms_norm(x, (8,), norm.weight, 1e-5))
    assert torch.autograd.gradcheck(norm, (x,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_norm_keeps_the_dtype(dtype):
    assert RMSNorm(8, eps=1e-5).to(dtype)(torch.randn(3, 8, dtype=dtype)).dtype == dtype
