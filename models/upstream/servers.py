"""Servers as a table: how each is recognised, its numbers and places, and the fields that it takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
        seed: Seed of the random numbers, if the server has them.
        alternatives: Number of likeliest first tokens whose log-probabilities are wanted.
        continues: True if the last message is the assistant's, and the reply goes on with it.
        schema: JSON schema of the reply.
        sampler: Numbers of the sampler, named as in ``SamplingParams``; a server gets those that it takes.
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


@dataclass(frozen=True, slots=True)
class Facts:
    """A model behind a server, as the server says and as a few small requests show.

    Attributes:
        server: Name of the kind of server, a key of ``SERVERS``.
        model: Name of the model there.
        parameters: Size; None if nothing tells it.
        context: Tokens of prompt and reply together; None if nothing tells it.
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


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server with OpenAI's chat completions; the defaults are those of an unknown one.

    A number of a model stands in its entry of the list of models, or on another page: ``/page a.b``. On a
    page of many models it is that of the model, in another list that of the first one.

    Attributes:
        name: Name for users.
        owner: Owner that it names for each model.
        page: Page with a list of models that no other server has.
        parameters: Field of the size.
        context: Field of the tokens of prompt and reply together.
        slots: Field of the number of streams that run side by side.
        places: That number if the server does not say it.
        more_places: Advice to a user who wants more of them.
        unthinking: Fields of a body that switch thinking off.
        continuing: Fields of a body that go on with its last message.
        filters: Fields of a body that take further numbers of the sampler, by our names for them.
        is_plain: True if it gets the question alone: its own sampler holds, and it may think.
    """

    name: str = ""
    owner: str = ""
    page: str = ""
    parameters: str = ""
    context: str = "max_model_len"  # of vLLM and SGLang
    slots: str = ""
    places: int = 4
    more_places: str = ""
    unthinking: Entry = field(default_factory=dict)
    continuing: Entry = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    is_plain: bool = False

    def body(self, asked: Asked, facts: Facts) -> dict[str, Any]:
        """The body of a request; equal ones are equal byte by byte, so that servers reuse their prefix."""
        body: dict[str, Any] = {"model": facts.model} if facts.model else {}
        body |= {"messages": list(asked.messages), "stream": True}
        if asked.schema is not None:
            named = {"name": "reply", "schema": asked.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if self.is_plain:
            return body
        body |= {
            "stream_options": {"include_usage": True},
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            # vLLM refuses more than its whole context.
            "max_tokens": min(asked.max_tokens, facts.context or asked.max_tokens),
            "seed": asked.seed,
            **self.unthinking,
            **(self.continuing if asked.continues else {}),
        }
        body |= {name: asked.sampler[own] for own, name in self.filters.items() if own in asked.sampler}
        body |= {name: value for name in _PENALTIES if (value := asked.sampler.get(name))}
        if facts.logprobs:
            # llama-server gives none at all for 0 alternatives.
            body |= {"logprobs": True, "top_logprobs": max(1, asked.alternatives)}
        return body


_PENALTIES = "presence_penalty", "frequency_penalty"
"""Numbers of a sampler that every server takes."""

_UNTHINKING = {"enable_thinking": False}
_GOING_ON = {"continue_final_message": True, "add_generation_prompt": False}
_FILTERS = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"}
_CHAT = {"reasoning_effort": "chat"}  # one plain reply of ours: no search inside a search
_LM_STUDIO, _SLOT = "/api/v1/models", "loaded_instances.config"

_LLAMA_SERVER = Server(
    "llama-server",
    "llamacpp",
    parameters="meta.n_params",
    context="/props default_generation_settings.n_ctx",  # of each slot
    slots="/props total_slots",
    places=1,
    more_places="llama-server --parallel 8",
    unthinking={"chat_template_kwargs": _UNTHINKING},
    continuing=_GOING_ON,  # without it, its reply begins with the message that goes on
    filters=_FILTERS,
)
_VLLM = Server(
    "vLLM",
    "vllm",
    places=64,  # more than a search needs
    unthinking={"chat_template_kwargs": {**_UNTHINKING, "thinking": False}},
    continuing=_GOING_ON,
    # Else the generation_config of a model holds, often with a penalty for what is repeated.
    filters={**_FILTERS, "repeat_penalty": "repetition_penalty"},
)
_OLLAMA = Server(
    "Ollama",
    page="/api/tags",
    parameters="/api/tags details.parameter_size",
    context="/api/ps context_length",  # of the model as it is loaded; what is longer is cut in silence
    places=1,  # unless it was started otherwise, which it does not say
    more_places=f"OLLAMA_NUM_PARALLEL=8 ollama serve, and {setting('width', 8)} here",
    unthinking={"reasoning_effort": "none"},
)
SERVERS: Mapping[str, Server] = {
    each.name: each
    for each in (
        _LLAMA_SERVER,
        _VLLM,
        replace(_VLLM, name="SGLang", owner="sglang"),
        replace(_OLLAMA, name="adascale", owner="adascale", page="", places=8, unthinking=_CHAT),
        Server(
            "LM Studio",  # which has no field that switches thinking off
            page=_LM_STUDIO,
            parameters=f"{_LM_STUDIO} params_string",
            context=f"{_LM_STUDIO} {_SLOT}.context_length",
            slots=f"{_LM_STUDIO} {_SLOT}.parallel",
            more_places='a larger number of "Max Concurrent Predictions" where the model is loaded',
            filters={name: name for name in ("top_k", "repeat_penalty")},
        ),
        _OLLAMA,  # behind LM Studio, which answers its page too
        Server("hosted", is_plain=True),  # a fallback
        Server(),
    )
}
"""Servers by their name, in the order in which they are recognised; the empty one is any other."""


def recognised(models: Sequence[Entry], get: Get) -> Server:
    """The kind of a server, by its list of models and by pages that no other server has."""
    owners = [entry.get("owned_by") for entry in models]
    by_owner = (each for each in SERVERS.values() if each.owner and each.owner in owners)
    by_page = (each for each in SERVERS.values() if each.page and listed(get(each.page), "models"))
    return next(by_owner, None) or next(by_page, SERVERS[""])


def told(fields: str, entry: Entry, get: Get) -> object:
    """The value in fields of a ``Server``; None if there is none.

    Args:
        fields: The page and the fields.
        entry: The model in the server's list of models.
        get: JSON of a page.
    """
    page, _, path = fields.rpartition(" ")
    value: Any = entry
    if page:
        value, called = get(page), (entry["id"], f"{entry['id']}:latest")  # Ollama's usual tag
        if models := listed(value, "models"):
            value = next((each for each in models if each.get("name", each.get("key")) in called), None)
    for name in path.split("."):
        if isinstance(value, list) and value:
            value = value[0]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def parameters_of(text: str) -> float | None:
    """The size in a text such as ``4B``, ``494.03M`` or ``qwen2.5-1.5b-instruct``; None without one.

    Of a mixture of experts (``30B-A3B``) it is the geometric mean of all parameters and the active ones.
    """
    size = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)([bm])(?:-a(\d+(?:\.\d+)?)b)?(?![^\W_])", text, re.I)
    if size is None:
        return None
    billions = float(size[1]) * (1.0 if size[2] in "bB" else 1e-3)
    return round(1e9 * math.sqrt(billions * float(size[3] or billions))) or None


def inner(value: Entry, name: str) -> Entry:
    """The object in a field; an empty one if there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def listed(value: Entry, name: str) -> list[Entry]:
    """The objects of a list in a field."""
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
