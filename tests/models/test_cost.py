import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unmask.diffusion.state import State
from unmask.models.cost import forward_flops, parameter_count, training_memory


@pytest.mark.parametrize("sizes", [{}, {"num_key_value_heads": 2}, {"hidden_size": 64, "num_hidden_layers": 3}])
@pytest.mark.parametrize("asked", [1.0, 0.5])
@torch.no_grad()
def test_counted_operations_are_the_stated_ones_within_two_percent(tiny, tokens, sizes, asked):
    model = tiny(**sizes)
    at = torch.zeros_like(tokens, dtype=torch.bool)
    at[:, : int(12 * asked)] = True
    # The fused attention of the CPU is not in PyTorch's counter; the plain one is two matrix products, counted in full.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(State(tokens, "bidirectional"), at=at)
    assert forward_flops(model.config, 12, asked) * tokens.numel() == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_counted_once_where_tied(tiny, tied):
    model = tiny(tie_word_embeddings=tied)
    width, inner, vocabulary = 32, 48, 23
    block = 4 * width**2 + 3 * width * inner + 2 * width
    assert parameter_count(model) == 2 * block + width + vocabulary * width * (1 if tied else 2)


def test_the_memory_estimate_grows_with_all_that_costs_memory(tiny):
    config = tiny().config
    base = training_memory(config, 1000, 4, 16)
    assert base > 4 * 1000 * 5
    assert training_memory(config, 2000, 4, 16) > base
    assert training_memory(config, 1000, 8, 16) > base
    assert training_memory(config, 1000, 4, 16, asked=0.5) < base
    assert training_memory(config, 1000, 4, 16, ema=False) == base - 4000
