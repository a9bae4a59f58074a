"""Landlock and seccomp hold hostile programs, and honest ones run as they would outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import cpython
import psutil
import pytest
from cpython import run_in

from adascale.codetasks.kind import trial_of
from adascale.codetasks.reading import read_tests
from adascale.codetasks.task import suite_of
from adascale.engine.errors import AdascaleError
from adascale.engine.types import Execution, Trial, Verdict
from adascale.models.programs import cpython as programs
from adascale.models.programs.confine import MACHINES, call_filter
from adascale.models.programs.cpython import CPythonRunner, ProgramLimits, why_not
from adascale.models.programs.executor import MontyRunner

from . import hostile

LIMITS = ProgramLimits(seconds=2.0, memory_bytes=(32 << 20) + os.getpid(), output_bytes=4 << 10)
"""The memory tells processes of this run from those of others."""
ESCAPED = "ESCAPED"
SECRET = "what nobody reads"

needs_landlock = pytest.mark.skipif(bool(why_not()), reason="this machine has no Landlock or no seccomp")


class World:
    """What hostile programs reach for: a canary folder, two sockets and this process.

    Attributes:
        executions: What each program gave.
        changes: Files that have changed, and contacts that have arrived.
    """

    def __init__(self, sandboxed: bool, programs: list[str], folder: Path) -> None:
        self._secret = folder / "secret"
        self._secret.write_text(SECRET)
        signals: list[int] = []
        with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(folder))
            tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            unix.bind(str(folder / "socket"))
            for number in (signal.SIGUSR1, signal.SIGIO):
                before = signal.signal(number, lambda received, _: signals.append(received))
                stack.callback(signal.signal, number, before)
            names = {
                "SECRET": str(self._secret),
                "CANARY": str(folder),
                "SOCKET": str(folder / "socket"),
                "PORT": str(tcp.getsockname()[1]),
                "PARENT": str(os.getpid()),
            }
            state = self._state(folder)
            sources = []
            for program in programs:
                for name, value in names.items():
                    program = program.replace(name, value)
                sources.append(program)
            with ThreadPoolExecutor(4) as threads:
                run = partial(run_in, CPythonRunner(LIMITS, sandboxed=sandboxed))
                self.executions = dict(zip(programs, threads.map(run, sources), strict=True))
            self.changes = [name for name, each in self._state(folder).items() if each != state.get(name)]
            for listening, receive in ((tcp, lambda: tcp.accept()[0].close()), (unix, lambda: unix.recv(9))):
                listening.setblocking(False)
                try:
                    receive()
                except BlockingIOError:
                    continue
                self.changes.append(str(listening.family.name))
            self.changes += [f"signal {number}" for number in signals]

    def _state(self, folder: Path) -> dict[str, object]:
        """Files with rights, owners, sizes and times; priority and processors of this process."""
        files = {
            path.name: (*os.lstat(path)[:7], os.lstat(path).st_mtime_ns)
            for path in [folder, *folder.iterdir()]
        }
        own = psutil.Process()
        return {**files, "process": (own.nice(), own.cpu_affinity(), self._secret.read_text())}


def left_running() -> list[list[str]]:
    """Command lines of this run's programs that are still there when the kernel had time to end them."""
    settings = CPythonRunner(LIMITS).command[-1]
    deadline = time.monotonic() + 5
    while True:
        lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        found = [line for line in lines if settings in line or "4242" in line]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def reaching(programs: list[str]) -> list[str]:
    """Programs that say so if they get to their end."""
    return [f"{program}\nprint('{ESCAPED}')" for program in programs]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("canary")
    return World(True, [*reaching(hostile.ESCAPES), *hostile.BOMBS], folder)


@needs_landlock
def test_nothing_outside_has_changed(world: World) -> None:
    assert world.changes == []
    assert left_running() == []


@needs_landlock
@pytest.mark.parametrize("program", [*reaching(hostile.ESCAPES), *hostile.BOMBS])
def test_no_program_leaves_or_outlives_its_limits(world: World, program: str) -> None:
    execution = world.executions[program]
    assert execution.error
    assert execution.seconds < LIMITS.seconds + 3
    assert len(execution.output.encode()) <= LIMITS.output_bytes
    for text in (ESCAPED, SECRET, "root:"):
        assert text not in execution.output + execution.error


@needs_landlock
def test_the_error_names_the_limit(world: World) -> None:
    errors = {program: each.error for program, each in world.executions.items()}
    assert {errors[program] for program in hostile.ENDLESS} == {"TimeoutError: killed"}
    assert {errors[program] for program in hostile.GREEDY} == {"MemoryError: more than 4096 bytes of output"}
    assert errors[hostile.NOISY].startswith("MemoryError: more than ")
    for program in hostile.MEMORY:
        assert errors[program] != "TimeoutError: killed"


UNSAFE = [
    "print(open('SECRET').read())",
    "open('SECRET', 'a').write('x')",
    "import os\nos.readlink('/proc/PARENT/cwd')",
    "import os, signal\nos.kill(PARENT, signal.SIGUSR1)",
    "import os\nassert os.system('touch CANARY/new') == 0",
    "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
    "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'SOCKET')",
]


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="the programs are written for Linux")
def test_without_a_sandbox_the_same_programs_escape(tmp_path: Path) -> None:
    """So that what is above could fail."""
    assert {*UNSAFE} <= {*hostile.ESCAPES}
    world = World(False, reaching(UNSAFE), tmp_path)
    assert [ESCAPED in execution.output for execution in world.executions.values()] == [True] * len(UNSAFE)
    assert {"secret", "new", "process", "AF_INET", "AF_UNIX", f"signal {signal.SIGUSR1.value}"} <= {
        *world.changes
    }


@pytest.fixture(params=[pytest.param(True, marks=needs_landlock), False], ids=["landlock", "unsandboxed"])
def runner(request: pytest.FixtureRequest) -> CPythonRunner:
    return CPythonRunner(ProgramLimits(seconds=10.0), sandboxed=request.param)


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("print('\u00e9\u4e2d')", "\u00e9\u4e2d\n"),
        ("import threading as t\nx = t.Thread(target=print, args=(1,))\nx.start()\nx.join()", "1\n"),
        ("import asyncio\nasync def f(): return 1\nprint(asyncio.run(f()))", "1\n"),
        ("import heapq, math, random, statistics, fractions, sqlite3, zlib, hashlib\nprint(1)", "1\n"),
        ("import contextlib, os\nwith contextlib.redirect_stdout(open(os.devnull, 'w')): print(2)", ""),
        ("import os, sys\nprint(len(os.environ) < 5, sys.argv)", "True ['program.py']\n"),
        ("import os\nprint(1, flush=True)\nos._exit(0)", "1\n"),
        ("import sys\nprint('ValueError: no', file=sys.stderr)", ""),
        ("import sys\nsys.stdout.buffer.write(b'a\\xff\\n')", "a\n"),
        ("import pickle\nclass A: x = 1\nprint(pickle.loads(pickle.dumps(A())).x)", "1\n"),
        ("import __main__\nx = 1\nprint(__main__.x, __name__)", "1 __main__\n"),
        ("print([name for name in globals() if not name.startswith('__')])", "[]\n"),
        ("print({str(n) for n in range(4)})", "{'3', '2', '1', '0'}\n"),
        ("import time, datetime\nprint(datetime.date.fromtimestamp(time.time()))", "1970-01-01\n"),
        ("import random\nprint(random.random())", "0.8444218515250481\n"),
    ],
)
def test_an_honest_program_prints(runner: CPythonRunner, program: str, output: str) -> None:
    execution = run_in(runner, program)
    assert (execution.output, execution.error) == (output, "")


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("assert 1 == 2", "AssertionError"),
        ("raise ValueError('a\\nTraceback')", "ValueError: a"),
        ("try: 1 / 0\nexcept ZeroDivisionError: {}['a']", "KeyError: 'a'"),
        ("import sys\nsys.stderr.write('x' * 100000 + '\\n')\n{}['a']", "KeyError: 'a'"),
        ("input()", "EOFError: EOF when reading a line"),
        ("import adascale", "ModuleNotFoundError: No module named 'adascale'"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("import sys\nsys.exit('no')", "no"),
        ("import ctypes\nctypes.string_at(0)", f"the interpreter crashed: {signal.strsignal(11)}"),
        pytest.param(
            "import os\nos.kill(os.getpid(), 40)",
            f"the interpreter crashed: {signal.strsignal(40)}",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux has signals without a name"),
        ),
        ("while True: pass", "TimeoutError: killed"),
    ],
)
def test_a_failure_is_the_last_line_of_its_traceback(program: str, error: str) -> None:
    runner = CPythonRunner(ProgramLimits(seconds=1.0), sandboxed=False)
    execution = run_in(runner, f"print(1)\n{program}")
    assert (execution.output, execution.error) == ("1\n", error)
    assert run_in(runner, "def f(:").error == "SyntaxError: invalid syntax"


def judged(program: str, *tests: str, seconds: float = 10.0) -> Execution:
    return CPythonRunner(ProgramLimits(seconds=seconds), sandboxed=False).judge(Trial(program, tests))


def test_tests_share_the_programs_names_but_not_their_own_and_end_the_process() -> None:
    program = "import threading\nlast = 3\nthreading.Thread(target=threading.Event().wait).start()"
    execution = judged(program, "last += 1\nassert last == 4\nprint(__name__)", "assert last == 3", "1 / 0")
    passed = Verdict("passed")
    assert execution.verdicts == (passed, passed, Verdict("error", "ZeroDivisionError: division by zero"))
    assert (execution.output, execution.error) == ("tests\n", "")


def test_verdicts_before_the_limit_count() -> None:
    assert judged("", "", "while True: pass", "", seconds=0.5).verdicts == (Verdict("passed"),)


@pytest.mark.parametrize("line", ["passed", '["passed", ""]', "\\n"])
def test_output_of_a_program_is_no_verdict(line: str) -> None:
    writes = "import os\nfor n in range(1, 64):\n    try:\n"
    writes += f"        os.write(n, b'{line}\\n')\n    except OSError: pass"
    execution = judged(writes, "")
    assert (execution.verdicts, execution.error) == ((Verdict("passed"),), "")


@pytest.mark.parametrize("line", ["1", "[]", '["passed", 3]', '["right", ""]', "\u00ff", "[" * 9999, '["fai'])
def test_forged_verdicts_are_errors(line: str) -> None:
    forges = "import sys\nframe = sys._getframe(1).f_locals\n"
    forges += f"print(frame['marker'], {line!r}, file=frame['pipe'], flush=True)"
    execution = judged("", "", forges, "")
    assert execution.verdicts[0] == Verdict("passed")
    assert execution.error or execution.verdicts[1].outcome == "error"


def test_output_of_tests_takes_little_memory() -> None:
    test = "import os\nwhile True:\n    for n in range(2, 64):\n"
    test += "        try: os.write(n, b'x' * 65536)\n        except OSError: pass"
    tracemalloc.start()
    try:
        execution = judged("", test, seconds=1.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (execution.error, execution.verdicts) == ("MemoryError: more than 8192 bytes of verdicts", ())
    assert most < 4 << 20


@needs_landlock
def test_no_folder_is_writable_and_no_temporary_folder_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a file system in memory, empty folders without end fill the memory of the kernel."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    tried = "import os\nfor folder in ('.', '/', '/tmp', '/dev', '/dev/shm', '/run', '/var/tmp', '/usr'):\n"
    tried += "    try:\n        os.mkdir(folder + '/x')\n        print(folder)\n    except OSError: pass"
    execution = run_in(CPythonRunner(), tried)
    assert (execution.output, execution.error) == ("", "")
    assert judged("").error.startswith("FileNotFoundError: ")


def test_a_kernel_without_sandbox_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "why_not", lambda: "OSError: landlock_create_ruleset: no such call")
    with pytest.raises(AdascaleError) as refused:
        programs.check_sandbox()
    assert (refused.value.slug, refused.value.facts) == ("no-sandbox", (programs.why_not(),))
    assert "unsandboxed=True" in refused.value.hint


SLEEPING = """
from adascale.engine.types import Trial
from adascale.models.programs.cpython import CPythonRunner, ProgramLimits
CPythonRunner(ProgramLimits(seconds=1.0), sandboxed=False).judge(Trial("import time; time.sleep(60)", ()))
"""


def test_a_program_that_sleeps_ends_soon_after_its_worker(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING], env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as worker:
        while not (found := psutil.Process(worker.pid).children()):
            time.sleep(0.01)
        worker.kill()
    gone, _ = psutil.wait_procs(found, timeout=10)
    assert len(gone) == len(found)


ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

NUMBERS = {
    "x86_64": {
        "read": 0, "openat": 257, "clone": 56, "fcntl": 72, "ioctl": 16, "prlimit64": 302, "socketpair": 53,
        "socket": 41, "execve": 59, "kill": 62, "ptrace": 101, "mount": 165, "unshare": 272, "prctl": 157,
    },
    "aarch64": {
        "read": 63, "openat": 56, "clone": 220, "fcntl": 25, "ioctl": 29, "prlimit64": 261, "socketpair": 199,
        "socket": 198, "execve": 221, "kill": 129, "ptrace": 117, "mount": 40, "unshare": 97, "prctl": 167,
    },
}  # fmt: skip
"""From the kernel's headers."""

ALLOWED = {"read", "openat"}
ON_CONDITIONS = {"clone", "fcntl", "ioctl", "prlimit64", "socketpair"}
REFUSED = set(NUMBERS["x86_64"]) - ALLOWED - ON_CONDITIONS


def decision(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with one system call, by classic BPF."""
    padded = [*arguments, *[0] * 6][:6]
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", call_filter(machine)))
    assert len(code) < 4096, "the kernel takes no more"
    place = accumulator = 0
    while True:
        operation, skip_if_true, skip_if_false, operand = code[place]
        place += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                place += skip_if_true if accumulator == operand else skip_if_false
            case 0x35:
                place += skip_if_true if accumulator >= operand else skip_if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(operation)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_are_allowed_by_their_arguments(machine: str) -> None:
    numbers = NUMBERS[machine]

    def decide(name: str, *arguments: int) -> int:
        return decision(machine, numbers[name], *arguments)

    assert {name: decide(name) for name in ALLOWED} == dict.fromkeys(ALLOWED, ALLOW)
    assert {name: decide(name) for name in REFUSED} == dict.fromkeys(REFUSED, EPERM)
    assert decide("clone", 0x3D0F00) == ALLOW  # a thread
    assert decide("clone", 17) == EPERM  # a process
    assert decide("clone", 0x3D0F00 | 0x40000000) == EPERM  # a network namespace
    assert decide("fcntl", 5, 1) == decide("fcntl", 5, 1030, 1 << 40) == ALLOW
    assert decide("fcntl", 5, 8) == decide("fcntl", 5, 10) == decide("fcntl", 5, 1 << 32 | 8) == EPERM
    assert decide("ioctl", 1, 0x5401) == ALLOW
    assert decide("ioctl", 1, 0x5412) == EPERM  # TIOCSTI types into the terminal
    assert decide("prlimit64", 0, 7, 0, 1 << 40) == ALLOW
    assert decide("prlimit64", 0, 7, 1) == decide("prlimit64", 0, 7, 1 << 40) == EPERM
    assert decide("socketpair", 1, 0x80801) == ALLOW
    assert decide("socketpair", 1, 0x80802) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_other_tables_of_system_calls_are_refused(machine: str) -> None:
    assert decision(machine, NUMBERS[machine]["read"], architecture=0x40000003) == KILL
    assert decision(machine, 435) == ENOSYS  # clone3: the C library then calls clone
    assert decision(machine, 0x40000000) == ENOSYS  # x32


def trials_of(task: Mapping[str, Any]) -> tuple[Trial, Trial]:
    """The reference with its tests, and a wrong program with them."""
    setup = "\n".join(task["imports"])
    suite = suite_of([test for source in task["tests"] for test in read_tests(source, setup=setup)])
    wrong = f"def {suite.entry_point}(*args):\n    return 0.5"
    return trial_of(task["solution"], suite), trial_of(wrong, suite)


LINES = Path(__file__).with_name("references.jsonl").read_text(encoding="utf-8").splitlines()
REFERENCES = {task["id"]: trials_of(task) for task in map(json.loads, LINES)}
BEYOND, _ = REFERENCES.pop("mbpp-585")
"""Needs a module that monty lacks."""
PASSED = (Verdict("passed"),) * 3


@pytest.fixture(scope="module")
def monty() -> Iterator[MontyRunner]:
    with MontyRunner() as runner:
        yield runner


@pytest.mark.parametrize("task", REFERENCES)
def test_a_reference_passes_in_both_and_another_program_does_not(monty: MontyRunner, task: str) -> None:
    right, wrong = REFERENCES[task]
    outcomes = []
    for judge in (monty.judge, cpython.run):
        assert right.judged(judge(right)).verdicts == PASSED
        outcomes.append([verdict.outcome for verdict in wrong.judged(judge(wrong)).verdicts])
    assert outcomes[0] == outcomes[1]
    assert "failed" in outcomes[0]


def test_a_module_that_monty_lacks_is_an_error(monty: MontyRunner) -> None:
    missing = Verdict("error", "ModuleNotFoundError: No module named 'heapq'")
    assert BEYOND.judged(monty.judge(BEYOND)).verdicts == (missing, *[Verdict("not-run")] * 2)
    assert cpython.run(BEYOND).verdicts == PASSED
