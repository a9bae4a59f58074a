"""Programs of ``ask`` run in monty; those of code tasks in CPython on Linux, and in monty elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adascale.engine.errors import AdascaleError
from adascale.engine.types import Execution, Trial
from adascale.models.programs import executor as module
from adascale.models.programs.cpython import ProgramLimits
from adascale.models.programs.executor import ProgramExecutor

LIMITS = ProgramLimits(seconds=3)
INHERITING = "class A:\n    pass\nclass B(A):\n    pass\n"
CODE_TASK = Trial(INHERITING, ("",))


@pytest.fixture
def executor() -> Iterator[ProgramExecutor]:
    with ProgramExecutor(unsandboxed=True, limits=LIMITS) as opened:
        yield opened


def ran(executor: ProgramExecutor, program: str | Trial) -> Execution:
    executor.submit(3, program)
    while not (ended := executor.collect(block=True)):
        pass
    [(ticket, execution)] = ended
    assert ticket == 3
    return execution


def test_a_program_that_computes_an_answer_runs_in_monty(executor: ProgramExecutor) -> None:
    assert ran(executor, INHERITING).error
    assert ran(executor, CODE_TASK).passes


@pytest.mark.parametrize(("system", "passes"), [("Linux", True), ("Darwin", False)])
def test_the_system_chooses_the_interpreter_of_code_tasks(
    monkeypatch: pytest.MonkeyPatch, system: str, passes: bool
) -> None:
    monkeypatch.setattr(module, "check_sandbox", lambda: None)
    monkeypatch.setattr("platform.system", lambda: system)
    with ProgramExecutor(limits=LIMITS) as executor:
        assert ran(executor, CODE_TASK).passes == passes


def test_without_a_sandbox_a_code_task_is_refused_and_other_programs_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise AdascaleError("no sandbox")

    monkeypatch.setattr(module, "check_sandbox", refuse)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with ProgramExecutor(limits=LIMITS) as executor:
        for refused in (executor.run, lambda trial: executor.submit(1, trial)):
            with pytest.raises(AdascaleError, match="no sandbox"):
                refused(CODE_TASK)
        assert executor.collect() == []
        assert ran(executor, "print(1)").output == "1\n"


def test_many_programs_come_back_by_their_tickets_once_each(executor: ProgramExecutor) -> None:
    assert executor.collect(block=True) == []
    for ticket in range(20):
        executor.submit(ticket, f"print({ticket})")
    found: dict[int, Execution] = {}
    while len(found) < 20:
        executions = dict(executor.collect(block=True))
        assert not executions.keys() & found.keys()
        found |= executions
    assert executor.collect() == []
    assert {ticket: each.output for ticket, each in found.items()} == {n: f"{n}\n" for n in range(20)}


def test_a_program_that_is_cancelled_never_begins_and_its_end_is_nobodys(
    executor: ProgramExecutor, tmp_path: Path
) -> None:
    executor.submit(1, "while True: pass")
    executor.submit(2, Trial(f"open({str(tmp_path / 'file')!r}, 'w').write('x')", ()))
    assert executor.collect(block=True) == []  # the first one takes longer than that
    executor.cancel(1)
    executor.cancel(2)
    assert ran(executor, "print(2)").output == "2\n"
    assert not any(tmp_path.iterdir())
