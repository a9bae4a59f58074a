"""Errors as clients of OpenAI's interface expect them: a status, and ``{"error": {message, type, ...}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    ModelNotFoundError,
    UsageError,
    WorkerDiedError,
    respell,
)


class Refusal(Exception):
    """A request that gets an error in the place of an answer.

    Attributes:
        status: Of HTTP, 400 to 599.
        message: What is wrong, and what would be right.
        code: Stable slug.
        param: Name of the field that is to blame, where it is one.
        headers: Of the response.
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
        return cls(_status_of(error), respell(text, _of_server), error.slug)

    def body(self) -> dict[str, Any]:
        """The JSON object."""
        error = {"message": self.message, "type": self._type, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def _type(self) -> str:
        known = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        return known.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")


def _status_of(error: AdascaleError) -> int:
    match error:
        case UsageError() | ContextOverflowError():
            return 400
        case ModelNotFoundError():
            return 404
        case WorkerDiedError():
            return 503
        case _:
            return 500


def _of_server(name: str, value: str | None) -> str:
    """A setting, which a client cannot change: it is that of whoever runs the server."""
    return f"the server's {name}" if value is None else f"the server's {name} = {value}"
