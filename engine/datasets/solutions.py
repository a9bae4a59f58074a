"""Writers of formats of whole solutions and of pairs: preferences, prompts with answers, conversations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..types import Mode
from .rows import MessagesRow, PreferenceRow, PromptRow, UnpairedRow, VerlRow
from .sampled import SampledNode, question_number
from .writing import NO_ANSWER, NO_PROBABILITY, Omission, WriteRequest, assistant_turn, prompt_of

_NO_PAIR = Omission("prefixes whose continuations do not differ enough")
_NO_SOLUTION = Omission("questions without a solution that is right, or likely enough")

_Rated = tuple[int, float]
"""Row of a continuation, and P(right)."""


def write_preferences(request: WriteRequest) -> Iterator[PreferenceRow | Omission]:
    """Continuations of one prefix, or whole solutions: the likeliest with the least likely, and inwards.

    Each continuation is in one pair at most. Only those of the same mode are compared, and a step that ends
    the solution with others that do: a model would else learn to stop, or not to.

    The prefix is in both sides, not in the prompt, where a chat template would render it as a finished turn.
    It cancels in the loss of DPO, as it has the same probability in both.
    """
    question = request.question
    if request.labelling.pairs == "solutions":
        siblings = [(0, tuple(question.ends()))]
    else:
        siblings = [(row, below) for row, below in enumerate(question.children) if len(below) > 1]
    for prefix, rows in siblings:
        pairs = [pair for group in _comparable(request, rows) for pair in _pairs(request, group)]
        for better, worse in pairs:
            yield {
                "prompt": prompt_of(question.problem),
                "chosen": assistant_turn(question.text(better[0])),
                "rejected": assistant_turn(question.text(worse[0])),
                "prefix": question.text(prefix),
                "p_chosen": better[1],
                "p_rejected": worse[1],
                "mode": question.nodes[better[0]].mode,
            }
        if not pairs:
            yield _NO_PAIR


def write_unpaired(request: WriteRequest) -> Iterator[UnpairedRow | Omission]:
    """Every solution that ended."""
    question = request.question
    for row in question.ends():
        probability = question.nodes[row].probability
        if probability is None:
            yield NO_PROBABILITY
            continue
        yield {
            "prompt": prompt_of(question.problem),
            "completion": assistant_turn(question.text(row)),
            "label": request.is_positive(probability),
            "probability": probability,
            "mode": question.nodes[row].mode,
        }


def write_prompts(request: WriteRequest) -> Iterator[PromptRow | Omission]:
    """The question with its known answer."""
    problem = request.question.problem
    if problem.answer is None:
        yield NO_ANSWER
        return
    yield {
        "prompt": prompt_of(problem),
        "ground_truth": problem.answer,
        "success": request.question.nodes[0].probability,
    }


def write_verl(request: WriteRequest) -> Iterator[VerlRow | Omission]:
    """The question with its known answer, for a rule-based reward."""
    problem = request.question.problem
    if problem.answer is None:
        yield NO_ANSWER
        return
    yield {
        "data_source": str(problem.meta.get("data_source", "adascale")),
        "prompt": prompt_of(problem),
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": problem.answer},
        "extra_info": {
            "split": request.split,
            "index": question_number(problem.question),
            "id": problem.id,
            "success": request.question.nodes[0].probability,
        },
    }


def write_messages(request: WriteRequest) -> Iterator[MessagesRow | Omission]:
    """The likeliest solution of those that are right, else of those that are likely to be."""
    question = request.question
    rows = [row for row in question.ends() if _is_worth_learning(request, question.nodes[row])]
    best = max(rows, key=lambda row: _rank(question.nodes[row]), default=None)
    if best is None:
        yield _NO_SOLUTION
        return
    node = question.nodes[best]
    yield {
        "messages": [*prompt_of(question.problem), *assistant_turn(question.text(best))],
        "verified": node.right is True,
        "probability": node.probability or 0.0,
        "mode": node.mode,
    }


def _is_worth_learning(request: WriteRequest, node: SampledNode) -> bool:
    probability = node.probability
    return node.answer is not None and probability is not None and request.is_positive(probability)


def _rank(node: SampledNode) -> tuple[bool, float]:
    """Verified solutions come first, and among equals the likelier one."""
    estimate = node.estimate.median if node.estimate is not None and node.estimate.calibrated else 0.0
    return node.right is True, estimate


def _comparable(request: WriteRequest, rows: Sequence[int]) -> Iterable[list[int]]:
    """The rows by mode, and by whether the solution ends there."""
    groups: dict[tuple[Mode, bool], list[int]] = {}
    for row in rows:
        node = request.question.nodes[row]
        groups.setdefault((node.mode, node.ended), []).append(row)
    return groups.values()


def _pairs(request: WriteRequest, rows: list[int]) -> Iterator[tuple[_Rated, _Rated]]:
    """The likeliest row with the least likely, then inwards, while they are far enough apart."""
    question, nodes = request.question, request.question.nodes
    rated = [(row, p) for row in rows if (p := nodes[row].probability) is not None]
    rated.sort(key=lambda each: -each[1])
    for better, worse in zip(rated[: len(rated) // 2], rated[::-1], strict=False):
        far_apart = better[1] - worse[1] >= request.labelling.min_gap
        if far_apart and question.text(better[0]) != question.text(worse[0]):
            yield better, worse
