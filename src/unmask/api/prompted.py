"""A prompt laid out for a run: the canvases that ``sample`` and ``stream`` have written, and what was looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.api.constraints import Schema, constraint_of
from unmask.api.prompt_evidence import Gathered, gather
from unmask.api.writing import vocabulary_of
from unmask.errors import Error, check_texts
from unmask.lines import counted
from unmask.roots.index import Index
from unmask.sampling import Request, Sample, Settings, Vocabulary, canvas
from unmask.sampling.infill import hand_over_space
from unmask.sampling.thought_steps import passages_of
from unmask.sampling.windows import seen_of, shown_again
from unmask.training.own_text import own_text
from unmask.training.run import Run


@dataclass(frozen=True)
class Prompted:
    """Texts to be written.

    Attributes:
        model: The run's network.
        vocabulary: The special tokens.
        prompt: Given text before, as the run's own.
        suffix: Given text behind.
        ahead: Tokens of the prompt, BOS among them.
        seen: How many of these the first word is written with.
        behind: Tokens of the suffix.
        found: What an index had; ``None``: there was none.
        requests: One a text.
    """

    model: Any
    vocabulary: Vocabulary
    prompt: str
    suffix: str
    ahead: int
    seen: int
    behind: int
    found: Gathered | None
    requests: list[Request]

    def satisfied(self, samples: Sequence[Sample]) -> list[bool] | None:
        """Tell of each finished text whether it is what it had to be; ``None``: it could be anything."""
        own = self.requests[0].constraint
        return None if own is None else [own.fits(one.tokens, self.ahead, self.vocabulary.eos) for one in samples]


def check_asked(n: int, index: object, evidence: int | None) -> None:
    """Refuse what no run can do.

    Raises:
        Error: no text, or evidence without an index.
    """
    check_texts(n)
    if evidence is not None and index is None:
        raise Error(f"evidence is {evidence}, and there is no index to look it up in; give one (--index).")


def lay_out(
    run: Run,
    settings: Settings,
    prompt: str | bytes | Sequence[int],
    suffix: str,
    max_tokens: int | None,
    n: int,
    index: str | Path | Index | None,
    evidence: int | None,
    half: bool,
    regex: str | None = None,
    json_schema: Schema | None = None,
) -> Prompted:
    """Lay a prompt out. Arguments: :func:`unmask.sample`; a prompt may also be token ids, without BOS.

    Raises:
        Error: a prompt, a suffix and what is between them longer than the context; an index that does not fit the run,
            or no prompt to look up; a constraint that cannot be kept.
    """
    tokenizer, model = run.tokenizer, run.model(half=half)
    vocabulary = vocabulary_of(tokenizer, model)
    if isinstance(prompt, str | bytes):
        own = own_text(prompt, run)
        before, leads = hand_over_space(own, vocabulary)
        prefix_ids = tokenizer.encode(before)
    else:
        prefix_ids, own, leads = list(prompt), tokenizer.decode(prompt), False
    tail = own_text(suffix, run)
    suffix_ids = tokenizer.encode(tail)
    context = model.config.max_position_embeddings
    room = context - 1 - len(prefix_ids) - len(suffix_ids)
    if max_tokens is not None and max_tokens < 1:
        raise Error(f"max_tokens is {max_tokens}; it must be at least 1.")
    if suffix_ids and (room < 1 or max_tokens is not None and max_tokens > room):
        given = f"a prompt of {counted(len(prefix_ids), 'token')} and a suffix of {len(suffix_ids)}"
        more = f" and {max_tokens} to write" if max_tokens is not None else ", and at least 1 to write,"
        fix = f"ask for at most {room} (--max-tokens)" if room > 0 else "shorten them"
        raise Error(
            f"{given}{more} do not fit into the context of {context} tokens (1 is BOS); {fix}: text behind what is "
            "written has to be in view."
        )
    # A text has no bound; where nothing is said it fills the context, or one window behind a prompt that does.
    wanted = max_tokens or (room if room > 0 else context - sum(shown_again(settings, context)))
    seen = 1 + len(prefix_ids) if passages_of(model) else seen_of(1 + len(prefix_ids), wanted, settings, context)
    tokens, lead = canvas([prefix_ids, suffix_ids], [wanted], vocabulary, [0] if leads else [])
    found = None if index is None else gather(run, model, index, prefix_ids, evidence)
    memory = None if found is None else found.memory
    constraint = constraint_of(run, regex=regex, json_schema=json_schema, space=leads)
    requests = [Request(tokens, settings, i, lead, memory=memory, constraint=constraint) for i in range(n)]
    return Prompted(model, vocabulary, own, tail, 1 + len(prefix_ids), seen, len(suffix_ids), found, requests)
