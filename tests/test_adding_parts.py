"""A part is one file and one registry line: three that a stranger might add are held to every promise, untouched."""

import os
import re
import subprocess
import sys
from pathlib import Path

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
