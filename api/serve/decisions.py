"""OpenAI's decisions: ``POST /v1/decisions``, questions about one input, each with a probability per option.

The form is that of ``types/decision.py`` and ``types/decision_create_params.py`` in openai-python 3.57 and
3.60; gproxy-protocol 4.1 (``wire/openai/decisions.rs``), the documentation of SGLang and that of Fireworks
agree with it::

    {"model": ..., "input": text or messages, "questions": [
        {"type": "predicate", "name"?: ..., "instructions": text or parts},
        {"type": "choice", ..., "choices": [{"value": text or bool, "description"?: ...}, ...]},
        {"type": "score", ..., "levels": [{"label": ..., "description"?: ...}, ...]}]}
    {"model": ..., "usage": as of responses, "answers": [
        {"type": "predicate", "name": ... or null, "probability": P(true)},
        {"type": "choice", ..., "choice": value, "confidence": ...,
            "probabilities": [{"value", "probability"}, ...]},
        {"type": "score", ..., "score": ..., "confidence": ...,
            "probabilities": [{"value", "label", "probability"}, ...]}]}

The value of a level is its place from 0, and a score is the expected place (reference of NVIDIA Dynamo). The
types do not define the confidence. Here it is (n * p - 1) / (n - 1) for n options with p as the largest
probability: so flutter_edge_ai documents Jev's, and so is the reply in the tests of Arize's openinference-go
that has the shape of a live one, with .9 for (.95, .05) and .63 for (0, .75, .25).

The input is the conversation before each question, so that questions share its prefix.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from adascale.engine.kinds import kind_of
from adascale.engine.request import SearchRequest
from adascale.engine.search.record import Record
from adascale.engine.tools.calls import in_words
from adascale.engine.types import Problem, Turn, Usage

from .body import Fields, Messages, Parts, Text, text_of
from .http import JsonObject, Refusal
from .hub import Hub
from .outcome import Outcome
from .request import Ask, ServedModel, new_id
from .responses import usage_of
from .stream import follow

DECISIONS = "/v1/decisions"

_LETTERS = string.ascii_uppercase
"""Options are told apart by their letters; the form allows 255 choices."""


class Choice(Fields):
    """An option of a choice; a text and a boolean of the same spelling differ."""

    value: Text | StrictBool
    description: str = ""


class Level(Fields):
    """A level of a score."""

    label: Text
    description: str = ""


class Question(Fields):
    """A question about the input."""

    type: Literal["predicate", "choice", "score"]
    name: str | None = None
    instructions: Parts
    choices: Annotated[list[Choice], Field(min_length=2, max_length=len(_LETTERS))] = []
    levels: Annotated[list[Level], Field(min_length=2, max_length=10)] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not text_of(self.instructions).strip():
            raise ValueError("the instructions are empty")
        if self.type != "predicate" and not self.options:
            raise ValueError("its choices, or the levels of a score, are missing")
        if len({(type(each.value), each.value) for each in self.choices}) < len(self.choices):
            raise ValueError("two choices have the same value")
        return self

    @property
    def options(self) -> list[tuple[str | bool, str]]:
        """Value, or label, and description of each option; empty for a predicate."""
        if self.type == "score":
            return [(each.label, each.description) for each in self.levels]
        return [(each.value, each.description) for each in self.choices if self.type == "choice"]

    def problem(self, history: tuple[Turn, ...]) -> Problem:
        """The question below the input; a statement is asked for its truth."""
        asked = text_of(self.instructions).strip()
        if self.type == "predicate":
            asked = asked if asked.endswith("?") else f"Is this true? {asked}"
            return Problem(new_id(), asked, history=history, kind="yes-no")
        texts = [f"{value}: {of}" if of else f"{value}" for value, of in self.options]
        details = {"stem": asked, "texts": texts, "letters": [*_LETTERS[: len(texts)]]}
        return Problem(new_id(), asked, history=history, kind="choice", details=details)

    def answer(self, chances: Sequence[float]) -> JsonObject:
        """The answer, by the probability of each option; of a predicate that of yes and of no."""
        found: JsonObject = {"type": self.type, "name": self.name}
        if self.type == "predicate":
            return {**found, "probability": round(chances[0], 4)}
        most, places = max(chances), range(len(chances))
        found["confidence"] = round((len(chances) * most - 1) / (len(chances) - 1), 4)
        values = [value for value, _ in self.options]
        each: list[JsonObject] = [{"value": value} for value in values]
        if self.type == "choice":
            found["choice"] = values[chances.index(most)]
        else:
            found["score"] = round(sum(at * chances[at] for at in places), 4)
            each = [{"value": at, "label": values[at]} for at in places]
        found["probabilities"] = [{**each[at], "probability": round(chances[at], 4)} for at in places]
        return found


class DecisionBody(Fields):
    """Body of a request for decisions."""

    model: str | None = None
    input: Messages
    """A text, or a conversation."""
    questions: Annotated[list[Question], Field(min_length=1, max_length=400)]


async def decide(hub: Hub, body: DecisionBody, served: ServedModel) -> JsonObject:
    """Ask the questions one after another, since each goes on from the input that the last one has read.

    Raises:
        Refusal: the model is another one, a question could not be asked, or its options have no probability.
    """
    served.effort_of(body.model, None)
    said = in_words(each for message in body.input for each in message.spoken())
    if not any(each["content"].strip() for each in said):
        raise Refusal.of_field("input", "is empty")
    history = tuple(Turn(each["role"], each["content"]) for each in said)
    answers, usage = [], Usage()
    for question in body.questions:
        record = await _asked(hub, question.problem(history))
        problem = record.started.problem
        if not record.options:
            text = "the options have no probability: no calibration, or a server without log-probabilities"
            raise Refusal(400, text, "no-probability")
        answers.append(question.answer([record.options[each] for each in kind_of(problem).options(problem)]))
        usage += record.usage
    return {"model": body.model or served.name, "answers": answers, "usage": usage_of(usage)}


async def _asked(hub: Hub, problem: Problem) -> Record:
    """The search of a question."""
    ask = Ask(problem, SearchRequest())
    *_, last = [part async for part in follow(hub.ask(problem, ask.search), ask)]
    assert isinstance(last, Outcome), "the last part is the outcome"
    return last.record
