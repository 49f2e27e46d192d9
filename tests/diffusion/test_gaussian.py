"""Gaussian diffusion of thoughts has the marginal that it says, in every cell."""

import pytest
import torch

from unmask.diffusion.gaussian import denoised_to, levels, noise_of, noised
from unmask.diffusion.schedules import SCHEDULES, get_schedule
from unmask.diffusion.thought import ThoughtOptions, stacks

ONES = torch.ones(4, dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("saliency", [0.0, 2.0])
def test_every_cell_is_pure_noise_at_the_end_and_clean_at_the_start(name, saliency):
    clean = torch.randn(4, 6, 3)
    assert torch.equal(levels(ONES, clean, get_schedule(name), saliency), torch.ones(4, 6))
    assert torch.equal(levels(0 * ONES, clean, get_schedule(name), saliency), torch.zeros(4, 6))


def test_the_variance_is_that_of_a_unit_thought_at_every_level():
    generator = torch.Generator().manual_seed(0)
    clean, eps = (torch.randn(20_000, 1, 2, generator=generator) for _ in range(2))
    for v in (0.0, 0.1, 0.5, 0.9, 1.0):
        level = torch.full((20_000, 1), v)
        z = noised(clean, level, eps)
        assert abs(float(z.var()) - 1) < 0.03  # 4 standard errors of a variance of 40,000 normals
        assert abs(float((z * clean).mean()) - (1 - v) ** 0.5) < 0.03


def test_a_salient_cell_is_noised_later():
    clean = torch.tensor([[[3.0], [1.0], [2.0]]])
    level = levels(torch.tensor([0.5]), clean, get_schedule("linear"), 1.0)[0]
    assert level[0] < level[2] < level[1]
    assert float(level[1]) == 0.5


def test_another_level_of_the_same_thought_is_where_its_own_noise_leads():
    clean, eps = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    level, then = torch.rand(3, 4).clamp(min=0.1), torch.rand(3, 4)
    z = noised(clean, level, eps)
    torch.testing.assert_close(noise_of(z, level, clean), eps, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(denoised_to(z, level, clean, then), noised(clean, then, eps), atol=1e-4, rtol=1e-3)
    assert torch.equal(denoised_to(z, level, clean, 0 * level), clean)


def test_a_passage_finds_the_passages_of_its_document_the_newest_first():
    reduced = torch.arange(5.0).view(1, 5, 1, 1)
    follows = torch.tensor([[False, True, True, False, True]])
    stack, there = stacks(reduced, follows, follows, 3)
    assert there[0].tolist() == [
        [False, False, False],
        [True, False, False],
        [True, True, False],
        [False, False, False],
        [True, False, False],
    ]
    assert stack[0, :, :, 0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [3, 0, 0]]


def test_no_passage_finds_a_document_that_ended_in_the_passage_before_it():
    follows = torch.tensor([[False, True, True]])
    through = torch.tensor([[False, False, True]])  # the second passage holds the border
    _, there = stacks(torch.zeros(1, 3, 1, 1), follows, through, 2)
    assert there[0].tolist() == [[False, False], [True, False], [True, False]]


@pytest.mark.parametrize(
    "wrong", [{"shape": (3,)}, {"shape": (2, 0)}, {"shape": (2, 3), "axis": 1}, {"shape": (2, 3), "stack": -1}]
)
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match="shape|axis|stack"):
        ThoughtOptions(**wrong)
