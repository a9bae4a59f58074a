"""What a client asks for, whatever protocol it speaks, and the model that it may ask."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from adascale.engine.answers.checkable import asks_for_answer
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.strategies.adaptive import Effort
from adascale.engine.types import Turn

from ..http.errors import Refusal
from ..http.fields import TEXT, FieldType, number, whole, wrong

ServedEffort = Effort | Literal["none", "chat"]
"""How hard to try. With ``none`` one solution is written, token by token, and nothing is searched; with
``chat`` so is a reply that nobody can check, below no built-in prompt."""

EFFORTS: Mapping[str, ServedEffort] = {
    "none": "none",
    "minimal": "none",
    **{effort: effort for effort in get_args(Effort)},
    "xhigh": "max",
    "chat": "chat",
}
"""The clients' names of efforts and ours."""

_MAX_NAME = 200
"""Characters of an unknown model's name that are repeated and compared."""

MAX_SEED = (1 << 63) - 1

IGNORED = ""
"""Key of a body that was read: names of the fields that are not used."""

TOKENS = whole(1, 1 << 24)
"""A limit of tokens."""

SEED = whole(-MAX_SEED, MAX_SEED)


def public_sampling(sampling: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of the sampler's numbers those that the protocols know; unknown is None."""
    return {name: (sampling or {}).get(name) for name in ("temperature", "top_p")}


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What a client asks for.

    Attributes:
        model: As the client named it.
        question: The last message, a user's.
        history: The messages before it.
        effort: How hard to try.
        max_tokens: Generated tokens of the search; None for no limit of the client's own.
        seed: None leaves it to the server.
        is_greedy: Whether the one reply has the likeliest tokens, where nothing is searched.
        answers: Most distinct answers to return.
        stop: Texts before which an answer is cut.
        stream: Whether it is answered in parts while it is searched.
        ignored: Fields of the body that ask for what is not done here.
    """

    model: str
    question: str
    history: tuple[Turn, ...]
    effort: ServedEffort
    max_tokens: int | None = None
    seed: int | None = None
    is_greedy: bool = False
    answers: int = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    ignored: tuple[str, ...] = ()

    @property
    def is_searched(self) -> bool:
        """Whether more than one trajectory may be drawn, so that nothing is certain before the end."""
        return self.effort not in ("none", "chat")


def public_name(model: GeneratorDescription | PRMDescription) -> str:
    """The name of a model; one that is a path goes by its file's name, which says no folder."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: As clients name it.
        sampling: Temperature and the other numbers of its sampler, the same for all requests.
        effort: Effort of a request that names none.
        is_strict: Refuse fields that are not used, in the place of ignoring them.
    """

    name: str
    sampling: Mapping[str, Any]
    effort: ServedEffort
    is_strict: bool = False

    @classmethod
    def of(cls, models: ModelDescription, effort: ServedEffort, is_strict: bool = False) -> Self:
        """The model of an open session."""
        assert models.generator is not None, "only a log of scripted models has no generator"
        return cls(public_name(models.generator), models.sampling or {}, effort, is_strict)

    def names(self) -> list[str]:
        """Every name that a request may give: alone, and with an effort."""
        return [self.name, *(f"{self.name}:{effort}" for effort in dict.fromkeys(EFFORTS.values()))]

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Fields that every protocol has."""
        return {
            "model": self._named,
            "temperature": number(0, 100),
            "top_p": number(0, 1),
            "seed": SEED,
        }

    def effort_for(
        self, message: str, model: str, asked: str | None, field: str, temperature: float | None = None
    ) -> ServedEffort:
        """The effort that the model's name or a field gives; without either it goes by the message.

        Args:
            message: The last one of a conversation.
            model: One of the ``names``.
            asked: One of ``EFFORTS``.
            field: Where ``asked`` was.
            temperature: 0 asks for one greedy reply.

        Raises:
            Refusal: the two differ.
        """
        if (effort := self.effort_of(model, asked, field)) is not None:
            return effort
        if not asks_for_answer(message):
            return "chat"
        return "none" if temperature == 0 else self.effort

    def known(self, body: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
        """The fields of a body that a protocol has, and ``IGNORED``: those of others that ask for something.

        Args:
            body: As it came.
            names: Fields of the protocol.

        Raises:
            Refusal: there is another field, and the server is strict.
        """
        known = {name: value for name, value in body.items() if name in names}
        if self.is_strict and (unknown := body.keys() - known.keys()):
            raise wrong(min(unknown), "is not supported", "unsupported-parameter")
        return {**known, IGNORED: tuple(name for name, value in body.items() if value and name not in names)}

    def sampled(self, request: AnswerRequest, body: Mapping[str, Any]) -> AnswerRequest:
        """A request with what its body says of the sampler: one reply at temperature 0 is greedy.

        Raises:
            Refusal: the body asks for another sampler, and the server is strict.
        """
        is_greedy = body.get("temperature") == 0 and not request.is_searched
        others = [
            name for name in ("temperature", "top_p") if body.get(name) not in (None, self.sampling.get(name))
        ]
        if is_greedy:
            others.remove("temperature")
        if self.is_strict and others:
            name = others[0]
            text = f"is {self.sampling.get(name)} for all requests, since all are drawn in one batch"
            fix = f"leave it out, or start the server with {body[name]:g}, or without strict"
            raise wrong(name, f"{text}: {fix}", "unsupported-value")
        return replace(request, is_greedy=is_greedy, ignored=(*body.get(IGNORED, ()), *others))

    def effort_of(self, model: str, asked: str | None, field: str) -> ServedEffort | None:
        """The effort that the model's name or a field gives, as ``effort_for``."""
        of_name = None if model == self.name else EFFORTS[model.rpartition(":")[2]]
        of_field = None if asked is None else EFFORTS[asked]
        if of_name and of_field and of_name != of_field:
            raise wrong(field, f"is {asked}, and the model's name says {of_name}")
        return of_field or of_name

    @property
    def _named(self) -> FieldType:
        def read(value: Any, name: str) -> str:
            model: str = TEXT.read(value, name)
            base, _, effort = model.rpartition(":")
            if model == self.name or (base == self.name and effort in EFFORTS):
                return model
            asked = model[:_MAX_NAME]
            near = difflib.get_close_matches(asked, self.names(), n=3, cutoff=0.4) or [self.name]
            text = f'the model "{asked}" is not served here; there is {", ".join(near)}'
            raise Refusal(404, text, "model-not-found", name)

        return FieldType({"type": "string", "enum": self.names()}, read)


Fields = Callable[[ServedModel], FieldType]
"""The body of a request to a server of this model."""
