"""The routes of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from adascale.engine.errors import AdascaleError, excerpt
from adascale.models.fallback import Fallback
from adascale.models.upstream.client import HANDED_ON

from .chat import CHAT
from .decisions import DECISIONS, DecisionBody, decide
from .http import (
    Access,
    EventStream,
    Refusal,
    json_response,
    read_body,
    read_object,
    while_connected,
)
from .hub import Hub
from .messages import MESSAGES
from .ollama import OLLAMA_CHAT, model_routes
from .page import STATUS, TAKE, page_routes
from .request import ServedEffort, ServedModel
from .responses import RESPONSES
from .stream import Protocol, collect, follow, stream

PROTOCOLS: tuple[Protocol[Any], ...] = (CHAT, RESPONSES, MESSAGES, OLLAMA_CHAT)
"""All protocols."""

PLAIN = "X-Adascale-Plain"
"""Header of a request whose answer says in no line of its text how sure it is, as its client shows that."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings for all requests.

    Attributes:
        access: Who may ask.
        effort: Effort of a search whose request names none.
        fallback: The server to ask if an answer is not likely enough; None if there is none.
        model: Name of the model for those who wait for it.
    """

    access: Access
    effort: ServedEffort = "medium"
    fallback: Fallback | None = None
    model: str = ""


def make_app(hub: Hub, settings: ServerSettings) -> Starlette:
    """The server as an ASGI application; it starts and closes the hub."""
    server, agents = _Server(hub, settings), list[Route]()
    tools: AbstractAsyncContextManager[None] = nullcontext()
    if find_spec("mcp"):  # an extra
        from . import mcp

        agents = [mcp.over_http(made := mcp.make_mcp(hub))]
        tools = made.session_manager.run()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub.start()
        async with tools:
            yield
        await hub.close()

    routes = [
        Route("/health", server.health),
        Route(STATUS, server.health),
        Route(TAKE, server.take, methods=["POST"]),
        Route("/v1/models", server.list_models),
        *(Route(protocol.path, server.answer_in(protocol), methods=["POST"]) for protocol in PROTOCOLS),
        Route(DECISIONS, server.decide, methods=["POST"]),
        *model_routes(server.served, time.time()),
        *agents,
        *page_routes(),
    ]
    return Starlette(
        routes=routes,
        middleware=settings.access.middleware(),
        exception_handlers=dict.fromkeys(_HANDLED, _refuse),
        lifespan=lifespan,
    )


class _Server:
    """The routes of one hub."""

    def __init__(self, hub: Hub, settings: ServerSettings) -> None:
        self._hub = hub
        self._settings = settings
        self._started = int(time.time())

    async def health(self, request: HttpRequest) -> Response:
        """Readiness: 200, or 503 while the models are being loaded; the page gets 200, and what to show."""
        is_ready = self._hub.state == "ready"
        status = {"status": "ok" if is_ready else self._hub.state}
        if request.url.path != STATUS:
            return json_response(status, 200 if is_ready else 503)
        name = self.served().name if is_ready else self._settings.model
        return json_response({**status, "model": "" if self._settings.access.key else name})

    async def take(self, request: HttpRequest) -> Response:
        """End a search with the answer as it stands; one that has ended or has no answer yet goes on."""
        self._hub.cancel(request.path_params["search"], takes_answer=True)
        return Response(status_code=204)

    async def list_models(self, request: HttpRequest) -> Response:
        """The model with the fields of OpenAI's list and of Anthropic's, under its plain name alone.

        Names with efforts would fill a client's menu.
        """
        name, created = self.served().name, datetime.fromtimestamp(self._started, UTC).isoformat()
        openai = {"id": name, "object": "model", "created": self._started, "owned_by": "adascale"}
        model = {**openai, "type": "model", "display_name": name, "created_at": created}
        return json_response({"object": "list", "data": [model]})

    async def decide(self, request: HttpRequest) -> Response:
        """Answers to questions about one input, with the probability of each option."""
        body = DecisionBody.read(read_object(await read_body(request)))
        return json_response(await while_connected(request, decide(self._hub, body, self.served())))

    def answer_in(self, protocol: Protocol[Any]) -> Callable[[HttpRequest], Awaitable[Response]]:
        """The route of a protocol."""

        async def answer(request: HttpRequest) -> Response:
            body = protocol.body.read(read_object(await read_body(request)))
            # In a thread: many schemas must not keep other clients waiting.
            ask = await asyncio.to_thread(self.served().ask, body)
            is_handed_on = HANDED_ON in request.headers
            if PLAIN in request.headers or is_handed_on:
                ask = replace(ask, is_told=False)
            fallback = None if is_handed_on else self._settings.fallback
            log = self._hub.ask(ask.problem, ask.search)
            parts = follow(log, ask, lambda: self._hub.cancel(ask.problem.id), fallback)
            writer = protocol.writer(body, ask)
            if not body.stream:
                return json_response(await while_connected(request, collect(parts, writer)))
            events = stream(parts, writer)
            first = await while_connected(request, anext(events))
            return EventStream(first, events, protocol.media_type)

        return answer

    def served(self) -> ServedModel:
        """The model.

        Raises:
            Refusal: it is not loaded.
        """
        self._hub.check_open()
        models = self._hub.worker.open_models.conditions["value"].models
        return ServedModel.of(models, self._settings.effort)


async def _refuse(request: HttpRequest, error: Exception) -> Response:
    """The response to an error, in the shape that clients of its path expect."""
    path = request.url.path
    match error:
        case ClientDisconnect():
            return Response(status_code=499)  # as nginx has it; nobody reads it
        case Refusal():
            refusal = error
        case AdascaleError():
            refusal = Refusal.of(error)
        case HTTPException():  # an unknown path, or a method that a path does not have
            code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid-request")
            text = f"{excerpt(f'{request.method} {path}')}: {error.detail}"
            if error.status_code == 404 and any(f"/v1{path}" == each.path for each in PROTOCOLS):
                text += f"; this server has /v1{path}"
            refusal = Refusal(error.status_code, text, code, headers=error.headers or {})
        case _:
            text = f"something unexpected went wrong: {type(error).__name__}"
            refusal = Refusal(500, text, "unexpected")
    return refusal.response(path)


_HANDLED = (Refusal, AdascaleError, ClientDisconnect, HTTPException, Exception)
