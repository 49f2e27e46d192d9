"""What a client is told when something is wrong: a status, and an object in OpenAI's shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from unmask.errors import Error, nearest

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class Problem(Exception):
    """A request that is not answered as asked.

    Args:
        status: Of HTTP.
        message: What is wrong and how to mend it, in one line.
        param: The field that is wrong.
        code: A word for programs.
        retry: Seconds after which asking again may help.
    """

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None, retry: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry = status, message, param, code, retry

    @property
    def body(self) -> dict[str, Any]:
        """The object that is sent."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """Return the whole answer."""
        own = dict(headers or {})
        if self.retry is not None:
            own["Retry-After"] = str(max(1, math.ceil(self.retry)))
        return JSONResponse(self.body, self.status, own)


def unsupported(param: str, reason: str) -> Problem:
    """Return the answer to an option that is known and not to be had."""
    return Problem(400, f"{param} is not supported: {reason}", param, "unsupported_parameter")


def told_as_problems(app: FastAPI) -> None:
    """Have an app tell everything that goes wrong in OpenAI's shape."""

    @app.exception_handler(Problem)
    async def told(request: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(Error)
    async def mistake(request: Request, error: Error) -> JSONResponse:
        return Problem(400, request.app.state.service.shelf.hidden(str(error))).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return invalid_request(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        words = {
            404: f"there is nothing at {request.url.path[:80]!r}.",
            405: f"{request.method} is not possible here.",
        }
        problem = Problem(error.status_code, words.get(error.status_code, str(error.detail)))
        return problem.response(error.headers)


def invalid_request(errors: Any) -> Problem:
    """Return the answer to a body that is no request: the first thing that is wrong with it, by name."""
    first = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    place = [part for part in first["loc"] if part != "body"]
    name = ".".join(str(part) for part in place if not _branch(part)) or None
    if first["type"] == "json_invalid":
        return Problem(400, f"the body is no JSON ({first['ctx']['error']}).", code="invalid_json")
    if first["type"] == "extra_forbidden":
        known = _fields(place[:-1])
        hint = nearest(str(place[-1]), known) if known else ""
        return Problem(422, f"unknown field {str(name)[:80]!r}.{hint}", name, "unknown_field")
    if first["type"] == "missing" and name is None:
        return Problem(400, "there is no body; send a JSON object as application/json.", code="invalid_json")
    if first["type"] == "missing":
        return Problem(422, f"{name} is missing.", name, "missing_field")
    told = str(first["msg"]).removeprefix("Value error, ")
    return Problem(422, f"{name or 'the body'}: {told[:1].lower()}{told[1:]}.".replace("..", "."), name)


def _branch(part: object) -> bool:
    """Tell whether a part of a place is pydantic's name for one of several kinds, and nobody's field."""
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "float", "bool", "none"))


def _fields(place: list[Any]) -> list[str]:
    from unmask.serving.schema import FIELDS

    return FIELDS.get(".".join(str(part) for part in place if not _branch(part)), [])
