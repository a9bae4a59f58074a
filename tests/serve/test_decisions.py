"""Questions about one input, each with the probability of its options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from machine import opened
from scripted_server import MODEL, EchoPolicy, Served, echo, served

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.kinds import OptionsPrompt, kind_of
from adascale.engine.types import KindName, Turn
from adascale.serve.decisions import DECISIONS, Question

INPUT = "I was charged twice."
CHOICES = [{"value": "billing", "description": "Payments"}, {"value": True}, {"value": "true"}]
LEVELS = [{"label": "low"}, {"label": "high", "description": "Urgent"}]
QUESTIONS: dict[str, Any] = {
    "predicate": {"type": "predicate", "name": "refund", "instructions": "The customer wants a refund."},
    "choice": {"type": "choice", "instructions": "Which team?", "choices": CHOICES},
    "score": {"type": "score", "instructions": "How urgent is it?", "levels": LEVELS},
}


def logits(asked: OptionsPrompt) -> list[float]:
    """No is likelier than yes, and of three options the one in the middle, in either order."""
    weights = {"look-yes-no": [0.2, 0.8], "look-choice": [0.1, 0.8, 0.1]}[asked.prompt]
    return [math.log(each) for each in weights[: len(asked.words)]]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    kinds: tuple[KindName, ...] = ("choice", "yes-no")
    calibrators = {kind: Posterior.of_model(kind, 1.5e9) for kind in kinds}
    with served(policy=EchoPolicy(echo, logits=logits), calibrators=calibrators) as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "chances", "answer"),
    [
        ("predicate", [0.25, 0.75], {"probability": 0.25}),
        # Probabilities and confidence of the replies that the module names.
        (
            "choice",
            [0.0, 0.75, 0.25],
            {
                "choice": True,
                "confidence": 0.625,
                "probabilities": [
                    {"value": "billing", "probability": 0.0},
                    {"value": True, "probability": 0.75},
                    {"value": "true", "probability": 0.25},
                ],
            },
        ),
        (
            "score",
            [0.95, 0.05],
            {
                "score": 0.05,
                "confidence": 0.9,
                "probabilities": [
                    {"value": 0, "label": "low", "probability": 0.95},
                    {"value": 1, "label": "high", "probability": 0.05},
                ],
            },
        ),
    ],
)
def test_an_answer_has_the_form_and_the_numbers_of_openai(
    kind: str, chances: list[float], answer: dict[str, Any]
) -> None:
    question = Question.read(QUESTIONS[kind])
    assert question.answer(chances) == {"type": kind, "name": question.name, **answer}


def test_openais_client_gets_each_answer_in_order_and_nothing_is_written(server: Served) -> None:
    before = len(server.policy.samplers)
    parts: Any = [{"role": "user", "content": [{"type": "input_text", "text": INPUT}]}]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        asked: Any = [QUESTIONS["score"], QUESTIONS["predicate"], QUESTIONS["choice"]]
        answers: Any = client.decisions.create(model=MODEL, input=INPUT, questions=asked).answers
        again = client.decisions.create(model=MODEL, input=parts, questions=asked)
    _, predicate, choice = answers
    assert [each.type for each in answers] == ["score", "predicate", "choice"]
    assert (again.answers, len(server.policy.samplers)) == (answers, before)
    assert (predicate.name, predicate.probability < 0.5, choice.choice) == ("refund", True, True)
    assert again.usage.input_tokens == again.usage.total_tokens > 0


def test_questions_of_one_input_share_its_prefix(random_gguf: Path) -> None:
    asked = [(INPUT, "choice"), (INPUT, "score"), ("Another input", "score")]
    problems = [Question.read(QUESTIONS[kind]).problem((Turn("user", text),)) for text, kind in asked]
    with opened(random_gguf) as machine:
        policy, _ = machine.policy()
        looks = [replace(kind_of(each).option_prompts(each)[0], prompt="prose") for each in problems]
        seen = [policy.option_logits(*each).reused_tokens for each in zip(looks, problems, strict=True)]
    assert seen[1] >= seen[2] + len(INPUT)  # a token is a byte


def test_a_description_stands_beside_its_option() -> None:
    problem = Question.read(QUESTIONS["choice"]).problem((Turn("user", INPUT),))
    assert problem.details["texts"] == ["billing: Payments", "True", "true"]


def choice(**more: Any) -> dict[str, Any]:
    return {"questions": [{**QUESTIONS["choice"], **more}]}


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,aaaa"}


@pytest.mark.parametrize(
    ("body", "param", "text"),
    [
        ({"input": None}, "input", "required"),
        ({"input": " "}, "input", "empty"),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "input[0].content[0].type", "only text"),
        (choice(instructions=None), "questions[0].instructions", "required"),
        (choice(type="rank"), "questions[0].type", "'score'"),
        (choice(choices=None), "questions[0]", "are missing"),
        (choice(choices=[{"value": str(n)} for n in range(256)]), "questions[0].choices", "at most 26"),
        (choice(choices=[{"value": "a"}, {"value": 1}]), "questions[0].choices[1].value", "valid"),
        (choice(choices=[{"value": "a"}, {"value": "a"}]), "questions[0]", "same value"),
        ({"model": "gpt-6-luna"}, "model", "there is scripted"),
    ],
)
def test_what_cannot_be_decided_is_refused_in_openais_form(
    server: Served, body: dict[str, Any], param: str, text: str
) -> None:
    refused = server.post(DECISIONS, **{"input": INPUT, "questions": [QUESTIONS["predicate"]], **body})
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (404 if "model" in body else 400, param)
    assert text in error["message"]


def test_options_without_a_probability_are_refused_rather_than_made_up() -> None:
    with served() as bare:  # as with --calibration none
        refused = bare.post(DECISIONS, input=INPUT, questions=[QUESTIONS["predicate"]])
    assert refused.json()["error"]["code"] == "no-probability"
