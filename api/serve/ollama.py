"""Ollama's chat and generate (``/api/chat``, ``/api/generate``) in JSON lines, and its views of the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adascale import __version__
from adascale.engine.errors import AdascaleError
from adascale.engine.tools.calls import Call
from adascale.models.files.gguf import read_info

from .body import Body, Fields, FunctionTool, Nothing, Texts, checked
from .chat import Message, said_in
from .http import JsonObject, Refusal, json_response, read_body, read_object, to_bytes
from .hub import Hub
from .outcome import Outcome
from .request import Ask, Messages, RawText, ServedModel, spoken
from .stream import Protocol, Writer

_LINES = "application/x-ndjson"


class OllamaBody(Body):
    """Fields of chat and generate, inside ``options`` or beside it."""

    stream: bool = True
    """Answer in lines of JSON."""
    stop: Annotated[Texts, Field(max_length=16)] = []
    """Texts before which an answer is cut."""
    num_predict: Annotated[int, Field(ge=-2, le=1 << 24)] | None = None
    """Limit of generated tokens; below 1 there is none."""
    think: Literal["low", "medium", "high"] | bool | None = None
    """Effort of the search; false leaves out its reasoning."""
    format: Literal["json"] | dict[str, Any] | None = None
    """A JSON object of any form, or of a schema."""

    @model_validator(mode="before")
    @classmethod
    def _lift_options(cls, value: Any) -> Any:
        """The body with the fields of its ``options``, and without an empty format."""
        if not isinstance(value, dict):
            return value
        options = value.get("options") or {}
        if not isinstance(options, dict):
            raise Refusal.of_field("options", "has to be an object")
        asked = {**options, **value}
        if asked.get("format") == "":
            del asked["format"]
        return {name: item for name, item in asked.items() if name != "options"}

    @property
    def effort(self) -> Literal["low", "medium", "high"] | None:
        """The effort that ``think`` asks for."""
        return None if isinstance(self.think, bool) else self.think


class ChatBody(OllamaBody):
    """Body of a chat; without messages it only loads the model."""

    messages: list[Message] = []
    tools: list[FunctionTool] = []


class GenerateBody(OllamaBody):
    """Body of a completion; without a prompt it only loads the model."""

    prompt: str = ""
    system: str = ""
    raw: bool = False
    """Continue the prompt as it is, without a chat template."""
    suffix: str = ""
    """Text after the completion, for models trained for fill-in-the-middle; the prompt is raw then."""
    images: Nothing = []


class OllamaWriter(Writer[OllamaBody]):
    """Writes the answer of a chat or of a completion, or its lines."""

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
        if not isinstance(self.body, ChatBody):
            return {"response": content, **thought}
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


def _read_chat(body: ChatBody, served: ServedModel) -> Ask | JsonObject:
    if not body.messages:
        return _loaded(body, served, {"message": {"role": "assistant", "content": ""}})
    said = [said_in(each, f"messages[{n}]") for n, each in enumerate(body.messages)]
    tools = [each.function.tool() for each in body.tools]
    return _ask(body, served, Messages(said, f"messages[{len(said) - 1}].content", tools))


def _read_generate(body: GenerateBody, served: ServedModel) -> Ask | JsonObject:
    if not body.prompt:
        return _loaded(body, served, {"response": ""})
    if body.raw or body.suffix:
        return _ask(body, served, RawText(body.prompt, body.suffix))
    system = [spoken("system", body.system)] if body.system else []
    return _ask(body, served, Messages([*system, spoken("user", body.prompt)], "prompt"))


def _ask(body: OllamaBody, served: ServedModel, asked: Messages | RawText) -> Ask:
    schema: JsonObject | None = None
    if body.format is not None:
        schema = {"type": "object"} if isinstance(body.format, str) else checked(body.format, "format")
    limit = body.num_predict if body.num_predict is not None and body.num_predict > 0 else None
    return served.ask(body, asked, body.effort, max_tokens=limit, stop=body.stop, schema=schema)


def _loaded(body: OllamaBody, served: ServedModel, said: JsonObject) -> JsonObject:
    """The reply to a request without a question: the model is loaded."""
    served.effort_of(body.model, body.effort)
    return {**_head(body.model or served.name), **said, "done": True, "done_reason": "load"}


def _head(model: str) -> JsonObject:
    return {"model": model, "created_at": datetime.now(UTC).isoformat()}


def _nanoseconds(seconds: float) -> int:
    return round(max(0.0, seconds) * 1e9)


def _json_line(value: JsonObject) -> bytes:
    return to_bytes(value) + b"\n"


OLLAMA_CHAT = Protocol("/api/chat", ChatBody, _read_chat, OllamaWriter, _LINES)
OLLAMA_GENERATE = Protocol("/api/generate", GenerateBody, _read_generate, OllamaWriter, _LINES)


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
        expires = (datetime.now(UTC) + _LOADED_FOR).isoformat()
        return json_response({"models": [{**self._entry(), "expires_at": expires, "size_vram": 0}]})

    async def show(self, request: HttpRequest) -> Response:
        """Describe the model and the longest conversation, in Ollama's words."""
        body = ShowBody.read(read_object(await read_body(request)))
        served, entry = self._served(), self._entry()
        served.effort_of(body.model or body.name, None)
        family = entry["details"]["family"]
        length = {"general.architecture": family, f"{family}.context_length": served.window}
        return json_response(
            {
                "details": entry["details"],
                "model_info": length,
                "capabilities": ["completion", "tools"],
                "modified_at": entry["modified_at"],
            }
        )

    def _entry(self) -> JsonObject:
        served = self._served()
        name = served.name if ":" in served.name else f"{served.name}:latest"
        paths = {sha256: path for _, path, sha256 in self._hub.worker.open_models.files}
        size, details = _read_info(paths.get(served.sha256))
        return {
            "name": name,
            "model": name,
            "modified_at": self._started.isoformat(),
            "size": size,
            "digest": served.sha256,
            "details": {"parent_model": "", "format": "gguf", **details},
        }


@functools.cache
def _read_info(path: Path | None) -> tuple[int, JsonObject]:
    """Size and details of the model's file; blank where it cannot be read any more."""
    try:
        info = read_info(path) if path is not None else None
    except (AdascaleError, OSError):
        info = None
    family = "unknown" if info is None else info.architecture
    return (0 if info is None else info.size_bytes), {
        "family": family,
        "families": [family],
        "parameter_size": "" if info is None else f"{info.parameter_count / 1e9:.1f}B",
        "quantization_level": "" if info is None else info.file_type,
    }
