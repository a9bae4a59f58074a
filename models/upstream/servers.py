"""Differences between servers: where size, context and places stand, and fields that a request needs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from adascale.engine.errors import setting

Entry = Mapping[str, Any]
"""A JSON object of a server."""

Get = Callable[[str], Entry]
"""Gets the JSON object of a path; an empty one where there is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One streamed chat completion of one choice.

    Attributes:
        messages: Conversation in the form of chat completions.
        temperature: 0 takes the likeliest token.
        top_p: Share of probability that is kept.
        max_tokens: Tokens of the reply, its thought included.
        seed: Seed of the random numbers, where the server has them.
        alternatives: Number of likeliest first tokens whose log-probabilities are wanted.
        continues: True if the last message is the assistant's, and the reply goes on with it.
        schema: JSON schema of the reply.
        sampler: Further numbers of the sampler, named as in ``SamplingChange``; a server gets those it takes.
        seconds: Time for the whole reply; infinite where the limits of silence are enough.
    """

    messages: Sequence[Mapping[str, Any]]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    alternatives: int = 0
    continues: bool = False
    schema: Mapping[str, Any] | None = None
    sampler: Mapping[str, float] = field(default_factory=dict)
    seconds: float = math.inf


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


_GOING_ON: Mapping[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}


class Server:
    """A server with OpenAI's chat completions, of which nothing else is known.

    Attributes:
        unthinking: Fields of a body that switch thinking off.
        continuing: Fields of a body that go on with its last message.
        sampler: Fields of a body that take further numbers of the sampler, by our names for them.
        places: Streams that run side by side, where the server does not say how many.
        more_places: Advice to a user who wants more of them.
    """

    unthinking: ClassVar[Mapping[str, Any]] = {}
    continuing: ClassVar[Mapping[str, Any]] = {}
    sampler: ClassVar[Mapping[str, str]] = {
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
    }
    places: ClassVar = 4
    more_places: ClassVar = ""

    def body(self, asked: Asked, facts: Facts) -> dict[str, Any]:
        """The body of a request; equal ones are equal byte by byte, so that servers reuse their prefix."""
        body: dict[str, Any] = {
            "model": facts.model,
            "messages": [dict(each) for each in asked.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            # vLLM refuses more than its whole context.
            "max_tokens": min(asked.max_tokens, facts.context or asked.max_tokens),
            "seed": asked.seed,
            **self.unthinking,
        }
        body |= {name: asked.sampler[own] for own, name in self.sampler.items() if own in asked.sampler}
        if facts.logprobs:
            # llama-server gives none at all for 0 alternatives.
            body |= {"logprobs": True, "top_logprobs": max(1, asked.alternatives)}
        if asked.continues:
            body |= self.continuing
        if asked.schema is not None:
            named = {"name": "reply", "schema": asked.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def known(self, entry: Entry, get: Get) -> dict[str, Any]:
        """Size, context and places, as far as the server says them.

        Args:
            entry: The model in the server's list of models.
            get: JSON of a path of the server; an empty object where there is none.
        """
        # vLLM and SGLang have the first name, OpenRouter the second one.
        return {"context": entry.get("max_model_len") or entry.get("context_length")}


class LlamaServer(Server):
    """llama.cpp's own server."""

    unthinking: ClassVar = {"chat_template_kwargs": {"enable_thinking": False}}
    continuing: ClassVar = _GOING_ON  # without it, its reply begins with the message that goes on
    sampler: ClassVar = {
        **Server.sampler,
        "top_k": "top_k",
        "min_p": "min_p",
        "repeat_penalty": "repeat_penalty",
    }
    places: ClassVar = 1
    more_places: ClassVar = "llama-server --parallel 8"

    def known(self, entry: Entry, get: Get) -> dict[str, Any]:
        """A slot is a place, with a context of its own."""
        props = get("/props")
        return {
            "parameters": inner(entry, "meta").get("n_params"),
            "context": inner(props, "default_generation_settings").get("n_ctx"),
            "places": props.get("total_slots"),
        }


class Ollama(Server):
    """Ollama, which has one place unless it was started otherwise, and does not say so."""

    unthinking: ClassVar = {"reasoning_effort": "none"}
    places: ClassVar = 1
    more_places: ClassVar = f"OLLAMA_NUM_PARALLEL=8 ollama serve, and {setting('width', 8)} here"

    def known(self, entry: Entry, get: Get) -> dict[str, Any]:
        """The context is that of the model as it is loaded; what is longer would be cut in silence."""
        loaded = _named(get("/api/ps"), "name", entry)
        size = inner(_named(get("/api/tags"), "name", entry), "details").get("parameter_size")
        return {"parameters": size, "context": loaded.get("context_length")}


class LMStudio(Server):
    """LM Studio, which drops ``logprobs`` without a word, and has no field that switches thinking off."""

    sampler: ClassVar = {**Server.sampler, "top_k": "top_k", "repeat_penalty": "repeat_penalty"}
    more_places: ClassVar = 'a larger number of "Max Concurrent Predictions" where the model is loaded'

    def known(self, entry: Entry, get: Get) -> dict[str, Any]:
        """A model that is loaded has instances, each with its own numbers."""
        found = _named(get("/api/v1/models"), "key", entry)
        config = inner(next(iter(listed(found, "loaded_instances")), {}), "config")
        context, places = config.get("context_length"), config.get("parallel")
        return {"parameters": found.get("params_string"), "context": context, "places": places}


class VLLM(Server):
    """vLLM, and SGLang, which takes the same fields; they have more places than a search needs."""

    unthinking: ClassVar = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
    continuing: ClassVar = _GOING_ON
    # Else the generation_config of a model holds, often with a penalty for what is repeated.
    sampler: ClassVar = {**LlamaServer.sampler, "repeat_penalty": "repetition_penalty"}
    places: ClassVar = 64


class Adascale(Ollama):
    """A server of ours, of which one plain reply is wanted: no search inside a search."""

    unthinking: ClassVar = {"reasoning_effort": "chat"}
    places: ClassVar = 8


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

_OWNERS = {"llamacpp": "llama-server", "vllm": "vLLM", "sglang": "SGLang", "adascale": "adascale"}
"""Kinds of server by the owner that they name for each model."""


def recognised(models: Sequence[Entry], get: Get) -> str:
    """The kind of a server, by its list of models and by paths that no other server has."""
    for entry in models:
        if kind := _OWNERS.get(str(entry.get("owned_by"))):
            return kind
    if listed(get("/api/v1/models"), "models"):
        return "LM Studio"
    return "Ollama" if listed(get("/api/tags"), "models") else ""


def parameters_of(text: str) -> float | None:
    """The size in a text such as ``4B``, ``494.03M`` or ``qwen2.5-1.5b-instruct``; None without one.

    Of a mixture of experts (``30B-A3B``) it is the geometric mean of all parameters and the active ones.
    """
    if not (
        found := re.search(r"(?<![\w.])(\d+(?:\.\d+)?)([bm])(?:-a(\d+(?:\.\d+)?)b)?(?![^\W_])", text, re.I)
    ):
        return None
    size, unit, active = found.groups()
    billions = float(size) * (1.0 if unit in "bB" else 1e-3)
    return round(1e9 * math.sqrt(billions * float(active or billions))) or None


def _named(body: Entry, name: str, entry: Entry) -> Entry:
    """The model of a list that is called as that of another list, perhaps with Ollama's usual tag."""
    called = entry.get("id"), f"{entry.get('id')}:latest"
    return next((each for each in listed(body, "models") if each.get(name) in called), {})


def inner(value: Entry, name: str) -> Entry:
    """The object in a field; an empty one where there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def listed(value: Entry, name: str) -> list[Entry]:
    """The objects of a list in a field."""
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
