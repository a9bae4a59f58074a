"""Servers as a table: how each is recognised, its numbers and places, and the fields that it takes."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..options import SamplingParams

Entry = Mapping[str, Any]
"""A JSON object of a server."""

Get = Callable[[str], Entry]
"""Gets the JSON object of a path; an empty one if there is none."""

_PENALTIES = "presence_penalty", "frequency_penalty"
"""Numbers of a sampler that every server takes."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server with OpenAI's chat completions, and its model; the defaults suit an unknown one.

    Attributes:
        name: Name for users.
        owner: Owner that it gives its models; without one its first page identifies it.
        pages: Pages with more facts about a model than the list.
        places: Streams that run side by side, if it does not report the number.
        more_places: Advice to a user who wants more of them.
        logprobs: It gives log-probabilities.
        continues: It can continue a message.
        unthinking: Fields of a body that switch thinking off.
        continuing: Fields of a body that continue its last message.
        filters: Further numbers of the sampler that it takes.
        spelled: Its names of fields that it names otherwise, by the usual name.
        model: Name of the model there.
        parameters: Size of the model; None if unknown.
        context: Tokens of prompt and reply together; None if unknown.
    """

    name: str = ""
    owner: str = ""
    pages: Sequence[str] = ()
    places: int = 4
    more_places: str = ""
    logprobs: bool = True
    continues: bool = False
    unthinking: Entry = field(default_factory=dict)
    continuing: Entry = field(default_factory=dict)
    filters: Sequence[str] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    parameters: float | None = None
    context: int | None = None

    def body(
        self,
        messages: Sequence[Mapping[str, Any]],
        sampler: SamplingParams,
        seed: int = 0,
        alternatives: int = 1,
        schema: Entry | None = None,
    ) -> dict[str, Any]:
        """The body of a request; equal ones are equal byte by byte, so that servers reuse their prefix.

        Args:
            messages: Conversation; a last message of the assistant is gone on with.
            sampler: The sampler; a server gets the numbers that it takes.
            seed: Seed of the random numbers, if the server has them.
            alternatives: Number of likeliest tokens whose log-probabilities are requested.
            schema: JSON schema of the reply.
        """
        numbers = asdict(sampler)
        return {
            **plain_body(self.model, messages, schema),
            "stream_options": {"include_usage": True},
            "temperature": sampler.temperature,
            "top_p": sampler.top_p,
            # vLLM refuses more than its whole context.
            "max_tokens": min(sampler.max_tokens, self.context or sampler.max_tokens),
            "seed": seed,
            **self.unthinking,
            **(self.continuing if messages[-1]["role"] == "assistant" else {}),
            **{self.spelled.get(name, name): numbers[name] for name in (*self.filters, *_PENALTIES)},
            # llama-server gives none at all for 0 alternatives.
            **({"logprobs": True, "top_logprobs": alternatives} if self.logprobs else {}),
        }


SERVERS: Sequence[Server] = [
    Server(name, **numbers)
    for name, numbers in tomllib.loads(Path(__file__).with_name("servers.toml").read_text("utf-8")).items()
]
"""Known servers, in the order of recognition."""


def plain_body(
    model: str, messages: Sequence[Mapping[str, Any]], schema: Entry | None = None
) -> dict[str, Any]:
    """The body of a request to any server: its own sampler holds, and it may think."""
    body: dict[str, Any] = {"model": model} if model else {}
    body |= {"messages": list(messages), "stream": True}
    if schema is not None:
        response_format = {"name": "reply", "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": response_format}
    return body


def recognised(models: Sequence[Entry], get: Get) -> Server:
    """The kind of a server, by its list of models or by a page that no other server has."""
    owners = [entry.get("owned_by") for entry in models]

    def is_it(server: Server) -> bool:
        return server.owner in owners if server.owner else bool(listed(get(server.pages[0]), "models"))

    return next(filter(is_it, SERVERS), Server())


def described(entry: Entry, pages: Sequence[str], get: Get) -> Entry:
    """The entry of a model in a list of models, with the facts about it or its server on further pages."""
    names = entry["id"], f"{entry['id']}:latest"  # Ollama's usual tag
    for page in map(get, pages):
        models = listed(page, "models")
        entries = (each for each in models if each.get("name", each.get("key")) in names)
        entry = {**entry, **(next(entries, {}) if models else page)}
    return entry


def parameters_of(text: str) -> float | None:
    """The size in a text such as ``4B``, ``494.03M`` or ``qwen2.5-1.5b-instruct``; None without one.

    Of a mixture of experts (``30B-A3B``) it is the geometric mean of all parameters and the active ones.
    """
    size = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)([bm])(?:-a(\d+(?:\.\d+)?)b)?(?![^\W_])", text, re.I)
    if size is None:
        return None
    billions = float(size[1]) * (1.0 if size[2] in "bB" else 1e-3)
    return round(1e9 * math.sqrt(billions * float(size[3] or billions))) or None


def at(value: Any, path: str) -> Any:
    """The value at a path of names in JSON, by the first item of each list; None if there is none."""
    for name in path.split("."):
        if isinstance(value, list) and value:
            value = value[0]
        value = value.get(name) if isinstance(value, dict) else None
    return value


def listed(value: Any, path: str) -> list[Entry]:
    """The objects of the list at a path."""
    items = at(value, path)
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
