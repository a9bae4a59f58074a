"""The OpenAPI document, made of the routes and of the tables of fields that read their bodies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute, Route

from .. import __version__
from .http.fields import JsonObject
from .search.request import Fields, ServedModel

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field that is to blame."},
                "code": {"type": "string"},
            },
        }
    },
}

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def openapi(
    routes: Sequence[BaseRoute], bodies: Mapping[str, Fields], served: ServedModel, needs_key: bool
) -> JsonObject:
    """The document in OpenAPI 3.1.

    Args:
        routes: Routes of the server; the first line of an endpoint's docstring is its summary.
        bodies: Fields of the body of a request, by the path of its route.
        served: The model, whose names and sampler the bodies of requests depend on.
        needs_key: Whether a request has to bring a key.
    """
    paths: dict[str, JsonObject] = {}
    for route in routes:
        if isinstance(route, Route) and route.include_in_schema:
            operation = _operation(route, bodies.get(route.path), served)
            path = re.sub(r":\w+(?=\})", "", route.path)  # without the converter of a parameter
            for method in (route.methods or set()) - {"HEAD"}:
                paths.setdefault(path, {})[method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "adascale", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": _KEYS},
    }
    return {**document, "security": [{name: []} for name in _KEYS]} if needs_key else document


def _operation(route: Route, body: Fields | None, served: ServedModel) -> JsonObject:
    refused = {"description": "Refused", "content": _json({"$ref": "#/components/schemas/Error"})}
    operation = {
        "summary": (inspect.getdoc(route.endpoint) or "").partition("\n")[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.param_convertors
        ],
        "responses": {"2XX": {"description": "Answered"}, "4XX": refused, "5XX": refused},
    }
    if body is None:
        return operation
    return {**operation, "requestBody": {"required": True, "content": _json(body(served).schema)}}


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}
