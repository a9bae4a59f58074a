"""Ollama's chat (``/api/chat``) in JSON lines, and its views of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adascale import __version__
from adascale.engine.tools.calls import Call

from .body import Body, Fields
from .http import JsonObject, Refusal, json_response, read_object, to_bytes
from .outcome import Outcome
from .request import ServedModel
from .stream import Block, Writer


class OllamaBody(Body):
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
        fields = {**options, **value}
        fields.pop("options", None)
        if form := fields.pop("format", None):
            response_format = (
                {"type": "json_object"} if form == "json" else {"type": "json_schema", "schema": form}
            )
            fields["format"] = response_format
        if isinstance(fields.get("think"), str):
            fields["reasoning_effort"] = fields["think"]
        return fields


class OllamaWriter(Writer[OllamaBody]):
    """Writes the answer of a chat, or its lines."""

    path = "/api/chat"
    media_type = "application/x-ndjson"

    def whole(self, outcome: Outcome) -> JsonObject:
        """The answer, with its calls."""
        calls = [block.call for block in self.blocks if block.call is not None]
        return self._finished(outcome, self._message(self.text("answer"), self.text("reasoning"), calls))

    def grown(self, block: Block, text: str) -> bytes:
        """A line with text, thinking (unless ``think`` is false) or a call."""
        if block.call is not None:
            return self._line(self._message(calls=[block.call]))
        is_answer = block.kind == "answer"
        return self._line(self._message(text if is_answer else "", "" if is_answer else text))

    def keep_alive(self) -> bytes:
        """A line without text."""
        return self._line(self._message())

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The last line, with the counts."""
        yield _json_line(self._finished(outcome, self._message()))

    def fail(self, refusal: Refusal) -> bytes:
        """The error object."""
        return _json_line(refusal.body(self.path))

    def _message(self, content: str = "", thinking: str = "", calls: Sequence[Call] = ()) -> JsonObject:
        thought = {"thinking": thinking} if thinking and self.body.think is not False else {}
        extra = {"tool_calls": [{"function": call.record()} for call in calls]} if calls else {}
        return {"role": "assistant", "content": content, **thought, **extra}

    def _line(self, message: JsonObject) -> bytes:
        return _json_line({**_head(self.ask.model), "message": message, "done": False})

    def _finished(self, outcome: Outcome, message: JsonObject) -> JsonObject:
        seconds, usage, finish = outcome.answer.record.t, outcome.usage, outcome.finish
        return {
            **_head(self.ask.model),
            "message": message,
            "done": True,
            "done_reason": "length" if finish == "length" else "stop",
            "total_duration": _nanoseconds(seconds),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens + usage.reused_tokens,
            "prompt_eval_duration": _nanoseconds(usage.seconds),
            "eval_count": usage.generated_tokens,
            "eval_duration": _nanoseconds(seconds - usage.seconds),
            "adascale": outcome.summary,
        }


def _head(model: str) -> JsonObject:
    return {"model": model, "created_at": datetime.now(UTC).isoformat()}


def _nanoseconds(seconds: float) -> int:
    return round(max(0.0, seconds) * 1e9)


def _json_line(value: JsonObject) -> bytes:
    return to_bytes(value) + b"\n"


VERSION = "0.12.6"
"""The version of Ollama that this interface follows; clients check it."""

_LOADED_FOR = timedelta(days=1)
"""Time until the model is unloaded, for clients; it stays until the server ends."""

_FAMILY = "adascale"
"""Stands for the architecture of the model, which clients look up to find its window."""


class ShowBody(Fields):
    """Body of ``/api/show``; older clients send ``name`` instead of ``model``."""

    model: str | None = Field(None, validation_alias=AliasChoices("model", "name"))


def model_routes(models: Callable[[], ServedModel], started: float) -> list[BaseRoute]:
    """The routes that describe the model, which was loaded at a Unix time and stays loaded."""

    def entry() -> JsonObject:
        model = models()
        name = model.name if ":" in model.name else f"{model.name}:latest"
        return {
            "name": name,
            "model": name,
            "modified_at": datetime.fromtimestamp(started, UTC).isoformat(),
            "size": 0,
            "digest": model.sha256,
            "details": {"format": "gguf", "family": _FAMILY, "families": [_FAMILY]},
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
        body, model = ShowBody.read(await read_object(request)), models()
        model.effort_of(body.model, None)
        window = {f"{_FAMILY}.context_length": model.window} if model.window else {}
        model_info = {"general.architecture": _FAMILY, **window}
        able = ["completion"] if model.is_remote else ["completion", "tools"]
        return json_response({**entry(), "model_info": model_info, "capabilities": able})

    return [
        Route("/api/version", version),
        Route("/api/tags", tags),
        Route("/api/ps", running),  # another adascale in front of this one reads its window
        Route("/api/show", show, methods=["POST"]),
    ]
