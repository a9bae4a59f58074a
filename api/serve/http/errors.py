"""Errors as clients expect them: a status, and a body as OpenAI's or Anthropic's interface has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adascale.engine.errors import (
    DEADLY_QUESTION,
    AdascaleError,
    ContextOverflowError,
    ModelNotFoundError,
    UsageError,
    WorkerDiedError,
    respell,
)

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {**_TYPES, 404: "not_found_error", 413: "request_too_large", 503: "overloaded_error"}

_ASK_ONCE = {"X-Should-Retry": "false"}
"""Headers by which the SDKs of OpenAI and Anthropic do not repeat a request, as they do from status 500 on:
a question that ends the worker would end it again, for all clients."""


class Refusal(Exception):
    """A request that gets an error in the place of an answer.

    Attributes:
        status: HTTP status, 400 to 599.
        message: What is wrong, and what would be right.
        code: Stable slug.
        param: Name of the field that is to blame, where it is one.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    @classmethod
    def of(cls, error: AdascaleError) -> Refusal:
        """The refusal for an error of a search."""
        text = ": ".join((error.message, *error.facts)) + (f" ({error.hint})" if error.hint else "")
        status = _status_of(error)
        return cls(status, for_clients(text), error.slug, headers=_ASK_ONCE if status == 500 else None)

    def body(self) -> dict[str, Any]:
        """The JSON object as OpenAI has it."""
        type_ = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": type_, "param": self.param, "code": self.code}}

    def anthropic_body(self) -> dict[str, Any]:
        """The JSON object as Anthropic has it, and our ``param`` and ``code`` beside its fields."""
        type_ = _ANTHROPIC_TYPES.get(
            self.status, "invalid_request_error" if self.status < 500 else "api_error"
        )
        error = {"type": type_, "message": self.message, "param": self.param, "code": self.code}
        return {"type": "error", "error": error}


def for_clients(text: str) -> str:
    """The text of an error or a warning, with settings as those of the server."""
    return respell(text, _of_server)


def _status_of(error: AdascaleError) -> int:
    match error:
        case UsageError() | ContextOverflowError():
            return 400
        case ModelNotFoundError():
            return 404
        case WorkerDiedError() if error.slug != DEADLY_QUESTION:
            return 503
        case _:
            return 500


def _of_server(name: str, value: str | None) -> str:
    """A setting, which a client cannot change: it is that of whoever runs the server."""
    return f"the server's {name}" if value is None else f"the server's {name} = {value}"
