"""Time until ``adascale replay`` of a large trace shows something.

Usage: ``python -m bench.runtime.replay [--megabytes 10] [--rounds 3]``

The trace is an invented search of as many nodes as fill it; replayed on a terminal of its own, and timed from
the start of the process to the question above the tree.
"""

from __future__ import annotations

import argparse
import os
import pty
import statistics
import sys
import tempfile
import time
from pathlib import Path

from adascale.cli.disk.trace import TraceWriter

from ..common import close
from .render import invented


def first_bytes(trace: Path) -> float:
    """Seconds until the replay draws."""
    started = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "adascale", "replay", str(trace)])
    seen = b""
    while b"What is it?" not in seen:
        seen += os.read(terminal, 65536)
    seconds = time.monotonic() - started
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace, nodes = Path(folder) / "trace.jsonl", 1000
        while not trace.exists() or trace.stat().st_size < args.megabytes * 1e6:
            with TraceWriter(trace) as writer:
                for event in invented(nodes):
                    writer.write(event)
            nodes = int(nodes * max(1.1, args.megabytes * 1e6 / trace.stat().st_size))
        seconds = statistics.median(first_bytes(trace) for _ in range(args.rounds))
        size = trace.stat().st_size
    close({"seconds": round(seconds, 2), "megabytes": round(size / 1e6, 1)})


if __name__ == "__main__":
    main()
