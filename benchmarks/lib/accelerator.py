"""How much of the hardware is used: peak FLOP/s by device, a measured matrix product, FLOPs of a training token."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.lib.measure import timed

# dense bf16 FLOP/s, from the vendors' data sheets; the first name that occurs in the device's name counts
PEAKS = {
    "B200": 2250e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


def device() -> str:
    """Return the device that training will use."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def peak_flops() -> float | None:
    """Return the data sheet's bf16 FLOP/s of the GPU; ``None`` for a CPU or an unknown GPU."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((peak for known, peak in PEAKS.items() if known in name), None)


def measured_flops(size: int) -> float:
    """Return the FLOP/s of a bf16 product of two square matrices of random numbers, the best of five."""
    a, b = (torch.randn(size, size, device=device(), dtype=torch.bfloat16) for _ in range(2))

    def product() -> None:
        for _ in range(10):
            torch.mm(a, b)
        synchronize()

    product()
    return 10 * 2 * size**3 / min(timed(product) for _ in range(5))


def synchronize() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def training_flops(model: Any, process: Any, length: int) -> float:
    """Return floating-point operations of forward and backward for one position, attention counted in full."""
    flops: float = process.training_flops(lambda asked: model.flops(length, asked))
    return flops
