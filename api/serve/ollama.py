"""Ollama's chat (``/api/chat``) in JSON lines, and its views of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import model_validator
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adascale import __version__
from adascale.engine.tools.calls import Call

from .body import Fields
from .chat import MessagesBody
from .http import JsonObject, Refusal, json_response, read_body, read_object, to_bytes
from .outcome import Outcome
from .request import Ask, ServedModel
from .stream import Protocol, Writer

_LINES = "application/x-ndjson"


class OllamaBody(MessagesBody):
    """Body of a chat, whose ``options`` may stand beside it."""

    stream: bool = True
    """Answer in lines of JSON."""
    think: Literal["low", "medium", "high"] | bool | None = None
    """Effort of the search; false leaves out its reasoning."""

    @model_validator(mode="before")
    @classmethod
    def _lift_options(cls, value: Any) -> Any:
        """The body with the fields of its ``options``, and effort and format as others have them."""
        if not isinstance(value, dict):
            return value
        options = value.get("options") or {}
        if not isinstance(options, dict):
            raise Refusal.of_field("options", "has to be an object")
        asked = {**options, **value}
        asked.pop("options", None)
        if form := asked.pop("format", None):
            named = {"type": "json_object"} if form == "json" else {"type": "json_schema", "schema": form}
            asked["format"] = named
        if isinstance(asked.get("think"), str):
            asked["reasoning_effort"] = asked["think"]
        return asked


class OllamaWriter(Writer[OllamaBody]):
    """Writes the answer of a chat, or its lines."""

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The answer, with its calls."""
        choice = outcome.choices[0]
        return self._finished(outcome, self._said(choice.content, reasoning, choice.calls))

    def reason(self, line: str) -> Iterator[bytes]:
        """A piece of thinking, unless it is not wanted."""
        yield self._line(self._said("", line))

    def write(self, text: str) -> Iterator[bytes]:
        """A piece of text."""
        yield self._line(self._said(text))

    def keep_alive(self) -> Iterator[bytes]:
        """A line without text."""
        yield self._line(self._said(""))

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """A line with the calls, if there are some, and the last one, with the counts."""
        if calls := outcome.choices[0].calls:
            yield self._line(self._said("", "", calls))
        yield _json_line(self._finished(outcome, self._said("")))

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield _json_line(refusal.body("/api/"))

    def _said(self, content: str, thinking: str = "", calls: Sequence[Call] = ()) -> JsonObject:
        """The field that holds what was written."""
        thought = {"thinking": thinking} if thinking and self.body.think is not False else {}
        called = {"tool_calls": [{"function": call.record()} for call in calls]} if calls else {}
        return {"message": {"role": "assistant", "content": content, **thought, **called}}

    def _line(self, said: JsonObject) -> bytes:
        return _json_line({**_head(self.ask.model), **said, "done": False})

    def _finished(self, outcome: Outcome, said: JsonObject) -> JsonObject:
        total, usage = outcome.record.t, outcome.usage
        return {
            **_head(self.ask.model),
            **said,
            "done": True,
            "done_reason": "stop" if outcome.choices[0].calls else outcome.choices[0].finish,
            "total_duration": _nanoseconds(total),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens + usage.reused_tokens,
            "prompt_eval_duration": _nanoseconds(usage.seconds),
            "eval_count": usage.generated_tokens,
            "eval_duration": _nanoseconds(total - usage.seconds),
            "adascale": outcome.summary,
        }


def _read(body: OllamaBody, served: ServedModel) -> Ask:
    return served.ask(body, body.asked())


def _head(model: str) -> JsonObject:
    return {"model": model, "created_at": datetime.now(UTC).isoformat()}


def _nanoseconds(seconds: float) -> int:
    return round(max(0.0, seconds) * 1e9)


def _json_line(value: JsonObject) -> bytes:
    return to_bytes(value) + b"\n"


OLLAMA_CHAT = Protocol("/api/chat", OllamaBody, _read, OllamaWriter, _LINES)


VERSION = "0.12.6"
"""The version of Ollama that this interface follows; clients check it."""

_LOADED_FOR = timedelta(days=1)
"""Time for which the model is said to stay loaded; it stays until the server ends."""


_FAMILY = "adascale"
"""Stands for the architecture of the model, which clients look up to find its window."""


class ShowBody(Fields):
    """Body of ``/api/show``; older clients send ``name`` instead of ``model``."""

    model: str | None = None
    name: str | None = None


def model_routes(models: Callable[[], ServedModel], started: float) -> list[BaseRoute]:
    """The routes that describe the model, which was loaded at a Unix time and stays loaded."""

    def entry() -> JsonObject:
        served = models()
        name = served.name if ":" in served.name else f"{served.name}:latest"
        details = {"format": "gguf", "family": _FAMILY, "families": [_FAMILY]}
        return {
            "name": name,
            "model": name,
            "modified_at": datetime.fromtimestamp(started, UTC).isoformat(),
            "size": 0,
            "digest": served.sha256,
            "details": {**details, "parameter_size": "", "quantization_level": ""},
        }

    async def version(request: HttpRequest) -> Response:
        return json_response({"version": VERSION, "adascale": __version__})

    async def tags(request: HttpRequest) -> Response:
        return json_response({"models": [entry()]})

    async def running(request: HttpRequest) -> Response:
        expires = (datetime.now(UTC) + _LOADED_FOR).isoformat()
        loaded = {"expires_at": expires, "size_vram": 0, "context_length": models().window}
        return json_response({"models": [{**entry(), **loaded}]})

    async def show(request: HttpRequest) -> Response:
        body, served = ShowBody.read(read_object(await read_body(request))), models()
        served.effort_of(body.model or body.name, None)
        window = {f"{_FAMILY}.context_length": served.window} if served.window else {}
        model_info = {"general.architecture": _FAMILY, **window}
        able = ["completion"] if served.is_remote else ["completion", "tools"]
        return json_response({**entry(), "model_info": model_info, "capabilities": able})

    return [
        Route("/api/version", version),
        Route("/api/tags", tags),
        Route("/api/ps", running),
        Route("/api/show", show, methods=["POST"]),
    ]
