"""OpenAI's chat completions (``POST /v1/chat/completions``), and completions of texts as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field

from adascale.engine.tools.calls import Choice
from adascale.engine.types import TokenLogprob, Usage

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

MAX_LIKELIEST = 20
"""Largest number of alternatives to each token."""


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


class ChoicesBody(Body):
    """Fields of a body whose answer is a list of choices."""

    n: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of replies; in a search the different answers come first, likeliest first."""
    include_usage: bool = Field(False, validation_alias=AliasPath("stream_options", "include_usage"))
    """The stream ends with a chunk that has the usage."""


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

    messages: list[Message] = []

    def asked(self) -> Messages:
        """The conversation."""
        return self.with_tools([each.said() for each in self.messages])


class ChatBody(ChoicesBody, MessagesBody):
    """Body of a chat completion."""

    messages: Annotated[list[Message], Field(min_length=1)]
    logprobs: bool = False
    """Give the log-probability of each token of the answer; a stream has them at its end."""
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LIKELIEST)] = 0
    """Number of likeliest alternatives to each token."""


def _read(body: ChatBody, served: ServedModel) -> Ask:
    return served.ask(body, body.asked(), body.n, body.top_logprobs if body.logprobs else None)


class ChatWriter(Writer[ChoicesBody]):
    """Writes a ``chat.completion``, or its chunks, of which the last one is ``[DONE]``.

    Attributes:
        prefix: Beginning of the object's id.
        kinds: Names of the object, and of a chunk.
    """

    prefix = "chatcmpl"
    kinds = ("chat.completion", "chat.completion.chunk")

    def choice(self, at: int, choice: Completion, reasoning: str) -> JsonObject:
        """A whole answer."""
        message = {
            "role": "assistant",
            "content": None if choice.calls and not choice.content else choice.content,
            "refusal": None,
            **({"tool_calls": self._calls(choice)} if choice.calls else {}),
            **(_reasoning(reasoning) if reasoning else {}),
        }
        logprobs = _logprobs(choice.logprobs)
        return {"index": at, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}

    def part(self, at: int, text: str) -> JsonObject:
        """A piece of an answer; answers after the first come in one piece."""
        return _delta(at, {"role": "assistant", "content": text} if at else {"content": text})

    def ended(self, at: int, choice: Completion) -> JsonObject:
        """The end of an answer: the reason, and the log-probabilities."""
        return _delta(at, {}, choice.finish, _logprobs(choice.logprobs))

    def whole(self, outcome: Outcome, reasoning: str) -> JsonObject:
        """The object; its first answer has the reasoning."""
        choices = [self.choice(at, each, "" if at else reasoning) for at, each in enumerate(outcome.choices)]
        found = self._object(self.kinds[0], choices)
        return {**found, "usage": _usage(outcome), "adascale": outcome.summary}

    def begin(self, prompt: Usage) -> Iterator[bytes]:
        """The role."""
        yield self._chunk(_delta(0, {"role": "assistant", "content": ""}))

    def reason(self, line: str) -> Iterator[bytes]:
        """A chunk with a line of reasoning."""
        yield self._chunk(_delta(0, _reasoning(line)))

    def write(self, text: str) -> Iterator[bytes]:
        """A chunk with text."""
        yield self._chunk(self.part(0, text))

    def end(self, outcome: Outcome) -> Iterator[bytes]:
        """The calls, the other answers, the reason why each has ended, and the usage."""
        for at, call in enumerate(self._calls(outcome.choices[0])):
            yield self._chunk(_delta(0, {"tool_calls": [{"index": at, **call}]}))
        for at, choice in enumerate(outcome.choices):
            if at:
                yield self._chunk(self.part(at, choice.content))
        for at, choice in enumerate(outcome.choices):
            yield self._chunk(self.ended(at, choice), **({} if at else {"adascale": outcome.summary}))
        if self.body.include_usage:
            yield self._chunk(usage=_usage(outcome))
        yield b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> Iterator[bytes]:
        """The error object."""
        yield event(refusal.body())

    def _chunk(self, *choices: JsonObject, **more: Any) -> bytes:
        """A chunk with choices, and with further fields."""
        usage = {"usage": None} if self.body.include_usage else {}
        return event({**self._object(self.kinds[1], choices), **usage, **more})

    def _object(self, kind: str, choices: Sequence[JsonObject]) -> JsonObject:
        return {
            "id": f"{self.prefix}-{self.token}",
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
    text = bytes(token.piece).decode("utf-8", "replace")  # half a character becomes a replacement character
    return {"token": text, "logprob": token.logprob, "bytes": list(token.piece)}


def _only_text(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


class CompletionBody(ChoicesBody):
    """Body of a completion."""

    prompt: Annotated[str, Field(min_length=1), BeforeValidator(_only_text)]
    """The text to continue, without a chat template; special tokens in it are parsed."""


def _read_completion(body: CompletionBody, served: ServedModel) -> Ask:
    return served.ask(body, body.prompt, body.n)


class CompletionWriter(ChatWriter):
    """Writes a ``text_completion``, or its parts; the first one has text, and nothing is reasoned."""

    prefix = "cmpl"
    kinds = ("text_completion", "text_completion")
    begin = Writer.begin

    def choice(self, at: int, choice: Completion, reasoning: str) -> JsonObject:
        """A whole text."""
        return {**self.ended(at, choice), "text": choice.content}

    def part(self, at: int, text: str) -> JsonObject:
        """A piece of a text."""
        return {"index": at, "text": text, "logprobs": None, "finish_reason": None}

    def ended(self, at: int, choice: Completion) -> JsonObject:
        """The end of a text."""
        return {**self.part(at, ""), "finish_reason": choice.finish}


COMPLETIONS = Protocol("/v1/completions", CompletionBody, _read_completion, CompletionWriter)
