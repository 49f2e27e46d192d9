"""Texts that were written before, kept in memory: an identical request is answered without asking the network.

A text is a function of its request, its network and nothing else (no text depends on its batch mates), so each request
is kept by itself. The key is a digest of all that the text depends on: canvas, place, all settings with their seed,
what lies in the run's folder, the network's weights as they are now, the version of this package. Not kept is what is
more than that function: a request that brings a thought or retrieved memory, and any request while somebody listens to
the network or changes it on the way (hooks, training mode).

Entries are bytes, the least recently used go first, and all together have at most a stated size.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from unmask import __version__
from unmask.sampling.finished import Sample
from unmask.sampling.request import Request

_ENTRY = 256
"""Bytes that an entry takes besides its own: its key, its place in the order."""


class ResultCache:
    """What was worked out, by key; safe to share between threads.

    Args:
        most: Bytes that all entries take together at most.

    Attributes:
        most: The same.
        bytes: Bytes that they take now.
        hits: Answers that were there.
        misses: Answers that were not.
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes, self.hits, self.misses = most, 0, 0, 0
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Any:
        """Return a copy of what is kept, now the most recently used; ``None``: nothing is."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
        return pickle.loads(found)  # our own bytes, of this process

    def put(self, key: bytes, value: Any) -> None:
        """Keep a value; the least recently used go until there is room. One that is too large is not kept."""
        packed = pickle.dumps(value, protocol=5)
        if len(packed) + _ENTRY > self.most:
            return
        with self._lock:
            if (before := self._kept.pop(key, None)) is not None:
                self.bytes -= len(before) + _ENTRY
            self._kept[key] = packed
            self.bytes += len(packed) + _ENTRY
            while self.bytes > self.most:
                self.bytes -= len(self._kept.popitem(last=False)[1]) + _ENTRY

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0


def answered(
    cache: ResultCache | None,
    folder: Path,
    model: Any,
    requests: Sequence[Request],
    write: Callable[[list[Request]], list[Sample]],
) -> list[Sample]:
    """Return the texts of requests in their order; those that are not kept are written, together, and kept.

    Args:
        cache: The texts that there are; ``None``: none are kept.
        folder: The run's.
        model: Its network.
        requests: What to write.
        write: Writes requests.
    """
    keys, found = kept(cache, folder, model, requests)
    if cache is None or not keys:
        return write(list(requests))
    left = {key: request for key, request in zip(keys, requests, strict=True) if key not in found}
    for key, sample in zip(left, write(list(left.values())) if left else [], strict=True):
        cache.put(key, sample)
        found[key] = sample
    return [found[key] for key in keys]


def kept(
    cache: ResultCache | None, folder: Path, model: Any, requests: Sequence[Request]
) -> tuple[list[bytes], dict[bytes, Sample]]:
    """Return the key of each request, and the texts that are kept by their keys. Arguments: as of :func:`answered`.

    No keys: nothing may be kept.
    """
    if cache is None or not may_be_kept(model, requests):
        return [], {}
    base = _base(folder, model)
    keys = [digest(base, _said(request)) for request in requests]
    return keys, {key: there for key in dict.fromkeys(keys) if (there := cache.get(key)) is not None}


def remembered(
    cache: ResultCache | None,
    folder: Path,
    model: Any,
    requests: Sequence[Request],
    what: Hashable,
    work: Callable[[], Any],
) -> Any:
    """Return what is worked out about requests: kept, or worked out now. Arguments: as of :func:`answered`.

    Args:
        cache: What there is; ``None``: nothing is kept.
        folder: The run's.
        model: Its network.
        requests: What it is about.
        what: All else that it depends on.
        work: Works it out.
    """
    if cache is None or not may_be_kept(model, requests):
        return work()
    key = digest(
        _base(folder, model), what, [(one.tokens, _said(one), one.index, sorted(one.lead)) for one in requests]
    )
    found = cache.get(key)
    if found is None:
        found = work()
        cache.put(key, found)
    return found


def may_be_kept(model: Any, requests: Sequence[Request]) -> bool:
    """Tell whether answers are a function of the key: nothing carried in, nobody in between."""
    carried = any(one.thought is not None or one.memory is not None for one in requests)
    heard = any(one.training or one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    return not (carried or heard)


def digest(*parts: Any) -> bytes:
    """Return 32 bytes over plain values, told apart by kind and place."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()


def _said(request: Request) -> tuple[Any, ...]:
    settings = request.settings
    said = (settings.name, sorted(settings.model_dump().items()))
    constraint = () if request.constraint is None else (request.constraint.key,)
    return request.tokens, said, request.index, sorted(request.lead), *constraint


def _base(folder: Path, model: Any) -> tuple[Any, ...]:
    """Return what all texts of a run depend on: the version, the files beside the weights, the weights as they are."""
    with os.scandir(folder) as entries:
        files = sorted((one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in entries if one.is_file())
    weights = [(id(one), one._version, str(one.dtype), str(one.device)) for one in model.parameters()]
    return __version__, str(folder.resolve()), files, weights, getattr(model, "in_half", False)
