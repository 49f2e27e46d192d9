"""What a run writes after prompts, each by itself: the texts that people and counts judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from unmask.errors import Error
from unmask.sampling import SAMPLERS, Request, Settings, canvas, generate
from unmask.sampling.infill import hand_over_space, spaced_tokens
from unmask.training.own_text import own_text
from unmask.training.run import Run


def go_on(
    run: Run,
    model: Any,
    prompts: Sequence[str],
    settings: Settings,
    length: int,
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda more: None,
) -> list[str]:
    """Return what a run writes after each prompt.

    Args:
        run: The run.
        model: Its network.
        prompts: Beginnings.
        settings: Of its sampler; the n-th text depends on the seed, n and its prompt.
        length: Most tokens of a text.
        batch_size: Most texts in one network call.
        progress: Called after each step with how many words more have been written.

    Raises:
        Error: a prompt that does not fit into the run's context.
    """
    tokenizer = run.tokenizer
    words = replace(tokenizer.vocabulary, spaced=spaced_tokens(tokenizer, model.config.vocab_size))
    context = int(model.config.max_position_embeddings)
    requests = []
    for number, prompt in enumerate(prompts):
        before, leads = hand_over_space(own_text(prompt, run), words)
        ids = tokenizer.encode(before)
        if 1 + len(ids) + length > context:
            raise Error(
                f"the prompt {prompt[:40]!r} takes {len(ids)} tokens, which with {length} to write do not fit into the "
                f"context of {context} of {run.name}; lower --length, or shorten the prompt."
            )
        tokens, lead = canvas([ids, []], [length], words, [0] if leads else [])
        requests.append(Request(tokens, settings, number, lead))
    sampler = SAMPLERS.get(settings.name)()
    done = generate(model, sampler, requests, words, batch_size=batch_size, process=run.process, progress=progress)
    texts = [tokenizer.decode(sample.written) for sample in done]
    return [text.removeprefix(" ") if request.lead else text for text, request in zip(texts, requests, strict=True)]
