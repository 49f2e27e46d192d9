"""What every patcher promises: nothing is lost, no byte is foreseen, no character is split, a stream cuts the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.patches.parts import BYTES, ENTROPY, SETTINGS, TEXT, patcher
from unmask.data.patches import PATCHERS, make_patcher
from unmask.data.patches.patcher import mean_size, sizes, split
from unmask.errors import Error, UnknownPart

every = pytest.mark.parametrize(("name", "options"), SETTINGS, ids=str)
quick = settings(max_examples=25, deadline=None)


def test_every_registered_patcher_is_tested() -> None:
    assert {name for name, _ in SETTINGS} == {*PATCHERS, "characters"}
    assert set(PATCHERS) == {"babylon", "delimiter", "fixed", "none", "random", "whitespace"}


@every
@given(data=BYTES)
@quick
def test_patches_join_to_the_text(name: str, options: dict, data: bytes) -> None:
    part = patcher(name, options)
    starts = part.starts(data)
    assert starts.shape == (len(data),) and starts.dtype == bool and starts[:1].all()
    patches = split(data, starts)
    assert b"".join(patches) == data and all(patches)
    assert sizes(starts).tolist() == [len(patch) for patch in patches]
    assert part.longest is None or max(map(len, patches), default=0) <= part.longest


@every
@given(data=BYTES, more=BYTES, cut=st.integers(0, 60))
@quick
def test_no_byte_decides_a_cut_at_or_before_it(name: str, options: dict, data: bytes, more: bytes, cut: int) -> None:
    """The byte-causal certificate: the suffix from ``cut`` on is replaced, cuts up to and *at* ``cut`` stay."""
    cut = min(cut, len(data))
    part = patcher(name, options)
    whole, other = part.starts(data), part.starts(data[:cut] + more)
    kept = min(cut + 1, len(whole), len(other))
    np.testing.assert_array_equal(whole[:kept], other[:kept])


@every
@given(data=BYTES, ends=st.lists(st.integers(0, 60), max_size=5))
@quick
def test_a_stream_cuts_as_the_whole_however_it_is_fed(name: str, options: dict, data: bytes, ends: list[int]) -> None:
    part = patcher(name, options)
    whole = part.starts(data)
    edges = [0, *sorted(min(end, len(data)) for end in ends), len(data)]
    stream = part.stream()
    fed = [stream.push(data[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    np.testing.assert_array_equal(np.concatenate(fed), whole)
    stream = part.stream()
    for byte, start in zip(data, whole, strict=True):
        assert stream.starts_next == start, "the cut is not known before its byte"
        stream.push(bytes([byte]))


@every
@given(text=TEXT)
@quick
def test_no_character_is_split(name: str, options: dict, text: bytes) -> None:
    part = patcher(name, options)
    if name == "none" or options.get("whole_characters") is False:
        return
    for patch in split(text, part.starts(text)):
        patch.decode()


@every
@given(data=BYTES, other=BYTES)
@quick
def test_only_a_patcher_that_says_so_ignores_the_content(name: str, options: dict, data: bytes, other: bytes) -> None:
    part = patcher(name, options)
    n = min(len(data), len(other))
    if part.ignores_content:
        np.testing.assert_array_equal(part.starts(data[:n]), part.starts(other[:n]))


@pytest.mark.parametrize(("name", "options"), [s for s in SETTINGS if s[0] not in ("none",)], ids=str)
def test_the_others_do_not(name: str, options: dict) -> None:
    part = patcher(name, options)
    if not part.ignores_content and options.get("max_length") != 1 and options.get("stride") != 1:
        texts = [b"a, b c. d e f g h\n" * 4, b"\xf0\x9f\x98\x80" * 18, b"\xe0\xa4\xa8" * 24]
        assert len({part.starts(text).tobytes() for text in texts}) > 1


def test_mistakes_are_answered_with_the_fix() -> None:
    with pytest.raises(UnknownPart, match="unknown patcher 'babylonian'.* Did you mean 'babylon'"):
        make_patcher("babylonian")
    with pytest.raises(Error, match=r"patcher 'fixed', strid: .*Did you mean 'stride'"):
        make_patcher("fixed", {"strid": 3})
    with pytest.raises(Error, match="patcher 'fixed', stride: .*greater than or equal to 1"):
        make_patcher("fixed", {"stride": 0})
    with pytest.raises(Error, match="'babylon' needs a fitted entropy model"):
        make_patcher("babylon", {"theta": 1.0})
    with pytest.raises(Error, match="'fixed' takes no entropy model"):
        make_patcher("fixed", {}, ENTROPY)
    with pytest.raises(Error, match="jump belongs to rule 'both'"):
        make_patcher("babylon", {"theta": 1.0, "jump": 0.5}, ENTROPY)
    with pytest.raises(Error, match="finite"):
        make_patcher("babylon", {"theta": float("inf")}, ENTROPY)
    with pytest.raises(Error, match="no bytes to measure"):
        mean_size(make_patcher("none"), [b""])
