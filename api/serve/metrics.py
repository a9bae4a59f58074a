"""Counters of requests and searches, for Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adascale.engine.search.events import SearchFinished

from .hub import Hub

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Upper bounds of the histogram's buckets."""


class Metrics:
    """Counters for Prometheus.

    Args:
        hub: Its searches are counted when they finish.
    """

    def __init__(self, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._responses = Counter(
            "adascale_requests", "Requests by status", ["status"], registry=self._registry
        )
        self._searches = Counter(
            "adascale_searches", "Finished searches", ["stop_reason"], registry=self._registry
        )
        self._tokens = Counter("adascale_generated_tokens", "Generated tokens", registry=self._registry)
        self._seconds = Histogram(
            "adascale_search_seconds", "Time of a search", buckets=_SECONDS, registry=self._registry
        )
        running = Gauge("adascale_searches_running", "Searches in the worker", registry=self._registry)
        running.set_function(lambda: hub.running)
        waiting = Gauge("adascale_searches_waiting", "Searches in the queue", registry=self._registry)
        waiting.set_function(lambda: hub.waiting)
        hub.on_finish = self._finish

    async def show(self, request: Request) -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def respond(self, status: int) -> None:
        """Count a response."""
        self._responses.labels(str(status)).inc()

    def _finish(self, end: SearchFinished) -> None:
        self._tokens.inc(end.usage.generated_tokens)
        self._searches.labels(end.result.stop_reason).inc()
        self._seconds.observe(end.t)


class Counted:
    """ASGI middleware that counts all responses; an unexpected error counts as status 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the status of the response."""
        is_answered = False

        async def count(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                self._metrics.respond(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, count)
        except Exception:
            if scope["type"] == "http" and not is_answered:
                self._metrics.respond(500)
            raise
