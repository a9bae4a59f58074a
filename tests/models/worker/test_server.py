"""The end of a worker whose parent has gone."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

BUSY_FOR_HOURS = (
    "from adascale.models.programs.confine import end_with_parent; end_with_parent(); print(1); 3 ** 10**9"
)
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-u", "-P", "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # nobody collects orphans in some containers
    except psutil.NoSuchProcess:
        return False


def test_a_worker_that_fails_while_its_parent_stays_is_not_aborted() -> None:
    main = "from adascale.models.worker.server import main; main()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-P", "-c", main], **pipes) as worker:  # type: ignore[call-overload]
        worker.stdin.write(b"StartRun {}\n")
        worker.stdin.flush()
        assert worker.wait(60) >= 0, worker.stderr.read()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker has to read the end of its stdin")
def test_a_worker_ends_with_its_parent_while_it_holds_the_interpreter_lock() -> None:
    command = [sys.executable, "-P", "-c", PARENT, BUSY_FOR_HOURS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    try:
        deadline = time.monotonic() + 10
        while runs(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not runs(child)
    finally:
        if runs(child):
            child.kill()
