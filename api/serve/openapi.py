"""The interface of the server in OpenAPI, made from its routes and the models of bodies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, Route

from adascale import __version__

from .bodies.fields import Fields
from .wire.http import JsonObject

_ERROR: JsonObject = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field at fault."},
                "code": {"type": "string"},
            },
        }
    },
}

_KEYS: JsonObject = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def openapi(routes: Sequence[BaseRoute], bodies: Mapping[str, type[Fields]], needs_key: bool) -> JsonObject:
    """The interface as a document of OpenAPI 3.1.

    Args:
        routes: Routes of the server; the first line of an endpoint's docstring is its summary.
        bodies: Bodies of requests, by the path of their route.
        needs_key: Requests have to carry a key.
    """
    schemas, shared = models_json_schema(
        [(body, "validation") for body in bodies.values()], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, JsonObject] = {}
    for route in routes:
        if isinstance(route, Route) and route.include_in_schema:
            operation = _operation(route)
            if (body := bodies.get(route.path)) is not None:
                operation["requestBody"] = {"required": True, "content": _json(schemas[body, "validation"])}
            path = re.sub(r":\w+(?=\})", "", route.path)  # without the converter of a parameter
            for method in (route.methods or set()) - {"HEAD"}:
                paths.setdefault(path, {})[method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "adascale", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR, **shared["$defs"]}, "securitySchemes": _KEYS},
    }
    return {**document, "security": [{name: []} for name in _KEYS]} if needs_key else document


def _operation(route: Route) -> JsonObject:
    refused = {"description": "Refused", "content": _json({"$ref": "#/components/schemas/Error"})}
    return {
        "summary": (inspect.getdoc(route.endpoint) or "").partition("\n")[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.param_convertors
        ],
        "responses": {"2XX": {"description": "Answered"}, "4XX": refused, "5XX": refused},
    }


def _json(schema: Any) -> JsonObject:
    return {"application/json": {"schema": schema}}
