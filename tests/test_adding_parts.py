"""A part is one file and one registry line: those that a stranger might add are held to every promise, untouched."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from guards.parts import IDS, VOCABULARY, make_requests
from toys.network import ToyOptions
from toys.tally import Counting, Tally
from unmask.errors import Error
from unmask.sampling import SAMPLERS, generate, rows, split, stack

TESTS = Path(__file__).parent


def test_a_new_process_network_and_sampler_are_guarded_by_one_line_each():
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    some = "(position_matters or hidden or entropy or ln_v or recites or visits) and not sparse and not uniform"
    which = (
        f"(toy-toy-output or toy-default or toy-output_shift or toy-transformer-output or masked-toy-output) and {some}"
    )
    guards = [sys.executable, "-m", "pytest", "tests/guards/test_guards.py", "-p", "toys.plugin", "-k", which, "-v"]
    ran = subprocess.run(
        [*guards, "-p", "no:cacheprovider", "--no-header", "-p", "no:xdist"],
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    held = set(re.findall(r"::(test_\w+)\[.*toy.*\] PASSED", ran.stdout))
    assert {"toy-toy", "toy-transformer", "masked-toy"} <= {
        pair for pair in ("toy-toy", "toy-transformer", "masked-toy") if f"[{pair}-" in ran.stdout
    }, "new parts do not meet the old ones"
    for part, promise in {
        "network": "test_position_matters",
        "process": "test_a_likelihood_is_never_below_the_entropy_of_a_known_source",
        "sampler": "test_a_sampler_visits_only_states_that_training_visits",
        "all three": "test_an_overfit_model_recites_its_text",
    }.items():
        assert promise in held, f"the {part} is not held to {promise}"


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ("flatten", "block", "speculative")])
def test_what_a_new_network_carries_goes_with_its_texts_by_its_own_file_alone(name):
    model, sampler = Counting(IDS), SAMPLERS.get(name)()
    requests = make_requests(sampler, 4)
    alone = [generate(model, sampler, [request], VOCABULARY)[0] for request in requests]
    assert generate(model, sampler, requests, VOCABULARY, batch_size=3) == alone

    early, late = sampler.start(requests[:2], VOCABULARY), sampler.start(requests[2:], VOCABULARY)
    early, _ = sampler.step(model, early)
    state = rows(stack([late, early]), [3, 0, 2, 1, 0])
    which = [1, 2, 0, 3, 2]
    while not bool(state.done.all()):
        active = ~state.done
        state, _ = sampler.step(model, state)
        tally = state.notes.get(Tally)
        assert torch.equal(tally.calls[active], state.forwards[active]), "each text has its own tally"
        state = stack(split(state)[::-1]).to("cpu")
        which = which[::-1]
    for row, number in zip(split(state), which, strict=True):
        assert tuple(row.tokens[row.valid].tolist()) == alone[number].tokens


@pytest.mark.parametrize(
    "asked", [{"memory_width": 8}, {"thought": {"shape": [2, 3, 4]}}], ids=lambda asked: [*asked][0]
)
def test_a_new_network_that_says_nothing_of_memory_and_thoughts_is_not_given_them(asked):
    with pytest.raises(Error, match="backbone toy does not take .*; leave it out, or set backbone=transformer"):
        ToyOptions(**asked)


def test_a_new_network_that_says_nothing_of_candidates_is_given_them_pooled_alone():
    assert ToyOptions(candidate_input="pooled").candidate_input == "pooled"
    with pytest.raises(Error, match="backbone toy takes candidates pooled, .* set backbone.candidate_input=pooled"):
        ToyOptions(candidate_input="full")
