"""What the process leaves with: every exit code, and which error ends with which."""

from __future__ import annotations

from adascale.engine.errors import DoesNotFitError, ModelError, PartialError, TraceError, UsageError

FAILED = 1
"""Something broke, or doctor found something to mend."""
USAGE = 2
NO_ANSWER = 3
"""None was found, it is less likely than was asked for, or the program fails a test."""
NO_MODEL = 4
DOES_NOT_FIT = 5
PARTIAL = 6
"""Some lines of a batch failed."""
INTERRUPTED = 130
"""By Ctrl-C; other signals leave with 128 and their number (``terminal.signals``)."""

EPILOG = (
    "Exit codes: 0 answered, 1 something broke, 2 wrong usage, 3 no answer, an unlikely one, or a program "
    "that fails a test, 4 model not available, 5 does not fit, 6 some lines of a batch failed, "
    "130 interrupted."
)

_BY_ERROR: dict[type[Exception], int] = {
    UsageError: USAGE,
    TraceError: USAGE,
    ModelError: NO_MODEL,
    DoesNotFitError: DOES_NOT_FIT,
    PartialError: PARTIAL,
}


def exit_code(error: Exception) -> int:
    """That of the error's class or of its nearest ancestor that has one; ``FAILED`` for all others."""
    return next((_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _BY_ERROR), FAILED)
