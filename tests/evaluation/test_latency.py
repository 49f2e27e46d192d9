"""Latency and memory: percentiles say what they rest on; memory is what the work took, by any method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from unmask.data.tokenizers import Tokenizer
from unmask.evaluation import latency as module
from unmask.evaluation import process_memory
from unmask.evaluation.latency import take_turns, timing
from unmask.evaluation.process_memory import HIGH_WATER, SAMPLED, peak_memory
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS

MIB = 1 << 20


def hold(mib: int):
    """Take so much memory for a moment: some in one piece, some in many small ones."""

    def work() -> int:
        large = torch.ones(mib * MIB // 8)
        small = [torch.ones(1024) for _ in range(mib * MIB // 8192)]
        return len(small) + int(large[0])

    return work


@pytest.mark.parametrize("method", [HIGH_WATER, SAMPLED])
def test_memory_is_what_the_work_took_again_and_again(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier work must not hide later work, and less work must show as less."""
    if method == SAMPLED:
        monkeypatch.setattr(process_memory, "_reset_high_water", lambda: False)
    elif not process_memory._reset_high_water():
        pytest.skip("this kernel does not let a process set its high-water mark back")
    taken = []
    for mib in (96, 24, 96):
        count, used = peak_memory(hold(mib))
        assert count == mib * MIB // 8192 + 1, "the work's own result comes back"
        assert used.method == method and used.above == used.peak - used.baseline
        taken.append(used.above / MIB)
    assert taken == pytest.approx([96, 24, 96], rel=0.3, abs=6), taken


def test_work_that_takes_nothing_is_0_and_one_that_fails_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peak_memory(lambda: None)[1].above < 4 * MIB
    monkeypatch.setattr(process_memory, "_reset_high_water", lambda: False)
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0)


def measured(tiny: Transformer, tokenizer: Tokenizer, **options):
    vocabulary = replace(tokenizer.vocabulary, table=None)  # letters that are completed are calls more
    sampler = SAMPLERS.get("ancestral")()
    cells = take_turns(
        [
            timing(
                tiny,
                sampler,
                SAMPLERS.facts("ancestral")(steps=3),
                vocabulary,
                tokenizer.decode_bytes,
                length=12,
                batch=2,
                **options,
            )
        ]
    )
    return cells[0]


def test_percentiles_are_those_of_the_repeats_and_say_how_many_there_were(
    tiny: Transformer, byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock of its own: the warm-up takes 0.5 s, then every repeat as long as its number.
    times: list[float] = [0.0]
    ticks = []

    def perf_counter() -> float:
        """Called at the start and the end of each generation."""
        ticks.append(len(ticks))
        generation, ends = divmod(len(ticks) - 1, 2)
        if ends:
            times[0] += generation or 0.5
        return times[0]

    monkeypatch.setattr(module.time, "perf_counter", perf_counter)
    cell = measured(tiny, byte_tokenizer, repeats=11, seconds=1000.0)
    every = np.arange(1, 12)
    assert cell.repeats == 11 and cell.warm
    assert (cell.median, cell.p90, cell.p99) == pytest.approx(tuple(np.quantile(every, [0.5, 0.9, 0.99])))
    assert cell.tokens == 24 and cell.tokens_per_second == pytest.approx(24 / 6)


def test_rivals_take_turns(tiny: Transformer, byte_tokenizer: Tokenizer) -> None:
    order: list[str] = []

    def one(name: str, repeats: int):
        for _ in range(repeats):
            order.append(name)
            yield None
        order.append(name)
        yield name

    assert take_turns([one("a", 3), one("b", 1), one("c", 2)]) == ["a", "b", "c"]  # type: ignore[comparison-overlap]
    assert order == list("abcabcaca")
    tokenizer = byte_tokenizer
    vocabulary = replace(tokenizer.vocabulary, table=None)  # letters that are completed are calls more
    steps = (3, 6)
    timings = [
        timing(
            tiny,
            SAMPLERS.get("ancestral")(),
            SAMPLERS.facts("ancestral")(steps=n),
            vocabulary,
            tokenizer.decode_bytes,
            length=12,
            batch=1,
        )
        for n in steps
    ]
    cells = take_turns(timings)
    assert [cell.repeats for cell in cells] == [5, 5]
    assert cells[0].forwards <= 3 and cells[1].forwards <= 6, "one network, and each counts its own calls"


def test_a_cell_names_its_memory_and_goes_without_where_told(tiny: Transformer, byte_tokenizer: Tokenizer) -> None:
    cell = measured(tiny, byte_tokenizer, repeats=2)
    assert cell.memory is not None and cell.memory.peak >= cell.memory.baseline > MIB
    assert cell.to_dict()["memory"]["method"] in (HIGH_WATER, SAMPLED)
    assert cell.median <= cell.p90 <= cell.p99 and cell.forwards == 3
    without = measured(tiny, byte_tokenizer, repeats=1, memory=False)
    assert without.memory is None and without.to_dict()["memory"] is None


@pytest.mark.gpu
def test_memory_on_a_cuda_device_is_the_allocators_peak() -> None:
    keep = torch.ones(8 * MIB // 4, device="cuda")
    _, used = peak_memory(lambda: float(torch.ones(64 * MIB // 4, device="cuda").sum()), "cuda")
    assert used.method == process_memory.CUDA
    assert 64 * MIB <= used.above < 66 * MIB and used.baseline >= keep.numel() * 4
