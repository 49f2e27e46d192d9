"""Settings of a registered part, checked: an unknown key or an impossible value is one line that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from unmask.errors import Error, nearest


class Options(BaseModel):
    """Settings of a partitioner or router. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def validated(part: Any, kind: str, name: str, options: Mapping[str, Any] | None) -> Any:
    """Return the part's ``Options`` from a mapping.

    Args:
        part: A class with an ``Options`` model.
        kind: What it is ("partitioner"), for the message.
        name: Its name in the registry.
        options: Its settings; what is left out has its default.

    Raises:
        Error: unknown option or impossible value.
    """
    try:
        return part.Options.model_validate(dict(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = part.Options.model_fields
        hint = "" if key in known else nearest(key, known)
        raise Error(f"{kind} {name!r}, {key or 'options'}: {first['msg']}.{hint}") from error
