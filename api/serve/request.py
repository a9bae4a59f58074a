"""A client's conversation, whatever its protocol: messages, and tools that may be called.

Protocols turn each message into the form of chat completions (``spoken``, ``calling``, ``returned``), which
chat templates read too; ``conversation_of`` makes a conversation of them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from adascale.engine.codec import nesting
from adascale.engine.errors import UsageError, excerpt
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.search.events import GeneratorDescription, ModelDescription, PRMDescription
from adascale.engine.strategies import EFFORTS as PRESETS
from adascale.engine.strategies import Effort, Greedy, Strategy, Vote
from adascale.engine.tools.calls import Choice, ToolRequest, in_words
from adascale.engine.tools.schema import CHECKED_LATE, UNCHECKED, keywords, object_schema
from adascale.engine.types import AS_USUAL, Budget, MessageKind, Problem, SamplingChange, Turn

from . import body as fields
from .body import Body
from .http import MAX_DEPTH, JsonObject, Refusal, parse_json
from .hub import Ask

CONTINUE = "Continue."
"""The user's turn behind a reply of the assistant, which asks for another one."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A question, and what was said before it.

    Attributes:
        history: The conversation before it.
        question: Its text.
        is_question: It is the user's, and not the result of a call, which is only replied to.
    """

    history: tuple[Turn, ...]
    question: str
    is_question: bool = True


@dataclass(frozen=True, slots=True)
class RawText:
    """A text to continue as it is, up to a suffix that may be empty."""

    text: str
    suffix: str = ""


Conversation = Chat | RawText | ToolRequest


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The tools of a request.

    Attributes:
        tools: Tools in the form of chat completions.
        choice: ``auto``, ``none`` or ``required``; None is ``auto``.
        forced: Name of the tool that has to be called; None for any.
        is_parallel: Allow several calls in one turn.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    choice: Choice | None = None
    forced: str | None = None
    is_parallel: bool = True


def spoken(role: str, content: str) -> JsonObject:
    """A message."""
    return {"role": "system" if role == "developer" else role, "content": content}


def calling(content: str, calls: Sequence[tuple[str, str, Any]], place: str) -> JsonObject:
    """The message of an assistant that calls tools.

    Args:
        content: Its text.
        calls: Id, name and arguments of each call; the arguments are JSON or an object.
        place: The field that holds them, for refusals.

    Raises:
        Refusal: the arguments are no JSON object.
    """
    return {
        **spoken("assistant", content),
        "tool_calls": [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": _object(given, place)}}
            for id_, name, given in calls
        ],
    }


def _object(given: Any, place: str) -> JsonObject:
    try:
        value = parse_json(given or "{}") if isinstance(given, str) else given
    except ValueError:
        value = None
    if not isinstance(value, dict) or nesting(value) > MAX_DEPTH:
        text = f"has arguments that are no JSON object, or nested more than {MAX_DEPTH} levels deep"
        raise Refusal.of_field(place, text)
    return value


def returned(content: str, id_: str, name: str = "") -> JsonObject:
    """The message with the result of a call."""
    return {**spoken("tool", content), "tool_call_id": id_, **({"name": name} if name else {})}


def conversation_of(
    messages: Sequence[JsonObject], question_field: str, use: ToolUse = ToolUse()
) -> Conversation:
    """The conversation: a ``ToolRequest`` if a tool may be called, otherwise a ``Chat``.

    Args:
        messages: All messages; the last one is the question or the result of a call. System messages behind
            it are read before it. Behind a reply of the assistant the model is asked to continue.
        question_field: Field of the last message's content, such as ``messages[2].content``.
        use: The tools.

    Raises:
        Refusal: the last message is empty, or calls a tool; or a tool cannot be used.
    """
    messages = _ending_with_a_question(messages, question_field.partition("[")[0])
    is_required = use.choice == "required" or use.forced is not None
    if is_required or (use.tools and use.choice != "none"):
        return _tool_request(messages, use)
    *earlier, last = messages
    if last["role"] == "user" and not last["content"].strip():
        raise Refusal.of_field(question_field, "is empty", "empty-question")
    if any(each["role"] == "tool" or "tool_calls" in each for each in messages):
        earlier, [asked] = in_words(earlier), in_words([last])
    else:
        asked = last
    history = tuple(Turn(each["role"], each["content"]) for each in earlier)
    return Chat(history, asked["content"], is_question=last["role"] == "user")


def _ending_with_a_question(messages: Sequence[JsonObject], place: str) -> list[JsonObject]:
    said = [each for each in messages if each["role"] != "system"]
    if not said and messages:
        return [*messages[:-1], spoken("user", messages[-1]["content"])]
    if not said or "tool_calls" in said[-1]:
        raise Refusal.of_field(place, "the last one has to be the question, or the result of a call")
    if said[-1]["role"] == "assistant":
        return [*messages, spoken("user", CONTINUE)]
    last = max(at for at, each in enumerate(messages) if each is said[-1])
    return [*messages[:last], *messages[last + 1 :], said[-1]]


def _tool_request(messages: Sequence[JsonObject], use: ToolUse) -> ToolRequest:
    tools, choice = use.tools, use.choice
    if use.forced is not None:
        tools, choice = [tool for tool in tools if tool["function"]["name"] == use.forced], "required"
    if choice == "required" and not tools:
        raise Refusal.of_field("tool_choice", "asks for a call, and there is no such tool")
    details = {
        "messages": _with_names(messages),
        "tools": tools,
        "choice": choice or "auto",
        "is_parallel": use.is_parallel,
    }
    try:
        return ToolRequest.of(details)
    except UsageError as error:
        raise Refusal.of_field("tools", error.message) from None


def _with_names(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """The messages, with the name of the called tool added to each result, which some templates need.

    It is found by the call's id; where Ollama's clients give neither id nor name, by the order of the calls.
    """
    found: list[JsonObject] = []
    names: dict[str, str] = {}
    turn: list[str] = []
    for each in messages:
        calls = [(call["id"], call["function"]["name"]) for call in each.get("tool_calls", ())]
        names |= {id_: name for id_, name in calls if id_}
        turn = turn if each["role"] == "tool" else [name for _, name in calls]
        if each["role"] == "tool":
            next_name = turn.pop(0) if turn else ""
            name = names.get(each["tool_call_id"]) or each.get("name") or next_name
            each = {**each, **({"name": name} if name else {})}
        found.append(each)
    return found


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
            unchecked = UNCHECKED if problem.kind == "json" else UNCHECKED | CHECKED_LATE
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
