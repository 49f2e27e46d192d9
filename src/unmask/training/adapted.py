"""What an adapted run kept of the run that it began with: both left to right, on the same held-out blocks, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unmask.data.batch import Batch
from unmask.diffusion.causal import Causal
from unmask.diffusion.options import CausalOptions
from unmask.progress import Counter
from unmask.progress_line import ProgressLine
from unmask.training.held_out_blocks import scored_blocks
from unmask.training.order import BlockStream, as_batch, collate, tokens_a_byte
from unmask.training.prepared import prepare
from unmask.training.run import Run


def writes_left_to_right(run: Run) -> bool:
    """Tell whether a run was trained to predict left to right, as the whole of its task or as a part."""
    return run.process.visibility == "causal" or "causal" in run.process.likelihoods


def causal_sides(run: Run, parent: Run) -> dict[str, Any]:
    """Return the bits per byte left to right of a run and of the one that it began with.

    The blocks are those that the run's own held-out number is of; of talks, the responses count.

    Returns:
        ``causal_before`` and ``causal_after``; empty: no blocks are held out, or one of the two cannot write so.
    """
    recipe = run.recipe
    text = prepare(recipe, run.path, False, run.manifest)
    count = min(recipe.training.valid_blocks, len(text.valid)) if text.valid else 0
    if not count or text.valid is None or not writes_left_to_right(parent):
        return {}
    stream = BlockStream(text.valid, count, recipe.seed)
    process = Causal(
        CausalOptions(isolate_documents=recipe.process_options().isolate_documents), text.tokenizer.vocabulary
    )
    per_byte = tokens_a_byte(text.valid, count, recipe.seed, text.tokenizer) / math.log(2)
    found = {}
    with ProgressLine() as line:
        for name, each in (("causal_before", parent), ("causal_after", run)):
            network = each.model()
            counter = Counter("scoring left to right", line, unit="blocks", what=each.name)
            if "causal" not in network.config.visibilities or network.config.output_shift != 1:
                return {}

            def batch_of(places: Sequence[int], device: Any = network.device, counter: Counter = counter) -> Batch:
                counter.add(len(places), count)
                return as_batch(collate(stream.__getitems__([*places])), text.tokenizer.bos_id).to(device)

            scored = scored_blocks(
                lambda batch, network=network: process.likelihood(network, batch),
                range(count),
                recipe.training.per_device_train_batch_size,
                batch_of,
            )
            found[name] = round(scored.nats / scored.tokens * per_byte, 6)
    return found
