import pytest
import torch

from unmask.diffusion.noise import Noise
from unmask.sampling.categorical import draw


def drawn(logits, uniform, temperature=1.0, top_k=0, top_p=1.0, forbidden=None):
    n = len(uniform)
    logits = logits.expand(n, -1) if logits.ndim == 1 else logits
    return draw(
        logits,
        uniform,
        torch.full((n,), temperature, dtype=torch.float64),
        torch.full((n,), top_k),
        torch.full((n,), top_p, dtype=torch.float64),
        torch.zeros(logits.shape, dtype=torch.bool) if forbidden is None else forbidden.expand(n, -1),
    )


def even(n, low=0.0, high=1.0):
    return low + (high - low) * (torch.arange(n, dtype=torch.float64) + 0.5) / n


def frequency(tokens, size):
    return torch.bincount(tokens, minlength=size) / len(tokens)


def test_words_are_drawn_as_often_as_the_model_says():
    p = torch.tensor([0.5, 0.25, 0.125, 0.0625, 0.0625])
    uniform = Noise(0, torch.arange(50)).uniform("token", 2000).flatten()
    seen = frequency(drawn(p.log(), uniform).token, 5)
    assert (seen - p).abs().max() < 0.005  # 100,000 draws: 3 standard deviations


def test_the_tail_of_a_peaked_distribution_is_drawn_where_float32_gumbel_noise_loses_it():
    tail, size = 1e-5, 512  # each tail word is 17.8 nats below the peak
    logits = torch.full((1 + size,), float(torch.tensor(tail / size).log()))
    logits[0] = 0.0
    ours = drawn(logits, even(4000, 1 - 2 * tail, 1.0)).token
    share = 2 * tail * (ours > 0).double().mean()
    assert share == pytest.approx(tail, rel=0.01)

    # The largest of 512 float32 Gumbel variables, drawn as the Gumbel of the largest of 512 float32 uniforms.
    generator = torch.Generator().manual_seed(0)
    draws = 4_000_000
    largest = torch.rand(draws, generator=generator, dtype=torch.float64) ** (1 / size)
    largest = (largest * 2**24).floor().clamp(max=2**24 - 1) / 2**24
    gumbel = -torch.log(-torch.log(largest.float()))
    peak = -torch.log(-torch.log(torch.rand(draws, generator=generator).clamp(min=2.0**-24)))
    lost = (gumbel + logits[1] > peak).double().mean()
    assert lost < tail / 4  # the trick draws the tail less than a quarter as often as it should


def test_extreme_uniforms_give_a_word_that_may_be_drawn():
    logits = torch.tensor([-torch.inf, 0.0, 0.3, -torch.inf])
    forbidden = torch.tensor([False, False, False, False])
    ends = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    assert drawn(logits, ends, forbidden=forbidden).token.tolist() == [1, 2]
    forbidden = torch.tensor([False, True, False, False])
    assert drawn(logits, ends, forbidden=forbidden).token.tolist() == [2, 2]


def test_truncation_keeps_the_right_words_and_their_proportions():
    p = torch.tensor([0.1, 0.4, 0.3, 0.2])
    u = even(10_000)
    for options, kept in (
        ({"top_k": 2}, [0, 4, 3, 0]),
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"top_p": 0.41}, [0, 4, 3, 0]),
        ({"top_p": 0.71}, [0, 4, 3, 2]),
        ({"top_k": 3, "top_p": 0.5}, [0, 4, 3, 0]),
        ({"top_k": 99}, [1, 4, 3, 2]),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
    ):
        want = torch.tensor(kept) / sum(kept)
        assert torch.allclose(frequency(drawn(p.log(), u, **options).token, 4), want, atol=1e-3), options


def test_temperature_sharpens_and_flattens():
    p = torch.tensor([0.1, 0.4, 0.3, 0.2])
    for temperature in (0.5, 2.0):
        want = p ** (1 / temperature)
        seen = frequency(drawn(p.log(), even(10_000), temperature=temperature).token, 4)
        assert torch.allclose(seen, want / want.sum(), atol=1e-3)
    assert drawn(p.log(), even(10), temperature=0.0).token.tolist() == [1] * 10


def test_confidence_is_the_models_own_probability_whatever_the_settings():
    p = torch.tensor([0.1, 0.4, 0.3, 0.2])
    got = drawn(p.log(), even(50), temperature=0.3, top_k=3)
    assert torch.allclose(got.probability, p.double()[got.token], atol=1e-7)
    assert torch.allclose(got.peak, torch.full((50,), 0.4, dtype=torch.float64), atol=1e-7)
    forbidden = torch.tensor([False, True, False, False])
    got = drawn(p.log(), even(50), forbidden=forbidden)
    assert torch.allclose(got.probability, (p / 0.6).double()[got.token], atol=1e-7)


def test_large_batches_are_worked_in_chunks_with_the_same_result(monkeypatch):
    torch.manual_seed(0)
    logits, u = torch.randn(97, 11), torch.rand(97, dtype=torch.float64)
    whole = drawn(logits, u, top_k=5, top_p=0.9)
    monkeypatch.setattr("unmask.sampling.categorical._CHUNK", 40)
    assert torch.equal(drawn(logits, u, top_k=5, top_p=0.9).token, whole.token)
