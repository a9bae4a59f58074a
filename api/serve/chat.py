"""A body of ``POST /v1/chat/completions`` as what is to be searched, and how its answer is written."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from adascale.engine.search.events import ModelDescription
from adascale.engine.strategies.adaptive import Effort
from adascale.engine.types import Role, Turn

from .errors import Refusal
from .fields import Fields, wrong

ServedEffort = Effort | Literal["none"]
"""How hard to try; with ``none`` one solution is written, token by token, and nothing is searched."""

EFFORTS: Mapping[str, ServedEffort] = {
    "none": "none",
    "minimal": "none",
    **{effort: effort for effort in get_args(Effort)},
    "xhigh": "max",
}
"""OpenAI's names of efforts and ours."""

MAX_ANSWERS = 16
_MAX_TOKENS = 1 << 24
_MAX_SEED = (1 << 63) - 1
_MAX_STOPS = 4
_MAX_MESSAGES = 512

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}

_READ = frozenset(
    {
        "model",
        "messages",
        "reasoning_effort",
        "max_completion_tokens",
        "max_tokens",
        "seed",
        "n",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
    }
)
_WITHOUT_EFFECT = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key"})
"""Fields that say something about a request and ask for nothing."""

_EMPTY_IN_MESSAGE = ("annotations", "refusal", "tool_calls")
_OF_MESSAGE = frozenset({"role", "content", "name", "reasoning_content", "reasoning", *_EMPTY_IN_MESSAGE})
"""Fields of a message; clients send an answer back with all that it had."""

_ONLY: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tools": ([],),
    "tool_choice": ("auto", "none"),
}
"""Values that ask for what happens anyway; other ones are refused."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: As clients name it.
        sampling: Temperature and the other numbers of its sampler, the same for all requests.
        effort: Where a request names none.
    """

    name: str
    sampling: Mapping[str, Any]
    effort: ServedEffort

    @classmethod
    def of(cls, models: ModelDescription, effort: ServedEffort) -> Self:
        """The model of an open session; one that is a path goes by its file's name, which says no folder."""
        generator = models.generator
        assert generator is not None, "only a log of scripted models has no generator"
        is_path = generator.name.endswith(".gguf")
        name = generator.file.removesuffix(".gguf") if is_path else generator.name
        return cls(name, models.sampling or {}, effort)

    def names(self) -> list[str]:
        """Every name that a request may give: alone, and with an effort."""
        return [self.name, *(f"{self.name}:{effort}" for effort in dict.fromkeys(EFFORTS.values()))]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for.

    Attributes:
        model: As the client named it.
        question: The last user message.
        history: The messages before it.
        effort: How hard to try.
        max_tokens: Generated tokens of the search; None for no limit of the client's own.
        seed: None leaves it to the server.
        answers: Most distinct answers to return.
        stop: Texts before which an answer is cut.
        stream: Whether chunks are sent while it is searched.
        include_usage: Whether the last chunk has the usage.
    """

    model: str
    question: str
    history: tuple[Turn, ...]
    effort: ServedEffort
    max_tokens: int | None
    seed: int | None
    answers: int
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


def read_chat(body: Mapping[str, Any], served: ServedModel) -> ChatRequest:
    """The request of a body.

    Raises:
        Refusal: a field is wrong, or asks for something that is not done here.
    """
    fields = Fields(body)
    fields.refuse_others(_READ | _WITHOUT_EFFECT | _ONLY.keys())
    _check_fixed(fields, served)
    model = fields.text("model") or served.name
    *history, question = _turns(fields)
    stream = fields.flag("stream")
    options = fields.object("stream_options")
    options.refuse_others({"include_usage", "include_obfuscation"})
    if "stream_options" in fields and not stream:
        raise wrong("stream_options", "is for requests with stream: true")
    tokens = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    return ChatRequest(
        model=model,
        question=question.content,
        history=tuple(history),
        effort=_effort(fields, model, served),
        max_tokens=fields.whole(tokens, 1, _MAX_TOKENS),
        seed=fields.whole("seed", -_MAX_SEED, _MAX_SEED),
        answers=fields.whole("n", 1, MAX_ANSWERS) or 1,
        stop=tuple(fields.texts("stop", _MAX_STOPS)),
        stream=stream,
        include_usage=options.flag("include_usage"),
    )


def _check_fixed(fields: Fields, served: ServedModel) -> None:
    """Refuse values of what cannot be chosen: it is the same for all requests, or not done at all."""
    for name, values in _ONLY.items():
        if name in fields and fields.raw(name) not in values:
            raise wrong(name, "is not supported", "unsupported-parameter")
    for name in ("temperature", "top_p"):
        value, fixed = fields.number(name), served.sampling.get(name)
        if value is not None and value != fixed:
            raise wrong(
                name,
                f"is {fixed} for all requests, since all are drawn in one batch: leave it out, or start the "
                f"server with {value}",
                "unsupported-value",
            )


def _effort(fields: Fields, model: str, served: ServedModel) -> ServedEffort:
    """The effort that the model's name or ``reasoning_effort`` gives."""
    name, _, suffix = model.rpartition(":")
    of_name = EFFORTS.get(suffix) if name == served.name else None
    if model != served.name and of_name is None:
        near = difflib.get_close_matches(model, served.names(), n=3, cutoff=0.4) or [served.name]
        text = f'the model "{model}" is not served here; there is {", ".join(near)}'
        raise Refusal(404, text, "model-not-found", "model")
    asked = fields.text("reasoning_effort")
    if asked is not None and asked not in EFFORTS:
        raise wrong("reasoning_effort", f"has to be one of {', '.join(EFFORTS)}")
    of_field = EFFORTS[asked] if asked is not None else None
    if of_name and of_field and of_name != of_field:
        raise wrong("reasoning_effort", f"is {asked}, and the model's name says {suffix}")
    return of_field or of_name or served.effort


def _turns(fields: Fields) -> list[Turn]:
    """All messages; the last one is the question."""
    messages = fields.objects("messages")
    if not messages:
        raise wrong("messages", "has to hold at least one message")
    if len(messages) > _MAX_MESSAGES:
        raise wrong("messages", f"has to hold at most {_MAX_MESSAGES} messages")
    turns = [_turn(message) for message in messages]
    if turns[-1].role != "user":
        raise wrong("messages", "the last one has to be the user's: it is the question")
    if not turns[-1].content.strip():
        raise wrong(f"messages[{len(turns) - 1}].content", "is empty", "empty-question")
    return turns


def _turn(message: Fields) -> Turn:
    role = message.text("role") or ""
    if role not in _ROLES:
        raise wrong(message.name("role"), f"has to be one of {', '.join(_ROLES)}")
    message.refuse_others(_OF_MESSAGE)
    for name in _EMPTY_IN_MESSAGE:
        if message.raw(name):
            raise wrong(message.name(name), "is not supported", "unsupported-parameter")
    return Turn(_ROLES[role], _content(message))


def _content(message: Fields) -> str:
    """A message's text: a string, or parts of type ``text``."""
    if not isinstance(message.raw("content"), list):
        return message.text("content") or ""
    texts = []
    for part in message.objects("content"):
        kind = part.text("type")
        if kind != "text":
            raise wrong(part.name("type"), "only text can be read", "unsupported-content")
        texts.append(part.text("text") or "")
    return "\n".join(texts)
