"""Memory carries what the convolutions cannot reach: learned, and lost with the slots."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from benchmarks.studies.eco.slot_use import changed_slots, of_another_text, zeroed

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}


@pytest.fixture
def probe_module(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.studies.eco.probe")


def test_eco_learns_a_fact_beyond_its_convolutions_and_loses_it_with_its_slots(probe_module):
    probe = probe_module.Probe(facts=1, questions=4, filler=7, names=2, colours=8)
    model = probe_module.network("eco", probe, 0, **SIZES)
    assert probe.distance > 1 + SIZES["num_hidden_layers"] * (model.config.conv_kernel // 2)
    probe_module.trained(model, probe, seed=0, steps=500)
    assert probe_module.accuracy(model, probe, 256) > 0.95
    for change in (zeroed, of_another_text):
        with changed_slots(model, change):
            assert probe_module.accuracy(model, probe, 256) < 2.5 / probe.colours


def test_every_answer_is_its_names_colour_and_no_nearer_word_tells_it(probe_module):
    probe = probe_module.Probe(facts=3, questions=5, filler=9)
    tokens = probe.texts(50, torch.Generator().manual_seed(0))
    at = probe.answers(tokens)
    assert tokens.shape == (50, probe.length) and (at.sum(1) == 5).all()
    for text, asked in zip(tokens.tolist(), at.tolist(), strict=True):
        facts = dict(zip(text[1:7:2], text[2:7:2], strict=True))
        places = [place for place, answer in enumerate(asked) if answer]
        assert all(text[place] == facts[text[place - 1]] for place in places)
        colours = [p for p, token in enumerate(text) if token in facts.values()]
        assert min(b - 1 - a for a in colours for b in places if a < b) == probe.distance
