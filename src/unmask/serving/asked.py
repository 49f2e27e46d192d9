"""From a request to the texts it asks for: the run, the sampler and its settings, and a canvas for each text."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unmask.api.constraints import constraint_of
from unmask.api.hole_layouts import lay_out_holes
from unmask.api.prompt_evidence import EvidenceText
from unmask.api.prompted import lay_out
from unmask.api.settings import choose
from unmask.api.verifier import OWN, Verified, check_mode, choose_verified
from unmask.errors import Error, nearest
from unmask.sampling.infill import parse_holes, parse_length
from unmask.sampling.kept_thought import Kept
from unmask.sampling.registry import SAMPLERS
from unmask.sampling.request import Request, Settings
from unmask.sampling.sampler import Sampler
from unmask.sampling.settings_words import all_settings
from unmask.sampling.verifier_settings import RepairSettings
from unmask.serving.options import ServeOptions
from unmask.serving.problems import Problem, unsupported
from unmask.serving.schema import Common
from unmask.serving.served import Served, Shelf
from unmask.training.inference import precision_of
from unmask.training.own_text import own_text, shown

MOST_STEPS = 1 << 16
"""Steps that a request may ask for."""


@dataclass(frozen=True)
class How:
    """How a request's texts are written.

    Attributes:
        served: The run that it names.
        writer: The run that writes; another one where a verifier does.
        sampler: What writes.
        settings: All its settings.
        plan: How the texts are verified; ``None``: they are not.
        half: Whether the network computes in bfloat16.
    """

    served: Served
    writer: Served
    sampler: Sampler
    settings: Settings
    plan: Verified | None
    half: bool

    @property
    def usual(self) -> bool:
        """Whether texts hang on nothing but the run and the request."""
        return self.sampler == SAMPLERS.get(self.settings.name)()

    def said(self) -> dict[str, Any]:
        """Return what an answer says of it."""
        said = {"sampler": self.settings.name, "settings": self.settings.model_dump(), "seed": self.settings.seed}
        return said if self.plan is None else {**said, "verifier": self._verifier()}

    def _verifier(self) -> dict[str, Any]:
        assert self.plan is not None
        own = {} if self.plan.repair is None else self.plan.repair.model_dump()
        return {"run": self.plan.verifier.name, "mode": self.plan.mode, **own}


@dataclass(frozen=True)
class Canvas:
    """One text to write.

    Attributes:
        request: Its canvas and settings.
        before: The text before what is written; what is answered leaves it out.
        behind: The text behind it.
        given: Tokens of the user's, BOS not counted.
        start: The first place that is written at.
        spans: Places of holes whose fills are told one by one; ``None``: the text is what stands in the one hole.
        seen: Tokens of the prompt that the first word is written with; ``None``: all.
        evidence: Texts that the network is given; ``None``: no index was named.
        kept: The thought that the text goes on from; ``None``: there is none.
    """

    request: Request
    before: str = ""
    behind: str = ""
    given: int = 0
    start: int = 1
    spans: tuple[tuple[int, int], ...] | None = None
    seen: int | None = None
    evidence: tuple[EvidenceText, ...] | None = None
    kept: Kept | None = None


def how(shelf: Shelf, request: Common) -> How:
    """Return how a request is written.

    Raises:
        Problem: an unknown model, or a setting that is unknown or given twice.
        Error: what the run cannot do.
    """
    extra, served = request.unmask, shelf.find(request.model)
    given = dict(extra.settings)
    for key in given:
        if key not in all_settings() and key not in RepairSettings.model_fields:
            hint = nearest(key, all_settings())
            raise Problem(422, f"unknown setting {key[:80]!r}.{hint}", "unmask.settings", "unknown_field")
    own = {"steps": extra.steps, "temperature": request.temperature, "top_p": request.top_p, "seed": request.seed}
    for key, value in own.items():
        if value is None:
            continue
        if given.get(key) is not None:
            raise Problem(400, f"{key} is given twice, also in unmask.settings; leave one out.", key)
        given[key] = value
    if given.get("seed") is None:
        given["seed"] = secrets.randbelow(2**31)
    if isinstance(steps := given.get("steps"), int) and steps > MOST_STEPS:
        raise Problem(400, f"steps is {steps}; ask for at most {MOST_STEPS}.", "unmask.steps")
    if extra.sampler is not None:
        SAMPLERS.check(extra.sampler)
    if extra.verifier is None:
        check_mode(extra.verify)
        run, settings = choose(served.run, extra.sampler, given, preset=extra.preset)
        sampler, plan, writer = SAMPLERS.get(settings.name)(), None, served
    else:
        other = served if extra.verifier == OWN else shelf.find(extra.verifier, "unmask.verifier")
        default = "repair" if extra.infill else "lossless"
        plan = choose_verified(served.run, other.run, extra.verify, extra.sampler, given, default)
        sampler, settings = plan.sampler(), plan.settings
        writer = served if plan.writer is served.run else other
    return How(served, writer, sampler, settings, plan, precision_of(writer.run, "auto", settings).bf16)


def prompts(prompt: str | list[str] | list[int] | list[list[int]] | None) -> list[str | list[int]]:
    """Return the prompts of a request one by one: texts, or token ids."""
    if prompt is None:
        return [""]
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise Problem(400, "prompt is an empty list; give a text, or leave it out.", "prompt")
    if all(isinstance(one, int) for one in prompt):
        return [[int(one) for one in prompt if isinstance(one, int)]]
    return [one for one in prompt if not isinstance(one, int)]


def own_ids(served: Served, ids: Sequence[int], param: str = "prompt") -> list[int]:
    """Return the token ids of a prompt without BOS.

    Raises:
        Problem: an id that is none, or a special one.
    """
    words = served.vocabulary
    ids = list(ids[1:] if ids and ids[0] == words.bos else ids)
    for place, token in enumerate(ids):
        if token >= words.size:
            raise Problem(400, f"{param}: token {token} does not exist; ids are 0 to {words.size - 1}.", param)
        if token in (words.pad, words.bos, words.mask, words.eos):
            raise Problem(
                400, f"{param}: token {token} at place {place} is a special token, which no given text has.", param
            )
    return ids


def check_counts(options: ServeOptions, texts: int, tokens: int | None) -> None:
    """Refuse more than a request may ask for.

    Raises:
        Problem: which number, and the most there is.
    """
    if texts > options.texts:
        raise Problem(400, f"the request asks for {texts} texts; a request has at most {options.texts}.", "n")
    if tokens is not None and tokens > options.max_tokens:
        raise Problem(
            400, f"max_tokens is {tokens}; this server writes at most {options.max_tokens} a text.", "max_tokens"
        )


def completions(
    shelf: Shelf, way: How, request: Common, prompt: str | list[int], suffix: str, tokens: int | None
) -> list[Canvas]:
    """Lay out the texts that go on from a prompt, as text or token ids, or stand between it and a suffix.

    Raises:
        Error: what does not fit the context, or the run.
    """
    extra = request.unmask
    index = None if extra.index is None else shelf.index(extra.index)
    if index is None and extra.evidence is not None:
        raise Problem(400, "evidence is given without an index to look it up in; name one.", "unmask.evidence")
    if index is not None and way.plan is not None:
        raise Problem(400, "an index and a verifier do not go together; leave one out.", "unmask.index")
    if suffix and way.settings.visibility == "causal":
        raise Problem(
            400,
            f"model {way.writer.id} writes left to right and cannot take a suffix; name a run of the masked process.",
            "suffix",
        )
    laid = lay_out(
        way.writer.run,
        way.settings,
        prompt,
        suffix,
        tokens,
        request.n or 1,
        index,
        extra.evidence,
        half=False,
        **_ruled(request),
    )
    tokenizer = way.writer.run.tokenizer
    found = None if laid.found is None else tuple(laid.found.texts)
    common = Canvas(
        request=laid.requests[0],
        before=shown(laid.prompt, tokenizer),
        behind=shown(laid.suffix, tokenizer),
        given=laid.ahead - 1 + laid.behind,
        start=laid.ahead,
        seen=None if laid.seen == laid.ahead else laid.seen - 1,
        evidence=found,
    )
    return [replace(common, request=one) for one in laid.requests]


def _ruled(request: Common) -> dict[str, Any]:
    """Return what rules the text behind a prompt.

    Raises:
        Problem: words of places, which only a canvas has; several rules.
    """
    own = request.unmask.constraint
    shape = getattr(request, "response_format", None) or {"type": "text"}
    said = {} if own is None else {"regex": own.regex, "json_schema": own.json_schema}
    if own is not None and own.choices is not None:
        raise unsupported("unmask.constraint.choices", "places are those of a canvas; give unmask.canvas.")
    if shape == {"type": "text"}:
        return said
    if own is not None:
        raise Problem(400, "response_format and unmask.constraint both say what the text must be.", "response_format")
    if shape == {"type": "json_object"}:
        return {"json_schema": {"type": "object"}}
    schema = shape.get("json_schema") if shape.get("type") == "json_schema" else None
    if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
        known = '{"type": "text"}, {"type": "json_object"} and {"type": "json_schema", "json_schema": {"schema": ...}}'
        raise unsupported("response_format", f"this server knows {known}.")
    return {"json_schema": schema["schema"]}


def infills(way: How, request: Common, prompt: str) -> list[Canvas]:
    """Lay out a text with holes.

    Raises:
        Error: no hole, or one that cannot be filled.
    """
    extra = request.unmask
    if extra.constraint is not None:
        raise unsupported("unmask.constraint", "holes have text behind them; give unmask.canvas with choices.")
    pieces, span = parse_holes(prompt), parse_length("1-4" if extra.lengths is None else extra.lengths)
    run = way.writer.run
    laid = lay_out_holes(run, run.network, way.settings, pieces, span, request.n or 1)
    mask = laid.vocabulary.mask
    given = [sum(token != mask for token in one.request.tokens) - 1 for one in laid.asked]
    return [Canvas(one.request, given=count, spans=one.spans) for one, count in zip(laid.asked, given, strict=True)]


def canvases(way: How, request: Common, places: Sequence[int | None]) -> list[Canvas]:
    """Lay out a text whose tokens are given or open, place by place.

    Raises:
        Problem: nothing open, or a token that cannot be given.
    """
    words = way.writer.vocabulary
    if None not in places:
        raise Problem(400, "the canvas has no open place (null); there is nothing to write.", "unmask.canvas")
    ends = bool(places) and places[-1] == words.eos
    body = list(places[:-1] if ends else places)
    own_ids(way.writer, [words.bos, *(token for token in body if token is not None)], "unmask.canvas")
    tokens = (words.bos, *(words.mask if token is None else token for token in places))
    given = sum(token is not None for token in places)
    own = None if request.unmask.constraint is None else request.unmask.constraint.model_dump()
    if own is not None and own["choices"]:
        if wrong := next(
            (key for key in own["choices"] if not (key.isascii() and key.isdigit() and len(key) < 9)), None
        ):
            raise Problem(400, f"{wrong[:80]!r} is no place of the canvas.", "unmask.constraint.choices")
        own["choices"] = {int(key): words for key, words in own["choices"].items()}
    limit = None if own is None else constraint_of(way.writer.run, **own)
    asked = [Request(tokens, way.settings, index, constraint=limit) for index in range(request.n or 1)]
    return [Canvas(one, given=given, spans=()) for one in asked]


def own_stops(way: How, stop: str | list[str] | None) -> list[str]:
    """Return stop strings in the form of the run's text.

    Raises:
        Problem: an empty one.
    """
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if "" in stops:
        raise Problem(400, "a stop string is empty; leave it out.", "stop")
    run = way.writer.run
    return [shown(own_text(one, run), run.tokenizer) for one in stops]


def check_goes_together(request: Common, prompt: object, suffix: str | None) -> None:
    """Refuse extensions that exclude each other.

    Raises:
        Problem: which.
    """
    extra = request.unmask
    ways = [name for name in ("infill", "canvas", "thought") if getattr(extra, name) not in (None, False)]
    if len(ways) > 1:
        raise Problem(400, f"{' and '.join(ways)} do not go together; leave one out.", f"unmask.{ways[1]}")
    if ways and (suffix or request.stop or request.max_tokens is not None and ways != ["thought"]):
        name = "suffix" if suffix else "stop" if request.stop else "max_tokens"
        raise unsupported(name, f"unmask.{ways[0]} says itself what stands where; leave one out.")
    if ways and ways != ["infill"] and prompt not in (None, ""):
        raise Problem(400, f"prompt and unmask.{ways[0]} both say what stands before; leave one out.", "prompt")
    if ways and extra.index is not None:
        raise Problem(400, f"an index is looked up by a prompt, and unmask.{ways[0]} has none.", "unmask.index")
    if ways == ["infill"] and not isinstance(prompt, str):
        raise Problem(400, "infill takes one prompt, as text with runs of underscores.", "prompt")
    if extra.lengths is not None and ways != ["infill"]:
        raise Problem(400, "lengths are those of holes; add infill: true.", "unmask.lengths")


def refused(shelf: Shelf, error: Error) -> Problem:
    """Return what a client is told of a mistake: no folder of this machine in it."""
    return Problem(400, shelf.hidden(str(error)))
