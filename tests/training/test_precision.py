"""``training.precision: auto`` is decided by what was measured, once, and kept by the run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from unmask.errors import Error
from unmask.sampling.registry import SAMPLERS
from unmask.training import precision as module
from unmask.training.inference import precision_of
from unmask.training.recipe import load_recipe

NANO = "nano-masked"  # 128 wide


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Measurements that say 3.0 and are counted, in a cache of their own."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("about processors")
    seen: list[int] = []
    monkeypatch.delenv(module.PINNED)
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "measured", lambda width, positions=None: seen.append(width) or 3.0)
    module.faster.cache_clear()
    yield seen
    module.faster.cache_clear()


def test_what_was_measured_is_remembered_across_processes_for_each_width(measured):
    for _ in range(2):
        module.faster.cache_clear()  # another process
        found = module.precision(load_recipe(NANO))
        assert found.bf16 and "128 wide" in found.why and "3.00 times" in found.why
    assert measured == [128]
    module.precision(load_recipe(NANO, ["backbone.hidden_size=1024", "backbone.num_attention_heads=8"]))
    assert measured == [128, 512]


def test_what_waits_on_a_busy_machine_is_not_counted(monkeypatch):
    """Only the processor time of the measuring thread is: what is remembered holds on a quiet day, too."""
    wall, own = iter(range(0, 10_000, 7)), [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(wall) / 1e4)
    monkeypatch.setattr(module.time, "thread_time", lambda: own[0])

    def action(half):
        own[0] += 1.0 if half else 2.5

    assert module._ratio(action) == 2.5


def test_a_near_tie_is_float32(measured, monkeypatch):
    monkeypatch.setattr(module, "measured", lambda width, positions=None: module.MARGIN - 0.01)
    assert not module.precision(load_recipe(NANO)).bf16


@pytest.mark.parametrize("broken", ["not ours", "damaged"])
def test_a_cache_that_cannot_be_used_is_done_without(measured, broken, tmp_path):
    if broken == "not ours":
        (tmp_path / "cache").write_text("a file in the way")
    else:
        module.precision(load_recipe(NANO))
        (told,) = (tmp_path / "cache").glob("bf16/*/ratio.json")
        told.write_text("{}" + " " * (told.stat().st_size - 2))
        module.faster.cache_clear()
    assert module.precision(load_recipe(NANO)).bf16


def test_what_the_recipe_asks_for_is_not_measured(measured):
    assert [str(module.precision(load_recipe(NANO, [f"training.precision={p}"]))) for p in ("fp32", "bf16")] == [
        "fp32",
        "bf16",
    ]
    assert measured == []


def test_a_run_that_goes_on_keeps_its_own_precision(measured):
    assert str(module.precision(load_recipe(NANO), {"precision": "fp32"})) == "fp32"
    assert measured == []


def test_the_environment_says_what_auto_means(measured, monkeypatch):
    monkeypatch.setenv(module.PINNED, "fp32")
    assert not module.precision(load_recipe(NANO)).bf16
    monkeypatch.setenv(module.PINNED, "half")
    with pytest.raises(Error, match="set it to fp32 or bf16"):
        module.precision(load_recipe(NANO))
    assert measured == []


def test_all_ranks_take_what_the_first_one_measured(measured, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")

    def from_the_first(told: list[module.Precision | None]) -> None:
        assert told == [None]
        told[0] = module.Precision(True, "measured there")

    monkeypatch.setattr(module, "broadcast_object_list", from_the_first)
    assert module.precision(load_recipe(NANO)) == module.Precision(True, "measured there")
    assert measured == []


def test_a_block_is_really_timed_and_draws_from_nobodys_generator():
    before = torch.get_rng_state()
    assert module.measured(64) > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_the_run_says_what_it_computed_in_and_why(tiny_run):
    told = json.loads((tiny_run / "run.json").read_text())
    assert (told["precision"], told["precision_why"]) == ("fp32", "UNMASK_PRECISION=fp32")


@pytest.fixture
def asked(measured, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The positions that are measured; many are faster in bf16, few are not."""
    seen: list[int | None] = []
    monkeypatch.setattr(
        module, "measured", lambda width, positions=None: seen.append(positions) or 3.0 * (positions > 8)
    )
    return seen


def test_what_counts_is_how_many_positions_one_text_asks_about_at_once(asked):
    run = SimpleNamespace(recipe=load_recipe(NANO), stored_as="fp32")
    settings = {name: SAMPLERS.facts(name)() for name in ("ancestral", "autoregressive")}
    settings["block"] = SAMPLERS.facts("block")(block_size=8)
    found = {name: precision_of(run, "auto", own).bf16 for name, own in settings.items()}
    assert found == {"ancestral": True, "autoregressive": False, "block": False}
    assert asked == [128, 1, 8]
    assert (
        precision_of(run, "auto").why == "measured: a block 128 wide answers 128 positions 3.00 times as fast in bf16"
    )
    assert [str(precision_of(run, p)) for p in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_the_environment_says_what_auto_means_for_texts_too(asked, monkeypatch):
    monkeypatch.setenv(module.PINNED, "fp32")
    assert str(module.answers(load_recipe(NANO), 128)) == "fp32"
    assert asked == []


def test_answers_are_really_timed_and_draw_from_nobodys_generator():
    before = torch.get_rng_state()
    assert module.measured(64, 8) > 0
    assert torch.equal(torch.get_rng_state(), before)
