"""What a text must be, as a user says it: a regular expression, a JSON schema, words that places become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unmask.data.json_file import named, read_object
from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.sampling.constraint import Constraint, Words
from unmask.sampling.grammar import Grammar, json_grammar, regex_grammar
from unmask.training.own_text import own_text
from unmask.training.run import Run

Schema = Mapping[str, Any] | str | Path
"""A JSON schema: an object, its JSON, or a file with it."""


def constraint_of(
    run: Run,
    *,
    regex: str | None = None,
    json_schema: Schema | None = None,
    choices: Mapping[int, Sequence[str | int]] | None = None,
    space: bool = False,
) -> Constraint | None:
    """Return what a text of a run must be; ``None``: anything.

    Args:
        run: The run.
        regex: What is written matches it as a whole.
        json_schema: What is written is JSON that is valid under it.
        choices: From positions of the text, BOS not counted, to the words that may begin there: text as it stands, a
            space before it included, or token ids. Those of a position have equally many tokens.
        space: Whether what is written begins with a space that was taken off the prompt.

    Raises:
        Error: several of them, one that no text fits, or that cannot be read.
    """
    given = {"regex": regex, "json_schema": json_schema, "choices": choices or None}
    said = [name for name, value in given.items() if value is not None]
    if len(said) > 1:
        raise Error(f"{' and '.join(said)} both say what the text must be; give one of them.")
    if choices:
        places = [words_at(run, position + 1, own) for position, own in sorted(choices.items())]
        for one, following in zip(places, places[1:], strict=False):
            if one.until > following.start:
                raise Error(f"the words of position {one.start - 1} reach into those of {following.start - 1}.")
        return Constraint(words=tuple(places))
    grammar = grammar_of(run.tokenizer, regex, json_schema, space)
    return None if grammar is None else Constraint(grammar)


def grammar_of(
    tokenizer: Tokenizer, regex: str | None, json_schema: Schema | None, space: bool = False
) -> Grammar | None:
    """Return the grammar that is asked for. Arguments and errors: :func:`constraint_of`."""
    if regex is not None:
        return regex_grammar(tokenizer, regex, space=space)
    return None if json_schema is None else json_grammar(tokenizer, schema_of(json_schema), space=space)


def schema_of(given: Schema) -> Mapping[str, Any]:
    """Return the object that a schema is given as.

    Raises:
        Error: no such file, no JSON, or no object.
    """
    if isinstance(given, Mapping):
        return given
    if isinstance(given, Path) or not given.lstrip().startswith("{"):
        return read_object(Path(given), "give a file that holds a JSON schema, or the schema itself")
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise Error(f"the JSON schema cannot be read ({reason}).") from error
    if not isinstance(found, dict):
        raise Error(f"the JSON schema is {named(found)}; it must be an object.")
    return found


def words_at(run: Run, start: int, words: Sequence[str | int]) -> Words:
    """Return the place that becomes one of several words.

    Args:
        run: The run.
        start: Its first position in the canvas, BOS counted.
        words: Text as it stands, or token ids.

    Raises:
        Error: no word, an empty one, one that is no word, or words of unlike numbers of tokens.
    """
    if not words:
        raise Error(f"position {start - 1} has no word that it may become; give at least one.")
    tokenizer = run.tokenizer
    special = {tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id}
    options: list[tuple[int, ...]] = []
    for word in words:
        if isinstance(word, int):
            if word in special or not 0 <= word < tokenizer.vocab_size:
                raise Error(f"token {word} is no word of this run, whose ids are 0 to {tokenizer.vocab_size - 1}.")
            options.append((word,))
            continue
        if not word:
            raise Error("an empty word stands nowhere; leave it out.")
        options.append(tuple(tokenizer.encode(own_text(word, run))))
    sizes = {len(own) for own in options}
    if len(sizes) > 1:
        told = ", ".join(f"{word!r} {len(own)}" for word, own in zip(words, options, strict=True))
        raise Error(
            f"the words of a place have equally many tokens, and these have not ({told}); unmask choose weighs words "
            "of any length."
        )
    return Words(start, tuple(dict.fromkeys(options)))
