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
from adascale.engine.strategies import Greedy, ModeChoice, Strategy, Vote
from adascale.engine.strategies.adaptive import Effort
from adascale.engine.tools.schema import BOUNDS, UNCHECKED, inlined, keywords
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import Budget, MessageKind, Problem, Role, Turn

from .bodies import fields
from .bodies.body import Body
from .bodies.fields import Fields
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

ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
"""Role in a chat template for each role that clients use."""

Conversation = tuple[tuple[Turn, ...], str] | ToolRequest
"""History and question, or a conversation with tools."""

JSON_PROMPT = "Reply with a JSON object only. It has this JSON schema: "
"""System prompt of replies in JSON, before the schema."""

_MAX_NAME = 200
"""Characters of an unknown model's name that are repeated and compared."""


def new_ask(
    question: str,
    effort: ServedEffort,
    limits: Budget,
    seed: int | None,
    mode: ModeChoice = "auto",
    *,
    kind: MessageKind | None = None,
    choices: Sequence[str] = (),
    history: tuple[Turn, ...] = (),
    is_greedy: bool = False,
    is_searched: bool = True,
    sampling: SamplingChange = AS_USUAL,
    replies: int = 1,
    suffix: str | None = None,
    schema: Mapping[str, Any] | None = None,
) -> Ask:
    """The search of a question, under a new id.

    Args:
        question: The question.
        effort: How hard to try.
        limits: Limits of the search; a limit of tokens cuts a reply that is not searched for.
        seed: Seed; None for any.
        mode: How to reason.
        kind: Kind to take it for; None to recognise it.
        choices: Options that are given beside it.
        history: The conversation before the question.
        is_greedy: Take the likeliest tokens, once.
        is_searched: The client asks for a search, whatever the question is.
        sampling: Numbers of the sampler that the client sets; with a temperature one solution is sampled.
        replies: Number of replies that are drawn where nothing is searched.
        suffix: The question is no message but a text, to be continued up to this one.
        schema: The reply is a JSON object of this schema. It is searched for where it has fields to compare,
            and otherwise one reply that nobody can check further.

    Raises:
        UsageError: it cannot be of that kind.
    """
    id_ = secrets.token_hex(12)
    is_plain = is_greedy or replies > 1 or effort in ("none", "chat")
    if suffix is not None:
        problem = Problem(id_, question, kind="text", details={"suffix": suffix})
    elif schema is not None and (is_plain or not object_schema(schema).get("properties")):
        asked = (Turn("system", f"{JSON_PROMPT}{json.dumps(schema, ensure_ascii=False)}"), *history)
        problem = Problem(id_, question.strip(), history=asked, kind="text", details={"schema": dict(schema)})
    else:
        problem = problem_of(
            id_,
            question.strip(),
            kind="text" if effort == "chat" else kind,
            choices=choices,
            is_searched=is_searched,
            history=history,
            schema=schema,
        )
    return _ask_of(
        problem, effort, limits, seed, mode, is_greedy=is_greedy, sampling=sampling, replies=replies
    )


def tool_ask(
    request: ToolRequest,
    effort: ServedEffort,
    limits: Budget,
    seed: int | None,
    *,
    is_greedy: bool,
    sampling: SamplingChange,
) -> Ask:
    """The search of a request with tools, under a new id; as ``new_ask``."""
    said = [each["content"] for each in request.messages if each["role"] == "user"]
    question = said[-1] if said else ""
    problem = Problem(secrets.token_hex(12), question, kind="call", details=request.details())
    return _ask_of(problem, effort, limits, seed, "auto", is_greedy=is_greedy, sampling=sampling, replies=1)


def _ask_of(
    problem: Problem,
    effort: ServedEffort,
    limits: Budget,
    seed: int | None,
    mode: ModeChoice,
    *,
    is_greedy: bool,
    sampling: SamplingChange,
    replies: int,
) -> Ask:
    """The search of a problem; a limit of tokens cuts replies that are not searched for, calls and JSON."""
    strategy: Strategy
    if is_greedy or (effort == "none" and replies == 1 and sampling.temperature is None):
        strategy = Greedy()
    elif problem.is_chat or effort == "none" or effort == "chat":
        strategy = Vote(samples=replies)
    else:
        strategy = PRESETS[problem.kind][effort]
    ask = Ask(problem, strategy, limits, seed, mode, sampling)
    if ask.is_searched and problem.kind not in ("call", "json"):
        return ask
    return replace(
        ask, limits=replace(limits, max_tokens=None), sampling=replace(sampling, max_tokens=limits.max_tokens)
    )


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

    def read(
        self,
        body: Body,
        conversation: Conversation,
        effort: fields.Effort | None,
        effort_field: str,
        *,
        max_tokens: int | None,
        answers: int = 1,
        stop: Sequence[str] = (),
        logprobs: int | None = None,
        suffix: str | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> AnswerRequest:
        """The request of a body, of which a protocol has read its own fields.

        Args:
            body: Fields of all protocols.
            conversation: As ``read_conversation`` or ``tool_request`` gives it.
            effort: The client's name of an effort.
            effort_field: Name of its field.
            max_tokens: Limit of generated tokens of the whole search.
            answers: Largest number of answers.
            stop: Texts before which an answer is cut.
            logprobs: As ``SamplingChange.logprobs``.
            suffix: As ``new_ask`` has it.
            schema: As ``new_ask`` has it.

        Raises:
            Refusal: another model is asked for, or its name and ``effort`` differ, or a field has no effect
                and the server is strict.
        """
        asked = self.effort_of(body.model, effort, effort_field)
        wanted = asked or ("none" if body.is_coldest else self.effort)
        is_greedy = body.is_coldest and asked in (None, "none", "chat")
        sampling = replace(body.sampling(is_greedy=is_greedy), logprobs=logprobs)
        if isinstance(conversation, ToolRequest):
            if schema is not None:
                raise Refusal.of_field("tools", "stand beside a format of the reply, which cannot be both")
            limits, seed = Budget(max_tokens), body.seed
            ask = tool_ask(conversation, wanted, limits, seed, is_greedy=is_greedy, sampling=sampling)
        else:
            history, question = conversation
            ask = new_ask(
                question,
                wanted,
                Budget(max_tokens),
                body.seed,
                history=history,
                is_greedy=is_greedy,
                is_searched=asked is not None,
                sampling=sampling,
                replies=answers,
                suffix=suffix,
                schema=schema,
            )
        coldest = {"temperature": 0.0} if isinstance(ask.strategy, Greedy) else {}
        cold = ["temperature"] if body.is_coldest and not coldest else []
        ignored = self.ignored(body, *cold, *_unchecked(conversation, schema, ask))
        return AnswerRequest(
            ask,
            body.model or self.name,
            f"fp_{self.sha256[:12]}",
            public_sampling({**self.sampling, **sampling.numbers, **coldest}),
            answers=answers,
            stop=tuple(stop),
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


def _unchecked(conversation: Conversation, schema: Mapping[str, Any] | None, ask: Ask) -> Iterator[str]:
    """Keywords of schemas that an answer may break: a reply that is not searched for may break bounds too."""
    if isinstance(conversation, ToolRequest):
        found = set().union(*(keywords(tool.parameters) for tool in conversation.tools.values()))
        yield from (f"tools: {name}" for name in sorted(found & UNCHECKED))
    elif schema is not None:
        unchecked = UNCHECKED if ask.problem.kind == "json" else UNCHECKED | BOUNDS
        yield from (f"schema: {name}" for name in sorted(keywords(inlined(schema)) & unchecked))


def read_conversation(said: Sequence[tuple[str, str]], system: str, messages: str, last: int) -> Conversation:
    """The turns before the question, and the question.

    Args:
        said: Role, one of ``ROLES``, and text of each message.
        system: Text of a system message before them; empty for none.
        messages: The field that holds them.
        last: Place of the last message in this field.

    Raises:
        Refusal: the last message is not the user's, or is empty.
    """
    if not said or said[-1][0] != "user":
        raise Refusal.of_field(messages, "the last one has to be the user's: it is the question")
    *earlier, (_, question) = said
    if not question.strip():
        raise Refusal.of_field(f"{messages}[{last}].content", "is empty", "empty-question")
    first = (Turn("system", system),) if system else ()
    return (*first, *(Turn(ROLES[role], text) for role, text in earlier)), question
