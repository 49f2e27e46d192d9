import pytest
import torch
from torch.nn import functional as F

from unmask.models import convolution
from unmask.models.convolution import DepthwiseConvolution

SHAPES = [(2, 9, 4, 7), (3, 2, 5, 7), (1, 40, 3, 3), (2, 5, 2, 1)]


def filled(width, kernel):
    module = DepthwiseConvolution(width, kernel).double()
    torch.nn.init.normal_(module.weight)
    return module


@pytest.mark.parametrize(
    ("rows", "length", "width", "kernel"), [(2, 9, 4, 7), (3, 2, 5, 7), (1, 40, 3, 3), (2, 5, 2, 1)]
)
@pytest.mark.parametrize("piece", [8, 1 << 19])
def test_it_is_pytorchs_convolution_and_its_gradient_is_right(monkeypatch, rows, length, width, kernel, piece):
    monkeypatch.setattr(convolution, "_PIECE", piece)  # so small that the gradient is summed from many pieces
    module = filled(width, kernel)
    x = torch.randn(rows, length, width, dtype=torch.float64, requires_grad=True)
    theirs = F.conv1d(x.transpose(1, 2), module.weight[:, None], padding=kernel // 2, groups=width).transpose(1, 2)
    torch.testing.assert_close(module(x), theirs)
    grad = torch.randn_like(x)
    ours = torch.autograd.grad(module(x), (x, module.weight), grad)
    for a, b in zip(ours, torch.autograd.grad(theirs, (x, module.weight), grad), strict=True):
        torch.testing.assert_close(a, b)
    assert torch.autograd.gradcheck(module, (x,))


def test_a_place_reads_as_many_to_each_side_as_the_kernel_reaches_and_zeros_beyond():
    module = filled(1, 7)
    module.weight.data = torch.arange(1.0, 8.0, dtype=torch.float64)[None]
    x = torch.zeros(1, 12, 1, dtype=torch.float64)
    x[0, 5] = 1
    assert module(x)[0, :, 0].tolist() == [0, 0, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert module(torch.zeros_like(x)).count_nonzero() == 0


def test_the_layout_stays_width_last():
    assert filled(4, 7).float()(torch.randn(2, 6, 4)).is_contiguous()


def test_half_precision_takes_pytorchs_own():
    module, x = filled(4, 7), torch.randn(2, 9, 4)
    full, half = module.float()(x), module.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, atol=0.15, rtol=0.05)
