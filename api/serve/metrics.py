"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adascale.engine.search.events import SearchFinished

from .search.hub import Hub

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """Counters of one server.

    Args:
        hub: Whose searches are counted, as they stand and when they finish.
    """

    def __init__(self, hub: Hub) -> None:
        hub.on_finish = self.count_search
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "adascale_requests", "Requests by path and status", ["path", "status"], registry=self._registry
        )
        self._tokens = Counter("adascale_generated_tokens", "Tokens drawn", registry=self._registry)
        self._searches = Counter(
            "adascale_searches",
            "Finished searches by why they stopped",
            ["stop_reason"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "adascale_search_seconds", "Time of a search", buckets=_SECONDS, registry=self._registry
        )
        running = Gauge("adascale_searches_running", "Searches in the worker", registry=self._registry)
        running.set_function(lambda: hub.running)
        waiting = Gauge("adascale_searches_waiting", "Searches in the queue", registry=self._registry)
        waiting.set_function(lambda: hub.waiting)

    def count_request(self, path: str, status: int) -> None:
        """A request is answered; ``path`` is that of a route, so that there are few of them."""
        self._requests.labels(path, str(status)).inc()

    def count_search(self, end: SearchFinished) -> None:
        """A search has finished."""
        self._tokens.inc(end.usage.generated_tokens)
        self._searches.labels(end.result.stop_reason).inc()
        self._seconds.observe(end.t)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class CountRequests:
    """ASGI middleware that counts what was answered, by a route or by the guard before it.

    Args:
        app: What answers.
        metrics: Where it is counted.
        routes: Whose paths tell requests apart; all others have one label.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Sequence[Route]) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count the status of its answer; what raises gets 500 from Starlette."""
        is_answered = False

        async def count(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                self._metrics.count_request(self._path(scope), message["status"])
            await send(message)

        try:
            await self._app(scope, receive, count)
        except Exception:
            if not is_answered:
                self._metrics.count_request(self._path(scope), 500)
            raise

    def _path(self, scope: Scope) -> str:
        found = (route.path for route in self._routes if route.matches(scope)[0] is not Match.NONE)
        return next(found, "other")
