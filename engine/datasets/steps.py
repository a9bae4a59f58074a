"""Writers of formats that label every step: TRL stepwise, soft steps, Math-Shepherd, PRM800K."""

from __future__ import annotations

from collections.abc import Iterator

from .rows import MathShepherdRow, RatedRow, RatedStep, SoftStepRow, StepwiseRow
from .sampled import SampledNode, SampledQuestion
from .writing import NO_PROBABILITY, LeftOut, Work

STEP_MARK = "ки"
"""What Math-Shepherd puts behind each step; a model is asked there whether the step is right."""

_MARKED = LeftOut(f"solutions that contain {STEP_MARK}, which marks a step")


def write_stepwise(work: Work) -> Iterator[StepwiseRow | LeftOut]:
    """Every path from the question to a leaf."""
    for path in _labelled_paths(work.question):
        if isinstance(path, LeftOut):
            yield path
            continue
        probabilities = [p for node in path if (p := node.probability) is not None]
        yield {
            "prompt": work.question.problem.statement,
            "completions": [node.text.rstrip() for node in path],
            "labels": [work.is_positive(p) for p in probabilities],
            "probabilities": probabilities,
            "counts": [node.counts for node in path],
            "mode": path[-1].mode,
        }


def write_soft_steps(work: Work) -> Iterator[SoftStepRow | LeftOut]:
    """Every prefix, the question itself too."""
    for row, node in enumerate(work.question.nodes):
        probability, outcome = node.probability, node.outcome
        if probability is None:
            yield NO_PROBABILITY
            continue
        yield {
            "question": work.question.problem.statement,
            "reasoning_prefix": work.question.text(row),
            "success_prob": probability,
            "right": None if outcome is None else outcome.right,
            "total": None if outcome is None else outcome.total,
            "finished": node.ended,
            "mode": node.mode,
        }


def write_math_shepherd(work: Work) -> Iterator[MathShepherdRow | LeftOut]:
    """Every path from the question to a leaf."""
    question = work.question.problem.statement
    for path in _labelled_paths(work.question):
        if isinstance(path, LeftOut):
            yield path
            continue
        steps = [f"Step {number}: {node.text.strip()}" for number, node in enumerate(path, 1)]
        if any(STEP_MARK in text for text in (question, *steps)):
            yield _MARKED
            continue
        positive = [work.is_positive(node.probability or 0.0) for node in path]
        labels = ["+" if good else "-" for good in positive]
        yield {
            "input": f"{question} " + "\n".join(f"{step} {STEP_MARK}" for step in steps),
            "label": f"{question} "
            + "\n".join(f"{step} {label}" for step, label in zip(steps, labels, strict=True)),
            "task": str(work.question.problem.meta.get("task", "math")),
        }


def write_prm800k(work: Work) -> Iterator[RatedRow | LeftOut]:
    """The solution that goes on with the likeliest step everywhere, among all alternatives on its way."""
    question, steps, at = work.question, list[RatedStep](), 0
    while rated := [
        (row, p) for row in question.children[at] if (p := _probability(question, row)) is not None
    ]:
        at = max(rated, key=lambda each: each[1])[0]
        steps.append(
            {
                "completions": [
                    {"text": question.nodes[row].text.rstrip(), "rating": 1 if work.is_positive(p) else -1}
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


def _probability(question: SampledQuestion, row: int) -> float | None:
    return question.nodes[row].probability


def _labelled_paths(question: SampledQuestion) -> Iterator[list[SampledNode] | LeftOut]:
    """Each path to a leaf, up to its last step whose steps before all have probabilities."""
    for leaf in question.leaves():
        path = [question.nodes[row] for row in question.path(leaf)]
        known = next((at for at, node in enumerate(path) if node.probability is None), len(path))
        if known < len(path):
            yield NO_PROBABILITY
        if known:
            yield path[:known]
