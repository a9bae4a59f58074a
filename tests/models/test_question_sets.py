"""Sets of questions for fits and evaluations: what of their files is refused, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adascale.engine.errors import UsageError
from adascale.models.questions import read_known

UNNAMED = 'name the field with the question "question"'
BROKEN = "mend or remove the line"
NAMED = "a letter, or the text of an option"
ADD = 'add it: {"question": "...", "answer": "..."}, or remove the line'


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("q.jsonl", '{"text": "1+1?", "answer": "2"}', "line 1 has no text in its field", UNNAMED),
        ("q.csv", "text,answer\n1+1?,2", 'the header has no field "question"', UNNAMED),
        ("q.csv", '"question,answer', "line 1 is no CSV", BROKEN),
        ("q.jsonl", '{"question": "1+1?", "answer": " "}', 'line 1 has nothing in its field "answer"', ADD),
        ("q.jsonl", '{"question": "1+1?"', "line 1: not valid JSON", BROKEN),
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
