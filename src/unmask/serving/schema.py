"""What a request may hold. Unknown fields are refused by name; options of OpenAI that are not to be had have a reason.

The extensions are one object, ``unmask``. Its table is in docs/how-to/serve.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unmask.serving.problems import unsupported

SEED = 2**63
Token = Annotated[int, Field(ge=0, lt=2**31)]
Stop = str | Annotated[list[str], Field(max_length=16)] | None


class Strict(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class StreamOptions(Strict):
    """How a stream is sent."""

    include_usage: bool = Field(False, description="a last event with usage and no choices")
    include_obfuscation: bool | None = Field(None, description="nothing is obfuscated: only false is to be had")


class Steering(Strict):
    """What a text's thought is pushed towards; runs with thoughts."""

    keywords: list[str] = Field(default=[], max_length=32, description="to say one of these words")
    toward: str | None = Field(None, description="to think like this text ...")
    away: str | None = Field(None, description="... rather than like this one")
    strength: float = Field(0.5, ge=0, le=100, description="length of a push, in units of a thought's size")
    schedule: Literal["constant", "early", "late"] = "constant"
    where: Literal["both", "cells", "belief"] = "both"


class ConstraintAsked(Strict):
    """What a text must be: one of these."""

    regex: str | None = Field(None, description="what is written matches it as a whole")
    json_schema: dict[str, Any] | None = Field(None, description="what is written is JSON that is valid under it")
    choices: dict[str, list[str | int]] | None = Field(
        None, description="place of a canvas, from 0 -> the words (text or token ids) that may begin there"
    )


class Extension(Strict):
    """The extensions of unmask: all may be left out."""

    sampler: str | None = Field(None, description="name of a sampler; default: the run's preset, recipe or process")
    settings: dict[str, Any] = Field({}, description="settings of the sampler, as -s of the command line")
    preset: bool = Field(True, description="whether the run's preset (unmask tune) counts")
    steps: int | None = Field(None, ge=1, lt=SEED, description="short for settings.steps")
    infill: bool = Field(False, description="runs of underscores in the prompt are holes")
    lengths: int | str | None = Field(None, description='tokens in a hole: a number, or a range such as "2-6"')
    canvas: list[Token | None] | None = Field(
        None, description="token ids of the whole text without BOS, null where it is open; instead of a prompt"
    )
    candidates: int | None = Field(
        None, ge=1, le=64, description="answer this many of the likeliest tokens of each open place of the canvas"
    )
    thought: str | None = Field(None, description="base64 of a thought file to go on from; instead of a prompt")
    return_thought: bool = Field(False, description="answer the text's thought, as base64 of a thought file")
    steering: Steering | None = None
    index: str | None = Field(None, description="name of a loaded index: the prompt's nearest texts are memory")
    evidence: int | None = Field(None, ge=1, le=1024, description="how many texts are looked up")
    verifier: str | None = Field(None, description="id of a loaded run that reads along, or self")
    verify: Literal["lossless", "repair"] | None = None
    confidence: bool = Field(False, description="answer the confidence of each written token")
    likelihood: Literal["default", "duel"] | None = Field(
        None, description="answer the nats of the prompt by the run's own likelihood, a bound where it is one"
    )
    constraint: ConstraintAsked | None = Field(None, description="what the text must be")
    stream: Literal["text", "canvas"] = Field("text", description="what a stream tells: text, or every step")


class Common(Strict):
    """What completions and chat have in common."""

    model: str | None = Field(None, max_length=512, description="id of a loaded run; may be left out if it is alone")
    n: int | None = Field(None, ge=1, le=1024)
    max_tokens: int | None = Field(None, ge=0, lt=SEED)
    temperature: float | None = Field(None, ge=0, le=100)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-SEED, lt=SEED, description="same seed, same text; default: drawn, and told")
    stop: Stop = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = Field(None, max_length=512, description="yours to tell users apart; it is logged")
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    unmask: Extension = Extension()


class CompletionRequest(Common):
    """A request to ``/v1/completions``."""

    prompt: str | list[str] | list[Token] | list[list[Token]] | None = Field(
        None, description="text, texts, token ids, or lists of them"
    )
    suffix: str | None = Field(None, description="text behind what is written: the hole between is filled")
    echo: bool | None = Field(None, description="begin the answer with the prompt")
    logprobs: int | None = Field(None, ge=0, le=20)
    best_of: int | None = None


class Message(Strict):
    """A message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]]
    name: str | None = None


class ChatRequest(Common):
    """A request to ``/v1/chat/completions``."""

    messages: list[Message] = Field(min_length=1, max_length=4096)
    max_completion_tokens: int | None = Field(None, ge=1, lt=SEED)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: dict[str, Any] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    parallel_tool_calls: bool | None = None
    modalities: list[str] | None = None
    audio: Any = None
    prediction: Any = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    web_search_options: Any = None
    moderation: Any = None
    safety_identifier: str | None = Field(None, max_length=512)
    prompt_cache_key: str | None = Field(None, max_length=512)
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None


FIELDS = {
    "": [*CompletionRequest.model_fields, *ChatRequest.model_fields],
    "unmask": list(Extension.model_fields),
    "unmask.steering": list(Steering.model_fields),
    "unmask.constraint": list(ConstraintAsked.model_fields),
    "stream_options": list(StreamOptions.model_fields),
}
"""Where in a request -> the fields that there are."""

_TOOLS = "no run here calls tools; leave it out."
_PENALTY = "samplers hold nothing against single words; autoregressive takes unmask.settings.repetition_penalty."
_NOT_HERE = "nothing here does that; leave it out."
_KEPT = "nothing is kept here, and nothing labelled; leave it out."
_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "best_of": ((1,), "texts are not ranked here; ask for n texts and choose by unmask.confidence."),
    "frequency_penalty": ((0,), _PENALTY),
    "presence_penalty": ((0,), _PENALTY),
    "logit_bias": (({},), "logits are taken as the model says them; leave it out."),
    "tools": (([],), _TOOLS),
    "tool_choice": (("none", "auto"), _TOOLS),
    "functions": (([],), _TOOLS),
    "function_call": (("none", "auto"), _TOOLS),
    "parallel_tool_calls": ((), _TOOLS),
    "modalities": ((["text"],), "runs write text alone."),
    "audio": ((), "runs write text alone."),
    "prediction": ((), "give a verifier (unmask.verifier) to draft with."),
    "store": ((False,), _KEPT),
    "metadata": (({},), _KEPT),
    "service_tier": (("auto", "default"), "there is one tier."),
    "reasoning_effort": (("none",), _NOT_HERE),
    "verbosity": ((), _NOT_HERE),
    "web_search_options": ((), _NOT_HERE),
    "moderation": ((), _NOT_HERE),
    "prompt_cache_options": ((), _NOT_HERE),
    "prompt_cache_retention": ((), _NOT_HERE),
}
"""Options of OpenAI's that are known -> values that change nothing, and why others are not to be had."""


def check_supported(request: Common) -> None:
    """Refuse what this server knows and cannot do: it is never ignored.

    Raises:
        Problem: which option, and why.
    """
    for name, (harmless, reason) in _UNSUPPORTED.items():
        value = getattr(request, name, None)
        if value is not None and value not in harmless:
            raise unsupported(name, reason)
    if request.stream_options is not None and not request.stream:
        raise unsupported("stream_options", "they are for stream: true.")
    if request.stream_options is not None and request.stream_options.include_obfuscation:
        raise unsupported("stream_options.include_obfuscation", "nothing is obfuscated here.")
    if request.unmask.stream == "canvas" and not request.stream:
        raise unsupported("unmask.stream", "a canvas is streamed with stream: true.")
