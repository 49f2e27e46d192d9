"""Thought files: a thought that outlives the process it was had in.

A safetensors file, so that opening one runs nobody's code: ``tokens`` [n] int64, ``cells`` and ``before`` [C, E] and
``stack`` [k, c, E] float32, and in its metadata, under ``unmask``, one JSON object:

    {"format": 1, "kind": "unmask-thought", "options": the recipe's section thought, "space", "ended",
     "run": its name, "weights": fingerprint, "tokenizer": fingerprint}

It is written aside and renamed. Thoughts of one network mean nothing to another, so both fingerprints must agree.

Letters: n tokens, k thoughts on the stack, C cells, c cells of a reduced thought, E channels.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from unmask.data.cache import by_umask
from unmask.diffusion.thought import ThoughtOptions
from unmask.errors import Error
from unmask.lines import shell
from unmask.sampling.kept_thought import Kept

FORMAT = 1
KIND = "unmask-thought"
_AGAIN = "read the text again with: unmask thoughts save RUN"


@dataclass(frozen=True)
class Origin:
    """Whose a thought is.

    Attributes:
        run: Name of the run.
        weights: Fingerprint of its weights.
        tokenizer: Fingerprint of its tokenizer.
    """

    run: str
    weights: str
    tokenizer: str


@dataclass(frozen=True)
class ThoughtFile:
    """What a thought file holds.

    Attributes:
        kept: The text so far, and its thoughts.
        options: How the thoughts are made.
        origin: Whose they are.
    """

    kept: Kept
    options: ThoughtOptions
    origin: Origin


def write_thought(path: str | Path, thought: ThoughtFile) -> None:
    """Write a thought file; an older one is replaced, any other file is not.

    Raises:
        Error: the place cannot be written to, or holds something else.
    """
    path, kept, origin = Path(path), thought.kept, thought.origin
    refuse_other(path)
    header = {
        "format": FORMAT,
        "kind": KIND,
        "options": thought.options.model_dump(mode="json"),
        "space": kept.space,
        "ended": kept.ended,
        "run": origin.run,
        "weights": origin.weights,
        "tokenizer": origin.tokenizer,
    }
    tensors = {  # copies: at a passage's border two of them are one, which safetensors refuses
        "tokens": torch.tensor(kept.tokens, dtype=torch.int64),
        "cells": kept.cells.float().clone().contiguous(),
        "before": kept.before.float().clone().contiguous(),
        "stack": kept.stack.float().clone().contiguous(),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, {"unmask": json.dumps(header, ensure_ascii=False)})
        os.replace(by_umask(partial), path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink()
        why = getattr(error, "strerror", None) or error
        raise Error(f"the thought {path} cannot be written ({why}); choose another place.") from error


def refuse_other(path: Path) -> None:
    """Refuse to write over a file that is neither empty nor a thought.

    Raises:
        Error: it holds something else.
    """
    if path.is_file() and path.stat().st_size:
        try:
            _header(path)
        except Error as error:
            raise Error(f"{path} exists and is no thought; name another file for --output.") from error


def read_thought(path: str | Path) -> ThoughtFile:
    """Read a thought file.

    Raises:
        Error: no such file, something else, damaged, or of a newer format.
    """
    path = Path(path)
    header = _header(path)
    try:
        options = ThoughtOptions(**header["options"])
        origin = Origin(*(str(header[name]) for name in ("run", "weights", "tokenizer")))
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in ("tokens", "cells", "before", "stack")}
        _check_shapes(tensors, options)
        kept = Kept(
            tokens=tuple(tensors.pop("tokens").tolist()),
            space=bool(header["space"]),
            ended=bool(header["ended"]),
            **tensors,
        )
    except (SafetensorError, ValidationError, KeyError, TypeError, ValueError, Error, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise Error(f"the thought {path} is damaged ({why}); {_AGAIN}.") from error
    return ThoughtFile(kept, options, origin)


def check_origin(path: str | Path, thought: ThoughtFile, options: ThoughtOptions, origin: Origin) -> None:
    """Refuse a thought that another network had, before it is shown to this one.

    Raises:
        Error: another tokenizer, another shape, other weights.
    """
    told = thought.origin
    if told.tokenizer != origin.tokenizer:
        raise Error(f"the thought {path} was had with another tokenizer (run {told.run}); {_AGAIN}.")
    if thought.options != options:
        ours, theirs = options.model_dump(mode="json"), thought.options.model_dump(mode="json")
        name = next(key for key in ours if ours[key] != theirs[key])
        raise Error(
            f"the thought {path} was made with thought.{name} {theirs[name]} and this run has {ours[name]}; {_AGAIN}."
        )
    if told.weights != origin.weights:
        raise Error(f"the thought {path} was had by other weights (run {told.run}); {_AGAIN}.")


def _header(path: Path) -> dict[str, Any]:
    """Return the metadata of a thought file whose format we read."""
    if not path.is_file():
        make = f"unmask thoughts save RUN --text TEXT --output {shell(path)}"
        raise Error(f"there is no thought {path}; make one with: {make}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["unmask"])
        if header["kind"] != KIND or not isinstance(header["format"], int):
            raise ValueError("another kind of file")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Error(f"{path} is not a thought; make one with: unmask thoughts save RUN --output FILE") from error
    if header["format"] > FORMAT:
        raise Error(
            f"the thought {path} has format {header['format']}, this version reads up to {FORMAT}; upgrade with: "
            "pip install -U unmask"
        )
    return dict(header)


def _check_shapes(tensors: dict[str, torch.Tensor], options: ThoughtOptions) -> None:
    """Refuse tensors that no such thought has."""
    own = (options.cells, options.channels)
    for name, wanted in (("cells", own), ("before", own), ("stack", (options.reduced, options.channels))):
        found = tensors[name]
        if tuple(found.shape[-2:]) != wanted or found.ndim != len(own) + (name == "stack"):
            raise ValueError(f"{name} has shape {list(found.shape)}")
        if found.dtype != torch.float32 or not bool(found.isfinite().all()):
            raise ValueError(f"{name} holds what is no number")
    tokens = tensors["tokens"]
    if tokens.ndim != 1 or tokens.dtype != torch.int64 or not len(tokens) or bool((tokens < 0).any()):
        raise ValueError("tokens are no tokens")
    if len(tensors["stack"]) != min(len(tokens) // options.passage, options.stack):
        raise ValueError(f"{len(tensors['stack'])} thoughts are on the stack of {len(tokens)} tokens")
