"""A question as a client asks it, whatever protocol it speaks, and the model that it may ask."""

from __future__ import annotations

import difflib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from adascale.engine.kinds.json_object import object_schema
from adascale.engine.kinds.messages import problem_of
from adascale.engine.sampling import AS_USUAL, SamplingChange
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.strategies import EFFORTS as PRESETS
from adascale.engine.strategies import Effort, Greedy, ModeChoice, Strategy, Vote
from adascale.engine.tools.schema import BOUNDS, UNCHECKED, inlined, keywords
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import Budget, MessageKind, Problem, Turn

from .bodies import fields
from .bodies.body import Body
from .bodies.fields import Fields
from .conversation import Chat, Conversation, RawText
from .hub import Ask
from .wire.http import Refusal

ServedEffort = Effort | Literal["none", "chat"]
"""How hard to try. ``none`` writes one solution, token by token, and searches nothing; ``chat`` writes one
reply that nobody can check, without a built-in prompt."""

EFFORTS: Mapping[str, ServedEffort] = {
    "none": "none",
    "minimal": "none",
    **{effort: effort for effort in get_args(Effort)},
    "xhigh": "max",
    "chat": "chat",
}
"""Our effort for each name that clients use."""

JSON_PROMPT = "Reply with a JSON object only. It has this JSON schema: "
"""System prompt of replies in JSON, before the schema."""

_MAX_NAME = 200
"""Characters of an unknown model's name that are repeated and compared."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a question is searched.

    Attributes:
        effort: How hard to try.
        limits: Limits of the search; that of tokens cuts replies that are not searched for, calls and JSON.
        seed: Seed; None for any.
        mode: How to reason.
        is_greedy: Take the likeliest tokens, once.
        sampling: Numbers of the sampler that the client sets; with a temperature one solution is sampled.
        replies: Number of replies that are drawn where nothing is searched.
    """

    effort: ServedEffort
    limits: Budget = Budget()
    seed: int | None = None
    mode: ModeChoice = "auto"
    is_greedy: bool = False
    sampling: SamplingChange = AS_USUAL
    replies: int = 1

    @property
    def is_plain(self) -> bool:
        """True if replies are drawn that nothing compares."""
        return self.is_greedy or self.replies > 1 or self.effort in ("none", "chat")

    def ask(self, problem: Problem) -> Ask:
        """The search of a problem."""
        strategy: Strategy
        effort, limits = self.effort, self.limits
        if self.is_greedy or (effort == "none" and self.replies == 1 and self.sampling.temperature is None):
            strategy = Greedy()
        elif problem.is_chat or effort == "none" or effort == "chat":
            strategy = Vote(samples=self.replies)
        else:
            strategy = PRESETS[problem.kind][effort]
        ask = Ask(problem, strategy, limits, self.seed, self.mode, self.sampling)
        if ask.is_searched and problem.kind not in ("call", "json"):
            return ask
        cut = replace(self.sampling, max_tokens=limits.max_tokens)
        return replace(ask, limits=replace(limits, max_tokens=None), sampling=cut)


def problem_for(
    question: str,
    manner: Manner,
    *,
    kind: MessageKind | None = None,
    choices: Sequence[str] = (),
    history: tuple[Turn, ...] = (),
    is_searched: bool = True,
    schema: Mapping[str, Any] | None = None,
) -> Problem:
    """A question, under a new id.

    Args:
        question: The question.
        manner: How it will be searched.
        kind: Kind to take it for; None to recognise it.
        choices: Options that are given beside it.
        history: The conversation before the question.
        is_searched: The client asks for a search, whatever the question is.
        schema: The reply is a JSON object of this schema. It is searched for where it has fields to compare,
            and otherwise one reply that nobody can check further.

    Raises:
        UsageError: it cannot be of that kind.
    """
    id_, question = _new_id(), question.strip()
    if schema is not None and (manner.is_plain or not object_schema(schema).get("properties")):
        asked = (Turn("system", f"{JSON_PROMPT}{json.dumps(schema, ensure_ascii=False)}"), *history)
        return Problem(id_, question, history=asked, kind="text", details={"schema": dict(schema)})
    return problem_of(
        id_,
        question,
        kind="text" if manner.effort == "chat" else kind,
        choices=choices,
        is_searched=is_searched,
        history=history,
        schema=schema,
    )


def _new_id() -> str:
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of a body that each protocol has under names of its own.

    Attributes:
        conversation: What is asked.
        effort: The client's name of an effort.
        effort_field: The field that has it.
        max_tokens: Limit of generated tokens of the whole search.
        answers: Largest number of answers.
        stop: Texts before which an answer is cut.
        logprobs: As ``SamplingChange`` has it.
        schema: As ``problem_for`` takes it.
    """

    conversation: Conversation
    effort: fields.Effort | None = None
    effort_field: str = "model"
    max_tokens: int | None = None
    answers: int = 1
    stop: Sequence[str] = ()
    logprobs: int | None = None
    schema: Mapping[str, Any] | None = None

    def problem(self, manner: Manner, *, is_searched: bool) -> Problem:
        """What is asked, as ``problem_for`` gives it.

        Raises:
            Refusal: calls and JSON are asked for at once.
        """
        match self.conversation:
            case RawText(text, suffix):
                return Problem(_new_id(), text, kind="text", details={"suffix": suffix})
            case Chat(history, question):
                return problem_for(
                    question, manner, history=history, is_searched=is_searched, schema=self.schema
                )
        if self.schema is not None:
            raise Refusal.of_field("tools", "stand beside a format of the reply, which cannot be both")
        said = [each["content"] for each in self.conversation.messages if each["role"] == "user"]
        details = self.conversation.details()
        return Problem(_new_id(), said[-1] if said else "", kind="call", details=details)

    def unchecked(self, problem: Problem) -> Iterator[str]:
        """Keywords of schemas that an answer may break; a reply that is not searched for may break bounds."""
        if isinstance(self.conversation, ToolRequest):
            found = set().union(*(keywords(tool.parameters) for tool in self.conversation.tools.values()))
            yield from (f"tools: {name}" for name in sorted(found & UNCHECKED))
        elif self.schema is not None:
            unchecked = UNCHECKED if problem.kind == "json" else UNCHECKED | BOUNDS
            yield from (f"schema: {name}" for name in sorted(keywords(inlined(self.schema)) & unchecked))


def public_name(model: GeneratorDescription | PRMDescription) -> str:
    """The name of a model; a path becomes the name of its file, which tells no folder."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name


def public_sampling(sampling: Mapping[str, Any] | None) -> dict[str, Any]:
    """The numbers of a sampler that the protocols know; an unknown one is None."""
    return {name: (sampling or {}).get(name) for name in ("temperature", "top_p")}


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A question and its options.

    Attributes:
        ask: The search.
        model: Name that the client used.
        fingerprint: Digest of the model's file.
        sampling: Temperature and top_p of its solutions.
        answers: Largest number of distinct answers to return.
        stop: Texts before which an answer is cut.
        stream: Answer in parts, during the search.
        ignored: Fields of the body that have no effect.
        min_probability: Probability below which no tool is called.
    """

    ask: Ask
    model: str
    fingerprint: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    ignored: tuple[str, ...] = ()
    min_probability: float = 0.0


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
