"""A client's request, whatever its protocol, and the search that it asks for."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from adascale.engine.kinds.messages import problem_of
from adascale.engine.sampling import AS_USUAL, SamplingChange
from adascale.engine.strategies import EFFORTS as PRESETS
from adascale.engine.strategies import Effort, Greedy, Strategy, Vote
from adascale.engine.tools.inlining import object_schema
from adascale.engine.tools.schema import BOUNDS, UNCHECKED, keywords
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import Budget, MessageKind, Problem, Turn

from .bodies import fields
from .conversation import Chat, Conversation, RawText
from .hub import Ask
from .wire.http import Refusal

ServedEffort = Effort | Literal["none", "chat"]
"""How hard to try. ``none`` writes one solution and searches nothing; ``chat`` writes one plain reply,
without a built-in prompt."""

JSON_PROMPT = "Reply with a JSON object only. It has this JSON schema: "
"""System prompt of plain replies in JSON, before the schema."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a question is searched.

    Attributes:
        effort: How hard to try.
        limits: Limits of the search; in plain replies, calls and JSON, the token limit cuts the text.
        seed: Seed; None for a random one.
        is_greedy: Write one greedy reply.
        sampling: Sampling parameters that the client sets.
        replies: Number of plain replies.
    """

    effort: ServedEffort
    limits: Budget = Budget()
    seed: int | None = None
    is_greedy: bool = False
    sampling: SamplingChange = AS_USUAL
    replies: int = 1

    @property
    def is_plain(self) -> bool:
        """True if the replies are plain: nothing is compared."""
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
        ask = Ask(problem, strategy, limits, self.seed, self.sampling)
        if ask.is_searched and problem.kind not in ("call", "json"):
            return ask
        cut = replace(self.sampling, max_tokens=limits.max_tokens)
        return replace(ask, limits=replace(limits, max_tokens=None), sampling=cut)


def problem_for(
    question: str,
    options: SearchOptions,
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
        options: How it will be searched.
        kind: Kind of the question; None to recognise it.
        choices: Options that are given beside it.
        history: The conversation before the question.
        is_searched: Search, whatever the question is.
        schema: Schema of the JSON object to reply with; without properties to compare, the reply is plain.

    Raises:
        UsageError: it cannot be of that kind.
    """
    id_, question = _new_id(), question.strip()
    if schema is not None and (options.is_plain or not object_schema(schema).get("properties")):
        asked = (Turn("system", f"{JSON_PROMPT}{json.dumps(schema, ensure_ascii=False)}"), *history)
        return Problem(id_, question, history=asked, kind="text", details={"schema": dict(schema)})
    return problem_of(
        id_,
        question,
        kind="text" if options.effort == "chat" else kind,
        choices=choices,
        is_searched=is_searched,
        history=history,
        schema=schema,
    )


def _new_id() -> str:
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class CommonFields:
    """Fields that every protocol has, each under its own names.

    Attributes:
        conversation: The messages, the last of which is the question.
        effort: The client's name of an effort.
        max_tokens: Limit of generated tokens of the whole search.
        answers: Largest number of answers.
        stop: Texts before which an answer is cut.
        logprobs: As in ``SamplingChange``.
        schema: As in ``problem_for``.
    """

    conversation: Conversation
    effort: fields.Effort | None = None
    max_tokens: int | None = None
    answers: int = 1
    stop: Sequence[str] = ()
    logprobs: int | None = None
    schema: Mapping[str, Any] | None = None

    def problem(self, options: SearchOptions, *, is_searched: bool) -> Problem:
        """The question, as ``problem_for`` makes it.

        Raises:
            Refusal: the request has a format of the reply and tools, or a raw text.
        """
        match self.conversation:
            case RawText(text, suffix):
                if self.schema is not None:
                    raise Refusal.of_field("format", "is for conversations, not for a raw text")
                return Problem(_new_id(), text, kind="text", details={"suffix": suffix})
            case Chat(history, question, is_question):
                return problem_for(
                    question,
                    options,
                    kind=None if is_question or is_searched or self.schema is not None else "text",
                    history=history,
                    is_searched=is_searched,
                    schema=self.schema,
                )
        if self.schema is not None:
            raise Refusal.of_field("tools", "a request may have tools or a format of the reply, not both")
        said = [each["content"] for each in self.conversation.messages if each["role"] == "user"]
        details = self.conversation.details()
        return Problem(_new_id(), said[-1] if said else "", kind="call", details=details)

    def without_effect(self, ask: Ask, *, wants_greedy: bool) -> Iterator[str]:
        """Names of what has no effect in a search, keywords of schemas that are not enforced among them."""
        if wants_greedy and not isinstance(ask.strategy, Greedy):
            yield "temperature"
        if ask.problem.kind == "call":
            yield from ["n"] * (self.answers > 1)
            yield from ["logprobs"] * (self.logprobs is not None)
        yield from self._unchecked(ask.problem)

    def _unchecked(self, problem: Problem) -> Iterator[str]:
        """Keywords of schemas that are not enforced; in plain replies, bounds are among them."""
        if isinstance(self.conversation, ToolRequest):
            found = set().union(*(keywords(tool.parameters) for tool in self.conversation.tools.values()))
            yield from (f"tools: {name}" for name in sorted(found & UNCHECKED))
        elif self.schema is not None:
            unchecked = UNCHECKED if problem.kind == "json" else UNCHECKED | BOUNDS
            yield from (
                f"schema: {name}" for name in sorted(keywords(object_schema(self.schema)) & unchecked)
            )


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A search, and how to write its answer.

    Attributes:
        ask: The search.
        model: Name of the model that the client used.
        fingerprint: Digest of the model's file.
        answers: Largest number of different answers to return.
        stop: Texts before which an answer is cut.
        stream: Stream the answer during the search.
        ignored: Fields of the body that have no effect.
        min_probability: Probability below which no tool is called.
        tools: The tools that may be called; None without any.
    """

    ask: Ask
    model: str
    fingerprint: str = ""
    answers: int = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    ignored: tuple[str, ...] = ()
    min_probability: float = 0.0
    tools: ToolRequest | None = None
