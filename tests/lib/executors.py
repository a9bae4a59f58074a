"""What tests of every executor do with it."""

from __future__ import annotations

from collections.abc import Sequence

from adascale.engine.ports import Executor
from adascale.engine.types import Execution


def run_all(executor: Executor, programs: Sequence[str]) -> list[Execution]:
    """Run programs beside each other; their executions in order, each of which came back once."""
    for ticket, program in enumerate(programs):
        executor.submit(ticket, program)
    found: dict[int, Execution] = {}
    while len(found) < len(programs):
        found |= dict(executor.collect(block=True))
    assert executor.collect() == []
    return [found[ticket] for ticket in range(len(programs))]
