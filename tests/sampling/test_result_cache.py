"""A cache of results changes no text, never answers for another request, and stays within its size."""

from __future__ import annotations

import shutil
import threading

import pytest
import torch

import unmask
from unmask.errors import Error
from unmask.sampling.result_cache import ResultCache

ASKED = {"steps": 4, "max_tokens": 12}
MEGABYTE = 1 << 20


@pytest.fixture
def calls(monkeypatch):
    """How many texts a network was asked for."""
    from unmask.api import writing

    found, generate = [], writing.generate
    monkeypatch.setattr(writing, "generate", lambda *a, **k: (found.append(len(a[2])), generate(*a, **k))[1])
    return found


@pytest.fixture
def cached(tiny_masked_run):
    return unmask.load(tiny_masked_run, cache=MEGABYTE)


def test_texts_are_equal_with_and_without_and_the_second_is_not_written(tiny_masked_run, cached, calls):
    plain = unmask.load(tiny_masked_run)
    assert plain.cache is None
    wanted = plain.sample("The", n=3, **ASKED).to_dict()
    calls.clear()
    first, second = (cached.sample("The", n=3, **ASKED).to_dict() for _ in range(2))
    assert first == second == wanted and calls == [3]
    assert cached.sample("The", n=4, **ASKED).texts[:3] == wanted["texts"] and calls == [3, 1]


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"temperature": 0.5}, {"max_tokens": 11}, {"sampler": "confidence"}, {"suffix": "hen"}]
)
def test_another_request_is_written(cached, calls, other):
    cached.sample("The", **ASKED)
    cached.sample("The", **(ASKED | other))
    cached.sample("A", **ASKED)
    assert calls == [1, 1, 1]


def test_changed_weights_and_files_beside_them_are_other_requests(tiny_masked_run, tmp_path, calls):
    shutil.copytree(tiny_masked_run, tmp_path / "run")
    model = unmask.load(tmp_path / "run", cache=MEGABYTE)
    model.sample("The", **ASKED)
    with torch.no_grad():
        next(model.network.parameters()).mul_(1.5)
    model.sample("The", **ASKED)
    (tmp_path / "run" / "calibration.json").write_text("{}")
    model.sample("The", **ASKED)
    assert calls == [1, 1, 1]


def test_who_watches_or_listens_gets_a_text_that_is_written(cached, calls, tmp_path):
    text = cached.sample("The", **ASKED).texts
    seen = []
    assert cached.sample("The", watch=lambda which, frame: seen.append(which), **ASKED).texts == text and seen
    handle = cached.network.register_forward_hook(lambda *about: None)
    assert cached.sample("The", **ASKED).texts == text and calls == [1, 1]
    handle.remove()
    assert cached.sample("The", **ASKED).texts == text and calls == [1, 1]


def test_filled_holes_are_equal_with_and_without(tiny_masked_run, cached, calls):
    holes = ("The ____ number 3", unmask.load(tiny_masked_run))
    wanted = holes[1].infill(holes[0], length="1-3", draws=2, steps=2).to_dict()
    calls.clear()
    network = cached.network.forward
    asked = []
    cached.network.forward = lambda *a, **k: (asked.append(1), network(*a, **k))[1]
    assert cached.infill(holes[0], length="1-3", draws=2, steps=2).to_dict() == wanted and asked
    asked.clear()
    assert cached.infill(holes[0], length="1-3", draws=2, steps=2).to_dict() == wanted and not asked


def test_the_least_recently_used_go_first_and_the_size_is_kept():
    cache = ResultCache(3000)
    for number in range(5):
        cache.put(b"%d" % number, "x" * 500)
        assert cache.get(b"0") == "x" * 500 and cache.bytes <= cache.most
    assert cache.get(b"4") is not None and cache.get(b"1") is None
    cache.put(b"large", "x" * 3000)
    assert cache.get(b"large") is None and cache.get(b"0") is not None
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_threads_share_a_cache():
    cache, wrong = ResultCache(20_000), []

    def work(seed: int) -> None:
        for turn in range(300):
            key = b"%d" % ((seed * 7 + turn) % 50)
            found = cache.get(key)
            wrong.extend([found] if found not in (None, key * 100) else [])
            cache.put(key, key * 100)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and 0 < cache.bytes <= cache.most and cache.hits + cache.misses == 1200


def test_a_size_below_nothing_is_refused(tiny_masked_run):
    with pytest.raises(Error, match="cache is -1; it must be 0"):
        unmask.load(tiny_masked_run, cache=-1)
