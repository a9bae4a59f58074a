"""Writers of formats that label every step: TRL stepwise, soft steps, Math-Shepherd, PRM800K."""

from __future__ import annotations

from collections.abc import Iterator

from .rows import MathShepherdRow, RatedRow, RatedStep, SoftStepRow, StepwiseRow
from .sampled import SampledNode, SampledQuestion
from .writing import NO_PROBABILITY, Omission, WriteRequest

STEP_MARK = "ки"
"""What Math-Shepherd puts behind each step; a model is asked there whether the step is right."""

_MARKED = Omission(f"solutions that contain {STEP_MARK}, which marks a step")


def write_stepwise(request: WriteRequest) -> Iterator[StepwiseRow | Omission]:
    """Every path from the question to a leaf."""
    for path in _labelled_paths(request.question):
        if isinstance(path, Omission):
            yield path
            continue
        probabilities = [p for node in path if (p := node.probability) is not None]
        yield {
            "prompt": request.question.problem.statement,
            "completions": [node.text.rstrip() for node in path],
            "labels": [request.is_positive(p) for p in probabilities],
            "probabilities": probabilities,
            "counts": [node.counts for node in path],
            "mode": path[-1].mode,
        }


def write_soft_steps(request: WriteRequest) -> Iterator[SoftStepRow | Omission]:
    """Every prefix, the question itself too."""
    for row, node in enumerate(request.question.nodes):
        probability, outcome = node.probability, node.outcome
        if probability is None:
            yield NO_PROBABILITY
            continue
        yield {
            "question": request.question.problem.statement,
            "reasoning_prefix": request.question.text(row),
            "success_prob": probability,
            "right": None if outcome is None else outcome.right,
            "total": None if outcome is None else outcome.total,
            "finished": node.ended,
            "mode": node.mode,
        }


def write_math_shepherd(request: WriteRequest) -> Iterator[MathShepherdRow | Omission]:
    """Every path from the question to a leaf."""
    question = request.question.problem.statement
    for path in _labelled_paths(request.question):
        if isinstance(path, Omission):
            yield path
            continue
        steps = [f"Step {number}: {node.text.strip()}" for number, node in enumerate(path, 1)]
        if any(STEP_MARK in text for text in (question, *steps)):
            yield _MARKED
            continue
        positive = [request.is_positive(node.probability or 0.0) for node in path]
        labels = ["+" if good else "-" for good in positive]
        yield {
            "input": f"{question} " + "\n".join(f"{step} {STEP_MARK}" for step in steps),
            "label": f"{question} "
            + "\n".join(f"{step} {label}" for step, label in zip(steps, labels, strict=True)),
            "task": str(request.question.problem.meta.get("task", "math")),
        }


def write_prm800k(request: WriteRequest) -> Iterator[RatedRow | Omission]:
    """The solution that goes on with the likeliest step everywhere, among all alternatives on its way."""
    question, steps, at = request.question, list[RatedStep](), 0
    while rated := [
        (row, p) for row in question.children[at] if (p := question.nodes[row].probability) is not None
    ]:
        at = max(rated, key=lambda each: each[1])[0]
        steps.append(
            {
                "completions": [
                    {"text": question.nodes[row].text.rstrip(), "rating": 1 if request.is_positive(p) else -1}
                    for row, p in rated
                ],
                "human_completion": None,
                "chosen_completion": [row for row, _ in rated].index(at),
            }
        )
    if not steps:
        yield NO_PROBABILITY
        return
    problem = question.problem
    finish = "solution" if question.nodes[at].ended else "give_up"
    yield {
        "question": {"problem": problem.statement, "ground_truth_answer": problem.answer},
        "label": {"steps": steps, "finish_reason": finish},
    }


def _labelled_paths(question: SampledQuestion) -> Iterator[list[SampledNode] | Omission]:
    """Each path to a leaf, cut before its first step without a probability."""
    for leaf in question.leaves():
        path = [question.nodes[row] for row in question.path(leaf)]
        length = next((at for at, node in enumerate(path) if node.probability is None), len(path))
        if length < len(path):
            yield NO_PROBABILITY
        if length:
            yield path[:length]
