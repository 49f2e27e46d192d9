"""Thoughts over HTTP: a text that goes on from a thought, the thought of a text, and thoughts that are pushed.

A thought travels as base64 of a thought file (:mod:`unmask.sampling.thought_file`); it is read and written in a folder
of the server's that nobody names. One request writes within the passage that the text is in; the thought that it
returns is where the next one goes on.
"""

from __future__ import annotations

import base64
import binascii
import copy
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unmask.api.thought_run import Mind, mind_of, origin_of, read_file, read_text
from unmask.errors import Error
from unmask.sampling.kept_thought import Kept, keep, opening
from unmask.sampling.properties import keywords, towards
from unmask.sampling.steering import Score, Steered
from unmask.sampling.thought_file import ThoughtFile, write_thought
from unmask.serving.asked import Canvas, How
from unmask.serving.problems import Problem
from unmask.serving.schema import Common, Steering
from unmask.serving.writing import Done
from unmask.training.own_text import own_text, shown

_FILE = "thought.safetensors"


def _mind(way: How) -> Mind:
    return mind_of(way.writer.run, way.sampler, way.settings)


def check(way: How, request: Common) -> None:
    """Refuse what a run without thoughts cannot have.

    Raises:
        Error: it has none.
        Problem: what does not go together.
    """
    extra = request.unmask
    if extra.return_thought and request.stream and extra.stream != "canvas":
        raise Problem(
            400,
            "a thought is returned with whole texts; leave out stream, or stream a canvas.",
            "unmask.return_thought",
        )
    if extra.thought is not None or extra.return_thought or extra.steering is not None:
        _mind(way)


def steered(way: How, steering: Steering) -> How:
    """Return how texts are written whose thoughts are pushed: by a network that stands before the run's.

    Raises:
        Error: a run without thoughts, or no property.
        Problem: two properties, or half of one.
    """
    mind = _mind(way)
    network = Steered(
        mind.model,
        _aim(mind, steering),
        steering.strength,
        mind.vocabulary.mask,
        schedule=steering.schedule,
        where=steering.where,
    )
    run = copy.copy(way.writer.run)
    run.stand_before(network.eval())
    return replace(way, writer=replace(way.writer, run=run), half=False)


def _aim(mind: Mind, steering: Steering) -> Score:
    if bool(steering.keywords) == (steering.toward is not None):
        raise Problem(400, "steer towards one property: keywords, or toward with away.", "unmask.steering")
    if steering.toward is None:
        if not all(word.strip() for word in steering.keywords):
            raise Problem(400, "a keyword is empty; leave it out.", "unmask.steering.keywords")
        words = [mind.run.tokenizer.encode(own_text(" " + word.strip(), mind.run)) for word in steering.keywords]
        return keywords(words, mind.vocabulary.mask)
    if steering.away is None:
        raise Problem(400, "say with away what not to think like.", "unmask.steering.away")
    return towards(read_text(mind, steering.toward).cells - read_text(mind, steering.away).cells)


def continuations(way: How, request: Common, tokens: int) -> list[Canvas]:
    """Lay out texts that go on from a thought.

    Raises:
        Error: another run's thought, or a text that has ended.
        Problem: no thought, or more tokens than the passage has room for.
    """
    mind = _mind(way)
    try:
        data = base64.b64decode(request.unmask.thought or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "the thought is not base64.", "unmask.thought") from error
    with tempfile.TemporaryDirectory(prefix="unmask-thought-") as folder:
        path = Path(folder) / _FILE
        path.write_bytes(data)
        try:
            kept = read_file(mind, path).kept
        except Error as error:
            raise Problem(400, str(error).replace(str(path), "given"), "unmask.thought") from error
    if kept.ended:
        raise Problem(400, "the text of the thought has ended; there is nothing to go on with.", "unmask.thought")
    room = mind.options.passage - len(kept.tokens) % mind.options.passage
    if not 1 <= tokens <= room:
        raise Problem(
            400,
            f"the passage of the thought's text has room for {room} tokens, and max_tokens is {tokens}; ask for 1 to "
            f"{room}, and go on from the thought that return_thought gives.",
            "max_tokens",
        )
    asked = [opening(mind.options, kept, tokens, mind.vocabulary, way.settings, i) for i in range(request.n or 1)]
    head = asked[0].tokens.index(mind.vocabulary.mask)
    tokenizer = mind.run.tokenizer
    before = shown(tokenizer.decode(asked[0].tokens[:head]), tokenizer) + " " * kept.space
    return [Canvas(one, before=before, given=head - 1, start=head, kept=kept) for one in asked]


def thoughts_of(way: How, canvases: Sequence[Canvas], done: Sequence[Done]) -> list[str]:
    """Return the thoughts of finished texts, as base64 of thought files.

    Raises:
        Error: a text without words.
    """
    mind, found = _mind(way), []
    for canvas, one in zip(canvases, done, strict=True):
        old: Kept | None = canvas.kept
        whole = one.whole if old is None else (*old.tokens, *one.whole[canvas.start :])
        ended = whole[-1:] == (mind.vocabulary.eos,)
        kept = keep(mind.model, whole[:-1] if ended else whole, mind.vocabulary, old)
        thought = ThoughtFile(replace(kept, ended=ended), mind.options, origin_of(mind.run))
        with tempfile.TemporaryDirectory(prefix="unmask-thought-") as folder:
            path = Path(folder) / _FILE
            write_thought(path, thought)
            found.append(base64.b64encode(path.read_bytes()).decode())
    return found
