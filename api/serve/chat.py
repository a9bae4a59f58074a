"""OpenAI's chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, Field

from adascale.engine.tools.calls import Choice
from adascale.engine.types import Usage

from .body import (
    Arguments,
    Body,
    Fields,
    Function,
    Named,
    Nothing,
    Parts,
    lifted,
    text_of,
)
from .http import JsonObject, Refusal, event
from .outcome import Completion, Outcome
from .request import Ask, Messages, ServedModel, calling, returned, spoken
from .stream import Protocol, Writer, to_json


class ToolsBody(Body):
    """Fields of a body with tools, in every protocol but Anthropic's."""

    tools: list[Annotated[Function, lifted("function")]] = []
    tool_choice: Annotated[Choice | Named | None, lifted("function")] = None
    parallel_tool_calls: bool = True
    """Allow several calls in one turn."""

    def with_tools(self, said: Sequence[JsonObject]) -> Messages:
        """The messages with the tools."""
        return Messages(
            said, [each.tool() for each in self.tools], self.tool_choice, self.parallel_tool_calls
        )


def _usage(outcome: Outcome) -> JsonObject:
    """Tokens in OpenAI's terms: generated ones that are in no shown answer are reasoning."""
    usage = outcome.usage
    prompt = usage.prompt_tokens + usage.reused_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": prompt + usage.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.reused_tokens},
        "completion_tokens_details": {"reasoning_tokens": outcome.reasoning_tokens},
    }


def call_id(token: str, place: int) -> str:
    """Id of a call, by the token of the answer and its place."""
    return f"call_{token}_{place}"


class EarlierCall(Named):
    """A call of an earlier answer."""

    id: str = ""
    arguments: Arguments = {}


class Message(Fields):
    """A message, here and in Ollama's chat; an earlier answer may come back with all its fields."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    content: Parts = []
    images: Nothing = []
    name: str = Field("", validation_alias=AliasChoices("name", "tool_name"))
    tool_calls: list[Annotated[EarlierCall, lifted("function")]] = []
    tool_call_id: str = ""

    def said(self) -> JsonObject:
        """The message as chat templates read it."""
        content = text_of(self.content)
        if self.role == "tool":
            return returned(content, self.tool_call_id, self.name)
        if self.tool_calls:
            calls = [(each.id, each.name, each.arguments) for each in self.tool_calls]
            return calling(content, calls)
        return spoken(self.role, content)


class MessagesBody(ToolsBody):
    """Fields of a chat, here and in Ollama's."""

    messages: Annotated[list[Message], Field(min_length=1)]

    def asked(self) -> Messages:
        """The conversation."""
        return self.with_tools([each.said() for each in self.messages])


class ChatBody(MessagesBody):
    """Body of a chat completion."""

    n: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of replies; in a search the different answers come first, likeliest first."""
    include_usage: bool = Field(False, validation_alias=AliasPath("stream_options", "include_usage"))
    """The stream ends with a chunk that has the usage."""


def _read(body: ChatBody, served: ServedModel) -> Ask:
    return served.ask(body, body.asked(), body.n)


class ChatWriter(Writer[ChatBody]):
    """Writes a ``chat.completion``, or its chunks, of which the last one is ``[DONE]``."""

    def _choice(self, at: int, choice: Completion, reasoning: str) -> JsonObject:
        """A whole answer."""
        message = {
            "role": "assistant",
            "content": None if choice.calls and not choice.content else choice.content,
            "refusal": None,
            **({"tool_calls": self._calls(choice)} if choice.calls else {}),
            **(_reasoning(reasoning) if reasoning else {}),
        }
        return {"index": at, "message": message, "logprobs": None, "finish_reason": choice.finish}

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The object; its first answer has the reasoning."""
        choices = [self._choice(at, each, "" if at else reasoning) for at, each in enumerate(outcome.choices)]
        found = self._object("chat.completion", choices)
        return {**found, "usage": _usage(outcome), "adascale": outcome.summary}

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The role."""
        yield self._chunk(_delta(0, {"role": "assistant", "content": ""}))

    def reason(self, line: str) -> Iterator[bytes]:
        """A chunk with a line of reasoning."""
        yield self._chunk(_delta(0, _reasoning(line)))

    def write(self, text: str) -> Iterator[bytes]:
        """A chunk with text."""
        yield self._chunk(_delta(0, {"content": text}))

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The calls, the other answers, the reason why each has ended, and the usage."""
        for at, call in enumerate(self._calls(outcome.choices[0])):
            yield self._chunk(_delta(0, {"tool_calls": [{"index": at, **call}]}))
        for at, choice in enumerate(outcome.choices):
            if at:
                yield self._chunk(_delta(at, {"role": "assistant", "content": choice.content}))
        for at, choice in enumerate(outcome.choices):
            ended = _delta(at, {}, choice.finish)
            yield self._chunk(ended, **({} if at else {"adascale": outcome.summary}))
        if self.body.include_usage:
            yield self._chunk(usage=_usage(outcome))
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body())

    def _chunk(self, *choices: JsonObject, **more: Any) -> bytes:
        """A chunk with choices, and with further fields."""
        usage = {"usage": None} if self.body.include_usage else {}
        return event({**self._object("chat.completion.chunk", choices), **usage, **more})

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.token}",
            "object": kind,
            "created": self.created,
            "model": self.ask.model,
            "choices": list(choices),
        }

    def _calls(self, choice: Completion) -> list[JsonObject]:
        return [
            {
                "id": call_id(self.token, at),
                "type": "function",
                "function": {"name": call.name, "arguments": to_json(call)},
            }
            for at, call in enumerate(choice.calls)
        ]


CHAT = Protocol("/v1/chat/completions", ChatBody, _read, ChatWriter)


def _delta(at: int, delta: Mapping[str, Any], finish: str | None = None) -> JsonObject:
    return {"index": at, "delta": delta, "logprobs": None, "finish_reason": finish}


def _reasoning(text: str) -> dict[str, str]:
    """Reasoning under both names that clients look for."""
    return {"reasoning_content": text, "reasoning": text}
