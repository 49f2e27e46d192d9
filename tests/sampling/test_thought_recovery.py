"""Error recovery is ``remasking``, which works with thoughts as it is: after the thought has moved, unsure words go."""

from __future__ import annotations

import pytest
import torch

from guards.parts import VOCABULARY, network
from unmask.diffusion.thought import ThoughtOptions
from unmask.sampling import SAMPLERS, fill_request

OPTIONS = ThoughtOptions(shape=(2, 3, 4), passage=40, stack=2)


@pytest.fixture(scope="module")
def steps():
    """The states of eight texts, whose network is far from uniform, under strong remasking by confidence."""
    model = network("transformer", thought=OPTIONS.model_dump(mode="json"))
    sampler = SAMPLERS.get("remasking")()
    how = sampler.Settings(steps=24, remask="conf", remask_strength=1.0, ignore_eos=True)
    state = sampler.start([fill_request([5], 38, VOCABULARY, how, index=i) for i in range(8)], VOCABULARY)
    found = [state]
    while not bool(state.done.all()):
        state, _ = sampler.step(model, state)
        found.append(state)
    return found


def test_words_are_taken_back_while_the_thought_goes_on_and_the_text_gets_finished(steps):
    taken = [(~b.open & a.open).sum().item() for b, a in zip(steps, steps[1:], strict=False)]
    assert sum(count > 0 for count in taken) > 8, "words are taken back in many steps"
    levels = torch.stack([s.thought.level for s in steps[1:]])
    assert (levels.diff(dim=0) <= 0).all() and (levels[-1] < 0.05).all()
    assert (steps[-1].tokens != VOCABULARY.mask).all() and steps[-1].done.all()


def test_a_step_with_words_taken_back_has_moved_the_thought_first(steps):
    """A cell moves if it gets clearer or is clear; where as many words are taken back as are written, it need not."""
    moved = stayed = 0
    for before, after in zip(steps[1:], steps[2:], strict=False):
        rows = (~before.open & after.open).any(1) & (before.open & ~after.open).any(1)
        goes = (after.thought.level < before.thought.level) | (after.thought.level == 0)
        change = (after.thought.cells - before.thought.cells).abs().amax(2)
        assert (change[rows][goes[rows]] > 0).all()
        assert (change[rows][~goes[rows]] < 1e-4).all()
        assert (after.thought.believed != before.thought.believed)[rows].flatten(1).any(1).all()
        moved, stayed = moved + int(goes[rows].sum()), stayed + int((~goes[rows]).sum())
    assert moved > 40 and moved > stayed


def test_unsure_words_are_taken_back_more_often(steps):
    gone, kept = [], []
    for before, after in zip(steps, steps[1:], strict=False):
        loose = before.loose
        taken = loose & after.open
        gone.append(before.confidence[taken])
        kept.append(before.confidence[loose & ~taken & taken.any(1, keepdim=True)])
    assert torch.cat(gone).mean() < torch.cat(kept).mean() - 0.02
