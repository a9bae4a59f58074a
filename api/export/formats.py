"""Formats of training data: the columns of each, the function that writes its rows, and the table of all.

Columns that a trainer does not know (``probabilities``, ``counts``, ``success``, ``prefix``, ``mode``) carry
what else a search knows.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import kind_of
from adascale.engine.types import Mode, Problem, probability_of

from .sampled import SampledNode, SampledQuestion, question_number

FormatName = Literal["trl-prm", "trl-preference", "grpo", "sft", "verl", "soft-steps"]
Split = Literal["train", "test"]
PairKind = Literal["steps", "solutions"]

NO_ANSWER = "questions without a known answer"
_NO_PROBABILITY = "steps or solutions without a probability"
_NO_PAIR = "prefixes whose continuations do not differ enough"
_FOLLOWS = "questions after a conversation, which the format has no column for"
_NO_SOLUTION = "questions without a solution that is correct, or likely enough"


class Message(TypedDict):
    """A turn of a conversation; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class StepwiseRow(TypedDict):
    """TRL stepwise supervision: the steps of a solution, each with a label.

    ``probabilities`` are in [0, 1]; ``counts`` are the ``[correct, total]`` draws through a step.
    """

    prompt: str
    completions: list[str]
    labels: list[bool]
    probabilities: list[float]
    counts: list[list[int] | None]
    mode: Mode


class PreferenceRow(TypedDict):
    """TRL preference: two beginnings of a solution; ``p_chosen`` and ``p_rejected`` are P(correct).

    ``prefix`` is the text that both have before the step that differs; empty for whole solutions.
    """

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    prefix: str
    p_chosen: float
    p_rejected: float
    mode: Mode


class PromptRow(TypedDict):
    """TRL prompt-only with the known answer, which GRPO hands to its reward functions.

    ``success`` is P(a sampled solution is correct), for a curriculum; None if unknown.
    """

    prompt: list[Message]
    ground_truth: str
    success: float | None


class MessagesRow(TypedDict):
    """Fine-tuning: a conversation. ``verified`` if the answer is known to be correct."""

    messages: list[Message]
    verified: bool
    probability: float
    mode: Mode


class RuleReward(TypedDict):
    """A reward of verl; ``style`` is ``rule``."""

    style: str
    ground_truth: str


class VerlInfo(TypedDict):
    """Columns that verl carries along; ``index`` is the prompt's number in every export."""

    split: str
    index: int
    id: str
    success: float | None


class VerlRow(TypedDict):
    """verl: a prompt with a rule-based reward."""

    data_source: str
    prompt: list[Message]
    ability: str
    reward_model: RuleReward
    extra_info: VerlInfo


class SoftStepRow(TypedDict):
    """A prefix with its success probability, as Park et al. (arXiv 2506.09338) fit calibrations on.

    ``right`` and ``total`` count the correct and all draws through the prefix, None if unknown.
    """

    question: str
    reasoning_prefix: str
    success_prob: float
    right: int | None
    total: int | None
    finished: bool
    mode: Mode


Row = StepwiseRow | PreferenceRow | PromptRow | MessagesRow | VerlRow | SoftStepRow


@dataclass(frozen=True, slots=True)
class Labelling:
    """How probabilities become labels.

    Attributes:
        threshold: Minimum probability of a step or a solution that is labelled correct, in [0, 1].
        min_gap: Minimum difference of probabilities between chosen and rejected, in (0, 1].
        pairs: Two sides of a preference: continuations of one prefix by a step, or whole solutions.
    """

    threshold: float = 0.5
    min_gap: float = 0.3
    pairs: PairKind = "steps"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: A number is outside its range.
        """
        if not 0 <= self.threshold <= 1:
            raise out_of_range("threshold", self.threshold, "a probability, from 0 to 1", 0.5)
        if not 0 < self.min_gap <= 1:
            raise out_of_range("min_gap", self.min_gap, "above 0 and at most 1", 0.3)


def write_stepwise(
    question: SampledQuestion, labelling: Labelling, split: Split
) -> Iterator[StepwiseRow | str]:
    """A row for every leaf, up to the first step without a probability."""
    if question.problem.history:
        yield _FOLLOWS
        return
    for leaf in question.leaves():
        nodes, probabilities = list[SampledNode](), list[float]()
        for row in question.path(leaf):
            node = question.nodes[row]
            if node.probability is None:
                yield _NO_PROBABILITY
                break
            nodes.append(node)
            probabilities.append(node.probability)
        if nodes:
            yield {
                "prompt": _statement(question.problem),
                "completions": [node.text.rstrip() for node in nodes],
                "labels": [p >= labelling.threshold for p in probabilities],
                "probabilities": probabilities,
                "counts": [node.counts for node in nodes],
                "mode": nodes[-1].mode,
            }


def write_preferences(
    question: SampledQuestion, labelling: Labelling, split: Split
) -> Iterator[PreferenceRow | str]:
    """Pairs of continuations of one prefix, or of whole solutions; each is in one pair at most.

    The likeliest is paired with the least likely, then inwards. Only those of the same mode are compared, and
    a step that ends the solution only with others that do: a model would learn to stop, or not to.

    The prefix is in both sides, not in the prompt, in which a chat template would render it as a finished
    turn. It cancels in the loss of DPO, as it has the same probability in both.
    """
    if labelling.pairs == "solutions":
        siblings = [(0, question.ends())]
    else:
        siblings = [(row, below) for row, below in enumerate(question.children()) if len(below) > 1]
    for prefix, rows in siblings:
        pairs = [
            pair
            for group in _comparable(question, rows)
            for pair in _pairs(question, labelling.min_gap, group)
        ]
        for (better, p_better), (worse, p_worse) in pairs:
            yield {
                "prompt": _prompt(question.problem),
                "chosen": _assistant_turn(question.text(better)),
                "rejected": _assistant_turn(question.text(worse)),
                "prefix": question.text(prefix),
                "p_chosen": p_better,
                "p_rejected": p_worse,
                "mode": question.nodes[better].mode,
            }
        if not pairs:
            yield _NO_PAIR


def write_prompts(question: SampledQuestion, labelling: Labelling, split: Split) -> Iterator[PromptRow | str]:
    """The question with its known answer."""
    problem = question.problem
    if problem.answer is None:
        yield NO_ANSWER
        return
    success = question.nodes[0].probability
    known = _ground_truth(problem, problem.answer)
    yield {"prompt": _prompt(problem), "ground_truth": known, "success": success}


def write_messages(
    question: SampledQuestion, labelling: Labelling, split: Split
) -> Iterator[MessagesRow | str]:
    """The likeliest solution: of those known to be correct, or of those labelled correct."""
    learnable = [
        (node.right is True, probability_of(node.estimate) or 0.0, -row, p)
        for row, node in enumerate(question.nodes)
        if node.ended
        and node.answer is not None
        and (p := node.probability) is not None
        and p >= labelling.threshold
    ]
    if not learnable:
        yield _NO_SOLUTION
        return
    verified, _, row, probability = max(learnable)
    yield {
        "messages": [*_prompt(question.problem), *_assistant_turn(question.text(-row))],
        "verified": verified,
        "probability": probability,
        "mode": question.nodes[-row].mode,
    }


def write_verl(question: SampledQuestion, labelling: Labelling, split: Split) -> Iterator[VerlRow | str]:
    """The question with its known answer, for a rule-based reward."""
    problem = question.problem
    if problem.answer is None:
        yield NO_ANSWER
        return
    yield {
        "data_source": str(problem.meta.get("data_source", "adascale")),
        "prompt": _prompt(problem),
        "ability": "math" if problem.kind == "value" else problem.kind,
        "reward_model": {"style": "rule", "ground_truth": _ground_truth(problem, problem.answer)},
        "extra_info": {
            "split": split,
            "index": prompt_number(problem),
            "id": problem.id,
            "success": question.nodes[0].probability,
        },
    }


def write_soft_steps(
    question: SampledQuestion, labelling: Labelling, split: Split
) -> Iterator[SoftStepRow | str]:
    """Every prefix, the question included."""
    if question.problem.history:
        yield _FOLLOWS
        return
    for row, node in enumerate(question.nodes):
        if node.probability is None:
            yield _NO_PROBABILITY
            continue
        yield {
            "question": _statement(question.problem),
            "reasoning_prefix": question.text(row),
            "success_prob": node.probability,
            "right": None if node.outcome is None else node.outcome.right,
            "total": None if node.outcome is None else node.outcome.total,
            "finished": node.ended,
            "mode": node.mode,
        }


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write training data.

    Attributes:
        write: Yields the rows of one question on its side of the split, and reasons for what is left out.
        row: Columns of a row, a ``TypedDict``.
        labels: Settings of ``Labelling`` that have an effect.
        once: A question that several searches asked is written for the first that gives a row.
        suffix: End of the file name that its trainers expect.
    """

    write: Callable[[SampledQuestion, Labelling, Split], Iterator[Row | str]]
    row: type[Any]
    labels: tuple[str, ...] = ()
    once: bool = False
    suffix: str = ".jsonl"


FORMATS: Mapping[FormatName, Format] = {
    "trl-prm": Format(write_stepwise, StepwiseRow, ("threshold",)),
    "trl-preference": Format(write_preferences, PreferenceRow, ("min_gap", "pairs")),
    "grpo": Format(write_prompts, PromptRow, once=True),
    "sft": Format(write_messages, MessagesRow, ("threshold",), once=True),
    "verl": Format(write_verl, VerlRow, once=True, suffix=".parquet"),
    "soft-steps": Format(write_soft_steps, SoftStepRow),
}


def _statement(problem: Problem) -> str:
    """The question as the generator has read it."""
    return kind_of(problem).statement(problem)


def _prompt(problem: Problem) -> list[Message]:
    """The conversation up to the question."""
    history: list[Message] = [{"role": turn.role, "content": turn.content} for turn in problem.history]
    return [*history, {"role": "user", "content": _statement(problem)}]


def _ground_truth(problem: Problem, known: str) -> str:
    """The known answer; of a choice the letter that the prompt gives the option."""
    kind = kind_of(problem)
    names = kind.options(problem) if problem.kind == "choice" else ()
    lettered = zip(string.ascii_uppercase, names, strict=False)
    return next((letter for letter, name in lettered if kind.matches(problem, name, known)), known)


def prompt_number(problem: Problem) -> int:
    """The number of a prompt: another one for the same words after another conversation, or other options."""
    return question_number("\n".join(turn["content"] for turn in _prompt(problem)))


def _assistant_turn(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _comparable(question: SampledQuestion, rows: Sequence[int]) -> Iterable[list[int]]:
    """The rows by mode; those that end the solution are apart."""
    groups: dict[tuple[Mode, bool], list[int]] = {}
    for row in rows:
        node = question.nodes[row]
        groups.setdefault((node.mode, node.ended), []).append(row)
    return groups.values()


_Rated = tuple[int, float]
"""Row of a continuation, and P(correct)."""


def _pairs(question: SampledQuestion, min_gap: float, rows: list[int]) -> Iterator[tuple[_Rated, _Rated]]:
    """The likeliest row with the least likely, then inwards, while they are far enough apart."""
    rated = [(row, p) for row in rows if (p := question.nodes[row].probability) is not None]
    rated.sort(key=lambda each: -each[1])
    for better, worse in zip(rated[: len(rated) // 2], rated[::-1], strict=False):
        far_apart = better[1] - worse[1] >= min_gap
        if far_apart and question.text(better[0]) != question.text(worse[0]):
            yield better, worse


def out_of_range(name: str, value: float, allowed: str, usual: float) -> UsageError:
    """The error for a setting that is not ``allowed``; its hint is a ``usual`` value."""
    return UsageError(f"{setting(name, value)} is out of range: it is {allowed}", hint=setting(name, usual))
