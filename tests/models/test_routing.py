import math

import pytest
import torch

from unmask.models.routing import kept


def attention(peaks, slots, sharp=30.0):
    """Weights [1, L, H=2, M] whose mean peaks at the given slot of each token."""
    score = torch.zeros(1, len(peaks), 2, slots)
    score[0, torch.arange(len(peaks)), :, torch.tensor(peaks)] = sharp
    return score.softmax(-1)


def test_each_token_reads_its_largest_slots_with_the_weights_they_had():
    torch.manual_seed(0)
    weights = torch.randn(2, 7, 3, 6).softmax(-1)
    out, _ = kept(weights, 2, own=6, present=None, positions=14)
    best = weights.mean(2).topk(2).indices
    for g in range(2):
        for t in range(7):
            read = out[g, t].any(0).nonzero()[:, 0]
            assert set(read.tolist()) == set(best[g, t].tolist())
            assert torch.equal(out[g, t][:, read], weights[g, t][:, read])


def test_reading_all_slots_is_no_routing():
    weights = torch.randn(2, 7, 3, 6).softmax(-1)
    assert torch.equal(kept(weights, 6, own=6, present=None, positions=14)[0], weights)


def test_balance_is_1_when_slots_share_the_tokens_and_m_when_one_takes_all():
    even = kept(attention([0, 1, 2, 3], 4), 1, own=4, present=None, positions=4)[1]
    one = kept(attention([2, 2, 2, 2], 4), 1, own=4, present=None, positions=4)[1]
    assert float(even.balance) == pytest.approx(1, abs=1e-4) and float(one.balance) == pytest.approx(4, abs=1e-4)
    assert even.share.tolist() == [0.25] * 4 and one.share.tolist() == [0, 0, 1, 0]
    assert float(even.entropy) == pytest.approx(1) and float(one.entropy) == 0


def test_the_balance_of_a_batch_is_the_mean_of_its_parts_and_padding_counts_for_nothing():
    torch.manual_seed(0)
    weights = torch.randn(4, 8, 2, 5).softmax(-1)
    present = (torch.arange(8) < torch.tensor([8, 3, 5, 1])[:, None]).float()[..., None]

    def balance(rows):
        return kept(weights[rows], 2, own=5, present=present[rows], positions=8 * len(weights[rows]))[1].balance

    whole = balance(slice(None))
    torch.testing.assert_close(whole, torch.stack([balance(slice(i, i + 1)) for i in range(4)]).mean())
    garbage = torch.where(present[:, :, None] > 0, weights, torch.randn(4, 8, 2, 5).softmax(-1))
    torch.testing.assert_close(kept(garbage, 2, own=5, present=present, positions=32)[1].balance, whole)


def test_the_balance_pulls_towards_slots_that_are_not_used():
    score = torch.zeros(1, 6, 1, 3)
    score[..., 0] = 1.0
    score.requires_grad_()
    kept(score.softmax(-1), 1, own=3, present=None, positions=6)[1].balance.backward()
    assert (score.grad[..., 0] > 0).all() and (score.grad[..., 1:] < 0).all()


def test_one_slot_a_token_still_teaches_what_is_chosen():
    score = torch.randn(1, 6, 2, 3).requires_grad_()
    kept(score.softmax(-1), 1, own=3, present=None, positions=6)[0].sum().backward()
    assert score.grad.abs().amax() > 1e-3


def test_retrieved_slots_are_neither_balanced_nor_counted():
    weights = attention([0, 1, 4, 4], 5)
    routing = kept(weights, 1, own=2, present=None, positions=4)[1]
    assert routing.share.tolist() == [0.5, 0.5]
    assert math.isclose(float(routing.entropy), 1.0, abs_tol=1e-6)
    score = torch.randn(1, 6, 1, 5).requires_grad_()
    kept(score.softmax(-1), 2, own=3, present=None, positions=6)[1].balance.backward()
    assert score.grad[..., :3].abs().max() > 1e-3 and score.grad[..., 3:].abs().max() < 1e-6
