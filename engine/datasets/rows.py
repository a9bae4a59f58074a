"""The columns of each format. Columns that a trainer does not know carry what adascale knows besides."""

from __future__ import annotations

from typing import TypedDict

from ..types import Mode


class Message(TypedDict):
    """A turn of a conversation; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class StepwiseRow(TypedDict):
    """TRL stepwise supervision: a path of steps, each with a label.

    ``probabilities`` are in [0, 1]; ``counts`` are ``[right, total]`` draws through a step, None if unknown.
    """

    prompt: str
    completions: list[str]
    labels: list[bool]
    probabilities: list[float]
    counts: list[list[int] | None]
    mode: Mode


class PreferenceRow(TypedDict):
    """TRL preference: two beginnings of a solution; ``p_chosen`` and ``p_rejected`` are P(right).

    ``prefix`` is what both have before the step that differs; empty for whole solutions.
    """

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    prefix: str
    p_chosen: float
    p_rejected: float
    mode: Mode


class UnpairedRow(TypedDict):
    """TRL unpaired preference (KTO, BCO): one solution and whether it is wanted."""

    prompt: list[Message]
    completion: list[Message]
    label: bool
    probability: float
    mode: Mode


class PromptRow(TypedDict):
    """TRL prompt-only with the right answer, which GRPO hands to its reward functions.

    ``success`` is P(a sampled solution is right), None if unknown: for a curriculum.
    """

    prompt: list[Message]
    ground_truth: str
    success: float | None


class MessagesRow(TypedDict):
    """Fine-tuning: a conversation. ``verified`` where the answer is known to be right."""

    messages: list[Message]
    verified: bool
    probability: float
    mode: Mode


class RuleReward(TypedDict):
    """How verl rewards: ``style`` is ``rule``."""

    style: str
    ground_truth: str


class VerlInfo(TypedDict):
    """What verl carries along; ``index`` is the question's number in every export."""

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

    ``right`` and ``total`` count draws through the prefix, None if unknown.
    """

    question: str
    reasoning_prefix: str
    success_prob: float
    right: int | None
    total: int | None
    finished: bool
    mode: Mode


class MathShepherdRow(TypedDict):
    """Math-Shepherd (arXiv 2312.08935): each step ends with a mark in ``input``, and + or - in ``label``."""

    input: str
    label: str
    task: str


class RatedText(TypedDict):
    """One continuation; ``rating`` is 1 or -1."""

    text: str
    rating: int


class RatedStep(TypedDict):
    """All continuations of one prefix, and the index of the one that the solution goes on with."""

    completions: list[RatedText]
    human_completion: str | None
    chosen_completion: int


class Rated(TypedDict):
    """The steps of one solution; ``finish_reason`` is ``solution`` or ``give_up``."""

    steps: list[RatedStep]
    finish_reason: str


class AskedQuestion(TypedDict):
    """A question with its answer, None if unknown."""

    problem: str
    ground_truth_answer: str | None


class RatedRow(TypedDict):
    """PRM800K (arXiv 2305.20050): the steps of a solution among their alternatives."""

    question: AskedQuestion
    label: Rated


Row = (
    StepwiseRow
    | PreferenceRow
    | UnpairedRow
    | PromptRow
    | MessagesRow
    | VerlRow
    | SoftStepRow
    | MathShepherdRow
    | RatedRow
)
