"""Code tasks from records of a file of questions, and from tests and a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adascale.engine.errors import UsageError

from .asserts import read_tests
from .examples import read_examples
from .task import CodeTask, CodeTest, names_program, suite_of


def read_task(question: str, record: Mapping[str, object]) -> CodeTask:
    """The code task of a record.

    Args:
        question: Whose examples are the tests where the record gives none.
        record: ``tests`` and ``hidden`` are Python source, one text or a list of them; ``imports`` are lines
            that both need; ``entry_point`` is the function that they call.

    Raises:
        UsageError: a field has another form, or a test cannot be read.
    """
    setup = "\n".join(_sources(record, "imports"))
    entry_point = record.get("entry_point") or None
    if not isinstance(entry_point, str | None):
        raise UsageError('the field "entry_point" is no text', repr(entry_point), slug="bad-test")
    given = _tests(record, "tests", setup)
    if not given:  # nobody has said that an example of the text is a test
        examples = read_examples(question)
        given = tuple(test for test in examples if not entry_point or names_program(test, entry_point))
    return CodeTask(suite_of(given, entry_point), suite_of(_tests(record, "hidden", setup), entry_point))


def task_of(question: str, tests: Sequence[CodeTest]) -> CodeTask:
    """The task of a question with these tests; without any its examples are the tests.

    Raises:
        UsageError: a test ends alike whatever the program.
    """
    return CodeTask(suite_of(tests or read_examples(question)))


def _tests(record: Mapping[str, object], field: str, setup: str) -> tuple[CodeTest, ...]:
    where = f'a source in the field "{field}"'
    return tuple(test for source in _sources(record, field) for test in read_tests(source, where, setup))


def _sources(record: Mapping[str, object], field: str) -> list[str]:
    match record.get(field):
        case None:
            return []
        case str(source):
            return [source] if source.strip() else []
        case [*sources] if all(isinstance(source, str) for source in sources):
            return [str(source) for source in sources]
        case other:
            raise UsageError(
                f'the field "{field}" is no list of Python sources', repr(other)[:200], slug="bad-test"
            )
