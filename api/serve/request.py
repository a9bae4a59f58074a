"""A client's request, whatever its protocol: the search that a body asks for.

``ServedModel.ask`` decides how a request is answered; nothing decides it again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, get_args

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.kind_table import entry_of
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.strategies import Adaptive, Greedy, Strategy, Vote
from adascale.engine.tools.calls import ToolRequest, in_words
from adascale.engine.tools.schema import object_schema
from adascale.engine.types import Budget, Problem, Turn

from .body import Body, Forced, Heat, ServedEffort
from .http import JsonObject, Refusal

CONTINUE = "Continue."
"""The user's turn behind a reply of the assistant, which asks for another one."""

PLAIN: Mapping[tuple[str, Heat], Strategy] = {
    ("none", "unset"): Greedy(),
    ("none", "zero"): Greedy(),
    ("none", "warm"): Vote(samples=1),
    ("chat", "unset"): Vote(samples=1),
    ("chat", "zero"): Greedy(),
    ("chat", "warm"): Vote(samples=1),
}
"""How one solution is drawn, by effort and temperature; every other effort searches, at any temperature."""

JSON_PROMPT = "Reply with a JSON object only. It has this JSON schema: "
"""System prompt of plain replies in JSON, before the schema."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A client's question: the search, and how to write its answer.

    Attributes:
        problem: The question, under an id of its own.
        search: How it is searched.
        model: Name of the model that the client used.
        stop: Texts before which an answer is cut.
        ignored: Unknown fields of the body.
        is_told: End the text with the probability, for a person who reads the text of a stream alone.
    """

    problem: Problem
    search: SearchRequest
    model: str = ""
    stop: Sequence[str] = ()
    ignored: Sequence[str] = ()
    is_told: bool = False

    @property
    def is_searched(self) -> bool:
        """True if several solutions are compared; otherwise one plain reply is sent while it is written."""
        entry = entry_of(self.problem)
        if entry.has_calls:  # its text can be sent once it is known that it calls nothing
            return True
        strategy = self.search.strategy_for(self.problem.kind)
        return not (entry.is_reply or isinstance(strategy, Greedy | Vote))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of this server.

    Attributes:
        name: Name for clients.
        sha256: Digest of its file; empty for one behind another server.
        window: Tokens that a conversation may have; 0 if a server behind this one does not report it.
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

    def ask(self, body: Body) -> Ask:
        """The search of a body.

        Raises:
            Refusal: the model is another one, or the request cannot be searched.
            UsageError: a schema cannot be kept, or the question is empty.
        """
        if self.is_remote and body.may_call:
            text = "this model runs on another server, over which tools are not possible"
            raise Refusal.of_field("tools", f"{text}: serve a model's name or file")
        named_effort = self.effort_of(body.model, "none" if body.thinking == "disabled" else body.effort)
        effort = named_effort or ("none" if body.heat == "zero" else self.effort)
        plain = PLAIN.get((effort, body.heat))
        search = SearchRequest(
            is_searched=named_effort is not None,
            kind="text" if effort == "chat" else None,
            schema=body.json_schema,
            strategy=plain or Adaptive.name,
            effort="medium" if effort == "none" or effort == "chat" else effort,
            seed=body.seed,
            sampling=body.sampling(is_greedy=isinstance(plain, Greedy)),
        )
        problem = _problem(body, search)
        is_told = body.stream and not body.stop and search.schema is None
        ask = Ask(problem, search, body.model or self.name, body.stop, body.unknown, is_told)
        if ask.is_searched and not entry_of(problem).has_schema:
            return replace(ask, search=replace(search, budget=Budget(body.max_tokens)))
        # The limit cuts the text of plain replies, calls and JSON.
        sampling = replace(search.sampling, max_tokens=body.max_tokens)
        return replace(ask, search=replace(search, sampling=sampling))

    def effort_of(self, model: str | None, effort: ServedEffort | None) -> ServedEffort | None:
        """The effort of a request's field, or else in the model's name; None if neither has one.

        Raises:
            Refusal: the model is not served here.
        """
        names: dict[str, ServedEffort] = {f"{self.name}:{value}": value for value in get_args(ServedEffort)}
        # Ollama's clients call it latest.
        if model is None or model in (self.name, f"{self.name}:latest"):
            return effort
        if model not in names:
            text = f'the model "{excerpt(model)}" is not served here; there is {self.name}'
            raise Refusal(404, text, "model-not-found", "model")
        return effort or names[model]


def new_id() -> str:
    """A random id of a problem."""
    return secrets.token_hex(12)


def _problem(body: Body, search: SearchRequest) -> Problem:
    """The question of a request, under a new id.

    A reply by a schema without properties to compare, and where nothing is searched, is plain.
    """
    schema = search.schema
    turns = _ending_with_a_question(body.conversation)
    if body.may_call:
        if schema is not None:
            raise Refusal.of_field("tools", "a request may have tools or a format of the reply, not both")
        *_, question = ["", *(turn["content"] for turn in turns if turn["role"] == "user")]
        return Problem(new_id(), question, kind="call", details=_tool_details(turns, body))
    history = tuple(Turn(turn["role"], turn["content"]) for turn in in_words(turns[:-1]))
    [last] = in_words(turns[-1:])
    question, is_plain = last["content"].strip(), isinstance(search.strategy, Strategy)
    if schema is not None and (not object_schema(schema).get("properties") or is_plain):
        history = (Turn("system", f"{JSON_PROMPT}{json.dumps(schema, ensure_ascii=False)}"), *history)
        return Problem(new_id(), question, history=history, kind="text", details={"schema": dict(schema)})
    # The result of a call is only replied to, unless an effort asks for a search.
    is_text = turns[-1]["role"] == "tool" and not search.is_searched and schema is None
    kind = "text" if is_text else search.kind
    return replace(search, question=question, history=history, kind=kind).problem(new_id())


def _ending_with_a_question(turns: list[JsonObject]) -> list[JsonObject]:
    """The turns with the question, or the result of a call, as the last one.

    Raises:
        UsageError: there is none.
    """
    last = max((at for at, turn in enumerate(turns) if turn["role"] != "system"), default=len(turns) - 1)
    if not turns or "tool_calls" in turns[last]:
        raise UsageError("the last message has to be the question, or the result of a call")
    question = turns[last]
    if question["role"] == "assistant":
        return [*turns, {"role": "user", "content": CONTINUE}]
    if question["role"] == "system":
        question = {**question, "role": "user"}
    return [*turns[:last], *turns[last + 1 :], question]


def _tool_details(turns: Sequence[JsonObject], body: Body) -> JsonObject:
    """The details of a problem with tools, which are valid."""
    tools, choice = body.tools, body.tool_choice or "auto"
    is_parallel = body.parallel_tool_calls and not body.disable_parallel_tool_use
    if isinstance(choice, Forced):
        tools, is_parallel = [tool for tool in tools if tool.name == choice.name], False
        choice = "required"
    if choice == "required" and not tools:
        raise Refusal.of_field("tool_choice", "asks for a call, and there is no such tool")
    details = {
        "messages": turns,
        "tools": [tool.record() for tool in tools],
        "choice": choice,
        "is_parallel": is_parallel,
    }
    ToolRequest.of(details)
    return details


def public_name(model: GeneratorDescription) -> str:
    """The name of a model, without the folders of a path."""
    is_path = model.name.endswith(".gguf") or Path(model.name).name == model.file
    return model.file.removesuffix(".gguf") if is_path else model.name
