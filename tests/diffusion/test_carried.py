"""Whatever goes with the texts of a state stays with them: joined, picked, split, moved, beside texts without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import unmask
from guards.guard import leaves
from toys.tally import Tally
from unmask.diffusion.carried import Notes, Texts, changed, renewed
from unmask.diffusion.memory import Memory
from unmask.diffusion.random_mask import RandomMask
from unmask.diffusion.state import Jitter, SparseState
from unmask.diffusion.thought import Thought
from unmask.errors import Error
from unmask.models.byte_cache import ByteCache
from unmask.models.cache import KVCache
from unmask.models.latent import Hidden
from unmask.models.wubu_past import WubuPast
from unmask.sampling.checks import Checks, Places, Round
from unmask.sampling.constraint import Constraint, Constraints
from unmask.sampling.looks import Looks
from unmask.sampling.span import Span


def kv(rows, length):
    return KVCache(torch.randn(2, rows, 2, length, 3), torch.randn(2, rows, 2, length, 3), torch.arange(1, rows + 1))


def past(rows, length):
    return WubuPast(*([torch.randn(rows, length, d) for d in (4, 2)] for _ in range(2)))


def sparse(rows, length):
    jitter = Jitter(torch.rand(rows), torch.arange(1, rows + 1)) if rows == 3 else None
    return SparseState(torch.randint(4, 20, (rows, length, rows)), torch.rand(rows, length, rows), jitter)


def thought(rows, length):
    believed = torch.randn(rows, 4, 2) if rows == 3 else None
    there = torch.rand(rows, 2) > 0.5
    return Thought(torch.randn(rows, 4, 2), torch.rand(rows, 4), torch.randn(rows, 2, 3, 2), there, believed=believed)


def bytes_read(rows, length):
    kept = torch.randint(4, 20, (rows, length)), torch.randn(rows, length, 4), torch.randn(rows, length, 5)
    return ByteCache(*kept, kv(rows, length), past(rows, length), kv(rows, length) if rows else None, kv(rows, length))


def tally(rows, length):
    return Tally(torch.arange(1, rows + 1), Tally.Seen(torch.randint(4, 20, (rows, length))))


def checks(rows, length):
    places = Places(torch.randint(0, 4, (rows, length)), torch.rand(rows, length) > 0.5)
    counts = (torch.arange(n, n + rows) for n in range(1, 4))
    return Checks(places, *counts, cache=kv(rows, length), round=repair(rows, length))


def repair(rows, length):
    return Round(*(torch.arange(n, n + rows) for n in range(1, 5)))


MADE = {
    "Checks": checks,
    "Looks": lambda rows, length: Looks(torch.randn(rows, length, 4), torch.randint(0, 3, (rows, length))),
    "Places": lambda rows, length: checks(rows, length).places,
    "RandomMask": lambda rows, length: RandomMask(torch.arange(1, rows + 1), torch.rand(rows, length) > 0.5),
    "Round": repair,
    "Jitter": lambda rows, length: Jitter(torch.rand(rows), torch.arange(1, rows + 1)),
    "SparseState": sparse,
    "Memory": lambda rows, length: Memory(torch.randn(rows, rows, 3), torch.ones(rows, rows, dtype=torch.bool)),
    "Thought": thought,
    "Hidden": lambda rows, length: Hidden(torch.randn(rows, length, 4)),
    "Notes": lambda rows, length: Notes((Hidden(torch.randn(rows, length, 4)), tally(rows, length))),
    "Span": lambda rows, length: Span(*(torch.arange(n, n + rows) for n in range(1, 5))),
    "KVCache": kv,
    "WubuPast": past,
    "ByteCache": bytes_read,
    "Tally": tally,
    "Constraints": lambda rows, length: Constraints((Constraint(),) * rows, torch.arange(1, rows + 1)),
}
TEXTS = Texts(torch.tensor([3, 1, 4]), 6), Texts(torch.tensor([5, 9]), 8)


@pytest.fixture(params=MADE)
def parts(request):
    """Things that go with three texts of 6 tokens and two of 8."""
    torch.manual_seed(0)
    return [MADE[request.param](len(texts.key), texts.length) for texts in TEXTS]


def tensors(thing):
    """Return the tensors of a thing by name, the texts first."""
    found = {}
    for name, (_, value) in leaves(thing).items():
        for number, each in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(each, Tensor):
                found[f"{name}.{number}"] = each.transpose(0, 1) if each.ndim == 5 else each
    return found


def same(found, wanted):
    """Tell whether a thing is another one, and nothing where that is smaller."""
    found, wanted = tensors(found), tensors(wanted)
    for name, big in found.items():
        small = wanted.get(name, big[:0])
        inner = big[tuple(slice(n) for n in small.shape)]
        if not (torch.equal(inner, small) and int((big != 0).sum()) == int((small != 0).sum())):
            return False
    return set(wanted) <= set(found) and bool(found)


def test_every_kind_of_the_house_is_here():
    source = "".join(path.read_text() for path in Path(unmask.__file__).parent.rglob("*.py"))
    assert set(re.findall(r"^class (\w+)\(Carried\)", source, re.MULTILINE)) == set(MADE) - {"Tally"}


def test_rows_of_what_was_joined_are_what_they_were_alone(parts):
    whole = type(parts[0]).join(parts, TEXTS)
    assert same(whole.rows(torch.arange(3)), parts[0]) and same(whole.rows(torch.tensor([3, 4])), parts[1])
    turned, alone = whole.rows(torch.tensor([4, 0, 0])), parts[0].rows(torch.tensor([0]))
    assert same(turned.rows(torch.tensor([1])), alone) and same(turned.rows(torch.tensor([2])), alone)
    assert same(turned.rows(torch.tensor([0])), parts[1].rows(torch.tensor([1])))
    split = [whole.rows(torch.tensor([row])) for row in range(5)]
    texts = [Texts(key[None], 8) for key in torch.cat([own.key for own in TEXTS])]
    again = type(whole).join(split, texts)
    assert same(again, whole) and same(whole, again)
    chosen = torch.tensor([False, True, True, False, True])
    assert same(whole.rows(chosen), whole.rows(torch.tensor([1, 2, 4])))


def test_texts_that_have_none_yet_join_those_that_do(parts):
    whole = type(parts[0]).join([None, parts[0]], [TEXTS[1], TEXTS[0]])
    assert same(whole.rows(torch.tensor([2, 3, 4])), parts[0])
    assert same(whole.rows(torch.tensor([0, 1])), parts[0].blank(TEXTS[1]))
    if isinstance(whole, Thought):
        alone = parts[0].blank(Texts(TEXTS[1].key[1:], 9))
        assert torch.equal(whole.cells[1:2], alone.cells) and float(alone.cells.std()) > 0.5, "noise of its own"


def test_rows_that_were_asked_have_something_new_and_the_others_what_they_had(parts):
    fresh = type(parts[0]).join([parts[1], parts[1]], [TEXTS[1]] * 2).rows(torch.tensor([0, 1]))
    after = renewed(parts[0], fresh, torch.tensor([0, 2]), TEXTS[0])
    assert same(after.rows(torch.tensor([0, 2])), fresh)
    assert same(after.rows(torch.tensor([1])), parts[0].rows(torch.tensor([1])))
    first = renewed(None, fresh, torch.tensor([2, 1]), TEXTS[0])
    assert same(first.rows(torch.tensor([2, 1])), fresh)


def test_it_goes_to_another_device_as_it_is(parts):
    moved = tensors(parts[0].to("meta"))
    assert moved.keys() == tensors(parts[0]).keys()
    assert all(x.device.type == "meta" and x.dtype == tensors(parts[0])[name].dtype for name, x in moved.items())
    assert same(parts[0].to("cpu"), parts[0])


def test_what_is_of_positions_is_shown_as_far_as_the_text_goes():
    for name in ("SparseState", "Hidden", "Notes", "Tally"):
        thing = MADE[name](2, 8)
        cut = tensors(thing.upto(5))
        for at, value in tensors(thing).items():
            assert torch.equal(cut[at], value[:, :5] if value.ndim > 1 else value), (name, at)
    whole = MADE["Memory"](2, 8)
    assert same(whole.upto(1), whole)


def test_memories_of_other_widths_are_refused():
    with pytest.raises(Error, match="one index"):
        Memory.join([MADE["Memory"](2, 1), changed(MADE["Memory"](2, 1), lambda x: x[..., :1])], TEXTS)
