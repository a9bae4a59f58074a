"""The routes, and the searches that they ask for."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from adascale import __version__
from adascale.engine.search.events import ModelDescription
from adascale.engine.strategies import Greedy
from adascale.engine.types import Budget, Problem

from .http.connection import EventStream, client_address, read_body, while_connected
from .http.errors import Refusal
from .http.fields import JsonObject
from .http.guard import Access, Guard
from .http.json_body import json_response, read_object, refusal_response
from .mcp import endpoint
from .mcp.endpoint import McpEndpoint
from .metrics import CONTENT_TYPE, CountRequests, Metrics
from .openapi import openapi
from .page.files import page_routes
from .protocols import event_log
from .protocols.chat import CHAT
from .protocols.messages import MESSAGES
from .protocols.rendering import Dialect, Rendering, Stamp, collect, stream
from .protocols.responses import RESPONSES
from .search.follow import Progress, follow
from .search.hub import Hub
from .search.request import IGNORED, Fields, ServedEffort, ServedModel
from .search.searches import Ask, Searches, strategy_of

DIALECTS = (CHAT, RESPONSES, MESSAGES)
"""The protocols in which a question can be asked."""

BODIES: Mapping[str, Fields] = {
    **{dialect.path: dialect.fields for dialect in DIALECTS},
    event_log.PATH: event_log.search_fields,
}
"""Fields of the body of a request, by the path of its route."""

_GONE = 499
"""Status, for the metrics alone, of a request whose client has gone (nginx has it so)."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What holds for all requests.

    Attributes:
        access: Who may ask.
        effort: Effort of a request that names none.
        budget: Limits of each search; a request may lower that of tokens.
        is_strict: As ``ServedModel`` has it.
    """

    access: Access
    effort: ServedEffort = "medium"
    budget: Budget = Budget()
    is_strict: bool = False


def make_app(hub: Hub, settings: ServerSettings) -> Starlette:
    """The server as an ASGI application; its lifespan starts and closes the hub."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub.start()
        yield
        await mcp.close()
        await hub.close()

    metrics = Metrics(hub)
    searches = Searches(hub, settings.budget)
    mcp, server, access = McpEndpoint(searches), _Server(searches, settings, metrics), settings.access
    routes = [
        Route("/health", server.health),
        Route("/metrics", server.show_metrics),
        Route("/openapi.json", server.describe),
        Route("/v1/models", server.list_models),
        Route("/v1/models/{name:path}", server.show_model),
        Route(event_log.PATH, server.search, methods=["POST"]),
        Route(f"{event_log.PATH}/{{id}}", server.end_search, methods=["DELETE"]),
        *(Route(dialect.path, server.answer_in(dialect), methods=["POST"]) for dialect in DIALECTS),
        Route(endpoint.PATH, mcp, methods=endpoint.METHODS, include_in_schema=False),
        *page_routes(),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=access.origins,
        allow_methods=["GET", "POST", "DELETE"],
        # Clients send some of their own: X-Stainless-Lang, Anthropic-Version, Mcp-Method.
        allow_headers=["*"],
        expose_headers=["Retry-After", endpoint.SESSION_HEADER],
    )
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(CountRequests, metrics=metrics, routes=routes),
            *([cors] if access.origins else []),
            Middleware(Guard, access=access),
        ],
        exception_handlers={
            Refusal: _refuse,
            ClientDisconnect: _give_up,
            HTTPException: _refuse_http,
            Exception: _refuse_unexpected,
        },
        lifespan=lifespan,
    )


class _Server:
    """The routes of one hub."""

    def __init__(self, searches: Searches, settings: ServerSettings, metrics: Metrics) -> None:
        self._hub = searches.hub
        self._searches = searches
        self._settings = settings
        self._metrics = metrics
        self._started = int(time.time())

    async def health(self, request: HttpRequest) -> Response:
        """Whether questions are answered: 200, or 503 while the models are loaded."""
        health = self._hub.health
        ready = health == "ready"
        return json_response({"status": "ok" if ready else health}, 200 if ready else 503)

    async def show_metrics(self, request: HttpRequest) -> Response:
        """What was counted."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def describe(self, request: HttpRequest) -> Response:
        """This interface as OpenAPI has it."""
        needs_key = self._settings.access.key is not None
        return json_response(openapi(request.app.routes, BODIES, self._served(), needs_key))

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

    async def search(self, request: HttpRequest) -> Response:
        """The event log of a search, as server-sent events."""
        body, served = read_object(await read_body(request)), self._served()
        wanted = event_log.search_fields(served).read(body, "")
        ask = event_log.read_ask(wanted, served, f"search-{secrets.token_hex(12)}", client_address(request))
        events = self._log(ask, is_readable=wanted.get("readable", False))
        response = EventStream(await while_connected(request.receive, anext(events)), events)
        response.headers["X-Adascale-Version"] = __version__
        return response

    async def end_search(self, request: HttpRequest) -> Response:
        """End a search as interrupted; its log has what it found until then."""
        if not self._hub.cancel(id_ := request.path_params["id"]):
            raise Refusal(404, f'no search "{id_}" is running', "no-such-search")
        return Response(status_code=204)

    async def _log(self, ask: Ask, *, is_readable: bool) -> AsyncGenerator[bytes, None]:
        with self._searches.run(ask) as events:
            async for line in event_log.write_log(events, is_readable=is_readable):
                yield line

    def answer_in(self, dialect: Dialect) -> Callable[[HttpRequest], Awaitable[Response]]:
        """The route of a protocol in which a question is asked."""

        async def answer(request: HttpRequest) -> Response:
            body, served = read_object(await read_body(request)), self._served()
            fields = dialect.fields(served)
            known = served.known(body, fields.schema["properties"])
            ignored = known.pop(IGNORED)
            wanted = {**fields.read(known, ""), IGNORED: ignored}
            rendering = dialect.read(wanted, served, self._stamp())
            progress = self._search(rendering, client_address(request))
            if rendering.request.stream:
                events = stream(progress, rendering)
                return EventStream(await while_connected(request.receive, anext(events)), events)
            return json_response(await while_connected(request.receive, collect(progress, rendering)))

        answer.__doc__ = f"{dialect.summary}."
        return answer

    async def _search(self, rendering: Rendering, client: str) -> AsyncGenerator[Progress, None]:
        """Search what is asked; it ends with whoever reads the progress."""
        with self._searches.run(_ask(rendering, client)) as events:
            async for part in follow(
                events, rendering.request, lambda: self._hub.cancel(rendering.stamp.token)
            ):
                yield part

    def _served(self) -> ServedModel:
        """The model.

        Raises:
            Refusal: it is not open.
        """
        self._hub.check_open()
        return ServedModel.of(self._models, self._settings.effort, self._settings.is_strict)

    @property
    def _models(self) -> ModelDescription:
        return self._hub.worker.open_models.conditions["value"].models

    def _model(self, name: str) -> JsonObject:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "adascale"}

    def _stamp(self) -> Stamp:
        generator = self._models.generator
        assert generator is not None, "as ServedModel.of has it"
        return Stamp(secrets.token_hex(12), int(time.time()), f"fp_{generator.sha256[:12]}")


def _ask(rendering: Rendering, client: str) -> Ask:
    """The search of an answer."""
    asked = rendering.request
    return Ask(
        Problem(
            rendering.stamp.token,
            asked.question.strip(),
            history=asked.history,
            kind="text" if asked.effort == "chat" else "value",
        ),
        Greedy() if asked.is_greedy else strategy_of(asked.effort),
        "auto" if asked.is_searched else "prose",
        Budget(asked.max_tokens),
        asked.seed,
        client,
    )


async def _refuse(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_response(error, request.url.path)


async def _give_up(request: HttpRequest, error: Exception) -> Response:
    return Response(status_code=_GONE)


async def _refuse_http(request: HttpRequest, error: Exception) -> Response:
    """An unknown path, or another method than a path has."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid-request")
    text = f"{request.method} {request.url.path}: {error.detail}"
    return await _refuse(request, Refusal(error.status_code, text, code, headers=error.headers))


async def _refuse_unexpected(request: HttpRequest, error: Exception) -> Response:
    text = f"something unexpected went wrong: {type(error).__name__}"
    return await _refuse(request, Refusal(500, text, "unexpected"))
