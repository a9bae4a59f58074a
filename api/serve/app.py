"""The routes of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from adascale.engine.errors import AdascaleError, excerpt
from adascale.models.fallback import Fallback
from adascale.models.upstream.client import HANDED_ON

from .body import Body, ServedEffort
from .chat import ChatBody, ChatWriter
from .decisions import DECISIONS, DecisionBody, decide
from .http import Access, Refusal, json_response, read_object, while_connected
from .hub import Hub
from .messages import MessageWriter
from .ollama import OllamaBody, OllamaWriter, model_routes
from .page import STATUS, TAKE, page_routes
from .request import ServedModel
from .responses import ResponseBody, ResponseWriter
from .stream import Writer, collect, follow, stream

PROTOCOLS: tuple[tuple[type[Body], type[Writer[Any]]], ...] = (
    (ChatBody, ChatWriter),
    (ResponseBody, ResponseWriter),
    (Body, MessageWriter),
    (OllamaBody, OllamaWriter),
)
"""Body and writer of each protocol."""

PLAIN = "X-Adascale-Plain"
"""Header of a client that shows the probability itself: the text does not end with it."""


def make_app(
    hub: Hub,
    access: Access,
    effort: ServedEffort = "medium",
    fallback: Fallback | None = None,
    model: str = "",
) -> Starlette:
    """The server as an ASGI application; it starts and closes the hub.

    Args:
        hub: Runs the searches.
        access: Who may ask.
        effort: Effort of a search whose request names none.
        fallback: The server to ask if an answer is not likely enough; None if there is none.
        model: Name of the model while it is being loaded.
    """
    server, agents = _Server(hub, effort, fallback, model if not access.key else None), list[Route]()
    tools: AbstractAsyncContextManager[None] = nullcontext()
    if find_spec("mcp"):  # an extra
        from . import mcp

        agents = [mcp.over_http(mcp_server := mcp.make_mcp(hub))]
        tools = mcp_server.session_manager.run()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        hub.start()
        async with tools:
            yield
        await hub.close()

    routes = [
        Route("/health", server.health),
        Route(STATUS, server.status),
        Route(TAKE, server.take, methods=["POST"]),
        Route("/v1/models", server.list_models),
        *(Route(writer.path, server.answer_in(body, writer), methods=["POST"]) for body, writer in PROTOCOLS),
        Route(DECISIONS, server.decide, methods=["POST"]),
        *model_routes(server.served, server.started),
        *agents,
        *page_routes(),
    ]
    return Starlette(
        routes=routes,
        middleware=access.middleware(),
        exception_handlers=dict.fromkeys(_HANDLED, _refuse),
        lifespan=lifespan,
    )


class _Server:
    """The handlers of one hub; ``model`` is None if the page must not show its name."""

    def __init__(self, hub: Hub, effort: ServedEffort, fallback: Fallback | None, model: str | None) -> None:
        self.started = int(time.time())
        self._hub = hub
        self._effort = effort
        self._fallback = fallback
        self._model = model

    def served(self) -> ServedModel:
        """The model.

        Raises:
            Refusal: it is not loaded.
        """
        self._hub.check_open()
        return ServedModel.of(self._hub.worker.open_models.conditions["value"].models, self._effort)

    async def health(self, request: HttpRequest) -> Response:
        """Readiness: 200, or 503 while the models are being loaded."""
        is_ready = self._hub.state == "ready"
        return json_response({"status": "ok" if is_ready else self._hub.state}, 200 if is_ready else 503)

    async def status(self, request: HttpRequest) -> Response:
        """Readiness, with status 200 in any case, and the name of the model, for the page."""
        is_ready = self._hub.state == "ready"
        name = "" if self._model is None else self.served().name if is_ready else self._model
        return json_response({"status": "ok" if is_ready else self._hub.state, "model": name})

    async def take(self, request: HttpRequest) -> Response:
        """End a search with its leading answer; a search without an answer continues."""
        self._hub.cancel(request.path_params["search"], takes_answer=True)
        return Response(status_code=204)

    async def list_models(self, request: HttpRequest) -> Response:
        """The model with the fields of OpenAI's list and of Anthropic's.

        Names with efforts would fill a client's menu.
        """
        name, created = self.served().name, datetime.fromtimestamp(self.started, UTC).isoformat()
        openai = {"id": name, "object": "model", "created": self.started, "owned_by": "adascale"}
        entry = {**openai, "type": "model", "display_name": name, "created_at": created}
        return json_response({"object": "list", "data": [entry]})

    async def decide(self, request: HttpRequest) -> Response:
        """Answers to questions about one input, with the probability of each option."""
        body = DecisionBody.read(await read_object(request))
        return json_response(await while_connected(request, decide(self._hub, body, self.served())))

    def answer_in(
        self, body_type: type[Body], writer_type: type[Writer[Any]]
    ) -> Callable[[HttpRequest], Awaitable[Response]]:
        """The handler of a protocol's requests."""

        async def answer(request: HttpRequest) -> Response:
            body = body_type.read(await read_object(request))
            # In a thread: many schemas must not keep other clients waiting.
            ask = await asyncio.to_thread(self.served().ask, body)
            is_handed_on = HANDED_ON in request.headers
            if PLAIN in request.headers or is_handed_on:
                ask = replace(ask, is_told=False)
            fallback = None if is_handed_on else self._fallback
            log = self._hub.ask(ask.problem, ask.search)
            parts = follow(log, ask, lambda: self._hub.cancel(ask.problem.id), fallback)
            writer = writer_type(body, ask)
            if not body.stream:
                return json_response(await while_connected(request, collect(parts, writer)))
            events = stream(parts, writer)
            first = await while_connected(request, anext(events))
            return StreamingResponse(
                _with_first(first, events),
                media_type=writer.media_type,
                # nginx would keep events back until its buffer is full.
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
                background=BackgroundTask(events.aclose),  # also after the client has disconnected
            )

        return answer


async def _with_first(first: bytes, events: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for event in events:
        yield event


async def _refuse(request: HttpRequest, error: Exception) -> Response:
    """The response to an error, in the shape that clients of its path expect."""
    path = request.url.path
    match error:
        case ClientDisconnect():
            return Response(status_code=499)  # nginx's code for a closed connection
        case Refusal():
            refusal = error
        case AdascaleError():
            refusal = Refusal.of(error)
        case HTTPException():  # an unknown path, or a method that a path does not have
            code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "invalid-request")
            text = f"{excerpt(f'{request.method} {path}')}: {error.detail}"
            if any(f"/v1{path}" == writer.path for _, writer in PROTOCOLS):
                text += f"; this server has /v1{path}"
            refusal = Refusal(error.status_code, text, code, headers=error.headers or {})
        case _:
            text = f"something unexpected went wrong: {type(error).__name__}"
            refusal = Refusal(500, text, "unexpected")
    return refusal.response(path)


_HANDLED = (Refusal, AdascaleError, ClientDisconnect, HTTPException, Exception)
