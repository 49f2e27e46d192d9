import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.diffusion.noise import Noise
from unmask.errors import Error
from unmask.sampling.categorical import draw
from unmask.sampling.decide import propose
from unmask.sampling.doubt import doubt_of, peak_of
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.repetition import penalised
from unmask.sampling.request import Vocabulary, fill_request
from unmask.sampling.settings import AncestralSettings, AutoregressiveSettings, SteppedSettings
from unmask.sampling.state import begin


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


EXTREMES = st.sampled_from([0.0, 5e-324, 1e-308, 1e-30, 1e-4, 0.5, 1.0, 2.0, 1e30, 1e308])


class Both(AutoregressiveSettings, SteppedSettings):
    """All that shapes a draw."""


SIZES = st.sampled_from([1e-30, 1.0, 80.0, 1e4, 3e38])


@settings(max_examples=150, deadline=None)
@given(
    EXTREMES,
    st.sampled_from([0, 1, 2, 7, 2**31, 2**53 + 1, 2**63 - 1]),
    st.sampled_from([5e-324, 1e-16, 0.5, 1 - 2**-53, 1.0]),
    st.sampled_from([5e-324, 1e-308, 0.5, 1.0, 1.1, 1e308]),
    SIZES,
    st.integers(0, 2**31),
)
def test_any_setting_that_is_allowed_draws_a_token_that_may_be_drawn(temperature, top_k, top_p, penalty, size, seed):
    random = torch.Generator().manual_seed(seed)
    asked = Both(
        temperature=temperature,
        temperature_end=temperature / 2,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=penalty,
        seed=seed,
        steps=2**63 - 1,
    )
    state = begin([fill_request([5, 6, 7], 6, Vocabulary(), asked)], Vocabulary())
    logits = (torch.rand(6, 12, generator=random) * 2 - 1) * size
    logits[torch.rand(6, 12, generator=random) < 0.2] = -torch.inf
    logits[:, 9] = 0.0
    found = penalised(state, state.open, logits)
    assert torch.equal(found.isfinite(), logits.isfinite()) and not found.isnan().any()
    drawn = propose(state, state.open, found)
    assert (found.gather(1, drawn.token[:, None]) > -torch.inf).all()
    assert not torch.isin(drawn.token, torch.tensor([0, 1, 3])).any()  # padding, BOS, mask
    assert drawn.probability.isfinite().all() and (drawn.probability <= drawn.peak).all()


def test_a_tiny_temperature_is_the_greedy_choice_and_a_huge_one_is_uniform():
    logits = torch.tensor([1.0, 3.0, 2.0, -torch.inf])
    for temperature in (5e-324, 1e-308, 1e-5):
        assert drawn(logits, even(50), temperature=temperature).token.tolist() == [1] * 50
    seen = frequency(drawn(logits, even(999), temperature=1e308).token, 4)
    assert torch.allclose(seen, torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))


def test_settings_that_no_number_of_64_bits_holds_are_refused():
    for name in ("top_k", "steps", "candidates"):
        with pytest.raises(Error, match=f"{name} is .* 64 bits"):
            AncestralSettings(**{name: 2**63})
    for name in ("temperature", "top_p", "temperature_end"):
        with pytest.raises(Error, match=name):
            AncestralSettings(**{name: math.nan})


def test_what_is_not_finite_is_told_from_what_is_forbidden():
    state = begin([fill_request([5], 2, Vocabulary())], Vocabulary())
    bad, forbidden = torch.zeros(2, 12), torch.full((2, 12), -torch.inf)
    bad[1, 7] = torch.nan
    for asked in (propose, peak_of, doubt_of):
        for logits, message in ((bad, "logits are not finite"), (forbidden, "no token may be drawn")):
            with pytest.raises(Error, match=message):
                asked(state, state.open, logits)


EXTREME = [0.0, -0.0, 5e-324, 1e-320, 1e-310, 1e-45, 1e-38, 1e-8, 1.0, 1e8, 3.5e38, 1.7e308]
"""Among them zeros of both signs, the least subnormal numbers of float32 and float64, and the largest."""


@pytest.mark.strangers
@pytest.mark.parametrize("temperature", EXTREME)
def test_extreme_settings_draw_a_token_that_may_be_drawn(temperature):
    logits = torch.tensor([[0.0, 1e4, -1e4, 3.4e38], [0.0, -3.4e38, 1.0, -1.0]])
    forbidden = torch.tensor([[False] * 4, [True, False, False, False]])
    uniform = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    for top_k in (0, 1, 2**31, 2**53 + 1, 2**63 - 1):
        for top_p in (5e-324, 1e-45, 0.5, 1 - 2**-53, 1.0):
            found = drawn(logits, uniform, temperature, top_k, top_p, forbidden)
            assert all(0 <= token < 4 for token in found.token.tolist()) and found.token[1] != 0
            assert torch.isfinite(found.probability).all() and torch.isfinite(found.peak).all()
            if temperature < 1e-40:
                assert found.token.tolist() == [3, 2]  # the peak


@pytest.mark.strangers
@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
def test_settings_that_are_no_finite_number_are_named(value: float) -> None:
    for kind in map(SAMPLERS.facts, SAMPLERS):
        for key, field in kind.model_fields.items():
            if "float" in str(field.annotation):
                with pytest.raises(Error, match=rf"^{key} is {value}; it must be a finite number\.$"):
                    kind(**{key: value})
