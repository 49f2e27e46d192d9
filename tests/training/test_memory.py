"""The estimate of a step's memory is held to the tensors that the backward pass keeps, not to what a process holds."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.network_losses import training_loss
from unmask.models.cost import HEAP
from unmask.training.combination import make_process
from unmask.training.network import make_model
from unmask.training.order import as_batch
from unmask.training.plan import plan
from unmask.training.recipe import load_recipe

ROWS, LENGTH = 8, 96
FIXED = ["backbone.patcher=fixed", "backbone.patcher_options={stride: 4}", "backbone.patch_size=null"]
RECIPES = {
    "nano-causal": [],
    "nano-masked": [],  # its first steps ask all positions
    "nano-sparse": [],
    "nano-flatten": [],
    "nano-eco": [],
    "nano-plain-bytes": [],
    "nano-bytes": FIXED,
}


def saved_bytes(model: torch.nn.Module, process: object, vocabulary: int, progress: float) -> int:
    """Bytes of the storages that one loss keeps for its backward pass, weights aside."""
    own = {part.untyped_storage().data_ptr() for part in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            kept[place] = tensor  # held, so that no other storage takes its place
        return tensor

    tokens = torch.randint(4 + 97, 4 + 122, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0)) % vocabulary
    tokens[:, 0] = 1
    inputs = {"tokens": tokens, "segments": torch.ones_like(tokens), "order": torch.arange(ROWS)}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        training_loss(process, model, as_batch(inputs, 1), seed=0, progress=progress)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_backward_pass_keeps_is_what_the_estimate_counts(name: str) -> None:
    size = [f"data.length={LENGTH}", f"training.per_device_train_batch_size={ROWS}", "data.tokenizer=bytes"]
    recipe = load_recipe(name, [*size, *RECIPES[name]])
    cost = plan(recipe)
    model, process = make_model(recipe, 260).train(), make_process(recipe, Vocabulary(size=260))
    found = saved_bytes(model, process, 260, progress=0.0)
    stated = 4 * ROWS * LENGTH * (model.kept(LENGTH) + process.most_asked * 260)
    assert stated == pytest.approx(found, rel=0.12)
    weights = 4 * cost.parameters * 5
    logits = 4 * ROWS * LENGTH * 2 * process.most_asked * 260
    assert cost.memory_bytes == pytest.approx(weights + HEAP * (stated + logits), rel=1e-3)


def test_planning_leaves_no_constant_without_memory() -> None:
    look = (
        "import sys, torch\n"
        "from unmask.training.plan import plan\n"
        "from unmask.training.recipe import load_recipe\n"
        "[plan(load_recipe(name)) for name in ('nano-bytes', 'nano-eco', 'nano-thought')]\n"
        "print([f'{n}.{k}' for n, m in list(sys.modules.items()) if n.startswith('unmask') for k, v in vars(m).items()"
        " if isinstance(v, torch.Tensor) and v.is_meta])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
