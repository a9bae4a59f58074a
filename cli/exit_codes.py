"""Exit codes of the process, and the code of each error."""

from __future__ import annotations

from adascale.engine.errors import DoesNotFitError, ModelError, PartialError, TraceError, UsageError

FAILED = 1
"""An unexpected failure, or doctor found a problem."""
USAGE = 2
NO_ANSWER = 3
"""No answer was found, it is less likely than required, or the program fails a test."""
NO_MODEL = 4
DOES_NOT_FIT = 5
PARTIAL = 6
"""Some lines of a batch failed."""
INTERRUPTED = 130
"""Ctrl-C; other signals give 128 plus their number (``terminal.signals``)."""

EPILOG = (
    "Exit codes: 0 answered, 1 something broke, 2 wrong usage, 3 no answer, an unlikely one, or a program "
    "that fails a test, 4 model not available, 5 too little memory, disk or context, 6 some lines of a "
    "batch failed, 130 interrupted."
)

_BY_ERROR: dict[type[Exception], int] = {
    UsageError: USAGE,
    TraceError: USAGE,
    ModelError: NO_MODEL,
    DoesNotFitError: DOES_NOT_FIT,
    PartialError: PARTIAL,
}


def exit_code(error: Exception) -> int:
    """Exit code of the error's class or its nearest ancestor in the table; ``FAILED`` if there is none."""
    return next((_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _BY_ERROR), FAILED)
