"""Labels the rows of a table: reads each text once, ever, and decides what is sure enough.

Scores are kept by the text's digest in a file for the model and the prompt, each the moment it is read. So a
run that was killed goes on, a text that comes twice is read once, and a second run that only asks for another
threshold reads nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.labelling import LocalReader, ServerReader, open_reader
from adascale.models.lines import KeyedLines
from adascale.models.options import Reporting, SessionOptions
from adascale.models.storage import cache_folder, keyed_path

from .promise import Promise, promise
from .review import added_cells
from .rows import Table
from .task import Labelled, LabelTask, Scores, labelled, without_bias

_TABLE = "scores"


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """Labels of all rows, and how they compare with labels of people.

    Attributes:
        rows: The label of each row by the model.
        known: Labels that people gave, by the place of the row.
        is_unbiased: The bias of labels was taken off.
        chosen, tested: The halves of the known rows that were read, by place.
    """

    rows: Sequence[Labelled]
    known: Mapping[int, str]
    is_unbiased: bool
    chosen: Sequence[int]
    tested: Sequence[int]

    def correct(self, place: int) -> bool:
        """True if a known row has its label."""
        return self.rows[place].label == self.known[place]

    @property
    def correct_rows(self) -> int:
        """Known rows that have their label."""
        return sum(map(self.correct, (*self.chosen, *self.tested)))

    def promise(self, wanted: float) -> Promise | None:
        """The threshold that keeps a share of correct labels, as ``promise``."""

        def pairs(half: Sequence[int]) -> list[tuple[float, bool]]:
            return [(self.rows[n].probability or 0.0, self.correct(n)) for n in half]

        return promise(pairs(self.chosen), pairs(self.tested), wanted)

    def confusion(self) -> Counter[tuple[str, str]]:
        """Known rows by their known label and by that of the model."""
        return Counter((self.known[n], self.rows[n].label) for n in (*self.chosen, *self.tested))


def read_scores(
    texts: Sequence[str],
    task: LabelTask,
    options: SessionOptions,
    reporting: Reporting = Reporting(),
    progress: Callable[[int], None] = lambda done: None,
    opened: Callable[[LocalReader | ServerReader], None] = lambda reader: None,
) -> list[Scores | None]:
    """The scores of each text; None for one that is empty or too long.

    Args:
        texts: The texts.
        task: The labels and their question.
        options: The model and its settings; it is loaded if a text was not read before.
        reporting: Shows status and downloads.
        progress: Called with the number of texts whose scores are kept, first before any is read.
        opened: Called with the reader before it reads.

    Raises:
        AdascaleError: the model cannot be had or loaded.
        DecodeAbortedError: the reader was interrupted; what it has read is kept.
    """
    prompt = task.prompt
    reader = open_reader(options, prompt, reporting)
    digests = [hashlib.sha256(text.strip().encode("utf-8", "replace")).hexdigest()[:32] for text in texts]
    path = keyed_path(cache_folder() / "labels", [reader.key, asdict(prompt)], ".jsonl")
    with closing(KeyedLines(path)) as store:
        wanted = {
            key: text
            for key, text in zip(digests, texts, strict=True)
            if text.strip() and not store.has(_TABLE, key)
        }
        if wanted:
            with reader:
                opened(reader)
                progress(len(texts) - len(wanted))
                read = reader.read([*wanted.values()])
                for count, (key, scores) in enumerate(zip(wanted, read, strict=True), start=1):
                    store.keep(_TABLE, key, None if scores is None else [*map(float, scores)])
                    progress(len(texts) - len(wanted) + count)
        return [store.read(_TABLE, key, lambda value, _: value) for key in digests]


def decide(
    task: LabelTask,
    scores: Sequence[Scores | None],
    known: Mapping[int, str],
    reviewed: Mapping[int, str] = {},
    seed: int = 0,
) -> LabelOutcome:
    """Labels of rows by their scores.

    Args:
        task: The labels.
        scores: As of ``read_scores``.
        known: Labels that people gave, by the place of the row.
        reviewed: Labels of rows that people got because the model was in doubt. Such rows are not typical,
            so the bias of labels is not estimated from them.
        seed: Seed of the halves of the known rows.
    """
    labels = {**known, **reviewed}
    places = [n for n in labels if scores[n] is not None]
    random.Random(seed).shuffle(places)
    chosen, tested = places[::2], places[1::2]
    typical = {n: known[n] for n in chosen if n in known and n not in reviewed}
    unbiased, is_unbiased = without_bias(task, scores, typical)
    rows = [labelled(task, each) for each in unbiased]
    return LabelOutcome(rows, labels, is_unbiased, chosen, tested)


def label(
    rows: Any,
    text: str = "text",
    labels: Sequence[str] | Mapping[str, str] = (),
    *,
    question: str = "",
    many: bool = False,
    known: str = "",
    model: str | Path = DEFAULT_GENERATOR,
) -> Any:
    """Label rows, as ``adascale label`` does.

    Args:
        rows: A list of dicts, or a frame of pandas or polars.
        text: The column with the text.
        labels: Names of labels; or the description of each by its name.
        question: The question that a label answers.
        many: A row may have several labels, or none.
        known: Column with the labels that people gave, empty for the other rows; by them the bias of labels
            is taken off.
        model: Catalogue name, path, ``hf:user/repo[:quant]``, or address of a server.

    Returns:
        The same kind of rows with ``label``, ``probability``, ``band`` and ``runner_up``, which begin with
        ``adascale_`` if one of these names is taken.

    Raises:
        AdascaleError: The model cannot be had or loaded, or there are fewer than two labels.
        KeyError: a row has no such column.

    Example:
        >>> print(adascale.label([{"text": "Where is my card?"}], labels=["card", "transfer"]))
    """
    records = list(_records(rows))
    task = LabelTask(labels if isinstance(labels, Mapping) else dict.fromkeys(labels, ""), question, many)
    given = {n: cell for n, row in enumerate(records) if known and (cell := _text(row[known]))}
    scores = read_scores([_text(row[text]) for row in records], task, SessionOptions(str(model)))
    table = Table(records, tuple(dict.fromkeys(chain.from_iterable(records))))
    added = added_cells(table, decide(task, scores, given).rows)
    columns = {name: [row[name] for row in added] for name in (added[0] if added else ())}
    if hasattr(rows, "assign"):  # pandas
        return rows.assign(**columns)
    if hasattr(rows, "hstack"):  # polars
        return rows.hstack(type(rows)(columns))
    return [{**row, **more} for row, more in zip(records, added, strict=True)]


def _text(cell: Any) -> str:
    """The text of a cell; empty for one that is missing, as pandas has it too."""
    text = str(cell).strip()
    return "" if not isinstance(cell, str) and text in ("None", "nan", "<NA>") else text


def _records(rows: Any) -> Iterator[Mapping[str, Any]]:
    if hasattr(rows, "iter_rows"):
        return iter(rows.iter_rows(named=True))
    return iter(rows.to_dict("records") if hasattr(rows, "to_dict") else rows)
