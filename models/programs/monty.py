"""Runs programs of a model in pydantic-monty: a Python interpreter in Rust, in worker processes of its own.

A program sees no file, no network, no environment and no clock. What it may use is bounded twice: by the
interpreter, which raises inside of the program, and by the pool, which kills a worker that does not answer. A
session serves one program and is thrown away.

The tests of a program have a session of their own, which asks for a call of the program by name. Only data of
exact types crosses; where anything else would, the trial ends, and CPython has the word.
"""

from __future__ import annotations

import datetime
import decimal
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Self

import pydantic_monty as monty

from adascale.engine.errors import UsageError
from adascale.engine.execution import Execution, Trial, Verdict

from .sandbox import KILLED, ProgramLimits

_GRACE = 1.0
"""Seconds that the pool waits behind a limit of time before it kills the worker."""

_SUSPENSIONS = 1000
"""Most times that a program asks for what is not there, as the clock of its limit stands still meanwhile."""
_CALLS = 1_000_000
"""Most calls of tests to their program: no bound, as the deadline of the trial comes before."""

_POLICY = monty.OSPolicy(
    datetime=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), sleep="zero", random_start={"seed": 0}
)
"""The same program prints the same, whenever it runs."""

_SINGLE = (bool, int, float, str, bytes, complex, decimal.Decimal, datetime.date, datetime.datetime)
_COLLECTIONS = (list, tuple, set, frozenset)
_ONLY_DATA = """\
from collections import Counter as counter_adascale, defaultdict as defaultdict_adascale
from datetime import date as date_adascale, datetime as datetime_adascale
from decimal import Decimal as decimal_adascale
single_adascale = (bool, int, float, str, bytes, complex, decimal_adascale, date_adascale, datetime_adascale)
mappings_adascale = (dict, counter_adascale, defaultdict_adascale)
type_adascale, collections_adascale = type, (list, tuple, set, frozenset)


def is_data_adascale(value):
    kind = type_adascale(value)
    if value is None or kind in single_adascale:
        return True
    if kind in mappings_adascale:
        for key in value:
            if not is_data_adascale(key) or not is_data_adascale(value[key]):
                return False
        return True
    if kind in collections_adascale:
        for each in value:
            if not is_data_adascale(each):
                return False
        return True
    return False
"""
"""On both sides, as a value of another type leaves monty as its text or as a list."""
_PROGRAM = """\
def call_adascale(function, args, kwargs):
    value = function(*args, **kwargs)
    return is_data_adascale(value), value, args, kwargs
"""
_TESTS = """\
def program_adascale(name):
    is_data, value = look_adascale(name)
    if is_data:
        return value

    def stand_in(*args, **kwargs):
        if not is_data_adascale(args) or not is_data_adascale(kwargs):
            only_data_adascale()
        value, new, named = ask_adascale(name, args, kwargs)
        for old, new in [*zip(args, new), *zip(kwargs.values(), named.values())]:
            if type_adascale(old) is list:
                old[:] = new
            elif type_adascale(old) in (set, *mappings_adascale):
                old.clear()
                old.update(new)
        return value

    return stand_in
"""


_stderr_lock = threading.Lock()


class _NotHere(Exception):
    """A test and its program exchange more than data."""


class MontyRunner:
    """Runs one program at a time; use as a context manager. Its process starts with the first program.

    Args:
        limits: Limits of each program.

    Raises:
        UsageError: the interpreter is not installed.
    """

    def __init__(self, limits: ProgramLimits = ProgramLimits()) -> None:
        self._limits = limits
        self._idle = 0
        try:
            self._pool = monty.Monty(
                min_processes=0,
                max_processes=2,
                request_timeout=limits.seconds + 2 * _GRACE,
                feed_duration_limit_grace=_GRACE,
            )
        except FileNotFoundError as error:
            raise UsageError(
                "monty, which runs programs, has no executable in this environment",
                hint="pip install --force-reinstall pydantic-monty-runtime",
            ) from error

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.__exit__(*exc)

    def run(self, program: str) -> Execution:
        """Run one program in a session of its own; its failure is in the execution, never raised."""

        def feed(printed: monty.CollectString) -> None:
            with self._session() as session:
                session.feed_run(program, print_callback=printed)

        return self._execution(feed)

    def judge(self, trial: Trial) -> Execution:
        """Run a program and its tests in a session each; never raises.

        There are fewer verdicts than tests where the trial ended before all were run.
        """
        verdicts: list[Verdict] = []
        execution = self._execution(lambda printed: self._judge(trial, printed, verdicts))
        return replace(execution, verdicts=tuple(verdicts))

    def _execution(self, feed: Callable[[monty.CollectString], None]) -> Execution:
        started = time.monotonic()
        printed = monty.CollectString(max_bytes=self._limits.output_bytes)
        error = ""
        try:
            feed(printed)
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as failure:
            error = failure.display("type-msg")
        except monty.MontyCrashedError as failure:
            error = KILLED if failure.timed_out else "the interpreter crashed"
        except TimeoutError:
            error = KILLED
        except RuntimeError as failure:  # of a session whose worker has ended: out of memory, as a rule
            is_deep = isinstance(failure, RecursionError)
            error = f"RecursionError: {failure}" if is_deep else "the interpreter crashed"
        except _NotHere as failure:
            error = str(failure)
        except (monty.MontyError, ValueError, TypeError, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Execution(printed.output, error, time.monotonic() - started)

    def _judge(self, trial: Trial, printed: monty.CollectString, verdicts: list[Verdict]) -> None:
        deadline = time.monotonic() + self._limits.seconds
        with self._session() as program, self._session(_CALLS) as tests:
            program.feed_run(f"{_ONLY_DATA}{_PROGRAM}")
            tests.feed_run(f"{_ONLY_DATA}{_TESTS}")
            program.feed_run(trial.program, print_callback=printed)
            at = tests.feed_start(trial.tests, print_callback=printed)
            while not isinstance(at, monty.MontyComplete):
                if time.monotonic() > deadline:
                    raise TimeoutError
                if not isinstance(at, monty.FunctionSnapshot) or at.is_os_function:
                    at = at.resume_auto()
                elif at.function_name == "report_adascale":
                    if len(verdicts) < trial.count:
                        verdicts.append(Verdict.reported(at.args))
                    at = at.resume({"return_value": None})
                else:
                    at = at.resume(_answer(program, str(at.function_name), at.args, printed, deadline))

    @contextmanager
    def _session(self, suspensions: int = _SUSPENSIONS) -> Iterator[monty.MontySession]:
        limits = monty.ResourceLimits(
            max_feed_duration_secs=self._limits.seconds,
            max_memory=self._limits.memory_bytes,
            max_recursion_depth=self._limits.depth,
            max_suspensions=suspensions,
        )
        with ExitStack() as opened:
            with nullcontext() if self._idle else _without_stderr():
                session = opened.enter_context(self._pool.checkout(limits=limits, os_policy=_POLICY))
            self._idle = max(0, self._idle - 1)
            try:
                yield session
            finally:
                self._idle += session.worker_pid is not None  # or it has crashed


@contextmanager
def _without_stderr() -> Iterator[None]:
    """A worker that starts meanwhile inherits nowhere to write: it would tell a user's screen why it ends.

    What other threads write meanwhile is lost too, so this lasts no longer than it must.
    """
    with _stderr_lock:  # or one of two runners would keep what the other has put there
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nothing)
            os.close(kept)


def _answer(
    program: monty.MontySession,
    asked: str,
    given: Sequence[Any],
    printed: monty.CollectString,
    deadline: float,
) -> monty.ExternalResult:
    """The program's side of the exchange with its tests."""
    try:
        match asked, given:
            case "look_adascale", (str(name),):
                is_data, value = program.feed_run(f"is_data_adascale({name}), {name}")
                return {"return_value": (is_data, value) if is_data and _is_data(value) else (False, None)}
            case "ask_adascale", (str(name), args, kwargs):
                inputs = {"args_adascale": args, "kwargs_adascale": kwargs}
                call = f"call_adascale({name}, args_adascale, kwargs_adascale)"
                is_data, *result = program.feed_run(call, inputs=inputs, print_callback=printed)
                if not is_data or not _is_data(result):
                    raise _NotHere("the program gives an object")
                return {"return_value": tuple(result)}
            case "only_data_adascale", _:
                raise _NotHere("a test gives an object")
    except monty.MontyRuntimeError as failure:
        if time.monotonic() > deadline:
            raise TimeoutError from None
        return {"exception": failure.exception()}
    return {"exception": NameError(f"name {asked!r} is not defined")}


def _is_data(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(_is_data(each) for pair in value.items() for each in pair)
    if kind in _COLLECTIONS:
        return all(map(_is_data, value))
    return value is None or kind in _SINGLE
