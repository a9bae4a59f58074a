"""A dataset: sampled questions through filters, a split by question and a format, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..errors import UsageError, setting
from .formats import Format
from .merging import merge_equal
from .rows import Row
from .sampled import SampledQuestion, question_number
from .selection import Filters, select
from .writing import Labelling, Omission, Split, WriteRequest


@dataclass(frozen=True, slots=True)
class Recipe:
    """How questions become rows.

    Attributes:
        format: Writes them.
        labelling: How probabilities become labels.
        filters: What has to hold.
        train_share: Of the questions, in (0, 1]; the others are held out for a test.
        seed: Of the split.
    """

    format: Format
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    train_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            UsageError: it is outside of its range.
        """
        if not 0 < self.train_share <= 1:
            raise UsageError(
                f"{setting('split', self.train_share)} is out of range: the share is above 0 and at most 1",
                hint=setting("split", 0.9),
            )

    def split_of(self, question: str) -> Split:
        """Where a question belongs, whatever else is exported."""
        place = question_number(question, self.seed) / 2**63
        return "train" if place < self.train_share else "test"


@dataclass(slots=True)
class Tally:
    """What went into a dataset so far.

    Attributes:
        questions: Searches or sets of rollouts that were read.
        nodes: Their prefixes.
        rows: By split.
        omissions: What is not in the dataset, by reason.
    """

    questions: int = 0
    nodes: int = 0
    rows: Counter[Split] = field(default_factory=Counter)
    omissions: Counter[str] = field(default_factory=Counter)


def rows_of(
    questions: Iterable[SampledQuestion | Omission], recipe: Recipe, tally: Tally
) -> Iterator[tuple[Split, Row]]:
    """The rows of all questions, with their splits; counts what is read, written and left out.

    One question is in memory at a time; of those in formats that write a question once, 8 bytes are kept.
    """
    written: set[int] = set()
    for question in questions:
        if isinstance(question, Omission):
            tally.omissions[question.reason] += 1
            continue
        tally.questions += 1
        tally.nodes += len(question.nodes)
        number = question_number(question.problem.question)
        if number in written:
            tally.omissions["questions that are written already"] += 1
            continue
        chosen = select(merge_equal(question), recipe.filters, tally.omissions)
        if chosen is None:
            continue
        split = recipe.split_of(question.problem.question)
        for item in recipe.format.write(WriteRequest(chosen, recipe.labelling, split)):
            if isinstance(item, Omission):
                tally.omissions[item.reason] += 1
                continue
            if recipe.format.once:
                written.add(number)
            tally.rows[split] += 1
            yield split, item
