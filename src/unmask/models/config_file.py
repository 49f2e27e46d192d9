"""``config.json`` of a network: only its options are read, whatever else stands there; known without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from unmask.data.json_file import read_object
from unmask.errors import Error
from unmask.lines import excerpt
from unmask.models.options import NetworkOptions, config_options

CONFIG = "config.json"
AGAIN = "copy it again from where it was made, or train it again"
Options = TypeVar("Options", bound=NetworkOptions)


def read_config(path: Path, kind: type[Options], most: int | None = None) -> Options:
    """Return the configuration in a ``config.json``; what else stands there (``auto_map``, say) is not looked at.

    Args:
        path: The file.
        kind: The class of the configuration, or of its options alone, which need no torch.
        most: Layers at most: no network has more of them than tensors.

    Raises:
        Error: a damaged file, one of another network, or options of the wrong kind or size.
    """
    told = read_object(path, AGAIN, most=1 << 20)
    if told.get("model_type") != kind.model_type:
        raise Error(f"{path} is of a network {told.get('model_type')!r}, and {kind.model_type!r} is wanted; {AGAIN}.")
    known = config_options(kind)
    given = {key: value for key, value in told.items() if key in known}
    for key, value in given.items():
        try:
            TypeAdapter(known[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise Error(f"{path}: {key} is {_short(value)} ({error.errors()[0]['msg']}); {AGAIN}.") from error
        if most is not None and key.endswith("layers") and isinstance(value, int) and value > most:
            raise Error(f"{path}: {key} is {value:,}, and there are {most} tensors of weights; {AGAIN}.")
    try:
        return kind(**given)
    except (Error, TypeError, ValueError) as error:
        raise Error(f"{path}: {' '.join(str(error).split())} Else {AGAIN}.") from error


def _short(value: Any) -> str:
    return excerpt(repr(value), 40)
