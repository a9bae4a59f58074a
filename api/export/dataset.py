"""A dataset: sampled questions through filters, a split by question and a format, into a file."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, get_args, get_origin, get_type_hints, is_typeddict

from adascale.engine.errors import UsageError
from adascale.models.extras import install_command
from adascale.models.storage import atomic_write

from .filters import Filters
from .formats import Format, Labelling, Row, Split, WriteRequest, out_of_range
from .sampled import Omission, SampledQuestion, question_number

_ROW_GROUP = 1000
"""Rows of a parquet file that are in memory before they are written."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How questions become rows.

    Attributes:
        format: Format of the rows.
        labelling: How probabilities become labels.
        filters: Conditions on questions and steps.
        train_share: Share of the questions to train on, in (0, 1]; the others are held out for a test.
        seed: Seed of the split.
    """

    format: Format
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    train_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            UsageError: It is outside its range.
        """
        if not 0 < self.train_share <= 1:
            raise out_of_range("split", self.train_share, "above 0 and at most 1", 0.9)

    def split_of(self, question: str) -> Split:
        """Side of the split that a question is on, in every export with this seed."""
        place = question_number(question, self.seed) / 2**63
        return "train" if place < self.train_share else "test"


@dataclass(slots=True)
class Tally:
    """Counts of a dataset that is being made.

    Attributes:
        questions: Searches or sets of rollouts that were read.
        nodes: Their prefixes.
        rows: Rows by split.
        omissions: Things left out, by reason.
    """

    questions: int = 0
    nodes: int = 0
    rows: Counter[Split] = field(default_factory=Counter)
    omissions: Counter[str] = field(default_factory=Counter)


def rows_of(
    questions: Iterable[SampledQuestion | Omission], recipe: Recipe, tally: Tally
) -> Iterator[tuple[Split, Row]]:
    """Yield the rows of all questions with their splits; count what is read, written and left out.

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
        chosen = recipe.filters.select(question.merged(), tally.omissions)
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


@contextmanager
def open_dataset(path: Path, row: type[Any]) -> Iterator[Callable[[Row], object]]:
    """Yield a function that appends a row: to parquet if the file is named so, or as a line of JSON.

    The file appears when the block ends; after an error it is not there, or is as it was.

    Args:
        path: Name of the file.
        row: ``TypedDict`` of the rows.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_write(path) as file:
        if path.suffix == ".parquet":
            with _open_parquet(file, row) as append:
                yield append
        else:
            # ASCII: no reader takes a character for the end of a line.
            encode = json.JSONEncoder(allow_nan=False).encode
            yield lambda row: file.write(encode(row).encode("ascii") + b"\n")


def check_parquet() -> None:
    """Refuse early what could not be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "parquet is written by pyarrow, which is not installed",
            hint=f"{install_command('export')}, or an output that ends in .jsonl",
            slug="no-pyarrow",
        )


@contextmanager
def _open_parquet(file: BinaryIO, row: type[Any]) -> Iterator[Callable[[Row], object]]:
    from pyarrow import Table, parquet, schema

    columns = schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(row).items()])
    waiting: list[Row] = []
    with parquet.ParquetWriter(file, columns) as writer:

        def flush() -> None:
            writer.write_table(Table.from_pylist(waiting, schema=columns))
            waiting.clear()

        def append(row: Row) -> None:
            waiting.append(row)
            if len(waiting) == _ROW_GROUP:
                flush()

        yield append
        flush()


def _arrow_type(hint: Any) -> Any:
    """The type of a column: types that are inferred from rows would depend on the first ones."""
    import pyarrow

    if is_typeddict(hint):
        return pyarrow.struct([(name, _arrow_type(each)) for name, each in get_type_hints(hint).items()])
    if get_origin(hint) is list:
        return pyarrow.list_(_arrow_type(get_args(hint)[0]))
    if isinstance(hint, UnionType):  # every column may be null
        return _arrow_type(next(each for each in get_args(hint) if each is not NoneType))
    if get_origin(hint) is Literal:
        return pyarrow.string()
    plain = {str: pyarrow.string, bool: pyarrow.bool_, int: pyarrow.int64, float: pyarrow.float64}
    return plain[hint]()
