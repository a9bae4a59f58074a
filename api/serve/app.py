"""The routes, and the searches that they ask for."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from adascale.engine.strategies import strategy_named
from adascale.engine.strategies.adaptive import EFFORTS
from adascale.engine.types import Budget, Problem

from .chat import ServedEffort, ServedModel, read_chat
from .completion import Completion
from .connection import EventStream, read_body, while_connected
from .errors import Refusal
from .fields import read_object
from .guard import Access, Guard
from .hub import Hub
from .json_response import json_response, refusal_response
from .metrics import CONTENT_TYPE, Metrics
from .searches import Ask, Searches
from .stream import Chunk, chunks, collect

Answer = Callable[[HttpRequest], Awaitable[Response]]

_GONE = 499
"""Status, for the metrics alone, of a request whose client has gone (nginx has it so)."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What holds for all requests.

    Attributes:
        access: Who may ask.
        effort: Where a request names none.
        budget: Limits of each search; a request may lower that of tokens.
    """

    access: Access
    effort: ServedEffort = "medium"
    budget: Budget = Budget()


def make_app(hub: Hub, settings: ServerSettings) -> Starlette:
    """The server as an ASGI application; its lifespan starts and closes the hub."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.close()

    server = _Server(hub, settings)
    access = settings.access
    cors = Middleware(
        CORSMiddleware,
        allow_origins=access.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
    return Starlette(
        routes=[
            server.route("GET", "/health", server.health),
            server.route("GET", "/metrics", server.show_metrics),
            server.route("GET", "/v1/models", server.list_models),
            server.route("GET", "/v1/models/{name:path}", server.show_model),
            server.route("POST", "/v1/chat/completions", server.chat),
        ],
        middleware=[*([cors] if access.origins else []), Middleware(Guard, access=access)],
        exception_handlers={
            HTTPException: _refuse_http,
            Exception: _refuse_unexpected,
        },
        lifespan=lifespan,
    )


class _Server:
    """The routes of one hub."""

    def __init__(self, hub: Hub, settings: ServerSettings) -> None:
        self._hub = hub
        self._settings = settings
        self._searches = Searches(hub, settings.budget)
        self._metrics = Metrics(hub)
        self._started = int(time.time())

    def route(self, method: str, path: str, answer: Answer) -> Route:
        """A route whose answers and refusals are counted."""

        async def counted(request: HttpRequest) -> Response:
            try:
                response = await answer(request)
            except Refusal as refusal:
                response = refusal_response(refusal)
            except ClientDisconnect:
                response = Response(status_code=_GONE)
            self._metrics.count_request(path, response.status_code)
            return response

        return Route(path, counted, methods=[method])

    async def health(self, request: HttpRequest) -> Response:
        """Whether questions are answered: 200, or 503 while the models are loaded."""
        ready = self._hub.state == "ready"
        return json_response({"status": "ok" if ready else self._hub.state}, 200 if ready else 503)

    async def show_metrics(self, request: HttpRequest) -> Response:
        """What was counted."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def list_models(self, request: HttpRequest) -> Response:
        """The model under each of its names."""
        data = [self._model(name) for name in self._served().names()]
        return json_response({"object": "list", "data": data})

    async def show_model(self, request: HttpRequest) -> Response:
        """The model under one of its names."""
        name = request.path_params["name"]
        if name not in self._served().names():
            raise Refusal(404, f'the model "{name}" is not served here', "model-not-found", "model")
        return json_response(self._model(name))

    async def chat(self, request: HttpRequest) -> Response:
        """OpenAI's chat completions."""
        body = await read_body(request)
        wanted = read_chat(read_object(body), self._served())
        models = self._hub.worker.open_models.models
        digest = models.generator.sha256[:12] if models.generator is not None else "scripted"
        id_ = f"chatcmpl-{secrets.token_hex(12)}"
        completion = Completion(id_, int(time.time()), wanted, f"fp_{digest}")
        client = request.client.host if request.client is not None else ""
        if wanted.stream:
            stream = self._stream(completion, client)
            return EventStream(await while_connected(request.receive, anext(stream)), stream)
        return json_response(await while_connected(request.receive, self._collect(completion, client)))

    async def _collect(self, completion: Completion, client: str) -> dict[str, Any]:
        with self._searches.run(_ask(completion, client)) as events:
            return await collect(events, completion, self._metrics.count_search)

    async def _stream(self, completion: Completion, client: str) -> AsyncGenerator[Chunk, None]:
        with self._searches.run(_ask(completion, client)) as events:
            async for chunk in chunks(events, completion, self._metrics.count_search):
                yield chunk

    def _served(self) -> ServedModel:
        """The model.

        Raises:
            Refusal: it is not open.
        """
        self._hub.check_open()
        return ServedModel.of(self._hub.worker.open_models.models, self._settings.effort)

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "adascale"}


def _ask(completion: Completion, client: str) -> Ask:
    """What a completion is made of."""
    asked = completion.request
    return Ask(
        Problem(completion.id, asked.question.strip(), history=asked.history),
        strategy_named("greedy") if asked.effort == "none" else EFFORTS[asked.effort],
        "prose" if asked.effort == "none" else "auto",
        Budget(asked.max_tokens),
        asked.seed,
        client,
    )


async def _refuse_http(request: HttpRequest, error: Exception) -> Response:
    """An unknown path, or another method than a path has."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid-request")
    text = f"{request.method} {request.url.path}: {error.detail}"
    return refusal_response(Refusal(error.status_code, text, code, headers=error.headers))


async def _refuse_unexpected(request: HttpRequest, error: Exception) -> Response:
    text = f"something unexpected went wrong: {type(error).__name__}"
    return refusal_response(Refusal(500, text, "unexpected"))
