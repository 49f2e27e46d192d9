"""What the WuBu stack and its rotations cost: Cayley's map against the matrix exponential, the stack against layers.

The rivals take turns. Milliseconds, forward alone and forward with gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.lib.measure import Options, Result, Row, take_turns, timed
from unmask.models.rotation import cayley, skew
from unmask.models.wubu import WubuStack
from unmask.models.wubu_config import WubuOptions

INPUTS, OUTPUTS = 256, 512


def both(name: str, made: Callable[[], Tensor]) -> dict[str, Callable[[], float]]:
    """Return the two cases of a differentiable computation."""

    def forward() -> float:
        with torch.no_grad():
            return 1e3 * timed(made)

    return {
        f"{name}, forward": forward,
        f"{name}, with gradient": lambda: 1e3 * timed(lambda: made().square().mean().backward()),
    }


def run(options: Options) -> Result:
    """Time each case, forward and with gradient."""
    rows, patches, sizes = (1, 4, (4,)) if options.quick else (8, 64, (16, 32, 64, 128))
    torch.manual_seed(0)
    cases: dict[str, Callable[[], float]] = {}
    for n in sizes:
        lower = (0.01 * torch.randn(n * (n - 1) // 2)).requires_grad_()
        cases |= both(f"Cayley, n = {n}", lambda p=lower, n=n: cayley(skew(p, n)))
        cases |= both(f"matrix exponential, n = {n}", lambda p=lower, n=n: torch.matrix_exp(skew(p, n)))
    x = torch.randn(rows, patches, INPUTS)
    stacks: dict[str, dict[str, bool]] = {
        "stack": {},
        "stack, c = 0": {"euclidean": True},
        "stack, patches alone": {"patch_attention": False},
    }
    parameters = {}
    for name, changes in stacks.items():
        stack = WubuStack(WubuOptions(dropout=0, **changes), INPUTS, OUTPUTS)
        parameters[name] = sum(p.numel() for p in stack.parameters())
        cases |= both(name, lambda stack=stack: stack(x))
    layer = nn.TransformerEncoderLayer(128, 4, 256, 0.0, batch_first=True)
    parameters["one Transformer layer, width 128"] = sum(p.numel() for p in layer.parameters())
    cases |= both("one Transformer layer, width 128", lambda: layer(x[..., :128]))
    take_turns(cases, 2)
    found = take_turns(cases, options.turns(15))
    return Result(
        "wubu_cost",
        settings={"rows": rows, "patches": patches, "inputs": INPUTS, "outputs": OUTPUTS, "parameters": parameters},
        rows=[Row(name, "ms", samples) for name, samples in found.items()],
    )
