"""OpenAI's chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from adascale.engine.tools.tool import Choice
from adascale.engine.types import TokenLogprob

from ..bodies.fields import (
    MAX_MESSAGES,
    Effort,
    Fields,
    OpenTokens,
    Parts,
    Texts,
    text_of,
)
from ..bodies.formats import ChatFormat, schema_of
from ..bodies.tool_fields import (
    EarlierCall,
    FunctionChoice,
    FunctionTools,
)
from ..conversation import ToolUse, calling, conversation_of, returned, spoken
from ..follow import Beginning
from ..outcome import Answer, SearchOutcome
from ..request import CommonFields
from ..wire.http import JsonObject, Refusal
from .openai import MAX_LIKELIEST, ChoicesBody, ChoicesWriter, call_id, text_of_token
from .protocol import Protocol, to_json


class Message(Fields):
    """A message; an earlier answer may come back with all its fields."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    content: Parts = []
    name: str = ""
    tool_calls: Annotated[list[EarlierCall], Field(max_length=MAX_MESSAGES), FailFast()] = []
    tool_call_id: str = ""


class ChatBody(ChoicesBody):
    """Body of a chat completion."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES), FailFast()]
    reasoning_effort: Effort | None = None
    max_completion_tokens: OpenTokens = None
    stop: Annotated[Texts, Field(max_length=4)] = []
    """Texts before which an answer is cut."""
    logprobs: bool = False
    """Give the log-probability of each token of the answer; a stream has them at its end."""
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LIKELIEST)] = 0
    """Number of likeliest alternatives to each token."""
    response_format: ChatFormat | None = None
    tools: FunctionTools = []
    tool_choice: Choice | FunctionChoice | None = None


def _tool_use(body: ChatBody) -> ToolUse:
    tools, choice = [each.function.tool() for each in body.tools], body.tool_choice
    if isinstance(choice, FunctionChoice):
        return ToolUse(tools, forced=choice.function.name, is_parallel=False)
    return ToolUse(tools, choice, is_parallel=body.parallel_tool_calls)


def _spoken(message: Message, place: str) -> JsonObject:
    content = text_of(message.content, f"{place}.content")
    if message.role == "tool":
        return returned(content, message.tool_call_id, message.name)
    if message.tool_calls:
        return calling(content, [call.stated for call in message.tool_calls], f"{place}.tool_calls")
    return spoken(message.role, content)


def _read(body: ChatBody) -> CommonFields:
    if body.stream_options is not None and not body.stream:
        raise Refusal.of_field("stream_options", "is for requests with stream: true")
    if body.top_logprobs and not body.logprobs:
        raise Refusal.of_field("top_logprobs", "is for requests with logprobs: true")
    said = [_spoken(each, f"messages[{n}]") for n, each in enumerate(body.messages)]
    return CommonFields(
        conversation_of(said, f"messages[{len(said) - 1}].content", _tool_use(body)),
        body.reasoning_effort,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        answers=body.n,
        stop=body.stop,
        logprobs=body.top_logprobs if body.logprobs else None,
        schema=schema_of(body.response_format, "response_format"),
    )


class ChatWriter(ChoicesWriter[ChatBody]):
    """Writes a ``chat.completion``, or its chunks."""

    prefix = "chatcmpl"
    kinds = ("chat.completion", "chat.completion.chunk")

    def choice(self, at: int, choice: Answer, reasoning: str) -> JsonObject:
        """A message."""
        message = {
            "role": "assistant",
            "content": None if choice.calls and not choice.content else choice.content,
            "refusal": None,
            **({"tool_calls": self._calls(choice)} if choice.calls else {}),
            **(_reasoning(reasoning) if reasoning else {}),
        }
        logprobs = _logprobs(choice.logprobs)
        return {"index": at, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The role."""
        yield self.chunk(_delta(0, {"role": "assistant", "content": ""}))

    def reason(self, line: str) -> Iterator[bytes]:
        """A chunk with a line of reasoning."""
        yield self.chunk(_delta(0, _reasoning(line)))

    def part(self, at: int, text: str) -> JsonObject:
        """A delta with content; answers after the first come in one delta."""
        return _delta(at, {"role": "assistant", "content": text} if at else {"content": text})

    def ended(self, at: int, choice: Answer) -> JsonObject:
        """The reason, and the log-probabilities."""
        return _delta(at, {}, choice.finish, _logprobs(choice.logprobs))

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The calls, then the end."""
        for at, call in enumerate(self._calls(outcome.choices[0])):
            yield self.chunk(_delta(0, {"tool_calls": [{"index": at, **call}]}))
        yield from super().end(outcome)

    def _calls(self, choice: Answer) -> list[JsonObject]:
        return [
            {
                "id": call_id(self.token, at),
                "type": "function",
                "function": {"name": call.name, "arguments": to_json(call)},
            }
            for at, call in enumerate(choice.calls)
        ]


CHAT = Protocol("/v1/chat/completions", ChatBody, _read, ChatWriter)


def _delta(
    at: int, delta: Mapping[str, Any], finish: str | None = None, logprobs: JsonObject | None = None
) -> JsonObject:
    return {"index": at, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _reasoning(text: str) -> dict[str, str]:
    """Reasoning under both names that clients look for."""
    return {"reasoning_content": text, "reasoning": text}


def _logprobs(logprobs: Sequence[TokenLogprob] | None) -> JsonObject | None:
    """Log-probabilities of the tokens of an answer; None if they were not asked for."""
    if logprobs is None:
        return None
    content = [{**_token(each), "top_logprobs": list(map(_token, each.likeliest))} for each in logprobs]
    return {"content": content, "refusal": None}


def _token(token: TokenLogprob) -> JsonObject:
    return {"token": text_of_token(token), "logprob": token.logprob, "bytes": list(token.piece)}
