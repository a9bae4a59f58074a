"""Landlock and seccomp hold hostile programs, and honest ones run as they would outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest
from cpython import run_in

from adascale.engine.errors import AdascaleError
from adascale.engine.execution import Execution, Trial, Verdict
from adascale.models.programs import cpython as programs
from adascale.models.programs.cpython import CPythonRunner, why_not
from adascale.models.programs.sandbox import UNSANDBOXED, ProgramLimits, Sandbox, landlock

from . import hostile

needs_landlock = pytest.mark.skipif(bool(why_not()), reason="this machine has no Landlock or no seccomp")
LIMITS = ProgramLimits(seconds=2.0, memory_bytes=(32 << 20) + os.getpid(), output_bytes=4 << 10)
"""The memory tells processes of this run from those of others."""

ESCAPED = "ESCAPED"
SECRET = "what nobody reads"


@dataclass
class World:
    """What hostile programs reach for, and whether any of it has changed.

    Attributes:
        folder: Has the canary folder, and the folder in which executors write what they need.
        signals: Those that reached this process.
    """

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)
    signals: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.canary = self.folder / "canary"
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.canary.mkdir(parents=True)
        self.secret = self.canary / "secret"
        self.secret.write_text(SECRET)
        self.tcp = self._listening(socket.create_server(("127.0.0.1", 0)))
        self.port = self.tcp.getsockname()[1]
        self.udp = self._bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", self.port))
        self.unix = self._bound(socket.AF_UNIX, socket.SOCK_DGRAM, str(self.canary / "socket"))
        self.abstract = f"adascale-{os.getpid()}-{self.port}"
        self.stream = self._bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}")
        self.stream.listen()
        for number in (signal.SIGUSR1, signal.SIGIO):
            before = signal.signal(number, lambda received, _: self.signals.append(received))
            self.stack.callback(signal.signal, number, before)

    def _bound(self, family: int, kind: int, address: str | tuple[str, int]) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        return self._listening(made)

    def _listening(self, made: socket.socket) -> socket.socket:
        made.setblocking(False)
        return self.stack.enter_context(made)

    def addressed(self, program: str) -> str:
        """A hostile program with this world's names in it."""
        names = {
            "SECRET": self.secret,
            "CANARY": self.canary,
            "SOCKET": self.canary / "socket",
            "ABSTRACT": self.abstract,
            "PORT": self.port,
            "PARENT": os.getpid(),
        }
        for name, value in names.items():
            program = program.replace(name, str(value))
        return program

    def state(self) -> dict[str, object]:
        """Files with rights, owners, sizes, times; limits and priority of this process."""
        files = {
            str(path.relative_to(self.folder)): (*os.lstat(path)[:7], os.lstat(path).st_mtime_ns)
            for path in sorted(self.canary.rglob("*"))
        }
        own = psutil.Process()
        return {
            "files": files,
            "scratch": os.listdir(self.scratch),
            "text": self.secret.read_text(),
            "folder": os.getcwd(),
            "nice": own.nice(),
            "threads": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
            "host": socket.gethostname(),
        }

    def contacts(self) -> list[str]:
        """Every message, connection and signal that has arrived."""
        found = [f"signal {number}" for number in self.signals]
        for name, receive in (
            ("tcp", lambda: self.tcp.accept()[0].close()),
            ("stream", lambda: self.stream.accept()[0].close()),
            ("udp", lambda: self.udp.recv(9)),
            ("unix", lambda: self.unix.recv(9)),
        ):
            try:
                receive()
            except BlockingIOError:
                continue
            found.append(name)
        return found


def run_within(sandbox: Sandbox, programs: list[str]) -> list[Execution]:
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(partial(run_in, CPythonRunner(sandbox, LIMITS)), programs))


def left_running(sandbox: Sandbox) -> list[list[str]]:
    """Command lines of this run's programs that are still there when the kernel had time to end them."""
    settings = sandbox.command(LIMITS)[-1]
    deadline = time.monotonic() + 5
    while True:
        lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        found = [line for line in lines if settings in line or "4242" in line]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@dataclass(frozen=True)
class Aftermath:
    """What a level's programs gave, and the world before and behind them."""

    executions: dict[str, Execution]
    before: dict[str, object]
    behind: dict[str, object]
    contacts: list[str]
    running: list[list[str]]


def run_hostile(sandbox: Sandbox, programs: list[str], folder: Path) -> Aftermath:
    """Run them in a world of their own; those that should not get far enough say so if they do."""
    world = World(folder)
    with world.stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(world.scratch))
        patch.setenv("HOME", str(world.canary))
        before = world.state()
        addressed = [
            world.addressed(f"{program}\nprint('{ESCAPED}')" if program in hostile.ESCAPES else program)
            for program in programs
        ]
        executions = run_within(sandbox, addressed)
        running = left_running(sandbox)
        by_program = dict(zip(programs, executions, strict=True))
        return Aftermath(by_program, before, world.state(), world.contacts(), running)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return run_hostile(landlock(), hostile.HOSTILE, tmp_path_factory.mktemp("world"))


@needs_landlock
def test_nothing_outside_has_changed(aftermath: Aftermath) -> None:
    assert aftermath.behind == aftermath.before
    assert aftermath.contacts == []
    assert aftermath.running == []


@needs_landlock
@pytest.mark.parametrize("program", hostile.ESCAPES)
def test_no_program_leaves(aftermath: Aftermath, program: str) -> None:
    execution = aftermath.executions[program]
    assert execution.error
    assert ESCAPED not in execution.output
    assert SECRET not in execution.output + execution.error
    assert "root:" not in execution.output


@needs_landlock
@pytest.mark.parametrize("program", hostile.HOSTILE)
def test_every_program_ends_within_its_limits(aftermath: Aftermath, program: str) -> None:
    execution = aftermath.executions[program]
    assert execution.error
    assert execution.seconds < LIMITS.seconds + 3
    assert len(execution.output.encode()) <= LIMITS.output_bytes


@needs_landlock
@pytest.mark.parametrize(
    ("programs", "error"),
    [
        (hostile.ENDLESS, "TimeoutError: killed"),
        (hostile.GREEDY, "MemoryError: more than 4096 bytes of output"),
    ],
)
def test_the_error_names_the_limit(aftermath: Aftermath, programs: list[str], error: str) -> None:
    found = {program: aftermath.executions[program].error for program in programs}
    assert found == dict.fromkeys(programs, error)


@needs_landlock
@pytest.mark.parametrize("program", hostile.MEMORY)
def test_memory_ends_before_time_does(aftermath: Aftermath, program: str) -> None:
    assert aftermath.executions[program].error != "TimeoutError: killed"


UNSAFE = [
    "print(open('SECRET').read())",
    "open('SECRET', 'a').write('x')",
    "import os\nos.listdir('CANARY')",
    "import os\nos.readlink('/proc/PARENT/cwd')",
    "import os, signal\nos.kill(PARENT, signal.SIGUSR1)",
    "import fcntl, os\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, PARENT)",
    "import os\nassert os.system('touch CANARY/new') == 0",
    "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'touch CANARY/new'], check=True)",
    "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
    "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'SOCKET')",
    "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0ABSTRACT')",
]


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="the programs are written for Linux")
def test_without_a_sandbox_the_same_programs_leave(tmp_path: Path) -> None:
    """So that what is above could fail."""
    assert {*UNSAFE} <= {*hostile.ESCAPES}
    aftermath = run_hostile(UNSANDBOXED, UNSAFE, tmp_path)
    escaped = [ESCAPED in execution.output for execution in aftermath.executions.values()]
    assert escaped == [True] * len(UNSAFE)
    assert aftermath.behind != aftermath.before
    assert set(aftermath.contacts) == {f"signal {signal.SIGUSR1.value}", "tcp", "udp", "unix", "stream"}


@pytest.fixture(params=[pytest.param(True, marks=needs_landlock), False], ids=["landlock", "unsandboxed"])
def runner(request: pytest.FixtureRequest) -> CPythonRunner:
    return CPythonRunner(landlock() if request.param else UNSANDBOXED, ProgramLimits(seconds=10.0))


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("print(6 * 7)", "42\n"),
        ("print('\u00e9\u4e2d')", "\u00e9\u4e2d\n"),
        ("def f():\n    yield from (1, 2)\nprint(*f())", "1 2\n"),
        ("class A: x = 1\nclass B(A): pass\nprint(B().x)", "1\n"),
        ("import dataclasses as d\n@d.dataclass\nclass P:\n    x: int = 1\nprint(P())", "P(x=1)\n"),
        ("def f(x: 1 + 1): pass\nprint(f.__annotations__)", "{'x': 2}\n"),
        ("import threading as t\nx = t.Thread(target=print, args=(1,))\nx.start()\nx.join()", "1\n"),
        ("import asyncio\nasync def f(): return 1\nprint(asyncio.run(f()))", "1\n"),
        ("import heapq, math, random, statistics, fractions, sqlite3, zlib, hashlib\nprint(1)", "1\n"),
        ("import contextlib, os\nwith contextlib.redirect_stdout(open(os.devnull, 'w')): print(2)", ""),
        ("import os, sys\nprint(len(os.environ) < 5, sys.argv)", "True ['program.py']\n"),
        ("print(1)\nexit()", "1\n"),
        ("import os\nprint(1, flush=True)\nos._exit(0)", "1\n"),
        ("import sys\nprint('ValueError: no', file=sys.stderr)", ""),
        ("import sys\nsys.stdout.buffer.write(b'a\\xff\\n')", "a\n"),
        ("", ""),
    ],
)
def test_an_honest_program_prints(runner: CPythonRunner, program: str, output: str) -> None:
    execution = run_in(runner, program)
    assert (execution.output, execution.error) == (output, "")


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("import pickle\nclass A: x = 1\nprint(pickle.loads(pickle.dumps(A())).x)", "1\n"),
        ("import __main__\nx = 1\nprint(__main__.x, __name__)", "1 __main__\n"),
        ("print([name for name in globals() if not name.startswith('__')])", "[]\n"),
        (
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): print(1)\n"
            "unittest.main(exit=False)",
            "1\n",
        ),
    ],
)
def test_a_program_is_the_main_module_of_its_process(
    runner: CPythonRunner, program: str, output: str
) -> None:
    execution = run_in(runner, program)
    assert (execution.output, execution.error) == (output, "")


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("assert 1 == 2, 'no'", "AssertionError: no"),
        ("assert 1 == 2", "AssertionError"),
        ("raise ValueError('a\\nTraceback')", "ValueError: a"),
        ("try: 1 / 0\nexcept ZeroDivisionError: {}['a']", "KeyError: 'a'"),
        ("import warnings\nwarnings.warn('w')\n{}['a']", "KeyError: 'a'"),
        ("import sys\nsys.stderr.write('x' * 100000 + '\\n')\n{}['a']", "KeyError: 'a'"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("input()", "EOFError: EOF when reading a line"),
        ("import numpy", "ModuleNotFoundError: No module named 'numpy'"),
        ("import adascale", "ModuleNotFoundError: No module named 'adascale'"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("import sys\nsys.exit('no')", "no"),
        ("import ctypes\nctypes.string_at(0)", "the interpreter crashed: SIGSEGV"),
        ("import os\nos._exit(200)", "SystemExit: 200"),
    ],
)
def test_a_failure_is_the_last_line_of_its_traceback(runner: CPythonRunner, program: str, error: str) -> None:
    execution = run_in(runner, f"print(1)\n{program}" if "def f(:" not in program else program)
    assert execution.error == error
    assert execution.output == ("" if "def f(:" in program else "1\n")


def test_what_was_printed_before_it_was_killed_is_kept() -> None:
    runner = CPythonRunner(UNSANDBOXED, ProgramLimits(seconds=1.0))
    execution = run_in(runner, "print(1)\nprint(2)\nwhile True: pass")
    assert (execution.output, execution.error) == ("1\n2\n", "TimeoutError: killed")


def judged(program: str, *tests: str, seconds: float = 10.0) -> Execution:
    return CPythonRunner(UNSANDBOXED, ProgramLimits(seconds=seconds)).judge(Trial(program, tests))


def test_each_test_has_the_names_of_the_program_and_its_own_and_the_last_ends_the_process() -> None:
    program = "import threading\nlast = 3\nthreading.Thread(target=threading.Event().wait).start()"
    execution = judged(program, "last += 1\nassert last == 4\nprint(__name__)", "assert last == 3", "1 / 0")
    passed = Verdict("passed")
    assert execution.verdicts == (passed, passed, Verdict("error", "ZeroDivisionError: division by zero"))
    assert (execution.output, execution.error) == ("tests\n", "")


def test_verdicts_before_the_limit_count() -> None:
    assert judged("", "", "while True: pass", "", seconds=0.5).verdicts == (Verdict("passed"),)


@pytest.mark.parametrize("line", ["passed", '["passed", ""]', "\\n"])
def test_what_a_program_writes_to_its_open_files_is_no_verdict(line: str) -> None:
    writes = (
        f"import os\nfor n in range(1, 64):\n    try: os.write(n, b'{line}\\n')\n    except OSError: pass"
    )
    execution = judged(writes, "")
    assert (execution.verdicts, execution.error) == ((Verdict("passed"),), "")


@pytest.mark.parametrize("line", ["1", "[]", '["passed", 3]', '["right", ""]', "\u00ff", "[" * 9999, '["fai'])
def test_a_program_that_forges_verdicts_ends_its_trial_alone(line: str) -> None:
    forges = "import sys\nframe = sys._getframe(1).f_locals\n"
    forges += f"print(frame['marker'], {line!r}, file=frame['pipe'], flush=True)"
    execution = judged("", "", forges, "")
    assert execution.verdicts[0] == Verdict("passed")
    assert execution.error or execution.verdicts[1].outcome == "error"


@pytest.mark.parametrize(
    ("test", "error"),
    [
        ("import sys\nwhile True: sys.stderr.write('x' * 65536)", "TimeoutError: killed"),
        ("import os\nwhile True:\n    for n in range(3, 64):\n        try: os.write(n, b'x' * 65536)\n"
         "        except OSError: pass", "MemoryError: more than 8192 bytes of verdicts"),
    ],
)  # fmt: skip
def test_what_tests_write_takes_little_memory(test: str, error: str) -> None:
    tracemalloc.start()
    try:
        execution = judged("", test, seconds=1.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert execution.error == error
    assert execution.verdicts == ()
    assert most < 4 << 20


def test_the_same_program_prints_the_same(runner: CPythonRunner) -> None:
    program = "print({str(n) for n in range(100)})"
    one, two = run_in(runner, program), run_in(runner, program)
    assert one.error == two.error == ""
    assert one.output == two.output != ""


def test_no_program_sees_another(runner: CPythonRunner) -> None:
    first = run_in(runner, "open('left', 'w').write('x')\nprint(open('left').read())")
    assert first.output == "x\n" or "'left'" in first.error
    assert run_in(runner, "open('left')").error.startswith("FileNotFoundError")


@needs_landlock
def test_no_folder_takes_a_file() -> None:
    """In a file system in memory, empty folders without end fill the memory of the kernel."""
    tried = "import os\nfor folder in ('.', '/', '/tmp', '/dev', '/dev/shm', '/run', '/var/tmp', '/usr'):\n"
    tried += "    try:\n        os.mkdir(folder + '/x')\n        print(folder)\n    except OSError: pass"
    execution = run_in(CPythonRunner(landlock()), tried)
    assert (execution.output, execution.error) == ("", "")


@needs_landlock
def test_no_folder_for_temporary_files_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert run_in(CPythonRunner(landlock()), "print(1)").output == "1\n"
    assert run_in(CPythonRunner(UNSANDBOXED), "print(1)").error.startswith("FileNotFoundError: ")


def test_a_kernel_without_one_of_the_two_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    programs.find_sandbox.cache_clear()
    for sandbox, reason in (
        (Sandbox(("/no/such/folder",)), "FileNotFoundError: "),
        (Sandbox(calls=b"no filter"), "OSError: prctl: Invalid argument"),
    ):
        monkeypatch.setattr(programs, "landlock", lambda sandbox=sandbox: sandbox)
        with pytest.raises(AdascaleError) as refused:
            programs.find_sandbox()
        assert refused.value.slug == "no-sandbox"
        assert refused.value.facts[0].startswith(reason)
        assert "unsandboxed=True" in refused.value.hint


SLEEPING = """
from adascale.engine.execution import Trial
from adascale.models.programs.cpython import CPythonRunner
from adascale.models.programs.sandbox import ProgramLimits, UNSANDBOXED
CPythonRunner(UNSANDBOXED, ProgramLimits(seconds=1.0)).judge(Trial("import time; time.sleep(60)", ()))
"""


def test_a_program_that_sleeps_ends_soon_after_its_worker_and_leaves_no_text(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING], env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as worker:
        while not (found := psutil.Process(worker.pid).children()):
            time.sleep(0.01)
        worker.kill()
    gone, _ = psutil.wait_procs(found, timeout=10)
    assert len(gone) == len(found)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
