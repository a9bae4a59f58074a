"""OpenAI's chat completions: ``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from adascale.engine.tools.tool import ToolRequest

from ..bodies.body import OpenAIBody
from ..bodies.fields import (
    MAX_MESSAGES,
    Effort,
    Fields,
    Ignored,
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
    Word,
    calling,
    returned,
    spoken,
    tool_request,
)
from ..calls import openai_calls
from ..follow import Beginning
from ..outcome import SearchOutcome, TokenCount
from ..request import AnswerRequest, ServedModel, read_conversation
from ..token_odds import MAX_LIKELIEST, of_chat
from ..wire.http import JsonObject, Refusal, event
from .protocol import Protocol, Writer

MAX_ANSWERS = 16


class Message(Fields):
    """A message; an earlier answer may come back with all its fields."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    content: Parts = []
    name: str = ""
    reasoning_content: Ignored = None
    reasoning: Ignored = None
    annotations: Ignored = None
    refusal: Ignored = None
    tool_calls: Annotated[list[EarlierCall], Field(max_length=MAX_MESSAGES), FailFast()] = []
    tool_call_id: str = ""


class StreamOptions(Fields):
    """Options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatBody(OpenAIBody):
    """Body of a chat completion."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES), FailFast()]
    reasoning_effort: Effort | None = None
    max_completion_tokens: OpenTokens = None
    max_tokens: OpenTokens = None
    n: Annotated[int, Field(ge=1, le=MAX_ANSWERS)] = 1
    """Largest number of distinct answers, likeliest first."""
    stop: Annotated[Texts, Field(max_length=4)] = []
    """Texts before which an answer is cut."""
    stream_options: StreamOptions | None = None
    logprobs: bool = False
    """Give the log-probability of each token of the answer; in a stream with its end."""
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LIKELIEST)] = 0
    """Number of likeliest tokens to name in the place of each."""
    modalities: Annotated[list[Literal["text"]], FailFast()] = ["text"]
    response_format: ChatFormat | None = None
    tools: FunctionTools = []
    tool_choice: Word | FunctionChoice | None = None

    @property
    def request(self) -> ToolRequest | None:
        """The conversation with its tools; None if nothing in it is about tools."""
        said = [_spoken(each, f"messages[{n}]") for n, each in enumerate(self.messages)]
        tools = [{"type": "function", "function": each.function.shown()} for each in self.tools]
        choice, parallel = self.tool_choice, self.parallel_tool_calls
        if isinstance(choice, FunctionChoice):
            return tool_request(said, tools, None, "messages", forced=choice.function.name, is_parallel=False)
        return tool_request(said, tools, choice, "messages", is_parallel=parallel)


def _spoken(message: Message, place: str) -> JsonObject:
    content = text_of(message.content, f"{place}.content")
    if message.role == "tool":
        return returned(content, message.tool_call_id, message.name)
    if message.tool_calls:
        calls = [(each.id, each.function.name, each.function.arguments) for each in message.tool_calls]
        return calling(content, calls, f"{place}.tool_calls")
    return spoken(message.role, content)


def _read(body: ChatBody, served: ServedModel) -> AnswerRequest:
    if body.stream_options is not None and not body.stream:
        raise Refusal.of_field("stream_options", "is for requests with stream: true")
    if body.top_logprobs and not body.logprobs:
        raise Refusal.of_field("top_logprobs", "is for requests with logprobs: true")
    said = [
        (each.role, text_of(each.content, f"messages[{n}].content")) for n, each in enumerate(body.messages)
    ]
    return served.read(
        body,
        body.request or read_conversation(said, "", "messages", len(said) - 1),
        body.reasoning_effort,
        "reasoning_effort",
        max_tokens=body.max_completion_tokens or body.max_tokens,
        answers=body.n,
        stop=body.stop,
        logprobs=body.top_logprobs if body.logprobs else None,
        schema=schema_of(body.response_format, "response_format"),
    )


class ChatWriter(Writer[ChatBody]):
    """Writes a ``chat.completion``, or its chunks."""

    def whole(self, outcome: SearchOutcome, reasoning: str) -> JsonObject:
        """The completion; its first answer has the reasoning."""
        choices = [
            {
                "index": n,
                "message": {
                    "role": "assistant",
                    "content": None if choice.calls and not choice.content else choice.content,
                    "refusal": None,
                    **({"tool_calls": openai_calls(choice.calls, self.token)} if choice.calls else {}),
                    **(_reasoning(reasoning) if n == 0 and reasoning else {}),
                },
                "logprobs": of_chat(choice.odds),
                "finish_reason": choice.finish,
            }
            for n, choice in enumerate(outcome.choices)
        ]
        body = self._object("chat.completion", choices)
        return {**body, "usage": usage_of(outcome.tokens), "adascale": outcome.summary}

    def begin(self, beginning: Beginning) -> Iterator[bytes]:
        """The role."""
        yield event(self._chunk({"role": "assistant", "content": ""}))

    def reason(self, line: str) -> Iterator[bytes]:
        """A chunk with a line of reasoning."""
        yield event(self._chunk(_reasoning(line)))

    def write(self, text: str) -> Iterator[bytes]:
        """A chunk with content."""
        yield event(self._chunk({"content": text}))

    def end(self, outcome: SearchOutcome) -> Iterator[bytes]:
        """The other answers, the reason why each has ended, and the usage."""
        choices = outcome.choices
        for n, choice in enumerate(choices[1:], 1):
            yield event(self._chunk({"role": "assistant", "content": choice.content}, n))
        for at, call in enumerate(openai_calls(choices[0].calls, self.token)):
            yield event(self._chunk({"tool_calls": [{"index": at, **call}]}))
        for n, choice in enumerate(choices):
            chunk = self._chunk({}, n, choice.finish, of_chat(choice.odds))
            yield event({**chunk, "adascale": outcome.summary} if n == 0 else chunk)
        if self._includes_usage:
            yield event({**self._object("chat.completion.chunk", []), "usage": usage_of(outcome.tokens)})
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body())

    @property
    def _includes_usage(self) -> bool:
        return self.body.stream_options is not None and self.body.stream_options.include_usage

    def _chunk(
        self,
        delta: Mapping[str, Any],
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: JsonObject | None = None,
    ) -> JsonObject:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk = self._object("chat.completion.chunk", [choice])
        return {**chunk, "usage": None} if self._includes_usage else chunk

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"chatcmpl-{self.token}",
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": self.request.fingerprint,
            "choices": choices,
        }


CHAT = Protocol("/v1/chat/completions", "OpenAI's chat completions", ChatBody, _read, ChatWriter)


def _reasoning(text: str) -> dict[str, str]:
    """Reasoning under both names that clients look for."""
    return {"reasoning_content": text, "reasoning": text}


def usage_of(tokens: TokenCount) -> JsonObject:
    """Tokens in OpenAI's terms: generated ones that are in no shown answer are reasoning."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.generated,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
