"""A batch over a server that is killed at random moments and started again.

Usage: ``python -m bench.runtime.kills_upstream "llama-server -m FILE --port 8080 -np 8 -c 16384" ADDRESS
QUESTIONS.jsonl [--kills 20] [--seed 1]``

The server comes back some seconds after each kill. ``lost`` counts questions without a record, ``failed``
those whose record is an error, ``doubled`` those with two, ``torn`` lines that are no JSON.
"""

from __future__ import annotations

import json
import random
import shlex
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from ..common import arguments, close, read_lines

UP, DOWN = (1.0, 12.0), (0.5, 5.0)
"""Seconds for which the server runs before a kill, and for which it is away."""


def wait_for(address: str) -> None:
    """Wait until something listens there."""
    parts = urlsplit(address)
    for _ in range(600):
        with suppress(OSError), socket.create_connection((parts.hostname, parts.port)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at {address}")


def answers(path: Path, ids: set[str]) -> dict[str, int]:
    """What the records of a batch say of its questions."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    torn = [line for line in lines if not line.endswith("}\n")]
    records = [json.loads(line) for line in lines if line not in torn]
    found = Counter(record["id"] for record in records)
    return {
        "answered": sum(record["status"] == "answered" for record in records),
        "failed": sum(record["status"] == "error" for record in records),
        "lost": len(ids - found.keys()),
        "doubled": sum(number - 1 for number in found.values()),
        "torn": len(torn),
    }


def main() -> None:
    args = arguments(__doc__, "command", "address", "questions", kills=20, seed=1)
    rng, command, kills = random.Random(args.seed), shlex.split(args.command), 0
    ids = {row["id"] for row in read_lines(Path(args.questions))}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with TemporaryDirectory() as folder:
        output, server, started = Path(folder) / "answers.jsonl", start(), time.monotonic()
        wait_for(args.address)
        typed = [sys.executable, "-m", "adascale", "batch", args.questions, "-m", args.address]
        with subprocess.Popen([*typed, "--seed", "1", "--output", str(output)]) as batch:
            while batch.poll() is None:
                time.sleep(rng.uniform(*UP))
                if kills < args.kills and batch.poll() is None:
                    server.kill()
                    server.wait()
                    kills += 1
                    time.sleep(rng.uniform(*DOWN))
                    server = start()
        server.kill()
        server.wait()
        close(
            {
                "kills": kills,
                "exit": batch.returncode,
                "questions": len(ids),
                **answers(output, ids),
                "seconds": round(time.monotonic() - started),
            }
        )


if __name__ == "__main__":
    main()
