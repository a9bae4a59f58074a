"""Hostile programs are contained: within their limits, with an error to read, and nothing outside changed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from executors import run_all

from adascale.engine.types import Execution
from adascale.models.programs.executor import ProgramLimits
from adascale.models.programs.monty import MontyExecutor

LIMITS = ProgramLimits(seconds=0.5, memory_bytes=32 << 20, output_bytes=4 << 10)

REFUSED = [
    *(
        f"import {name}"
        for name in ("socket", "subprocess", "ctypes", "shutil", "multiprocessing", "threading")
    ),
    *(f"import {name}" for name in ("importlib", "signal", "pickle", "urllib.request", "tempfile", "gc")),
    "import os\nos.system('touch SECRET')",
    "import os\nos.listdir('/')",
    "import os\nos.remove('SECRET')",
    "import os\nos.kill(1, 9)",
    "import os\nos.fork()",
    "import os\nprint(os.environ['HOME'])",
    "import sys\nsys.modules['os']",
    "import sys\nsys._getframe()",
    "from pathlib import Path\nPath('SECRET').read_text()",
    "from pathlib import Path\nPath('SECRET').unlink()",
    "from pathlib import Path\nPath('new').write_text('x')",
    "from pathlib import Path\nlist(Path('/').iterdir())",
    "open('SECRET').read()",
    "open('SECRET', 'w').write('x')",
    "open('/proc/self/environ').read()",
    "open('/dev/zero').read()",
    "__import__('os')",
    "__builtins__['open']",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: 0).__globals__",
    "[].__class__.__mro__",
    "''.__class__.__base__.__subclasses__()",
    "f = 'x'.format\nf.__self__.__class__",
    "'{0.__class__.__mro__}'.format(1)",
    "getattr(getattr((), '__class__'), '__bases__')",
    "def f(): pass\nf.__code__.co_consts",
    "try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
    "vars(print)",
    "input()",
    "breakpoint()",
    "eval('__import__(\"os\")')",
    "exec('import socket')",
]
BOMBS = [
    "while True: pass",
    "sum(range(10 ** 12))",
    "while True: print('x' * 1000)",
    "for i in range(10 ** 9): print(i)",
    "x = [0] * 10 ** 10",
    "a = 'x'\nwhile True: a += a",
    "b = []\nwhile True: b.append('x' * 1000)",
    "d = {}\nfor i in range(10 ** 9): d[i] = i",
    "x = [i for i in range(10 ** 9)]",
    "sorted(range(10 ** 8))",
    "def f(n): return f(n + 1)\nf(0)",
    "x = []\nx.append(x)\nprint(len(str([x] * 10 ** 9)))",
    "print(10 ** 10 ** 8)",
    "print(2 ** 10 ** 7)",
    "print(9 ** 9 ** 9)",
    "1 << 10 ** 10",
    "print(int('9' * 100000))",
    "'%2000000000d' % 1",
    "'{:>2000000000}'.format(1)",
    "f'{1:2000000000}'",
    "'a' * 10 ** 11",
    "b'a' * 10 ** 11",
    "import math\nprint(math.factorial(10 ** 7))",
    "from itertools import product\nprint(len(list(product(range(50), repeat=8))))",
    "(" * 5000 + "1" + ")" * 5000,
]


@pytest.fixture(scope="module")
def executor() -> Iterator[MontyExecutor]:
    with MontyExecutor(2, LIMITS) as opened:
        yield opened


def ran(executor: MontyExecutor, program: str) -> Execution:
    executor.submit(7, program)
    [(ticket, execution)] = executor.collect(block=True)
    assert ticket == 7
    return execution


@pytest.mark.parametrize("program", REFUSED)
def test_the_outside_is_out_of_reach(
    executor: MontyExecutor, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "SECRET"
    secret.write_text("mine")

    execution = ran(executor, program.replace("SECRET", str(secret)))

    assert execution.error
    assert "mine" not in execution.output + execution.error
    assert [path.name for path in tmp_path.iterdir()] == ["SECRET"]
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("program", BOMBS)
def test_a_bomb_ends_within_its_limits(executor: MontyExecutor, program: str) -> None:
    execution = ran(executor, program)

    assert execution.error
    assert execution.seconds < LIMITS.seconds + 3
    assert len(execution.output.encode()) <= LIMITS.output_bytes
    assert sum(child.memory_info().rss for child in psutil.Process().children()) < 500 << 20


def test_there_are_sixty() -> None:
    assert len({*REFUSED, *BOMBS}) >= 60


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("print(6 * 7)", "42\n"),
        ("import math\nprint(math.comb(10, 3))", "120\n"),
        ("from itertools import permutations\nprint(len(list(permutations(range(5)))))", "120\n"),
        ("from decimal import Decimal\nprint(Decimal('1.1') + 1)", "2.1\n"),
        ("import re\nprint(re.match(r'(a+)+$', 'a' * 40 + 'b'))", "None\n"),
        ("import time\ntime.sleep(100)\nprint(1)", "1\n"),
    ],
)
def test_an_honest_program_prints(executor: MontyExecutor, program: str, output: str) -> None:
    execution = ran(executor, program)
    assert (execution.output, execution.error) == (output, "")


def test_what_was_printed_before_a_failure_is_kept(executor: MontyExecutor) -> None:
    execution = ran(executor, "print(1)\nprint(1 / 0)")
    assert (execution.output, execution.error) == ("1\n", "ZeroDivisionError: division by zero")


def test_the_same_program_prints_the_same(executor: MontyExecutor) -> None:
    program = "import random, datetime\nprint(random.random(), datetime.datetime.now())"
    one, two = ran(executor, program), ran(executor, program)
    assert one.error == two.error == ""
    assert one.output == two.output != ""


def test_processes_start_with_the_first_program_and_end_with_the_executor() -> None:
    before = set(psutil.Process().children())
    with MontyExecutor(2, LIMITS) as executor:
        assert set(psutil.Process().children()) == before
        assert ran(executor, "print(1)").output == "1\n"
        assert len(set(psutil.Process().children()) - before) == 1
    assert set(psutil.Process().children()) == before


def test_no_program_sees_another(executor: MontyExecutor) -> None:
    assert ran(executor, "left = 1").error == ""
    assert ran(executor, "print(left)").error.startswith("NameError")


def test_many_run_beside_each_other_and_come_back_by_their_tickets(executor: MontyExecutor) -> None:
    printed = [execution.output for execution in run_all(executor, [f"print({n})" for n in range(20)])]
    assert printed == [f"{n}\n" for n in range(20)]


def test_a_killed_process_is_a_failed_execution_and_the_next_program_runs() -> None:
    with MontyExecutor(1, ProgramLimits(seconds=20)) as executor:
        executor.submit(1, "while True: pass")
        deadline = time.monotonic() + 10
        children = psutil.Process().children()
        while not any(child.cpu_percent(0.05) > 10 for child in children) and time.monotonic() < deadline:
            children = psutil.Process().children()
        workers = [child.pid for child in children if "monty" in child.name()]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        [(ticket, execution)] = executor.collect(block=True)
        assert workers
        assert (ticket, execution.error) == (1, "the interpreter crashed")
        assert ran(executor, "print(2)").output == "2\n"
