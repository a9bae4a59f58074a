"""Ollama's chat and generate: ``POST /api/chat`` and ``POST /api/generate``, streamed as lines of JSON."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adascale import __version__
from adascale.engine.errors import AdascaleError
from adascale.models.files.gguf import GGUFInfo, read_info

from .body import Body, EarlierCall, Fields, FunctionTool, Nothing, Texts, checked
from .http import JsonObject, Refusal, json_response, read_body, read_object, to_bytes
from .hub import Hub
from .outcome import Outcome
from .request import Ask, Messages, RawText, ServedModel, ToolUse, calling, returned, spoken
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
    think: bool | Literal["low", "medium", "high"] | None = None
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


B = TypeVar("B", bound=OllamaBody)


class Message(Fields):
    """A message; the thinking of an earlier answer may come back, and models do not read it."""

    role: Literal["user", "assistant", "system", "tool"]
    content: str = ""
    images: Nothing = []
    tool_calls: list[EarlierCall] = []
    tool_name: str = ""
    tool_call_id: str = ""


class ChatBody(OllamaBody):
    """Body of a chat; without messages it only loads the model."""

    messages: list[Message] = []
    tools: list[FunctionTool] = []


def _spoken(message: Message, place: str) -> JsonObject:
    if message.role == "tool":
        return returned(message.content, message.tool_call_id, message.tool_name)
    if message.tool_calls:
        calls = [call.stated for call in message.tool_calls]
        return calling(message.content, calls, f"{place}.tool_calls")
    return spoken(message.role, message.content)


class GenerateBody(OllamaBody):
    """Body of a completion; without a prompt it only loads the model."""

    prompt: str = ""
    system: str = ""
    raw: bool = False
    """Continue the prompt as it is, without a chat template."""
    suffix: str = ""
    """Text after the completion, for models trained for fill-in-the-middle; the prompt is raw then."""
    images: Nothing = []


class OllamaWriter(Writer[B]):
    """Writes an answer, or its lines."""

    @abstractmethod
    def said(self, content: str, thinking: str) -> JsonObject:
        """The fields that hold a piece of text."""

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The answer."""
        thinking = "" if self.body.think is False else reasoning
        return self._finished(outcome, outcome.choices[0].content, thinking)

    def reason(self, line: str) -> Iterator[bytes]:
        """A piece of thinking, unless it is not wanted."""
        yield self._line("", "" if self.body.think is False else line)

    def write(self, text: str) -> Iterator[bytes]:
        """A piece of text."""
        yield self._line(text)

    def keep_alive(self) -> Iterator[bytes]:
        """A line without text."""
        yield self._line("")

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The last line, with the counts."""
        yield _json_line(self._finished(outcome, "", ""))

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield _json_line(refusal.ollama_body())

    def _line(self, content: str, thinking: str = "") -> bytes:
        return _json_line({**_head(self.ask.model), **self.said(content, thinking), "done": False})

    def _finished(self, outcome: Outcome, content: str, thinking: str) -> JsonObject:
        total, usage = outcome.record.t, outcome.usage
        return {
            **_head(self.ask.model),
            **self.said(content, thinking),
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


class ChatWriter(OllamaWriter[ChatBody]):
    """Writes the answer of a chat."""

    def said(self, content: str, thinking: str) -> JsonObject:
        """A message."""
        return {"message": {"role": "assistant", "content": content, **_thinking(thinking)}}

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The answer, with its calls."""
        found = super().whole(outcome, reasoning)
        return {**found, "message": {**found["message"], **_calls(outcome)}}

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """A line with the calls, and the last one."""
        if calls := _calls(outcome):
            message = {"role": "assistant", "content": "", **calls}
            yield _json_line({**_head(self.ask.model), "message": message, "done": False})
        yield from super().end(outcome)


class GenerateWriter(OllamaWriter[GenerateBody]):
    """Writes a completion."""

    def said(self, content: str, thinking: str) -> JsonObject:
        """A response."""
        return {"response": content, **_thinking(thinking)}


def _read_chat(body: ChatBody, served: ServedModel) -> Ask | JsonObject:
    if not body.messages:
        return _loaded(body, served, {"message": {"role": "assistant", "content": ""}})
    said = [_spoken(each, f"messages[{n}]") for n, each in enumerate(body.messages)]
    use = ToolUse([each.function.tool() for each in body.tools])
    return _ask(body, served, Messages(said, f"messages[{len(said) - 1}].content", use))


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
    return {"model": model, "created_at": timestamp(datetime.now(UTC))}


def timestamp(moment: datetime) -> str:
    """A time as Ollama writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def _calls(outcome: Outcome) -> JsonObject:
    calls = [{"function": call.record()} for call in outcome.choices[0].calls]
    return {"tool_calls": calls} if calls else {}


def _thinking(text: str) -> dict[str, str]:
    return {"thinking": text} if text else {}


def _nanoseconds(seconds: float) -> int:
    return round(max(0.0, seconds) * 1e9)


def _json_line(value: JsonObject) -> bytes:
    return to_bytes(value) + b"\n"


OLLAMA_CHAT = Protocol("/api/chat", ChatBody, _read_chat, ChatWriter, _LINES)
OLLAMA_GENERATE = Protocol("/api/generate", GenerateBody, _read_generate, GenerateWriter, _LINES)


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
        return None if path is None else _read_info(path)


@functools.cache
def _read_info(path: Path) -> GGUFInfo | None:
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
