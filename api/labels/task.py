"""Labels and their prompt, and the label of a row by the model's log-probabilities.

Without known rows a probability is the model's own. Small models favour some labels: the mean log-probability
of each label over all rows is that bias (batch calibration, arXiv 2309.17249), which is taken off if known
rows are likelier without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adascale.engine.bands import Band, band_of
from adascale.engine.errors import UsageError
from adascale.models.labelling import LabelPrompt

Scores = Sequence[float]
"""Log-probabilities of the labels of a text; log-odds of yes where a text may have several."""

_FEWEST = 20
"""Known rows by which the bias of labels is judged."""

BY_PERSON: Literal["by a person"] = "by a person"
"""Band of a label that a person gave."""

SEPARATOR = "; "
"""Between the labels of a row that may have several."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """Labels, and the question that they answer.

    Attributes:
        labels: Description of each label by its name; empty for a name that speaks for itself.
        question: The question that a label answers, such as "Which team should read this?".
        many: A row may have several labels, or none: each is a question for yes or no.

    Raises:
        UsageError: there are fewer than two labels, or one for yes or no, or one is empty, or two read alike.
    """

    labels: Mapping[str, str]
    question: str = ""
    many: bool = False

    def __post_init__(self) -> None:
        """Refuse labels between which nothing can be chosen."""
        if len(self.labels) < 2 - self.many or not all(name.strip() for name in self.labels):
            raise UsageError(
                "a label is chosen from two or more", hint="for example billing, technical and other"
            )
        if len(set(self.words)) < len(self.labels):
            raise UsageError("two labels have the same words", hint="_ and a space are the same to a model")

    @property
    def words(self) -> list[str]:
        """The names as a model reads them: ``card_arrival`` is two words."""
        return [" ".join(name.replace("_", " ").split()) for name in self.labels]

    @property
    def prompt(self) -> LabelPrompt:
        """Instruction and labels, as a model reads them before a text."""
        labels = self.words
        options = [
            f"{name}: {text}" if text else name
            for name, text in zip(labels, self.labels.values(), strict=True)
        ]
        has_descriptions = any(self.labels.values())
        listed = "\n".join(["", *options, ""]) if has_descriptions else f" {', '.join(labels)}. "
        question = self.question.strip() or "Which label fits the text best?"
        asked = f"{question} " if self.question else ""
        if self.many:
            each = [f"Does the label “{name}” fit the text?" for name in labels]
            system = f"{asked}The labels are:{listed}Say whether a label fits the text, with Yes or No only."
            return LabelPrompt(system, labels, question, options, each)
        reply = "Reply with the label that fits the text best, and nothing else."
        return LabelPrompt(
            f"{asked}Each text has one of these labels:{listed}{reply}", labels, question, options
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """The label of a row.

    Attributes:
        label: Its name, or names; empty for a row that could not be read.
        probability: Probability in [0, 1] that it is correct; of several decisions that of the least sure.
            None for a row that could not be read, and for a label of a person.
        runner_up: The second likeliest label, or the label of the least sure decision.
        band: The probability in words; or where the label is from without one.
    """

    label: str
    probability: float | None = None
    runner_up: str = ""
    band: Band | Literal["by a person", "not read"] = "not read"

    def cells(self) -> dict[str, str | float | None]:
        """The columns that are added to the row."""
        rounded = None if self.probability is None else round(self.probability, 4)
        return {
            "label": self.label,
            "probability": rounded,
            "band": self.band,
            "runner_up": self.runner_up,
        }


def labelled(task: LabelTask, scores: Scores | None) -> Labelled:
    """The label of a row by its scores; None for a row that could not be read."""
    names = [*task.labels]
    if scores is None:
        return Labelled("")
    if task.many:
        yes = [1 / (1 + math.exp(-max(-50.0, min(50.0, score)))) for score in scores]
        sure = [max(p, 1 - p) for p in yes]
        chosen = SEPARATOR.join(name for name, p in zip(names, yes, strict=True) if p >= 0.5)
        least = min(sure)
        return Labelled(chosen, least, names[sure.index(least)], band_of(least, {}, 2))
    order = sorted(range(len(names)), key=lambda n: -scores[n])
    p = math.exp(scores[order[0]] - _log_sum(scores))
    return Labelled(names[order[0]], p, names[order[1]], band_of(p, {}, len(names)))


def without_bias(
    task: LabelTask, scores: Sequence[Scores | None], known: Mapping[int, str]
) -> tuple[Sequence[Scores | None], bool]:
    """Scores of all rows without the bias of labels, if known rows are likelier so, and whether they are.

    Args:
        task: The labels.
        scores: Scores of each row.
        known: Labels of rows that people gave, by the place of the row.
    """
    names, read = [*task.labels], [each for each in scores if each is not None]
    if task.many or len(known) < _FEWEST:
        return scores, False
    bias = [sum(each[n] for each in read) / len(read) for n in range(len(names))]
    without = [None if each is None else [s - b for s, b in zip(each, bias, strict=True)] for each in scores]

    def likelihood(rows: Sequence[Scores | None]) -> float:
        pairs = ((rows[n], names.index(label)) for n, label in known.items() if label in names)
        return sum(row[label] - _log_sum(row) for row, label in pairs if row is not None)

    return (without, True) if likelihood(without) > likelihood(scores) else (scores, False)


def _log_sum(scores: Scores) -> float:
    """Logarithm of the sum of exponentials."""
    largest = max(scores)
    return largest + math.log(sum(math.exp(each - largest) for each in scores))
