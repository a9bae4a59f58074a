"""Programs of ``ask`` run in monty and, if that fails, in CPython; hostile ones are held."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from adascale.engine.errors import AdascaleError
from adascale.engine.types import Execution, Trial, Verdict
from adascale.models.programs import executor as module
from adascale.models.programs.cpython import CPythonRunner, ProgramLimits
from adascale.models.programs.executor import MontyRunner, ProgramExecutor

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


@pytest.fixture(params=[True, False])
def has_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A Linux with a sandbox, which holds nothing here, or without one."""
    monkeypatch.setattr(module, "why_not", lambda: "" if request.param else "Landlock")
    monkeypatch.setattr(module, "CPythonRunner", lambda limits: CPythonRunner(limits, sandboxed=False))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    return bool(request.param)


def test_a_failure_in_monty_runs_again_in_a_sandbox(executor: ProgramExecutor, has_sandbox: bool) -> None:
    execution = ran(executor, "from fractions import Fraction\nprint(Fraction(4, 6))")
    assert (execution.output, not execution.error) == ("2/3\n" * has_sandbox, has_sandbox)


@pytest.mark.usefixtures("has_sandbox")
@pytest.mark.parametrize("call", ["datetime.now()", "datetime.today()", "date.today()"])
def test_a_call_for_the_date_fails(executor: ProgramExecutor, call: str) -> None:
    execution = ran(executor, f"from datetime import date, datetime\nprint({call})")
    assert (execution.output, bool(execution.error)) == ("", True)


@pytest.mark.parametrize("program", ["while True: pass", "x = 'a' * 10 ** 11"])
def test_a_program_that_reached_its_limits_does_not_run_again(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(module, "CPythonRunner", None)
    with ProgramExecutor(limits=TIGHT) as executor:
        assert ran(executor, program).error.startswith(("TimeoutError", "MemoryError"))


def test_an_unsandboxed_code_task_runs_in_cpython(executor: ProgramExecutor) -> None:
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


def test_executions_are_collected_once_by_ticket(executor: ProgramExecutor) -> None:
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


def test_a_cancelled_program_never_begins_and_is_not_collected(
    executor: ProgramExecutor, tmp_path: Path
) -> None:
    executor.submit(1, "while True: pass")
    executor.submit(2, Trial(f"open({str(tmp_path / 'file')!r}, 'w').write('x')", ()))
    assert executor.collect(block=True) == []  # the first one takes longer than that
    executor.cancel(1)
    executor.cancel(2)
    assert ran(executor, "print(2)").output == "2\n"
    assert not any(tmp_path.iterdir())


def test_a_replay_waits_for_every_program_until_it_is_stopped() -> None:
    stopped = threading.Event()
    with ProgramExecutor(limits=LIMITS, waits_while=lambda: not stopped.is_set()) as executor:
        executor.submit(1, "print(1)")
        executor.submit(2, "print(2)")
        assert [ticket for ticket, _ in executor.collect()] == [1, 2]
        executor.submit(3, "while True: pass")
        threading.Timer(0.3, stopped.set).start()
        assert executor.collect() == []


TIGHT = ProgramLimits(seconds=0.5, memory_bytes=32 << 20, output_bytes=4 << 10)

REFUSED = [
    *(
        f"import {name}"
        for name in ("socket", "subprocess", "ctypes", "shutil", "multiprocessing", "threading")
    ),
    *(f"import {name}" for name in ("importlib", "signal", "pickle", "urllib.request", "tempfile", "gc")),
    "import os\nos.system('touch SECRET')",
    "import os\nos.remove('SECRET')",
    "import os\nos.kill(1, 9)",
    "import os\nprint(os.environ['HOME'])",
    "import sys\nsys.modules['os']",
    "import sys\nsys._getframe()",
    "from pathlib import Path\nPath('SECRET').read_text()",
    "from pathlib import Path\nPath('new').write_text('x')",
    "open('SECRET').read()",
    "open('SECRET', 'w').write('x')",
    "open('/dev/zero').read()",
    "__import__('os')",
    "__builtins__['open']",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 0).__globals__",
    "f = 'x'.format\nf.__self__.__class__",
    "'{0.__class__.__mro__}'.format(1)",
    "def f(): pass\nf.__code__.co_consts",
    "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
    "input()",
    "eval('__import__(\"os\")')",
    "exec('import socket')",
]
BOMBS = [
    "while True: pass",
    "sum(range(10 ** 12))",
    "while True: print('x' * 1000)",
    "x = [0] * 10 ** 10",
    "a = 'x'\nwhile True: a += a",
    "b = []\nwhile True: b.append('x' * 1000)",
    "d = {}\nfor i in range(10 ** 9): d[i] = i",
    "def f(n): return f(n + 1)\nf(0)",
    "x = []\nx.append(x)\nprint(len(str([x] * 10 ** 9)))",
    "print(10 ** 10 ** 8)",
    "1 << 10 ** 10",
    "print(int('9' * 100000))",
    "'%2000000000d' % 1",
    "f'{1:2000000000}'",
    "'a' * 10 ** 11",
    "while True:\n    try: missing\n    except NameError: pass",
    "import math\nprint(math.factorial(10 ** 7))",
    "from itertools import product\nprint(len(list(product(range(50), repeat=8))))",
    "(" * 5000 + "1" + ")" * 5000,
]


@pytest.fixture(scope="module")
def runner() -> Iterator[MontyRunner]:
    with MontyRunner(TIGHT) as opened:
        yield opened


@pytest.mark.parametrize("program", REFUSED)
def test_monty_refuses_access_to_the_system(
    runner: MontyRunner, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "SECRET"
    secret.write_text("mine")

    execution = runner.judge(Trial(program.replace("SECRET", str(secret)), ()))

    assert execution.error
    assert "mine" not in execution.output + execution.error
    assert [path.name for path in tmp_path.iterdir()] == ["SECRET"]
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("program", BOMBS)
def test_a_bomb_ends_within_its_limits(runner: MontyRunner, program: str) -> None:
    execution = runner.judge(Trial(program, ()))

    assert execution.error
    assert execution.seconds < TIGHT.seconds + 3
    assert len(execution.output.encode()) <= TIGHT.output_bytes
    assert sum(child.memory_info().rss for child in psutil.Process().children()) < 500 << 20


@pytest.mark.parametrize(
    ("program", "output", "error"),
    [
        ("import math\nprint(math.comb(10, 3))", "120\n", ""),
        ("from itertools import permutations\nprint(len(list(permutations(range(5)))))", "120\n", ""),
        ("from decimal import Decimal\nprint(Decimal('1.1') + 1)", "2.1\n", ""),
        ("import re\nprint(re.match(r'(a+)+$', 'a' * 40 + 'b'))", "None\n", ""),
        ("import time\ntime.sleep(100)\nprint(1)", "1\n", ""),
        ("print(1)\nprint(1 / 0)", "1\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_honest_program_prints(runner: MontyRunner, program: str, output: str, error: str) -> None:
    execution = runner.judge(Trial(program, ()))
    assert (execution.output, execution.error) == (output, error)


def test_the_same_program_prints_the_same(runner: MontyRunner) -> None:
    program = "import random\nprint(random.random())"
    one, two = runner.judge(Trial(program, ())), runner.judge(Trial(program, ()))
    assert one.error == two.error == ""
    assert one.output == two.output != ""


def test_processes_start_with_the_first_program_and_end_with_the_runner() -> None:
    before = set(psutil.Process().children())
    with MontyRunner(TIGHT) as runner:
        assert set(psutil.Process().children()) == before
        assert runner.judge(Trial("print(1)", ())).output == "1\n"
        assert len(set(psutil.Process().children()) - before) == 1
    assert set(psutil.Process().children()) == before


def test_no_program_sees_another(runner: MontyRunner) -> None:
    assert runner.judge(Trial("left = 1", ())).error == ""
    assert runner.judge(Trial("print(left)", ())).error.startswith("NameError")


def test_tests_run_behind_their_program_and_have_a_verdict_each(runner: MontyRunner) -> None:
    tests = ("assert f(2) == 4", "assert f(2) == 2, 'no'", "assert not f(1)", "g()", "f(", "f(0)")
    assert runner.judge(Trial("def f(n):\n    return n * 2", tests)).verdicts == (
        Verdict("passed"),
        Verdict("failed", "no\nassert 4 == 2"),
        Verdict("failed"),
        Verdict("error", "NameError: name 'g' is not defined"),
        Verdict("error", "SyntaxError: unexpected EOF while parsing"),
        Verdict("passed"),
    )


@pytest.mark.parametrize("slow", ["while True: pass", "for _ in range(10 ** 6): x = 1"])
def test_verdicts_before_the_limit_count(runner: MontyRunner, slow: str) -> None:
    execution = runner.judge(Trial("", ("x = 1", *[slow] * 999)))
    assert execution.verdicts[0] == Verdict("passed")
    assert len(execution.verdicts) < 1000
    assert execution.seconds < TIGHT.seconds + 1
    assert execution.error.startswith("TimeoutError: ")


def test_a_killed_process_is_a_failed_execution_and_the_next_program_runs() -> None:
    with MontyRunner(ProgramLimits(seconds=20)) as runner, ThreadPoolExecutor(1) as thread:
        running = thread.submit(runner.judge, Trial("while True: pass", ()))
        deadline = time.monotonic() + 10
        children = psutil.Process().children()
        while not any(child.cpu_percent(0.05) > 10 for child in children) and time.monotonic() < deadline:
            children = psutil.Process().children()
        workers = [child.pid for child in children if "monty" in child.name()]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        assert workers
        assert running.result().error == "the interpreter crashed"
        assert runner.judge(Trial("print(2)", ())).output == "2\n"


def test_a_worker_that_ends_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def start(_: int) -> None:
        for _ in range(20):
            with MontyRunner(TIGHT) as runner:
                assert runner.judge(Trial("'x' * (30 * 10 ** 6)", ())).error

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(start, range(2)))
    os.write(2, b"here")
    assert capfd.readouterr().err == "here"
