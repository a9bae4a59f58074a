"""The model of a server: its names, and how a client's request becomes a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

from adascale.engine.errors import excerpt
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.strategies import Effort
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import Budget

from .bodies.body import Body
from .request import AnswerRequest, CommonFields, SearchOptions, ServedEffort
from .wire.http import Refusal

EFFORT_ALIASES: Mapping[str, ServedEffort] = {
    "none": "none",
    "minimal": "none",
    **{effort: effort for effort in get_args(Effort)},
    "xhigh": "max",
    "chat": "chat",
}
"""Our effort for each name that clients use."""


def public_name(model: GeneratorDescription | PRMDescription) -> str:
    """The name of a model, without the folders of a path."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name


def public_sampling(sampling: Mapping[str, Any] | None) -> dict[str, Any]:
    """Temperature and top_p of a sampler; None if they are unknown."""
    return {name: (sampling or {}).get(name) for name in ("temperature", "top_p")}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: Name for clients.
        sha256: Digest of its file.
        window: Tokens that a conversation may have.
        effort: Effort of a search whose request names none.
    """

    name: str
    sha256: str
    window: int
    effort: ServedEffort

    @classmethod
    def of(cls, models: ModelDescription, effort: ServedEffort) -> Self:
        """The model of an open session."""
        generator = models.generator
        assert generator is not None, "only a log of scripted models has no generator"
        return cls(public_name(generator), generator.sha256, generator.n_ctx, effort)

    def request(self, body: Body, asked: CommonFields) -> AnswerRequest:
        """The request of a body, whose protocol has read ``asked``.

        Raises:
            Refusal: the model is another one.
        """
        effort = self.effort_of(body.model, asked.effort)
        is_greedy = body.wants_greedy and effort in (None, "none", "chat")
        options = SearchOptions(
            effort or ("none" if body.wants_greedy else self.effort),
            Budget(asked.max_tokens),
            body.seed,
            is_greedy=is_greedy,
            sampling=replace(body.sampling(is_greedy=is_greedy), logprobs=asked.logprobs),
            replies=1 if isinstance(asked.conversation, ToolRequest) else asked.answers,
        )
        ask = options.ask(asked.problem(options, is_searched=effort is not None))
        ignored = (*body.unknown(), *asked.without_effect(ask, wants_greedy=body.wants_greedy))
        return AnswerRequest(
            ask,
            body.model or self.name,
            f"fp_{self.sha256[:12]}",
            answers=asked.answers,
            stop=tuple(asked.stop),
            stream=body.stream,
            ignored=ignored,
            min_probability=body.min_probability,
            tools=asked.conversation if isinstance(asked.conversation, ToolRequest) else None,
        )

    def effort_of(self, model: str | None, asked: str | None) -> ServedEffort | None:
        """The effort of a field, or else in the model's name; None if neither has one.

        Args:
            model: Name that the client used; None for the default.
            asked: One of ``EFFORT_ALIASES``, or None.

        Raises:
            Refusal: the model is not served here.
        """
        model = self.name if model == f"{self.name}:latest" else model  # as Ollama's clients call it
        base, _, suffix = (model or self.name).rpartition(":")
        if model not in (None, self.name) and not (base == self.name and suffix in EFFORT_ALIASES):
            text = f'the model "{excerpt(model or "")}" is not served here; there is {self.name}'
            raise Refusal(404, text, "model-not-found", "model")
        of_name = None if model in (None, self.name) else EFFORT_ALIASES[suffix]
        return of_name if asked is None else EFFORT_ALIASES[asked]
