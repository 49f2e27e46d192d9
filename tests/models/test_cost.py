import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from guards.parts import network
from unmask.diffusion.state import SparseState, State
from unmask.diffusion.thought import Reading, ThoughtOptions
from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.cost import forward_flops, parameter_count, training_memory
from unmask.sampling.thought_steps import fresh


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


@pytest.mark.parametrize("asked", [1.0, 0.5])
@torch.no_grad()
def test_candidates_in_every_attention_are_counted(tiny, tokens, asked):
    model = tiny(candidate_input="full", candidates=3)
    at = torch.zeros_like(tokens, dtype=torch.bool)
    at[:, : int(12 * asked)] = True
    given = SparseState(tokens[..., None].expand(-1, -1, 3), torch.full((*tokens.shape, 3), 0.2))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(State(tokens, "bidirectional", candidates=given), at=at)
    assert forward_flops(model.config, 12, asked) * tokens.numel() == pytest.approx(counter.get_total_flops(), rel=0.02)
    assert model.kept(12) == pytest.approx(4 * tiny().kept(12) + 2 * 4 * 4 * 4 * 12)  # layers, slots twice, heads, T


@pytest.mark.parametrize("name", ["transformer", "eco"])
@torch.no_grad()
def test_thoughts_are_counted_within_two_percent(name):
    options = ThoughtOptions(shape=(4, 3, 8), stack=2)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 64, "initializer_range": 0.02}
    model = network(name, **sizes, thought=options.model_dump(mode="json"))
    tokens = torch.randint(4, 20, (3, 40))
    thought = fresh(options, torch.arange(3), torch.zeros(3, 2, 3, 8))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(Reading(tokens[:, None], tokens[:, None] > 0, torch.zeros(3, 1, dtype=torch.bool)))
        model(State(tokens, t=torch.ones(3), thought=thought))
    assert model.flops(40) * tokens.numel() == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_counted_once_where_tied(tiny, tied):
    model = tiny(tie_word_embeddings=tied)
    width, inner, vocabulary = 32, 48, 23
    block = 4 * width**2 + 3 * width * inner + 2 * width
    assert parameter_count(model) == 2 * block + width + vocabulary * width * (1 if tied else 2)


def test_the_memory_estimate_grows_with_all_that_costs_memory(tiny):
    kept = tiny().kept(16)
    assert tiny(num_hidden_layers=4).kept(16) == 2 * kept - 2 * 32

    def estimate(parameters=1000, kept=kept, vocabulary=23, batch=4, asked=1.0, ema=True):
        return training_memory(parameters, kept, vocabulary, batch, 16, asked, ema)

    base = estimate()
    assert base > 4 * 1000 * 5
    assert estimate(parameters=2000) > base and estimate(kept=2 * kept) > base
    assert estimate(batch=8) > base and estimate(vocabulary=46) > base
    assert estimate(asked=0.5) < base
    assert estimate(ema=False) == base - 4000


BYTES = {
    "vocab_size": 260,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_encoder_layers": 2,
    "intermediate_size": 96,
    "n_gram_vocab_size": 50,
}


@pytest.mark.parametrize(
    ("sizes", "length"),
    [
        ({"latent": "none", "memory_read": "last"}, 401),
        ({"latent": "transformer", "patcher_options": {"stride": 8}, "use_hierarchical_decoder": False}, 300),
        ({"latent": "transformer", "patcher_options": {"stride": 40}, "num_encoder_layers": 3}, 401),
        ({"latent": "none", "patcher": "none", "output_shift": 0, "num_encoder_layers": 4}, 200),
        ({"latent": "none", "patcher": "whitespace", "patcher_options": {"max_length": 20}}, 401),
    ],
    ids=["fixed, last", "flat head", "long patches", "bidirectional", "whitespace"],
)
@pytest.mark.parametrize("asked", [1.0, 0.5])
@torch.no_grad()
def test_bytes_are_counted_as_attention_within_patches_is_computed(sizes, length, asked):
    model = Bytes(BytesConfig(**(BYTES | sizes))).eval()
    text = torch.full((2, length), 97 + 4)  # without a space, so that patches are as long as they may be
    if sizes.get("patcher") == "whitespace":  # five bytes a patch on average, and one of twenty
        text[:, ::4] = 32 + 4
        text[:, 200:220] = 97 + 4
    text[:, 0] = 1
    at = torch.zeros_like(text, dtype=torch.bool)
    at[:, : int(length * asked)] = True
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(State(text, "bidirectional" if sizes.get("output_shift") == 0 else "causal"), at=at)
    assert model.flops(length, asked) * text.numel() == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_nested_levels_are_counted_within_five_percent():
    model = Bytes(BytesConfig(**BYTES, latent="wubu", wubu={"hyperbolic_dims": [16, 8], "num_levels": 2})).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(State(torch.full((2, 401), 101), "causal"))
    # distances are no matrix products, so PyTorch's counter leaves them out
    assert model.flops(401) * 802 == pytest.approx(counter.get_total_flops(), rel=0.05)
