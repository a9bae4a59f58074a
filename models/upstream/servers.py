"""What differs by server: where size, context and places stand, and what a request needs beside the usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Asked:
    """One streamed chat completion of one choice.

    Attributes:
        messages: Conversation in the form of chat completions.
        temperature: 0 takes the likeliest token.
        top_p: Share of probability that is kept.
        max_tokens: Tokens of the reply, its thought included.
        seed: Seed of the random numbers, where the server has them.
        stop: Texts before which the reply ends.
        alternatives: Number of likeliest first tokens whose log-probabilities are wanted.
        continues: True if the last message is the assistant's, and the reply goes on with it.
        schema: JSON schema of the reply.
    """

    messages: Sequence[Mapping[str, Any]]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: Sequence[str] = ()
    alternatives: int = 0
    continues: bool = False
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A model behind a server, as the server says and as a few small requests show.

    Attributes:
        server: Name of the kind of server, a key of ``SERVERS``.
        model: Name of the model there.
        parameters: Size; None where nothing tells it.
        context: Tokens of prompt and reply together; None where nothing tells it.
        places: Streams that run side by side.
        logprobs: True if tokens come with their log-probabilities.
        continues: True if a last message of the assistant is gone on with.
        schema: True if a reply keeps to a JSON schema.
        thinks: True if the model thinks although thinking is switched off.
    """

    server: str
    model: str
    parameters: float | None = None
    context: int | None = None
    places: int = 1
    logprobs: bool = False
    continues: bool = False
    schema: bool = False
    thinks: bool = False


class Server:
    """A server with OpenAI's chat completions, of which nothing else is known.

    Attributes:
        unthinking: Fields of a body that switch thinking off.
        continuing: Fields of a body that go on with its last message.
    """

    unthinking: ClassVar[Mapping[str, Any]] = {}
    continuing: ClassVar[Mapping[str, Any]] = {}

    def body(self, asked: Asked, facts: Facts) -> dict[str, Any]:
        """The body of a request; equal ones are equal byte by byte, so that servers reuse their prefix."""
        body: dict[str, Any] = {
            "model": facts.model,
            "messages": [dict(each) for each in asked.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "max_tokens": asked.max_tokens,
            "seed": asked.seed,
            **self.unthinking,
        }
        if asked.stop:
            body["stop"] = list(asked.stop)
        if facts.logprobs:
            # llama-server gives none at all for 0 alternatives.
            body |= {"logprobs": True, "top_logprobs": max(1, asked.alternatives)}
        if asked.continues:
            body |= self.continuing
        if asked.schema is not None:
            named = {"name": "reply", "schema": asked.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


class LlamaServer(Server):
    """llama.cpp's own server."""

    unthinking: ClassVar = {"chat_template_kwargs": {"enable_thinking": False}}


class Ollama(Server):
    """Ollama; it has one place unless ``OLLAMA_NUM_PARALLEL`` says otherwise."""

    unthinking: ClassVar = {"reasoning_effort": "none"}


class LMStudio(Server):
    """LM Studio; it drops ``logprobs`` without a word."""


class VLLM(Server):
    """vLLM, and SGLang, which takes the same fields."""

    unthinking: ClassVar = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
    continuing: ClassVar = {"continue_final_message": True, "add_generation_prompt": False}


class Adascale(Server):
    """A server of ours, of which one plain reply is wanted: no search inside a search."""

    unthinking: ClassVar = {"reasoning_effort": "chat"}


class Hosted(Server):
    """A fallback, perhaps a model that thinks and refuses numbers of a sampler; its own ones hold."""

    def body(self, asked: Asked, facts: Facts) -> dict[str, Any]:
        """The question alone, and the name of a model if there is one."""
        body = super().body(asked, facts)
        kept = "messages", "stream", "response_format", *(("model",) if facts.model else ())
        return {name: body[name] for name in kept if name in body}


SERVERS: Mapping[str, Server] = {
    "llama-server": LlamaServer(),
    "Ollama": Ollama(),
    "LM Studio": LMStudio(),
    "vLLM": VLLM(),
    "SGLang": VLLM(),
    "adascale": Adascale(),
    "hosted": Hosted(),
    "": Server(),
}
"""Servers by the name of their kind; the empty one is any other."""
