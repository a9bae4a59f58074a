"""JSON bodies of requests and responses; a text in them may hold half of a surrogate pair."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from adascale.engine.codec import nesting

from .errors import Refusal

MAX_DEPTH = 32
"""Levels of objects and lists in a body."""


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        Refusal: it is none, or nested deeper than ``MAX_DEPTH``.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply", "invalid-json") from None
    except ValueError as exc:
        raise Refusal(400, f"the body is not JSON: {exc}", "invalid-json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body has to be a JSON object", "invalid-json")
    if nesting(value) > MAX_DEPTH:
        raise Refusal(400, f"the body is nested more than {MAX_DEPTH} levels deep", "invalid-json")
    return value


def to_bytes(value: Any) -> bytes:
    """JSON in ASCII, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_response(value: Any, status: int = 200) -> Response:
    """A response with a JSON value."""
    return Response(to_bytes(value), status, media_type="application/json")


def refusal_response(refusal: Refusal, path: str) -> Response:
    """The response for a refusal, in the shape that clients of this path expect."""
    is_anthropic = path.startswith("/v1/messages")
    response = json_response(refusal.anthropic_body() if is_anthropic else refusal.body(), refusal.status)
    response.headers.update(refusal.headers)
    return response


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(literal: str) -> float:
    """A number that can be written again: ``1e999`` would be read as infinity, which is no JSON."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:20]} is too large a number")
    return value
