"""Questions from files: every format, every way in which a line can be bad."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adascale.engine.errors import UsageError
from adascale.engine.types import Problem
from adascale.models.options import QuestionFormat
from adascale.models.questions import BadLine, choose_questions, read_known, read_problems


def read(
    path: Path, data: bytes | str, form: QuestionFormat = "auto", field: str = "question"
) -> list[Problem | BadLine]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_problems(path, form, field))


def questions(lines: list[Problem | BadLine]) -> list[str]:
    return [line.question for line in lines if isinstance(line, Problem)]


def bad(lines: list[Problem | BadLine]) -> list[tuple[int, str]]:
    return [(line.number, line.error.message) for line in lines if isinstance(line, BadLine)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "in"


def test_json_lines_and_plain_lines_may_stand_side_by_side(file: Path) -> None:
    found = read(file, '{"id": 7, "question": " One? ", "answer": 1, "level": 3}\n\nTwo?\n')
    assert found[0] == Problem("7", "One?", "1", {"line": 1, "level": 3})
    assert questions(found) == ["One?", "Two?"]
    assert found[1].meta["line"] == 3  # type: ignore[union-attr]


def test_a_number_that_json_does_not_have_is_null(file: Path) -> None:
    [found] = read(file, '{"question": "One?", "loss": NaN, "more": [-Infinity, 1e999]}')
    assert isinstance(found, Problem)
    assert found.meta == {"line": 1, "loss": None, "more": [None, None]}


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_question(file: Path) -> None:
    assert questions(read(file, b"\xef\xbb\xbfOne?\r\nTwo?\r\n")) == ["One?", "Two?"]


def test_a_question_is_named_by_its_text_wherever_it_stands(file: Path) -> None:
    first, second = read(file, "One?\nTwo?\n"), read(file, "Zero?\nTwo?\nOne?\n")
    assert {p.id for p in first} < {p.id for p in second}  # type: ignore[union-attr]
    again = read(file, "One?\nOne?\nOne?\n")
    ids = [p.id for p in again]  # type: ignore[union-attr]
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_csv_has_a_header_and_may_hold_line_ends_in_quotes(file: Path) -> None:
    found = read(file, 'id;problem;answer;source\na;"One\r\nor two?";2;book\nb;Three?;;\n', "csv", "problem")
    assert found == [
        Problem("a", "One\r\nor two?", "2", {"line": 2, "source": "book"}),
        Problem("b", "Three?", None, {"line": 4}),
    ]


def test_a_row_that_does_not_fit_its_header_is_told_and_the_rest_is_read(file: Path) -> None:
    found = read(file, 'question,answer\nOne?,1,2\n"Two"?,2\nThree?,3\n', "csv")
    assert [number for number, _ in bad(found)] == [2, 3]
    assert bad(found)[0][1] == "line 2 has 3 cells, the header 2"
    assert questions(found) == ["Three?"]


def test_a_header_without_the_field_says_what_there_is(file: Path) -> None:
    with pytest.raises(UsageError, match='no field "question"') as error:
        read(file, "problem,answer\nOne?,1\n", "csv")
    assert error.value.facts == ("it has: problem, answer",)
    assert error.value.hint == '`field="problem"`'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "One?"', "is not valid JSON"),
        ('{"problem": "One?"}', 'has no text in its field "question"'),
        ('{"id": "line 1", "question": "Again?"}', 'repeats the id "line 1"'),
        (f'{{"question": "One?", "x": {"[" * 64}{"]" * 64}}}', "is nested more than 64 levels deep"),
    ],
)
def test_a_bad_line_17_of_20_is_told_and_the_rest_is_read(file: Path, line: str, message: str) -> None:
    lines = [json.dumps({"id": f"line {n}", "question": f"What is {n}?"}) for n in range(1, 21)]
    lines[16] = line
    found = read(file, "\n".join(lines), "jsonl")
    assert len(questions(found)) == 19
    [(number, told)] = bad(found)
    assert number == 17
    assert message in told


def test_what_is_no_utf8_is_told_with_its_place(file: Path) -> None:
    found = read(file, b"One?\ncaf\xe9?\nThree?\n")
    assert questions(found) == ["One?", "Three?"]
    assert bad(found) == [(2, "line 2 is not UTF-8 (byte 3 of it, 0xe9)")]
    found = read(file, b'question\nOne?\n"caf\xe9\nau lait?"\nThree?\n', "csv")
    assert questions(found) == ["One?", "Three?"]
    assert [number for number, _ in bad(found)] == [3]


@pytest.mark.parametrize("form", ["auto", "csv"])
def test_a_file_in_utf_16_is_no_questions(file: Path, form: QuestionFormat) -> None:
    text = "question\nOne?\nTwo?\n"
    with pytest.raises(UsageError, match="UTF-16"):
        read(file, text.encode("utf-16"), form)


def test_a_pipe_is_read_as_it_comes() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb", buffering=0) as end:
        end.write(b"One?\n")
        lines = read_problems(pipe)
        assert questions([next(lines)]) == ["One?"]
        end.write(b"Two?\n")
        assert questions([next(lines)]) == ["Two?"]


@given(st.lists(st.text(max_size=30)), st.sampled_from(["auto", "jsonl", "csv", "text"]))
def test_no_text_makes_it_fail(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], form: QuestionFormat
) -> None:
    path = tmp_path_factory.mktemp("in") / "in"
    text = "question\n" + "\n".join(lines)
    found = read(path, text.encode("utf-8", "surrogatepass"), form)
    ids = [line.id for line in found if isinstance(line, Problem)]
    assert len(ids) == len(set(ids))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 60), st.integers(0, 9))
@example([5, 5, 1], 4, 0)
@settings(max_examples=60, deadline=None)
def test_a_larger_choice_contains_the_smaller_and_is_spread_evenly(
    sizes: list[int], questions: int, seed: int
) -> None:
    files = [[Problem(f"{name}:{i}", "?", "1") for i in range(size)] for name, size in enumerate(sizes)]
    every = choose_questions(files, None, seed)
    assert Counter(p.id for p in every) == Counter(p.id for file in files for p in file)
    found = choose_questions(files, questions, seed)
    assert found == every[:questions]
    counts = Counter(p.id.split(":")[0] for p in found)
    most = max(counts.values(), default=0)
    for name, size in enumerate(sizes):
        assert counts[str(name)] >= min(most - 1, size)


@pytest.mark.parametrize("text", ['[{"question": "1 + 1?"}]', '[\n  {"question": "1 + 1?"}\n]'])
def test_an_array_is_no_question(file: Path, text: str) -> None:
    number, message = bad(read(file, text))[0]
    assert (number, message) == (1, "line 1 begins a JSON array; a record a line is read here")
    assert questions(read(file, text, "text"))[0] == text.splitlines()[0]


UNNAMED = 'name the field with the question "question"'
BROKEN = "mend or remove the line"
NAMED = "a letter, or the text of an option"
ADD = 'add it: {"question": "...", "answer": "..."}, or remove the line'


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("q.jsonl", '{"text": "1+1?", "answer": "2"}', "line 1 has no text in its field", UNNAMED),
        ("q.csv", '"question,answer', "line 1 is no line of a CSV", BROKEN),
        ("q.jsonl", '{"question": "1+1?", "answer": " "}', 'line 1 has nothing in its field "answer"', ADD),
        ("q.jsonl", '{"question": "1+1?"', "line 1 is not valid JSON", BROKEN),
        ("q.jsonl", '{"question": "Red?", "options": ["sky", "rose"], "answer": 1}', 'line 1 has "1"', NAMED),
        ("q.jsonl", '{"question": "Red?", "kind": "yes-no", "answer": "maybe"}', 'line 1 has "maybe"', NAMED),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    name: str, text: str, message: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        read_known([tmp_path / name])
    assert caught.value.message.startswith(f"{name}: {message}")
    assert caught.value.hint == hint


def test_a_file_without_a_question_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text("\n \n")
    with pytest.raises(UsageError, match=r"^q\.jsonl holds no question$"):
        read_known([tmp_path / "q.jsonl"])


@pytest.mark.parametrize("answer", ["b", "(B)", "rose", "B. rose"])
def test_the_answer_to_a_choice_names_an_option(tmp_path: Path, answer: str) -> None:
    record = {"question": "Red?", "options": ["sky", "rose"], "answer": answer}
    (tmp_path / "q.jsonl").write_text(json.dumps(record))
    assert [len(found) for found in read_known([tmp_path / "q.jsonl"])] == [1]


def test_a_question_is_kept_once_for_each_set_of_options(tmp_path: Path) -> None:
    def line(*options: str) -> str:
        return json.dumps({"question": "Which is red?", "options": options, "answer": "A"})

    path = tmp_path / "q.jsonl"
    path.write_text("\n".join([line("blood", "grass"), line("blood", "grass"), line("roses", "snow")]))
    [found] = read_known([path])
    assert [problem.meta["line"] for problem in found] == [1, 3]
