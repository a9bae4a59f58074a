"""The exit code of each class of error, and of an error that a trace tells of."""

from __future__ import annotations

import pytest

from adascale.cli.exit_codes import exit_code
from adascale.engine import errors
from adascale.engine.search.events import SearchFailed, from_json, to_json


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.TraceError("x"), 2),
        (errors.ModelNotFoundError("x"), 4),
        (errors.CalibrationError("x"), 4),
        (errors.MemoryOverflowError("x"), 5),
        (errors.PartialError("x"), 6),
        (errors.WorkerAbortedError("x"), 1),
        (errors.AdascaleError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_the_nearest_class_decides(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_a_failed_search_keeps_the_class_of_its_error() -> None:
    event = from_json(to_json(SearchFailed.of(errors.MemoryOverflowError("x"))))
    assert isinstance(event, SearchFailed)
    assert exit_code(event.error()) == 5
