"""Labels and their prompt, and the label of a row by the model's log-probabilities.

Without known rows a probability is the model's own. Small models favour some labels: the mean log-probability
of each label over all rows is that bias (batch calibration, arXiv 2309.17249). It is taken off if known rows
are likelier without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from adascale.engine.bands import Band, band_of
from adascale.engine.errors import UsageError
from adascale.models.labelling import LabelPrompt

Scores = Sequence[float]
"""``[labels]`` log-probabilities of the labels of a text, or of yes to each if it may have several."""

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
        listed = "\n".join(["", *options, ""]) if any(self.labels.values()) else f" {', '.join(labels)}. "
        start = f"{self.question} " if self.question else ""
        if self.many:
            system = f"{start}The labels are:{listed}Say whether a label fits the text, with Yes or No only."
        else:
            reply = "Reply with the label that fits the text best, and nothing else."
            system = f"{start}Each text has one of these labels:{listed}{reply}"
        question = self.question.strip() or "Which label fits the text best?"
        yes_no = [f"Does the label “{name}” fit the text?" for name in labels if self.many]
        return LabelPrompt(system, labels, question, options, yes_no)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The label of a row.

    Attributes:
        label: Its name, or names; empty for a row that could not be read.
        probability: Probability in [0, 1] that it is correct, for several labels that of the least sure
            decision; None for a row that could not be read, and for a label of a person.
        runner_up: The second likeliest label, or the label of the least sure decision.
        band: The probability in words, or the reason why there is none.
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
        yes = np.exp(scores)
        sure = np.maximum(yes, 1 - yes)
        least = int(sure.argmin())
        label = SEPARATOR.join(name for name, p in zip(names, yes, strict=True) if p >= 0.5)
        p, runner_up, choices = float(sure[least]), names[least], 2
    else:
        best, second = np.argsort(-np.asarray(scores), kind="stable")[:2]
        label, runner_up, choices = names[best], names[second], len(names)
        p = float(np.exp(_normalised(scores)[best]))
    return Labelled(label, p, runner_up, band_of(p, {}, choices))


def without_bias(
    task: LabelTask, scores: Sequence[Scores | None], known: Mapping[int, str]
) -> tuple[Sequence[Scores | None], bool]:
    """Scores without the bias of labels, if known rows are likelier so, and whether they are.

    Args:
        task: The labels.
        scores: Scores of each row.
        known: Labels that people gave, by the place of the row.
    """
    names = [*task.labels]
    if task.many or len(known) < _FEWEST:
        return scores, False
    bias = np.mean(np.array([row for row in scores if row is not None]), axis=0)
    unbiased = [None if row is None else (np.asarray(row) - bias).tolist() for row in scores]

    def likelihood(rows: Sequence[Scores | None]) -> float:
        pairs = ((rows[place], names.index(label)) for place, label in known.items() if label in names)
        return sum(float(_normalised(row)[label]) for row, label in pairs if row is not None)

    return (unbiased, True) if likelihood(unbiased) > likelihood(scores) else (scores, False)


def _normalised(scores: Scores) -> NDArray[np.float64]:
    """Log-probabilities whose probabilities add up to 1."""
    normalised: NDArray[np.float64] = np.asarray(scores) - np.logaddexp.reduce(scores)
    return normalised
