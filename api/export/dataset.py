"""A dataset: sampled questions through filters, a split by question and a format, into a file with a card."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, get_args, get_origin, get_type_hints, is_typeddict

from adascale import __version__
from adascale.engine.codec import to_plain
from adascale.engine.errors import UsageError, setting
from adascale.engine.search.events import GeneratorDescription
from adascale.models.extras import install_command
from adascale.models.storage import atomic_write

from .filters import Filters
from .formats import FORMATS, FormatName, Labelling, Row, Split, out_of_range, prompt_number
from .sampled import SampledQuestion, question_number

SCHEMA = "adascale.dataset/1"

_FIGURES = ("name", "method", "data", "questions", "held_out", "fingerprint")
"""Fields of a calibration that a card repeats."""

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

    format: FormatName
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    train_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the share, and that the format has use for the labelling.

        Raises:
            UsageError: It is outside its range, or a setting has no effect.
        """
        if not 0 < self.train_share <= 1:
            raise out_of_range("split", self.train_share, "above 0 and at most 1", 0.9)
        for name, value in to_plain(self.labelling).items():
            if value != getattr(Labelling(), name) and name not in FORMATS[self.format].labels:
                fits = " or ".join(form for form, found in FORMATS.items() if name in found.labels)
                raise UsageError(
                    f"{setting(name, value)} has no effect on {self.format}",
                    f"it is for {fits}",
                    hint=f"leave out {setting(name)}",
                )

    def split_of(self, question: str) -> Split:
        """Side of the split that a question is on, in every export with this seed."""
        place = question_number(question, self.seed) / 2**63
        return "train" if place < self.train_share else "test"


@dataclass(slots=True)
class Card:
    """The card of a dataset: what it is made of, counted and noted while its rows go by.

    Attributes:
        recipe: How its questions become rows.
        mixed: One dataset may hold solutions of several generators, whose probabilities do not compare.
        questions: Searches or sets of rollouts that were read.
        nodes: Their prefixes.
        rows: Rows by split.
        omissions: Things left out, by reason.
    """

    recipe: Recipe
    mixed: bool = False
    questions: int = 0
    nodes: int = 0
    rows: Counter[Split] = field(default_factory=Counter)
    omissions: Counter[str] = field(default_factory=Counter)
    _generators: dict[str, GeneratorDescription | None] = field(default_factory=dict)
    _calibrations: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _samplings: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def note(self, question: SampledQuestion) -> None:
        """Count a question that was read, and note its origin.

        Raises:
            UsageError: a second generator, and they may not be mixed.
        """
        self.questions += 1
        self.nodes += len(question.nodes)
        models, generator = question.models, question.models.generator
        name = "" if generator is None else generator.sha256 or generator.name
        self._generators.setdefault(name, generator)
        if len(self._generators) > 1 and not self.mixed:
            known = self._generators.values()
            raise UsageError(
                "the sources come from several generators, whose probabilities do not compare",
                *("one that its source does not name" if each is None else each.name for each in known),
                hint=f"read sources of one generator, or {setting('mixed', True)}",
                slug="mixed-generators",
            )
        if models.calibration is not None:
            self._calibrations.setdefault(str(models.calibration.get("fingerprint")), models.calibration)
        if models.sampling is not None:
            self._samplings.setdefault(str(sorted(models.sampling.items())), models.sampling)

    def describe(self, licences: Mapping[str, str]) -> dict[str, Any]:
        """The card as JSON.

        Args:
            licences: Licences of models, by sha256.
        """
        return {
            "schema": SCHEMA,
            "adascale": __version__,
            "format": self.recipe.format,
            "generators": [
                {
                    "name": None if generator is None else generator.name,
                    "sha256": None if generator is None else generator.sha256,
                    "licence": None if generator is None else licences.get(generator.sha256),
                }
                for generator in self._generators.values()
            ],
            "sampling": [dict(sampling) for sampling in self._samplings.values()],
            "calibrations": [
                {key: card[key] for key in _FIGURES if key in card} for card in self._calibrations.values()
            ],
            "labelling": to_plain(self.recipe.labelling),
            "filters": to_plain(self.recipe.filters),
            "train_share": self.recipe.train_share,
            "seed": self.recipe.seed,
            "questions": self.questions,
            "nodes": self.nodes,
            "rows": dict(self.rows),
            "left_out": dict(self.omissions.most_common()),
        }


def rows_of(questions: Iterable[SampledQuestion | str], card: Card) -> Iterator[tuple[Split, Row]]:
    """Yield the rows of all questions with their splits; the card counts what is read, written and left out.

    A text among the questions is a reason why one is left out. One question is in memory at a time; of those
    in formats that write a question once, 8 bytes are kept.

    Raises:
        UsageError: as ``Card.note``.
    """
    recipe, form = card.recipe, FORMATS[card.recipe.format]
    written: set[int] = set()
    for question in questions:
        if isinstance(question, str):
            card.omissions[question] += 1
            continue
        card.note(question)
        number = prompt_number(question.problem)
        if number in written:
            card.omissions["questions that are written already"] += 1
            continue
        chosen = recipe.filters.select(question.merged(), card.omissions)
        if chosen is None:
            continue
        split = recipe.split_of(question.problem.question)
        for item in form.write(chosen, recipe.labelling, split):
            if isinstance(item, str):
                card.omissions[item] += 1
                continue
            if form.once:
                written.add(number)
            card.rows[split] += 1
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
