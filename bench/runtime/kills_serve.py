"""A server that answers with tools, and whose processes are killed at random moments, again and again.

Usage: ``python -m bench.runtime.kills_serve [--model tiny] [--kills 100] [--clients 3] [--seed 1]``

Clients ask without a pause, each question once. SIGKILL meets the worker, which the server starts again, and
each fourth time the server, which is started again with the same folder of traces. ``lost`` counts answers
without a whole trace and requests that a worker's death left without an answer or a refusal, ``torn`` answers
and traces that are not whole (but for the trace that a killed server was writing), ``doubled`` questions with
two traces, ``left`` processes that outlive the server.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from adascale.cli.disk.traces import read_record
from adascale.engine.errors import TraceError

from ..common import arguments, close
from .serving import KINDS, Serving, serving
from .soak import model_file

KILLS_OF_A_SERVER = 4
"""The last of them is of the server itself."""

WITHIN_SECONDS = 2.0
"""Time of work before a kill, at most."""

_ASKED = ("tools", "tools", "schema", "messages", "ollama", "chat", "stream")


@dataclass(slots=True)
class Log:
    """Findings of all clients.

    Attributes:
        found: Kills, answers and faults.
        answered: Questions with a whole answer.
    """

    found: Counter[str] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)

    def ask(self, server: Serving, number: int, is_killed: Callable[[], bool]) -> None:
        """Ask one question; ``is_killed`` says whether the server itself was killed meanwhile."""
        question = f"What is {number} * 2?"
        asked = KINDS[_ASKED[number % len(_ASKED)]](question)
        answer = server.send(asked)
        failed = b"was ended by signal 9" in answer.data  # a stream that had begun ends with the error
        if answer.status == 0:
            self.found["cut off"] += 1
            self.found["lost"] += not is_killed()
        elif answer.status != 200 or failed:
            self.found["refused"] += 1
            self.found["lost"] += not failed and b"being loaded" not in answer.data
        elif asked.is_whole(answer.data):
            self.found["answers"] += 1
            self.answered.add(question)
        else:
            self.found["torn"] += 1

    def read(self, traces: Path, servers: int) -> None:
        """Compare the traces with what was answered; a server that is killed may tear one."""
        whole, torn = Counter[str](), 0
        for path in traces.iterdir():
            try:
                record = read_record(path)
                torn += record.end is None
                whole[record.started.problem.question] += record.result is not None
            except TraceError:
                torn += 1
        self.found["torn"] += max(0, torn - servers)
        self.found["lost"] += len(self.answered - whole.keys())
        self.found["doubled"] += sum(number - 1 for number in whole.values() if number > 1)


def kill_again_and_again(model: Path, kills: int, clients: int, seed: int, folder: Path) -> Counter[str]:
    """Kill so often, in as many servers as it takes; returns their number, kills, answers and faults."""
    log, rng, numbers = Log(), random.Random(seed), count()
    env = {**os.environ, "XDG_DATA_HOME": str(folder)}
    while log.found["kills"] < kills:
        options = ("--traces", str(folder / "traces"))
        with serving(model, folder / f"said{log.found['servers']}", *options, env=env) as server:
            log.found["servers"] += 1
            some = min(KILLS_OF_A_SERVER, kills - log.found["kills"])
            _kill_while_clients_ask(server, log, some, clients, numbers, rng)
        log.found["tracebacks"] += "Traceback" in server.said.read_text()
    log.read(folder / "traces", log.found["servers"])
    return log.found


def _kill_while_clients_ask(
    server: Serving, log: Log, kills: int, clients: int, numbers: Iterator[int], rng: random.Random
) -> None:
    """Kill the worker some times while clients ask, and then the server."""
    over, lock = threading.Event(), threading.Lock()

    def ask_on() -> None:
        while not over.is_set():
            with lock:
                number = next(numbers)
            log.ask(server, number, over.is_set)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask_on) for _ in range(clients)]
        try:
            while not log.answered and not any(each.done() for each in asking):
                time.sleep(0.1)  # or all kills of a busy machine would come before the first answer
            for _ in range(kills - 1):
                _worker(server, rng).kill()
                log.found["kills"] += 1
            _worker(server, rng)
            below = server.processes()[1:]
        finally:
            over.set()
            server.process.kill()
        log.found["kills"] += 1
        for each in asking:
            each.result()
    log.found["left"] += len(psutil.wait_procs(below, timeout=10)[1])


def _worker(server: Serving, rng: random.Random) -> psutil.Process:
    """The process that hosts the server's models, once it has worked for a while."""
    while True:
        time.sleep(0.2)
        with suppress(psutil.NoSuchProcess):  # it has just been killed
            found = [each for each in server.processes() if "worker.server" in "".join(each.cmdline())]
            if found and server.is_ready():
                time.sleep(rng.uniform(0, WITHIN_SECONDS))
                return found[0]


def main() -> None:
    args = arguments(__doc__, model="tiny", kills=100, clients=3, seed=1)
    with TemporaryDirectory() as name, model_file(args.model) as model:
        found = kill_again_and_again(model, args.kills, args.clients, args.seed, Path(name))
    faults = {fault: found[fault] for fault in ("lost", "doubled", "torn", "left", "tracebacks")}
    close({name: found[name] for name in ("kills", "servers", "answers", "refused", "cut off")} | faults)
    assert not any(faults.values()), "a kill has done harm"


if __name__ == "__main__":
    main()
