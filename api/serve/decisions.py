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

from pydantic import AliasChoices, Field, StrictBool, model_validator

from adascale.engine.kinds import kind_of
from adascale.engine.request import SearchRequest
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


class Option(Fields):
    """A choice, or a level of a score; a text and a boolean of the same spelling differ."""

    value: Text | StrictBool = Field(validation_alias=AliasChoices("value", "label"))
    description: str = ""


class Question(Fields):
    """A question about the input."""

    type: Literal["predicate", "choice", "score"]
    name: str | None = None
    instructions: Parts
    options: Annotated[list[Option], Field(min_length=2, max_length=len(_LETTERS))] = Field(
        [], validation_alias=AliasChoices("choices", "levels")
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not text_of(self.instructions).strip():
            raise ValueError("the instructions are empty")
        if self.type != "predicate" and not self.options:
            raise ValueError("its choices, or the levels of a score, are missing")
        if len({(type(option.value), option.value) for option in self.options}) < len(self.options):
            raise ValueError("two options have the same value")
        return self

    def problem(self, history: tuple[Turn, ...]) -> Problem:
        """The question below the input; a statement becomes a question for its truth."""
        text = text_of(self.instructions).strip()
        if self.type == "predicate":
            text = text if text.endswith("?") else f"Is this true? {text}"
            return Problem(new_id(), text, history=history, kind="yes-no")
        texts = [": ".join(filter(None, [str(option.value), option.description])) for option in self.options]
        details = {"stem": text, "texts": texts, "letters": [*_LETTERS[: len(texts)]]}
        return Problem(new_id(), text, history=history, kind="choice", details=details)

    def answer(self, chances: Sequence[float]) -> JsonObject:
        """The answer, by the probability of each option; for a predicate of yes and of no."""
        head, chances = {"type": self.type, "name": self.name}, [round(p, 4) for p in chances]
        if self.type == "predicate":
            return {**head, "probability": chances[0]}
        most, count = max(chances), len(chances)
        values: list[JsonObject] = [{"value": option.value} for option in self.options]
        result: JsonObject = {"choice": values[chances.index(most)]["value"]}
        if self.type == "score":
            values = [{"value": at, "label": option.value} for at, option in enumerate(self.options)]
            result = {"score": round(sum(at * p for at, p in enumerate(chances)), 4)}
        return {
            **head,
            **result,
            "confidence": round((count * most - 1) / (count - 1), 4),
            "probabilities": [{**value, "probability": p} for value, p in zip(values, chances, strict=True)],
        }


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
    turns = in_words(turn for message in body.input for turn in message.turns())
    if not any(turn["content"].strip() for turn in turns):
        raise Refusal.of_field("input", "is empty")
    history = tuple(Turn(turn["role"], turn["content"]) for turn in turns)
    answers, usage = [], Usage()
    for question in body.questions:
        problem = question.problem(history)
        ask = Ask(problem, SearchRequest())
        *_, outcome = [part async for part in follow(hub.ask(problem, ask.search), ask)]
        assert isinstance(outcome, Outcome), "the last part is the outcome"
        options = outcome.answer.options
        if not options:
            text = "the options have no probability: no calibration, or a server without log-probabilities"
            raise Refusal(400, text, "no-probability")
        answers.append(question.answer([options[name] for name in kind_of(problem).options(problem)]))
        usage += outcome.answer.record.usage
    return {"model": body.model or served.name, "answers": answers, "usage": usage_of(usage)}
