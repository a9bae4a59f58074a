"""The formats by name: who writes each, what its rows are, and whether a question has one row at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import rows
from .solutions import write_messages, write_preferences, write_prompts, write_unpaired, write_verl
from .steps import write_math_shepherd, write_prm800k, write_soft_steps, write_stepwise
from .writing import Omission, WriteRequest

FormatName = Literal[
    "trl-prm",
    "trl-preference",
    "trl-unpaired",
    "grpo",
    "sft",
    "verl",
    "soft-steps",
    "math-shepherd",
    "prm800k",
]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write training data.

    Attributes:
        write: The rows of one question, and what is left out of it.
        row: Their columns, a ``TypedDict``.
        once: Whether a question that several searches asked is written for the first that gives a row.
        parquet: Whether its trainers read parquet rather than JSON Lines.
    """

    write: Callable[[WriteRequest], Iterator[rows.Row | Omission]]
    row: type[Any]
    once: bool = False
    parquet: bool = False


FORMATS: Mapping[FormatName, Format] = {
    "trl-prm": Format(write_stepwise, rows.StepwiseRow),
    "trl-preference": Format(write_preferences, rows.PreferenceRow),
    "trl-unpaired": Format(write_unpaired, rows.UnpairedRow),
    "grpo": Format(write_prompts, rows.PromptRow, once=True),
    "sft": Format(write_messages, rows.MessagesRow, once=True),
    "verl": Format(write_verl, rows.VerlRow, once=True, parquet=True),
    "soft-steps": Format(write_soft_steps, rows.SoftStepRow),
    "math-shepherd": Format(write_math_shepherd, rows.MathShepherdRow),
    "prm800k": Format(write_prm800k, rows.RatedRow),
}
