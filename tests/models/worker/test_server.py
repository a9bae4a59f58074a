"""The end of a worker whose parent has gone."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_that_fails_while_its_parent_stays_is_not_aborted() -> None:
    main = "from adascale.models.worker.server import main; main()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-P", "-c", main], **pipes) as worker:  # type: ignore[call-overload]
        worker.stdin.write(b"StartRun {}\n")
        worker.stdin.flush()
        assert worker.wait(60) >= 0, worker.stderr.read()
