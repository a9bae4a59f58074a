"""Responses in JSON, in which a text may hold half of a surrogate pair, as a question may."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from .errors import Refusal


def to_bytes(value: Any) -> bytes:
    """JSON in ASCII, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_response(value: Any, status: int = 200) -> Response:
    """A response with a JSON value."""
    return Response(to_bytes(value), status, media_type="application/json")


def refusal_response(refusal: Refusal) -> Response:
    """The response for a refusal."""
    response = json_response(refusal.body(), refusal.status)
    response.headers.update(refusal.headers)
    return response
