"""What monty cannot run of a code task is asked of CPython, and nothing else is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adascale.codetasks.asserts import read_tests
from adascale.codetasks.harness import Harness
from adascale.codetasks.task import suite_of
from adascale.engine.errors import AdascaleError
from adascale.engine.execution import Execution, Trial
from adascale.models.programs.chain import ChainExecutor
from adascale.models.programs.sandbox import UNSANDBOXED, ProgramLimits, Sandbox

SUITE = suite_of(read_tests("assert f(2) == 4"))
INHERITING = "class A:\n    pass\nclass B(A):\n    pass\ndef f(n):\n    return n * n if B() else 0"
LIMITS = ProgramLimits(seconds=3)


class Finder:
    """Counts how often a sandbox is looked for, and finds none or a bare CPython."""

    def __init__(self, *, there: bool) -> None:
        self.calls = 0
        self._there = there

    def __call__(self) -> Sandbox:
        self.calls += 1
        if not self._there:
            raise AdascaleError("no sandbox of this machine holds programs")
        return UNSANDBOXED


@pytest.fixture
def found() -> Finder:
    return Finder(there=True)


@pytest.fixture
def chain(found: Finder) -> Iterator[ChainExecutor]:
    with ChainExecutor(found, limits=LIMITS) as executor:
        yield executor


def ran(executor: ChainExecutor, program: str | Trial) -> Execution:
    executor.submit(3, program)
    while not (ended := executor.collect(block=True)):
        pass
    [(ticket, execution)] = ended
    assert ticket == 3
    return execution


def outcome(executor: ChainExecutor, program: str) -> str:
    harness = Harness(program, SUITE)
    [verdict] = harness.verdicts(ran(executor, harness.trial))
    return verdict.outcome


def test_a_pass_in_monty_is_final(chain: ChainExecutor, found: Finder) -> None:
    assert outcome(chain, "def f(n):\n    return n * n") == "passed"
    assert found.calls == 0


def test_what_monty_cannot_run_passes_in_cpython(chain: ChainExecutor, found: Finder) -> None:
    assert outcome(chain, INHERITING) == "passed"
    assert outcome(chain, "def f(n):\n    return n") == "failed"
    assert found.calls == 1


@pytest.mark.skipif(sys.platform == "win32", reason="CPython runs no programs there")
def test_an_interpreter_that_ends_for_lack_of_memory_says_nothing_and_ends_its_trial_alone(
    chain: ChainExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the second time in a worker that has taken the place of the first
        assert outcome(chain, "def f(n):\n    return 'x' * (120 * 10 ** 6)") != "passed"
        assert outcome(chain, "def f(n):\n    return n * n") == "passed"
    assert capfd.readouterr().err == ""


def test_without_a_sandbox_the_word_of_monty_stands() -> None:
    nowhere = Finder(there=False)
    with ChainExecutor(nowhere, limits=LIMITS) as executor:
        assert outcome(executor, INHERITING) == "error"
        assert outcome(executor, "def f(n):\n    return n * n") == "passed"
        assert outcome(executor, "def f(n):\n    return n") == "failed"
    assert nowhere.calls == 1


def test_a_program_that_computes_an_answer_stays_in_monty(chain: ChainExecutor, found: Finder) -> None:
    assert ran(chain, f"{INHERITING}\nprint(f(2))").error
    assert found.calls == 0


def test_many_programs_come_back_by_their_tickets_once_each(chain: ChainExecutor) -> None:
    assert chain.collect(block=True) == []
    for ticket in range(20):
        chain.submit(ticket, f"print({ticket})")
    found: dict[int, Execution] = {}
    while len(found) < 20:
        executions = dict(chain.collect(block=True))
        assert not executions.keys() & found.keys()
        found |= executions
    assert chain.collect() == []
    assert {ticket: each.output for ticket, each in found.items()} == {n: f"{n}\n" for n in range(20)}


def test_a_program_that_is_cancelled_before_it_began_never_runs(tmp_path: Path) -> None:
    leaves_a_file = f"open({str(tmp_path / 'file')!r}, 'w').write('x')"
    with ChainExecutor(Finder(there=True), limits=ProgramLimits(seconds=0.5)) as executor:
        for ticket, source in enumerate(["while True: pass", leaves_a_file, leaves_a_file]):
            executor.submit(ticket, source)
        assert executor.collect(block=True) == []  # the first one takes longer than that
        executor.cancel(1)
        executor.cancel(2)
        while not (ended := executor.collect(block=True)):
            pass
        assert [ticket for ticket, _ in ended] == [0]
        assert executor.collect(block=True) == []
    assert not any(tmp_path.iterdir())


def test_the_end_of_a_program_that_was_cancelled_is_nobodys(chain: ChainExecutor) -> None:
    chain.submit(1, "while True: pass")
    chain.cancel(1)
    assert ran(chain, "print(2)").output == "2\n"
