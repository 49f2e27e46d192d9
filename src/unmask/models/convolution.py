"""Depthwise convolution over time on the layout that all else works on: width last, no transposed copies.

y_t = sum_j w_j * x_(t + j - r), with kernel size k = 2r + 1. There is no bias: where nothing within reach is, y is 0.

On a CPU, PyTorch's ``Conv1d`` wants time last and spends its time on transposes, and its gradient on a slow path. The
same memory is a channels-last image of height 1, for which oneDNN has a kernel; the gradient of x is that convolution
with the kernel reversed, and the gradient of w is k products, in pieces that stay in the cache.

Letters: R rows, T places, D width, k kernel size, r reach.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_PIECE = 1 << 19  # numbers of x that are multiplied at once: 2 MiB, measured at T = 512..8192, D = 128..512


def _correlate(x: Float[Tensor, "R T D"], weight: Float[Tensor, "D k"]) -> Float[Tensor, "R T D"]:
    width, kernel = weight.shape
    image = x.transpose(1, 2).unsqueeze(2)
    y = F.conv2d(image, weight[:, None, None, :].contiguous(), padding=(0, kernel // 2), groups=width)
    return y.squeeze(2).transpose(1, 2)


def _weight_gradient(x: Float[Tensor, "R T D"], grad: Float[Tensor, "R T D"], kernel: int) -> Float[Tensor, "D k"]:
    """Return sum_t grad_t x_(t + j - r) of each channel and tap j."""
    rows, length, width = x.shape
    reach = kernel // 2
    out = x.new_zeros(kernel, width)
    span = max(1, _PIECE // width)
    several = max(1, span // length)
    for row in range(0, rows, several):
        xs, gs = x[row : row + several], grad[row : row + several]
        for start in range(0, length, span):
            for tap in range(kernel):
                shift = tap - reach
                low, high = max(start, -shift), min(start + span, length, length - shift)
                if low < high:
                    out[tap] += (gs[:, low:high] * xs[:, low + shift : high + shift]).sum((0, 1))
    return out.t()


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _correlate(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grads[0].to(x.dtype).contiguous()  # under autocast the filtered x is of half precision
        return _correlate(grad, weight.flip(1)), _weight_gradient(x, grad, weight.shape[1])


class DepthwiseConvolution(nn.Module):
    """A filter over time for each channel.

    Args:
        width: Channels (D).
        kernel: Taps (k), odd.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, kernel))

    def initialise(self) -> None:
        """Draw weights that keep the variance of independent inputs."""
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.weight.shape[1]))

    def forward(self, x: Float[Tensor, "R T D"]) -> Float[Tensor, "R T D"]:
        """Filter; beyond the ends there are zeros."""
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            return _Depthwise.apply(x, self.weight.to(x.dtype))
        width, kernel = self.weight.shape
        return F.conv1d(x.transpose(1, 2), self.weight[:, None], padding=kernel // 2, groups=width).transpose(1, 2)
