"""Responses in JSON."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from .errors import Refusal
from .json_text import to_bytes


def json_response(value: Any, status: int = 200) -> Response:
    """A response with a JSON value."""
    return Response(to_bytes(value), status, media_type="application/json")


def refusal_response(refusal: Refusal, path: str) -> Response:
    """The response for a refusal, in the shape that clients of this path expect."""
    is_anthropic = path.startswith("/v1/messages")
    response = json_response(refusal.anthropic_body() if is_anthropic else refusal.body(), refusal.status)
    response.headers.update(refusal.headers)
    return response
