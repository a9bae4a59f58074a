"""Leaks of a worker's session: thousands of searches with cancels, budgets and interrupts.

Usage: ``python -m bench.runtime.soak [--model tiny] [--searches 5000] [--seed 1]``

``tiny`` is the model of the tests, ``--model qwen2.5-coder-0.5b --searches 200`` takes a real one. The
session is what a worker process hosts, used as ``worker.server`` uses it: one after another come runs of a
few questions with a strategy, a budget and a seed of their own; a fifth of the questions are cancelled after
some of their events, a tenth of the runs are interrupted. Resident memory, open files and threads are read
after a fifth of the searches, when the heap has its size, and at the end; after every run no slot and no
prefix of a question may be left. ``memory_growth`` is a share of what it was.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from adascale.engine.request import Settings
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import Adaptive, Beam, BestOfN, Strategy, Vote
from adascale.engine.types import Budget, Problem
from adascale.models.llama.policy import LlamaPolicy
from adascale.models.options import SessionOptions
from adascale.models.session import Session

from ..common import arguments, close, model_path

STRATEGIES: tuple[Strategy, ...] = (Adaptive(samples=6), BestOfN(3), Vote(4), Beam(beams=2, branching=2))
LARGEST_GROWTH = 0.02


@dataclass(frozen=True, slots=True)
class Held:
    """Resident bytes, open files, threads and number of some processes."""

    memory_bytes: int
    files: int
    threads: int
    processes: int

    @classmethod
    def by(cls, *processes: psutil.Process) -> Held:
        """What they hold now."""
        return cls(
            sum(each.memory_info().rss for each in processes),
            sum(each.num_fds() for each in processes),
            sum(each.num_threads() for each in processes),
            len(processes),
        )

    def growth_to(self, after: Held) -> dict[str, float]:
        """Figures of what is held later, beside this."""
        return {
            "memory_mb": round(after.memory_bytes / 1e6, 1),
            "memory_growth": round(after.memory_bytes / self.memory_bytes - 1, 4),
            "more_files": after.files - self.files,
            "more_threads": after.threads - self.threads,
            "more_processes": after.processes - self.processes,
        }


def run(session: Session, problems: list[Problem], rng: random.Random) -> Counter[str]:
    """Search some questions together; returns how often a search stopped for which reason."""
    driver = session.driver(time.monotonic)
    budget = Budget(rng.choice([1, 40, 200, 1000]), rng.choice([None, None, 0.05]))
    settings = Settings(rng.choice(STRATEGIES), budget, seed=rng.randrange(1 << 30))
    cancels = {problem.id: rng.randint(1, 30) for problem in problems if rng.random() < 0.2}
    interrupt_at = rng.randrange(60) if rng.random() < 0.1 else None
    reasons: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for number, (problem, event) in enumerate(driver.run(problems, settings)):
        events[problem.id] += 1
        if isinstance(event, SearchFinished):
            reasons[str(event.result.stop_reason)] += 1
        if cancels.get(problem.id) == events[problem.id]:
            driver.cancel(problem.id)
        if number == interrupt_at:
            driver.interrupt()
            session.abort.set()
    return reasons


def assert_free(policy: LlamaPolicy) -> None:
    """No branch runs or waits, and no prefix of a question is parked but the head that all share."""
    scheduler, cache = policy._scheduler, policy._cache
    assert not scheduler.running, scheduler.running
    assert not scheduler.waiting, scheduler.waiting
    assert not policy.is_busy
    assert len(cache._pinned) <= len(policy._chats), len(cache._pinned)
    assert cache._parked.keys() == cache._pinned, len(cache._parked)


@contextmanager
def model_file(name: str) -> Iterator[Path]:
    """The tiny model of the tests, written for this run, or one by its name."""
    if name != "tiny":
        yield model_path(name)
        return
    from tests.lib.tiny import write_chain

    with TemporaryDirectory() as folder:
        yield write_chain(Path(folder) / "chain.gguf")


def soak(session: Session, searches: int, seed: int) -> dict[str, float]:
    """So many searches, and what the process holds before and after them."""
    assert isinstance(session.policy, LlamaPolicy)
    rng, started, asked = random.Random(seed), time.monotonic(), 0
    reasons: Counter[str] = Counter()
    before = Held.by(psutil.Process())
    while asked < searches:
        group = [Problem(str(asked + i), f"What is {asked + i} * 2?") for i in range(rng.randint(1, 20))]
        if asked < searches / 5 <= asked + len(group):
            before = Held.by(psutil.Process())
        reasons += run(session, group, rng)
        asked += len(group)
        assert_free(session.policy)
    after = Held.by(psutil.Process())
    return {
        "searches": asked,
        "seconds": round(time.monotonic() - started, 1),
        **before.growth_to(after),
        **dict(reasons),
    }


def main() -> None:
    args = arguments(__doc__, model="tiny", searches=5000, seed=1)
    with (
        model_file(args.model) as path,
        Session(SessionOptions(str(path), branches=16, ctx_size=512)) as session,
    ):
        found = soak(session, args.searches, args.seed)
    close(found)
    assert found["memory_growth"] <= LARGEST_GROWTH, "it took more memory"
    assert found["more_files"] <= 0, "it left files open"
    assert found["more_threads"] <= 0, "it left threads behind"


if __name__ == "__main__":
    main()
