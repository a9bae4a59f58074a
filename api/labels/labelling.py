"""Labels the rows of a table: reads each text once, ever, and decides which labels are sure enough.

Scores are kept by the text's digest, in a file for the model and the prompt, as soon as they are read. So a
killed run continues, a repeated text is read once, and a run with another threshold reads nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from adascale.models.files.catalog import DEFAULT_GENERATOR
from adascale.models.labelling import open_reader
from adascale.models.lines import KeyedLines
from adascale.models.options import Reporting, SessionOptions
from adascale.models.storage import cache_folder, keyed_path

from .promise import Promise, promise
from .tables import added_cells
from .task import BY_PERSON, Labelled, LabelTask, Scores, labelled, without_bias

_TABLE = "scores"


class KnownRow(NamedTuple):
    """A row with a correct label, and the label of the model with its probability."""

    known: str
    label: str
    probability: float

    @property
    def is_correct(self) -> bool:
        """True if the model's label is the known one."""
        return self.label == self.known


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """Labels of all rows, and how they compare with labels of people.

    Attributes:
        rows: The label of each row.
        chosen, tested: Random halves of the known rows that were read.
        is_unbiased: The bias of labels was taken off.
    """

    rows: Sequence[Labelled]
    chosen: Sequence[KnownRow]
    tested: Sequence[KnownRow]
    is_unbiased: bool

    def promise(self, share: float) -> Promise | None:
        """The threshold above which a share of the labels is correct, as ``promise``."""
        chosen, tested = (
            [(row.probability, row.is_correct) for row in half] for half in (self.chosen, self.tested)
        )
        return promise(chosen, tested, share)


def read_scores(
    texts: Sequence[str],
    task: LabelTask,
    options: SessionOptions,
    reporting: Reporting = Reporting(),
    progress: Callable[[int], None] = lambda count: None,
) -> list[Scores | None]:
    """The scores of each text; None for one that is empty or too long.

    Args:
        texts: The texts.
        task: The labels and their question.
        options: The model and its settings; it is loaded if a text was not read before.
        reporting: Shows status and downloads.
        progress: Called with the number of texts whose scores are kept.

    Raises:
        AdascaleError: the model cannot be had or loaded.
    """
    prompt = task.prompt
    reader = open_reader(options, prompt, reporting)
    digests = [hashlib.sha256(text.strip().encode("utf-8", "replace")).hexdigest()[:32] for text in texts]
    path = keyed_path(cache_folder() / "labels", [reader.key, asdict(prompt)], ".jsonl")
    with closing(KeyedLines(path)) as store:
        new = {
            digest: text
            for digest, text in zip(digests, texts, strict=True)
            if text.strip() and not store.has(_TABLE, digest)
        }
        keys, known = [*new], len(texts) - len(new)
        results = reader.read([*new.values()]) if new else ()
        for count, (place, scores) in enumerate(results, start=known + 1):
            store.keep(_TABLE, keys[place], None if scores is None else [*map(float, scores)])
            progress(count)
        return [store.read(_TABLE, digest, lambda value, _: value) for digest in digests]


def decide(
    task: LabelTask,
    scores: Sequence[Scores | None],
    known: Mapping[int, str],
    reviewed: Mapping[int, str] = {},
) -> LabelOutcome:
    """Labels of rows by their scores.

    Args:
        task: The labels.
        scores: Scores of each row, as of ``read_scores``.
        known: Labels that people gave, by the place of the row.
        reviewed: Labels that people gave to doubtful rows, which replace the model's. Such rows are not
            typical, so the bias of labels is not estimated from them.
    """
    labels = {**known, **reviewed}
    places = [place for place in labels if scores[place] is not None]
    random.Random(0).shuffle(places)
    typical = {n: known[n] for n in places[::2] if n in known and n not in reviewed}
    unbiased, is_unbiased = without_bias(task, scores, typical)
    rows = [labelled(task, row) for row in unbiased]
    reviews = [KnownRow(labels[n], rows[n].label, rows[n].probability or 0.0) for n in places]
    for place, label in reviewed.items():
        rows[place] = Labelled(label, band=BY_PERSON)
    return LabelOutcome(rows, reviews[::2], reviews[1::2], is_unbiased)


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
    correct = {n: cell for n, row in enumerate(records) if known and (cell := cell_text(row[known]))}
    scores = read_scores([cell_text(row[text]) for row in records], task, SessionOptions(str(model)))
    added = added_cells({*chain.from_iterable(records)}, decide(task, scores, correct).rows)
    columns = {name: [row[name] for row in added] for name in (added[0] if added else ())}
    if hasattr(rows, "assign"):  # pandas
        return rows.assign(**columns)
    if hasattr(rows, "hstack"):  # polars
        return rows.hstack(type(rows)(columns))
    return [{**row, **more} for row, more in zip(records, added, strict=True)]


def cell_text(cell: Any) -> str:
    """The text of a cell; empty for a missing value, also in the spellings of pandas."""
    text = str(cell).strip()
    return "" if not isinstance(cell, str) and text in ("None", "nan", "<NA>") else text


def _records(rows: Any) -> Iterator[Mapping[str, Any]]:
    if hasattr(rows, "iter_rows"):
        return iter(rows.iter_rows(named=True))
    return iter(rows.to_dict("records") if hasattr(rows, "to_dict") else rows)
