"""The model that a server has: its names, its efforts, and what a request of a client asks of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.strategies import Effort, Greedy
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import Budget

from .bodies.body import Body
from .bodies.fields import Fields
from .request import AnswerRequest, Asked, Manner, ServedEffort
from .wire.http import Refusal

EFFORTS: Mapping[str, ServedEffort] = {
    "none": "none",
    "minimal": "none",
    **{effort: effort for effort in get_args(Effort)},
    "xhigh": "max",
    "chat": "chat",
}
"""Our effort for each name that clients use."""

_MAX_NAME = 200
"""Characters of an unknown model's name that are repeated and compared."""


def public_name(model: GeneratorDescription | PRMDescription) -> str:
    """The name of a model; a path becomes the name of its file, which tells no folder."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name


def public_sampling(sampling: Mapping[str, Any] | None) -> dict[str, Any]:
    """The numbers of a sampler that the protocols know; an unknown one is None."""
    return {name: (sampling or {}).get(name) for name in ("temperature", "top_p")}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: Name for clients.
        sha256: Digest of its file.
        window: Tokens of a conversation.
        sampling: Temperature and the other numbers of its sampler, the same for all requests.
        effort: Effort of a checkable question that names none.
        is_strict: Refuse fields without effect instead of ignoring them.
    """

    name: str
    sha256: str
    window: int
    sampling: Mapping[str, Any]
    effort: ServedEffort
    is_strict: bool = False

    @classmethod
    def of(cls, models: ModelDescription, effort: ServedEffort, is_strict: bool = False) -> Self:
        """The model of an open session."""
        generator = models.generator
        assert generator is not None, "only a log of scripted models has no generator"
        sampling = models.sampling or {}
        name = public_name(generator)
        return cls(name, generator.sha256, generator.n_ctx, sampling, effort, is_strict)

    def names(self) -> list[str]:
        """Every name that a request may give: alone, and with an effort."""
        return [self.name, *(f"{self.name}:{effort}" for effort in dict.fromkeys(EFFORTS.values()))]

    def request(self, body: Body, asked: Asked) -> AnswerRequest:
        """The request of a body, of which its protocol has read ``asked``.

        Raises:
            Refusal: another model is asked for, or its name and the effort differ, or a field has no effect
                and the server is strict.
        """
        effort = self.effort_of(body.model, asked.effort, asked.effort_field)
        is_greedy = body.is_coldest and effort in (None, "none", "chat")
        manner = Manner(
            effort or ("none" if body.is_coldest else self.effort),
            Budget(asked.max_tokens),
            body.seed,
            is_greedy=is_greedy,
            sampling=replace(body.sampling(is_greedy=is_greedy), logprobs=asked.logprobs),
            replies=1 if isinstance(asked.conversation, ToolRequest) else asked.answers,
        )
        ask = manner.ask(asked.problem(manner, is_searched=effort is not None))
        coldest = {"temperature": 0.0} if isinstance(ask.strategy, Greedy) else {}
        cold = ["temperature"] if body.is_coldest and not coldest else []
        ignored = self.ignored(body, *cold, *asked.unchecked(ask.problem))
        return AnswerRequest(
            ask,
            body.model or self.name,
            f"fp_{self.sha256[:12]}",
            public_sampling({**self.sampling, **manner.sampling.numbers, **coldest}),
            answers=asked.answers,
            stop=tuple(asked.stop),
            stream=body.stream,
            ignored=ignored,
            min_probability=body.min_probability,
        )

    def effort_of(self, model: str | None, asked: str | None, field: str) -> ServedEffort | None:
        """The effort that the model's name or a field gives; None if neither does.

        Args:
            model: Name that the client used; None for the only one.
            asked: One of ``EFFORTS``.
            field: The field that has ``asked``.

        Raises:
            Refusal: the model is not served here, or the two differ.
        """
        model = self.name if model == f"{self.name}:latest" else model  # as Ollama's clients call it
        base, _, suffix = (model or self.name).rpartition(":")
        if model not in (None, self.name) and not (base == self.name and suffix in EFFORTS):
            asked_for = (model or "")[:_MAX_NAME]
            near = difflib.get_close_matches(asked_for, self.names(), n=3, cutoff=0.4) or [self.name]
            text = f'the model "{asked_for}" is not served here; there is {", ".join(near)}'
            raise Refusal(404, text, "model-not-found", "model")
        of_name = None if model in (None, self.name) else EFFORTS[suffix]
        of_field = None if asked is None else EFFORTS[asked]
        if of_name and of_field and of_name != of_field:
            raise Refusal.of_field(field, f"is {asked}, and the model's name says {of_name}")
        return of_field or of_name

    def ignored(self, body: Fields, *without_effect: str) -> tuple[str, ...]:
        """Fields of a body that ask for something and have no effect.

        Args:
            body: The body, whose unknown fields are among them.
            without_effect: Known ones.

        Raises:
            Refusal: there is one, and the server is strict.
        """
        names = (*body.unknown(), *without_effect)
        if self.is_strict and names:
            raise Refusal.of_field(names[0], "is not supported", "unsupported-parameter")
        return names
