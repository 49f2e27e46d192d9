"""Training speed beside the packages of PyPI that train masked diffusion too, each with its own trainer and loss.

``python -m benchmarks.speed --only peers --peers FOLDER``, where FOLDER is what they were installed into (README.md
says how). Each turn trains every case in a process of its own, with the same threads, at the sizes of ``stories-small``
as near as each allows (``peer_loops.py``). Ours is ``unmask train``. Peers count all tokens of a row, ours all but BOS.
A peer that is not in the folder is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import unmask
from benchmarks.lib.measure import Goal, Options, Result, Row, ratios, say, take_turns
from benchmarks.lib.parts import small
from benchmarks.lib.places import ROOT
from benchmarks.speed.peer_loops import PEERS
from unmask.errors import Error
from unmask.training.precision import precision

SECONDS = 6.0
HALVES = ("fp32", "bf16")
SKIPPED = "skipped: it needs a folder with the peers (--peers FOLDER; benchmarks/README.md says how to fill it)"


def measure(case: str, options: Options, threads: int) -> dict[str, Any]:
    """Train a peer, or ours in a precision, in a process of its own.

    Returns:
        ``tokens_per_second``, ``parameters`` and, of a peer, ``version``.

    Raises:
        Error: it did not run.
    """
    settings = {"threads": threads, "seconds": 0.1 if options.quick else SECONDS, "quick": options.quick}
    if options.peers:
        settings["folder"] = str(options.peers.resolve())
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(unmask.__file__).parents[1]), str(ROOT)]),
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),  # telos-ml would take one
    }
    command = [sys.executable, "-m", "benchmarks.speed.peer_loops", case, json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise Error(f"{case} did not train ({why}); install the peers as benchmarks/README.md says.")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def run(options: Options) -> Result:
    """Measure ours in both precisions and the peers that are there, turn by turn."""
    if options.peers is None:
        return Result("peers", notes=[SKIPPED])
    there = [name for name, peer in PEERS.items() if (options.peers / peer.module).is_dir()]
    if not there:
        raise Error(f"{options.peers} has none of {', '.join(PEERS)}; install them as benchmarks/README.md says.")
    threads, turns = torch.get_num_threads(), options.turns(3)
    say(f"peers: {turns} turns of {', '.join(there)} and ours, a process each")
    last: dict[str, dict[str, Any]] = {}

    def speed(case: str) -> float:
        last[case] = measure(case, options, threads)
        rate: float = last[case]["tokens_per_second"]
        return rate

    found = take_turns({case: lambda case=case: speed(case) for case in (*HALVES, *there)}, turns)
    recipe = small("masked", options.quick)
    auto = str(precision(recipe))
    goals = [
        Goal(
            f"masked training in {half} against {peer} in fp32" + (", >= 1.2x" if half == auto else ""),
            ratios(found[half], found[peer]),
            1.2 if half == auto else None,
        )
        for half in sorted(HALVES, key=lambda half: half != auto)
        for peer in there
    ]
    rows = [Row(f"ours, {case}" if case in HALVES else case, "tok/s", samples) for case, samples in found.items()]
    sizes = recipe.backbone.model_extra or {}
    settings = {
        "recipe": "stories-small sizes" + (", cut down (quick)" if options.quick else ""),
        "vocabulary": recipe.data.vocab_size,
        "length": recipe.data.length,
        "batch": recipe.training.per_device_train_batch_size,
        "width": sizes["hidden_size"],
        "auto": auto,
        "seconds_a_turn": SECONDS,
        "versions": {peer: last[peer]["version"] for peer in there},
    }
    notes = [f"{name} is not in the folder: left out" for name in PEERS if name not in there]
    notes += [PEERS[name].note for name in there if PEERS[name].note]
    table = [_ours(half, last[half], sizes["num_hidden_layers"]) for half in HALVES]
    table += [_peer(name, last[name]) for name in there]
    return Result("peers", settings, rows, goals, notes, {"what each case trains": table})


def _ours(half: str, found: dict[str, Any], layers: int) -> dict[str, Any]:
    return {
        "case": f"ours, {half}",
        "version": unmask.__version__,
        "parameters": f"{found['parameters']:,}",
        "layers": layers,
        "precision": half,
        "logits": "of masked tokens",
        "objective": "masked, no weight, t uniform",
        "loop": "unmask train",
    }


def _peer(name: str, found: dict[str, Any]) -> dict[str, Any]:
    peer = PEERS[name]
    return {
        "case": name,
        "version": found["version"],
        "parameters": f"{found['parameters']:,}",
        "layers": peer.layers,
        "precision": "fp32",
        "logits": "all",
        "objective": peer.objective,
        "loop": peer.loop,
    }
