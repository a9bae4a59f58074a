"""A record with tests is a code task; what search may see and what judges stay apart."""

from __future__ import annotations

import pytest

from adascale.codetasks.records import read_task
from adascale.codetasks.task import CodeTask, CodeTest, Suite
from adascale.engine.errors import UsageError
from adascale.engine.kinds import kind_of

SQUARE = CodeTest("assert f(2) == 4")
CUBE = CodeTest("assert f(3) == 9")


@pytest.mark.parametrize(
    ("question", "record", "task"),
    [
        ("", {"tests": ["assert f(2) == 4"]}, CodeTask(Suite((SQUARE,), "f"), Suite())),
        ("", {"tests": "f(2) == 4"}, CodeTask(Suite((SQUARE,), "f"), Suite())),
        (
            "",
            {"tests": ["f(2) == 4"], "hidden": ["f(3) == 9"], "entry_point": "f"},
            CodeTask(Suite((SQUARE,), "f"), Suite((CUBE,), "f")),
        ),
        ("", {"hidden": ["f(3) == 9"]}, CodeTask(Suite(), Suite((CUBE,), "f"))),
        ("f(2) -> 4", {"entry_point": "f"}, CodeTask(Suite((SQUARE,), "f"), Suite((), "f"))),
        ("f(2) -> 4", {"tests": ["f(3) == 9"]}, CodeTask(Suite((CUBE,), "f"), Suite())),
        ("", {"entry_point": "f"}, CodeTask(Suite((), "f"), Suite((), "f"))),
    ],
)
def test_records(question: str, record: dict[str, object], task: CodeTask) -> None:
    assert read_task(question, record) == task


def test_an_example_of_the_text_that_calls_another_function_is_left_out_with_a_notice() -> None:
    question = "g(2) -> 3\nf(2) -> 4"
    task = read_task(question, {"entry_point": "f", "hidden": ["f(3) == 9"]})
    assert task.given == Suite((SQUARE,), "f")
    assert task.left_out == ("assert g(2) == 3",)
    problem = kind_of(task.problem("1", question)).for_search(task.problem("1", question))
    [notice] = kind_of(problem).notices(problem)
    assert notice.facts == task.left_out
    assert read_task("g(2) -> 3", {"entry_point": "f"}).given == Suite((), "f")


def test_imports_stand_before_every_test() -> None:
    task = read_task(
        "", {"tests": ["f(2) == 4"], "hidden": ["f(3) == 9"], "imports": ["import re", "import os"]}
    )
    assert task.given.tests[0].setup == task.hidden.tests[0].setup == "import re\nimport os"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tests": 3}, 'the field "tests" is no list of Python sources'),
        ({"tests": [3]}, 'the field "tests" is no list of Python sources'),
        ({"tests": ["f("]}, 'a source in the field "tests" is no Python'),
        ({"hidden": ["f"]}, 'a source in the field "hidden" has no assert'),
        ({"tests": ["f(2) == 4"], "entry_point": "g"}, 'no test names the entry point "g"'),
        (
            {"tests": ["f(2) == 4"], "hidden": ["g(2) == 4"], "entry_point": "f"},
            'no test names the entry point "f"',
        ),
        ({"tests": ["f(2) == 4"], "entry_point": 3}, 'the field "entry_point" is no text'),
    ],
)
def test_what_is_wrong_in_a_record_is_told(record: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_task("", record)
