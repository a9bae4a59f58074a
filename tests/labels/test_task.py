"""Labels of scores, the bias of labels, and what a person reads and writes back."""

from __future__ import annotations

import math

import pytest

from adascale.engine.errors import UsageError
from adascale.labels.labelling import decide
from adascale.labels.tables import added_cells, labels_of_review, read_table, review
from adascale.labels.task import Labelled, LabelTask, Scores, labelled

TASK = LabelTask(dict.fromkeys(["red", "green", "blue"], ""))
MANY = LabelTask(TASK.labels, many=True)


def scores(*shares: float) -> Scores:
    return [math.log(share) for share in shares]


def test_the_likeliest_label_is_taken_and_the_next_one_is_named() -> None:
    row = labelled(TASK, scores(0.2, 0.7, 0.1))
    assert (row.label, row.probability, row.runner_up) == ("green", pytest.approx(0.7), "red")


@pytest.mark.parametrize(
    ("odds", "label", "doubtful"), [([3, -2, 1], "red; blue", "blue"), ([-3, -1, -900], "", "green")]
)
def test_a_row_has_several_labels_or_none_and_is_as_sure_as_the_least(
    odds: list[float], label: str, doubtful: str
) -> None:
    row = labelled(MANY, [-math.log1p(math.exp(min(-odd, 700.0))) for odd in odds])
    assert (row.label, row.runner_up) == (label, doubtful)
    assert row.probability == pytest.approx(1 / (1 + math.exp(-1)))


def test_labels_that_a_model_would_read_alike_are_refused() -> None:
    with pytest.raises(UsageError, match="same words"):
        LabelTask({"card_lost": "", "card lost": ""})


@pytest.mark.parametrize(("labels", "many"), [([], True), (["red"], False), (["red", " "], False)])
def test_between_fewer_than_two_labels_nothing_is_chosen(labels: list[str], many: bool) -> None:
    with pytest.raises(UsageError):
        LabelTask(dict.fromkeys(labels, ""), many=many)


@pytest.mark.parametrize("helps", [True, False])
def test_bias_is_taken_off_only_if_known_rows_are_likelier_so(helps: bool) -> None:
    rows = [scores(0.6, 0.3, 0.1), scores(0.6, 0.1, 0.3), None] * 30
    known = {n: ["green", "blue", "red"][n % 3] if helps else "red" for n in range(90)}
    outcome = decide(TASK, rows, known)
    assert outcome.is_unbiased == helps
    assert outcome.rows[0].label == ("green" if helps else "red")
    known_rows = [*outcome.chosen, *outcome.tested]
    assert len(known_rows) == 60, "a row without scores does not count"
    assert all(row.is_correct for row in known_rows)


TABLE = read_table("body;label\none;x\ntwo;y\nthree;z\nfour;w\n")
ROWS = [
    Labelled("red", 0.7, "blue"),
    Labelled("blue", 0.95, "red"),
    Labelled(""),
    Labelled("red", band="by a person"),
]


def test_columns_with_a_name_that_is_taken_get_another() -> None:
    table = TABLE.with_labels(ROWS)
    added = [f"adascale_{name}" for name in ("label", "probability", "band", "runner_up")]
    assert table.columns == ("body", "label", *added)
    assert [row["label"] for row in table.rows] == list("xyzw")
    assert [*added_cells(["body", "n"], ROWS[:1])[0]] == [name[9:] for name in added]


def test_the_most_doubtful_rows_come_first_and_come_back_with_the_label_of_a_person() -> None:
    asked = review(TABLE, ROWS, 0.8)
    assert [(row["row"], row["suggestion"], row["label"]) for row in asked.rows] == [
        (3, "", ""),
        (1, "red", ""),
    ]
    filled = asked.text().replace(";\n", "; green \n", 2)
    assert labels_of_review(read_table(filled), TABLE, "body") == {2: "green", 0: "green"}


@pytest.mark.parametrize("row", ["5;one", "0;one", "-1;four", "x;one", "1;two"])
def test_a_row_of_another_file_is_not_merged(row: str) -> None:
    with pytest.raises(UsageError, match="not in the input"):
        labels_of_review(read_table(f"row;body;label\n{row};red\n"), TABLE, "body")
