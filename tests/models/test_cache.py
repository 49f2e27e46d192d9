import pytest
import torch

from unmask.diffusion.carried import Texts
from unmask.diffusion.state import State
from unmask.models.cache import KVCache


@torch.no_grad()
def next_logits(model, tokens):
    """Logits of the token after ``tokens``, without a cache."""
    padded = torch.tensor([[*tokens, 0]])
    at = torch.zeros_like(padded, dtype=torch.bool)
    at[0, -1] = True
    return model(State(padded, "causal"), at=at).logits[0]


@torch.no_grad()
def feed(model, cache, chunks):
    """Feed one chunk of its own length to each row."""
    width = max(map(len, chunks))
    tokens = torch.tensor([[*c, *[9] * (width - len(c))] for c in chunks])
    valid = torch.arange(width) < torch.tensor([len(c) for c in chunks])[:, None]
    return model(State(tokens, "causal", valid=valid), cache=cache).logits


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_ragged_rows_fed_in_chunks_equal_no_cache(tiny, kv_heads):
    model = tiny(num_key_value_heads=kv_heads)
    texts = [[5, 6, 7, 8, 9, 10, 11, 12, 13], [14, 15, 16], [17, 18, 19, 20, 21, 22]]
    cuts = [[5, 1, 3], [1, 1, 1], [2, 3, 1]]
    cache = model.new_cache(3, 10)
    done = [0, 0, 0]
    for step in range(3):
        chunks = [t[d : d + c[step]] for t, d, c in zip(texts, done, cuts, strict=True)]
        logits = feed(model, cache, chunks)
        done = [d + len(c) for d, c in zip(done, chunks, strict=True)]
        assert cache.lengths.tolist() == done
        for row, (text, d) in enumerate(zip(texts, done, strict=True)):
            torch.testing.assert_close(logits[row], next_logits(model, text[:d]), atol=1e-4, rtol=1e-4)


def test_rows_join_and_leave_between_steps(tiny):
    model = tiny()
    first, second = model.new_cache(2, 8), model.new_cache(1, 12)
    feed(model, first, [[5, 6, 7], [8]])
    feed(model, second, [[9, 10, 11, 12, 13]])
    joined = KVCache.join([first, second], [Texts(c.lengths, 8) for c in (first, second)]).rows(torch.tensor([2, 0]))
    assert joined.keys.shape[3] == 12
    logits = feed(model, joined, [[14], [15, 16]])
    torch.testing.assert_close(logits[0], next_logits(model, [9, 10, 11, 12, 13, 14]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits[1], next_logits(model, [5, 6, 7, 15, 16]), atol=1e-4, rtol=1e-4)
    alone = first.rows(torch.tensor([1]))
    torch.testing.assert_close(feed(model, alone, [[17]])[0], next_logits(model, [8, 17]), atol=1e-4, rtol=1e-4)
    assert first.lengths.tolist() == [3, 1]  # what left is a copy


def test_a_full_row_does_not_disturb_its_batch_mates(tiny):
    model = tiny()
    cache = model.new_cache(2, 4)
    feed(model, cache, [[5, 6, 7, 8], [9]])
    logits = feed(model, cache, [[10], [11]])  # row 0 is past its capacity
    torch.testing.assert_close(logits[1], next_logits(model, [9, 11]), atol=1e-4, rtol=1e-4)
    logits = feed(model, cache, [[10], [12, 13]])
    torch.testing.assert_close(logits[1], next_logits(model, [9, 11, 12, 13]), atol=1e-4, rtol=1e-4)


def test_rows_near_the_end_of_the_cache_keep_their_own_places(tiny):
    model = tiny()
    cache = model.new_cache(2, 6)
    feed(model, cache, [[5, 6, 7, 8], [9, 10]])
    logits = feed(model, cache, [[11, 12], [13, 14, 15, 16]])  # only the shorter row has room for all four places
    torch.testing.assert_close(logits[0], next_logits(model, [5, 6, 7, 8, 11, 12]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits[1], next_logits(model, [9, 10, 13, 14, 15, 16]), atol=1e-4, rtol=1e-4)


def test_rows_that_are_asked_alone_read_and_write_the_batch_s_own_cache(tiny):
    model = tiny()
    cache = model.new_cache(3, 8)
    feed(model, cache, [[5, 6, 7], [8], [9, 10, 11]])
    for index, chunks in (([0, 2], [[12], [13]]), ([1], [[14, 15]]), ([2, 1], [[16], [17, 18]])):
        at = torch.tensor(index)
        part = cache.part(at)
        assert part.keys is cache.keys
        feed(model, part, chunks)
        cache = cache.put(at, part)
    assert cache.lengths.tolist() == [4, 5, 5]
    logits = feed(model, cache, [[19], [20], [21]])
    for row, text in enumerate([[5, 6, 7, 12, 19], [8, 14, 15, 17, 18, 20], [9, 10, 11, 13, 16, 21]]):
        torch.testing.assert_close(logits[row], next_logits(model, text), atol=1e-4, rtol=1e-4)
    assert torch.equal(cache.part(torch.tensor([2, 0])).rows(torch.tensor([1])).keys[:, 0], cache.keys[:, 0])
