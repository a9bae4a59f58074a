"""Tables: what is read is what stands there, and a file that is none is refused with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adascale.engine.errors import UsageError
from adascale.labels.tables import Table, read_table

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
NAMES = st.text("abcdé _", min_size=1, max_size=6).filter(str.strip)


@st.composite
def tables(draw: Any) -> Table:
    columns = tuple(draw(st.lists(NAMES, min_size=2, max_size=4, unique=True)))
    row = st.fixed_dictionaries(dict.fromkeys(columns, CELLS))
    return Table(draw(st.lists(row, max_size=4)), columns, "csv", draw(st.sampled_from(",;\t|")))


@given(tables())
def test_a_table_is_read_as_it_was_written(table: Table) -> None:
    assert read_table(table.text()) == table


@given(st.lists(st.dictionaries(NAMES, st.none() | st.booleans() | st.integers() | CELLS), min_size=1))
def test_json_lines_are_read_as_they_were_written(rows: list[dict[str, Any]]) -> None:
    table = read_table("".join(json.dumps(row) + "\n" for row in rows))
    assert (table.rows, table.form) == (rows, "jsonl")
    assert read_table(table.text()) == table


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("Where is it?\r\n\nHello\n", ("text",), [["Where is it?"], ["Hello"]]),
        ("\n\na,b\n1,2\n\n3\n", ("a", "b"), [["1", "2"], ["3", ""]]),
        ('"a;b;c",d\n1,2\n', ("a;b;c", "d"), [["1", "2"]]),
        ('a\tb\n"x\r\ny"\t"say ""hi"""\n', ("a", "b"), [["x\r\ny", 'say "hi"']]),
    ],
)
def test_forms_of_files(text: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    table = read_table(text)
    assert (table.columns, [[*row.values()] for row in table.rows]) == (columns, rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("a,b,a\n1,2,3\n", "a twice"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        ('{"a": 1}\n\n{"a": \n', "line 3"),
        ('{"a": 1}\n1\n', "line 2 is no JSON object"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_table(text)


def test_a_column_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(UsageError) as caught:
        read_table("id,body\n1,x\n").check_column("text", "--text")
    assert caught.value.facts == ("columns: id, body",)
