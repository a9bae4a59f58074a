"""The model as Ollama describes one: ``/api/tags``, ``/api/show``, ``/api/ps`` and ``/api/version``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adascale import __version__
from adascale.engine.errors import AdascaleError
from adascale.models.files.gguf_info import GGUFInfo, read_info

from ..bodies.fields import Fields
from ..hub import Hub
from ..served import ServedModel
from ..wire.http import JsonObject, json_response, read_body, read_object
from .ollama import timestamp

VERSION = "0.12.6"
"""The version of Ollama that this interface follows; clients check it."""

_LOADED_FOR = timedelta(days=1)
"""Time for which the model is said to stay loaded; it stays until the server ends."""


class ShowBody(Fields):
    """Body of ``/api/show``; older clients send ``name`` instead of ``model``."""

    model: str | None = None
    name: str | None = None


class OllamaModels:
    """The routes that describe the model of a hub."""

    def __init__(self, hub: Hub, served: Callable[[], ServedModel], started: float) -> None:
        self._hub = hub
        self._served = served
        self._started = datetime.fromtimestamp(started, UTC)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/api/version", self.version),
            Route("/api/tags", self.tags),
            Route("/api/ps", self.running),
            Route("/api/show", self.show, methods=["POST"]),
        ]

    async def version(self, request: HttpRequest) -> Response:
        """The version of Ollama's interface, and of this server."""
        return json_response({"version": VERSION, "adascale": __version__})

    async def tags(self, request: HttpRequest) -> Response:
        """The model."""
        return json_response({"models": [self._entry()]})

    async def running(self, request: HttpRequest) -> Response:
        """The model: it is always loaded."""
        expires = timestamp(datetime.now(UTC) + _LOADED_FOR)
        return json_response({"models": [{**self._entry(), "expires_at": expires, "size_vram": 0}]})

    async def show(self, request: HttpRequest) -> Response:
        """Describe the model and the longest conversation, in Ollama's words."""
        body = ShowBody.read(read_object(await read_body(request)))
        served, info = self._served(), self._info()
        served.effort_of(body.model or body.name, None)
        architecture = info.architecture if info is not None else "unknown"
        return json_response(
            {
                "modelfile": "",
                "parameters": "",
                "template": info.chat_template if info is not None else "",
                "details": _details(info),
                "model_info": {
                    "general.architecture": architecture,
                    "general.parameter_count": info.parameter_count if info is not None else 0,
                    f"{architecture}.context_length": served.window,
                },
                "capabilities": ["completion", "tools"],
                "modified_at": timestamp(self._started),
            }
        )

    def _entry(self) -> JsonObject:
        served, info = self._served(), self._info()
        name = served.name if ":" in served.name else f"{served.name}:latest"
        return {
            "name": name,
            "model": name,
            "modified_at": timestamp(self._started),
            "size": info.size_bytes if info is not None else 0,
            "digest": served.sha256,
            "details": _details(info),
        }

    def _info(self) -> GGUFInfo | None:
        """The header of the model's file; None where it cannot be read any more."""
        served = self._served()
        files = {sha256: path for _, path, sha256 in self._hub.worker.open_models.files}
        path = files.get(served.sha256)
        return None if path is None else _read(path)


@functools.cache
def _read(path: Path) -> GGUFInfo | None:
    try:
        return read_info(path)
    except (AdascaleError, OSError):
        return None


def _details(info: GGUFInfo | None) -> JsonObject:
    family = info.architecture if info is not None else ""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family] if family else [],
        "parameter_size": f"{info.parameter_count / 1e9:.1f}B" if info is not None else "",
        "quantization_level": info.file_type if info is not None else "",
    }
