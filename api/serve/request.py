"""A client's request, whatever its protocol: the conversation it states, and the search it asks for.

A protocol turns each message of its body into the form of chat completions (``spoken``, ``calling``,
``returned``), which chat templates read too. ``ServedModel.ask`` makes a search of them.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from adascale.engine.bands import LEAST
from adascale.engine.errors import UsageError, excerpt
from adascale.engine.kind_table import entry_of
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.strategies import Adaptive, Effort, Greedy, Strategy, Vote
from adascale.engine.tools.calls import Choice, ToolRequest, in_words
from adascale.engine.tools.schema import object_schema
from adascale.engine.types import Budget, Problem, Turn

from .body import Body, Named
from .http import JsonObject, Refusal

CONTINUE = "Continue."
"""The user's turn behind a reply of the assistant, which asks for another one."""

ServedEffort = Effort | Literal["none", "chat"]
"""How hard to try. ``none`` writes one solution and searches nothing; ``chat`` writes one plain reply,
without a built-in prompt."""

EFFORT_ALIASES: Mapping[str, ServedEffort] = {
    "minimal": "none",
    "xhigh": "max",
    **{effort: effort for effort in ("none", "chat", *get_args(Effort))},
}
"""Our effort for each name that clients use."""

JSON_PROMPT = "Reply with a JSON object only. It has this JSON schema: "
"""System prompt of plain replies in JSON, before the schema."""


SURE_LINE = "\n\n— "
"""Beginning of the line below an answer that says how sure it is."""

_SURE = re.compile(rf"{SURE_LINE}(?:{'|'.join(LEAST)})[^\n]*\Z")


@dataclass(frozen=True, slots=True)
class Ask:
    """A client's question: the search, and how to write its answer.

    Attributes:
        problem: The question, under an id of its own.
        search: How it is searched.
        model: Name of the model that the client used.
        answers: Number of answers to return.
        stop: Texts before which an answer is cut.
        ignored: Fields of the body that are not known.
        is_told: Say below the answer how sure it is, for a person who reads the text of a stream alone.
    """

    problem: Problem
    search: SearchRequest
    model: str = ""
    answers: int = 1
    stop: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    is_told: bool = False

    @property
    def strategy(self) -> Strategy:
        """The strategy, before it is known which modes the open models have."""
        return self.search.strategy_for(self.problem.kind)

    @property
    def is_searched(self) -> bool:
        """True if several solutions are compared; otherwise the replies are plain."""
        if entry_of(self.problem).has_calls:  # its text can be sent once it is known that it calls nothing
            return True
        return not (entry_of(self.problem).is_reply or isinstance(self.strategy, Greedy | Vote))

    @property
    def is_streamed(self) -> bool:
        """True if there is one plain reply, which can be sent while it is written."""
        return not self.is_searched and self.strategy.at_most == 1

    @property
    def tools(self) -> ToolRequest | None:
        """The conversation with the tools that may be called; None without any."""
        return ToolRequest.of(self.problem.details) if entry_of(self.problem).has_calls else None


@dataclass(frozen=True, slots=True)
class Messages:
    """A conversation, and the tools that may be called in it.

    Attributes:
        said: Messages in the form of chat completions; the last one is the question or the result of a call.
            System messages behind it are read before it. Behind a reply of the assistant the model is asked
            to continue.
        tools: Tools in the form of chat completions.
        choice: ``auto``, ``none``, ``required``, or the tool that has to be called; None is ``auto``.
        is_parallel: Allow several calls in one turn; one that has to be called is called alone.
    """

    said: Sequence[JsonObject]
    tools: Sequence[Mapping[str, Any]] = ()
    choice: Choice | Named | None = None
    is_parallel: bool = True

    @property
    def may_call(self) -> bool:
        """True if the model may, or has to, call a tool."""
        is_required = self.choice == "required" or isinstance(self.choice, Named)
        return is_required or bool(self.tools and self.choice != "none")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: Name for clients.
        sha256: Digest of its file; empty for one behind another server.
        window: Tokens that a conversation may have; 0 if a server behind this one does not say.
        effort: Effort of a search whose request names none.
    """

    name: str
    sha256: str
    window: int
    effort: ServedEffort

    @property
    def is_remote(self) -> bool:
        """True if a server behind this one runs it, which calls no tools."""
        return not self.sha256

    @classmethod
    def of(cls, models: ModelDescription, effort: ServedEffort) -> Self:
        """The model of an open session."""
        generator = models.generator
        assert generator is not None, "only a log of scripted models has no generator"
        return cls(public_name(generator), generator.sha256, generator.n_ctx, effort)

    def ask(self, body: Body, asked: Messages, answers: int = 1) -> Ask:
        """The search of a body.

        A reply by a schema without properties to compare, and where nothing is searched, is plain.

        Args:
            body: The fields that every protocol has.
            asked: The conversation.
            answers: Number of answers.

        Raises:
            Refusal: the model is another one, or the request cannot be searched.
            UsageError: a schema cannot be kept, or the question is empty.
        """
        named, schema = self.effort_of(body.model, body.effort), body.wanted_schema
        used = named or ("none" if body.wants_greedy else self.effort)
        is_plain = used in ("none", "chat")
        is_greedy = is_plain and body.wants_greedy
        self._check(asked, answers, is_greedy=is_greedy)
        sampling = body.sampling(is_greedy=is_greedy)
        search = SearchRequest(
            is_searched=named is not None,
            kind="text" if used == "chat" else None,
            schema=schema,
            effort="medium" if used == "none" or used == "chat" else used,
            seed=body.seed,
            sampling=sampling,
        )
        problem = _problem(asked, search, is_plain=is_plain or answers > 1)
        if is_greedy or (used == "none" and answers == 1 and sampling.temperature is None):
            search = replace(search, strategy=Greedy())
        elif entry_of(problem).is_reply or is_plain or (answers > 1 and not entry_of(problem).is_computed):
            search = replace(search, strategy=Vote(samples=answers))
        elif answers > 1:
            most = max(2 * answers, search.strategy_for(problem.kind).at_most or 0)
            search = replace(search, strategy=search.named(Adaptive.name, least=answers, samples=most))
        return Ask(
            problem,
            limited(problem, search, body.max_tokens),
            body.model or self.name,
            answers,
            tuple(body.stop),
            tuple(body.unknown),
            body.stream and answers == 1 and not body.stop and schema is None,
        )

    def _check(self, asked: Messages, answers: int, *, is_greedy: bool) -> None:
        """Refuse what cannot be done, before anything is searched."""
        if self.is_remote and asked.may_call:
            text = "this model runs on another server, over which tools are not possible"
            raise Refusal.of_field("tools", f"{text}: serve a model's name or file")
        if answers > 1 and (asked.may_call or is_greedy):
            raise Refusal.of_field("n", "a request with tools or at temperature 0 has one reply: leave n out")

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


def limited(problem: Problem, search: SearchRequest, max_tokens: int | None) -> SearchRequest:
    """The search with a limit of generated tokens, which cuts the text of plain replies, calls and JSON."""
    if Ask(problem, search).is_searched and not entry_of(problem).has_schema:
        return replace(search, budget=Budget(max_tokens))
    return replace(search, sampling=replace(search.sampling, max_tokens=max_tokens))


def new_id() -> str:
    """An id of a problem, which nobody can guess."""
    return secrets.token_hex(12)


def _problem(asked: Messages, search: SearchRequest, *, is_plain: bool) -> Problem:
    """The question of a request, under a new id."""
    schema = search.schema
    said = _ending_with_a_question(asked)
    if asked.may_call:
        if schema is not None:
            raise Refusal.of_field("tools", "a request may have tools or a format of the reply, not both")
        words = [each["content"] for each in said if each["role"] == "user"]
        details = _tool_details(said, asked)
        return Problem(new_id(), words[-1] if words else "", kind="call", details=details)
    *earlier, last = said
    is_answer = last["role"] == "tool"
    if any(each["role"] == "tool" or "tool_calls" in each for each in said):
        earlier, [last] = in_words(earlier), in_words([last])
    history = tuple(Turn(each["role"], each["content"]) for each in earlier)
    question = last["content"].strip()
    if schema is not None and (not object_schema(schema).get("properties") or is_plain):
        prompt = Turn("system", f"{JSON_PROMPT}{json.dumps(schema, ensure_ascii=False)}")
        return Problem(
            new_id(), question, history=(prompt, *history), kind="text", details={"schema": dict(schema)}
        )
    # The result of a call is only replied to, unless an effort asks for a search.
    is_text = is_answer and not search.is_searched and schema is None
    kind = "text" if is_text else search.kind
    return replace(search, question=question, history=history, kind=kind).problem(new_id())


def spoken(role: str, content: str) -> JsonObject:
    """A message; an earlier answer is without the line below it, which a model would imitate."""
    content = _SURE.sub("", content) if role == "assistant" else content
    return {"role": "system" if role == "developer" else role, "content": content}


def calling(content: str, calls: Sequence[tuple[str, str, JsonObject]]) -> JsonObject:
    """The message of an assistant that calls tools: its text, and id, name and arguments of each call."""
    return {
        **spoken("assistant", content),
        "tool_calls": [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": given}}
            for id_, name, given in calls
        ],
    }


def returned(content: str, id_: str, name: str = "") -> JsonObject:
    """The message with the result of a call."""
    return {**spoken("tool", content), "tool_call_id": id_, **({"name": name} if name else {})}


def _ending_with_a_question(asked: Messages) -> list[JsonObject]:
    said = asked.said
    last = max((at for at, each in enumerate(said) if each["role"] != "system"), default=len(said) - 1)
    if not said or "tool_calls" in said[last]:
        raise UsageError("the last message has to be the question, or the result of a call")
    question = said[last]
    if question["role"] == "assistant":
        return [*said, spoken("user", CONTINUE)]
    if question["role"] == "system":
        question = spoken("user", question["content"])
    return [*said[:last], *said[last + 1 :], question]


def _tool_details(messages: Sequence[JsonObject], asked: Messages) -> JsonObject:
    """The details of a problem with tools, which are valid."""
    tools, choice, is_forced = asked.tools, asked.choice, isinstance(asked.choice, Named)
    if isinstance(choice, Named):
        tools, choice = [tool for tool in tools if tool["function"]["name"] == choice.name], "required"
    if choice == "required" and not tools:
        raise Refusal.of_field("tool_choice", "asks for a call, and there is no such tool")
    details = {
        "messages": _with_names(messages),
        "tools": list(tools),
        "choice": choice or "auto",
        "is_parallel": asked.is_parallel and not is_forced,
    }
    ToolRequest.of(details)
    return details


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


def public_name(model: GeneratorDescription) -> str:
    """The name of a model, without the folders of a path."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name
