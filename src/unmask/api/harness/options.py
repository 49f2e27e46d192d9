"""The harness's options in our words: what of them means something to a run, and what is refused."""

from __future__ import annotations

from typing import Any

from unmask.errors import Error, nearest
from unmask.sampling import Settings

_NOTHING: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "repetition_penalty": (1, 1.0),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "min_p": (0, 0.0),
    "num_return_sequences": (1,),
    "use_cache": (True, False),
    "do_sample": (True, False, None),
}
"""Options of other models' generation, and the values at which they change nothing."""


def settings_among(given: dict[str, Any], own: Settings) -> dict[str, Any]:
    """Return the settings among the harness's options of generation.

    Raises:
        Error: an option that would be ignored.
    """
    settings: dict[str, Any] = {"temperature_end": None} if "temperature_end" in own.known else {}
    for name, value in given.items():
        if name in ("temperature", "top_p", "top_k"):
            settings[name] = value
        elif name not in _NOTHING or value not in _NOTHING[name]:
            known = ["until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"]
            raise Error(
                f"generation option {name}={value!r} means nothing to a run of unmask with the "
                f"{own.name!r} sampler.{nearest(name, known)} It takes: {', '.join(known)}."
            )
    return settings


def texts_a_call(size: int | str | None, most: int | None) -> int | None:
    """Return the texts in one call; ``None``: as many as memory allows.

    Raises:
        Error: neither ``auto`` nor a number.
    """
    if size is None or str(size).startswith("auto"):
        return most
    if not str(size).isdigit() or int(size) < 1:
        raise Error(f"batch_size is {size!r}; it must be auto or a whole number of at least 1.")
    return int(size)
