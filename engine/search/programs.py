"""Programs of one search: those that wait to be run, and the results of the others.

Of programs that do the same (``Runnable.key``) one is run, and the others share its verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..kinds import kind_of
from ..kinds.base import Runnable
from ..types import Execution, Mode, NodeId, Problem


@dataclass(frozen=True, slots=True)
class Job:
    """A source that an executor is to run for a node."""

    node: NodeId
    source: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Run:
    """A node's program, and what running it said."""

    node: NodeId
    execution: Execution


class Programs:
    """The programs of one search.

    Args:
        problem: The question.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._kind = kind_of(problem)
        self._written: list[tuple[NodeId, str, Mode]] = []
        self._running: dict[NodeId, Runnable] = {}
        self._known: dict[str, Execution] = {}

    @property
    def pending(self) -> bool:
        """True while a program waits or runs."""
        return bool(self._written or self._running)

    def add(self, node: NodeId, text: str, mode: Mode) -> None:
        """Take the text of a complete trajectory."""
        self._written.append((node, text, mode))

    def take(self) -> list[Job | Run]:
        """A job for each program that was added and has to run, a run for each whose fate is known."""
        written, self._written = self._written, []
        return [self._prepare(node, text, mode) for node, text, mode in written]

    def _prepare(self, node: NodeId, text: str, mode: Mode) -> Job | Run:
        program = self._kind.program(self._problem, mode, text)
        if isinstance(program, Execution):
            return Run(node, program)
        if known := self._known.get(program.key):
            return Run(node, program.like(known))
        self._running[node] = program
        return Job(node, program.source, mode)

    def end(self, node: NodeId, execution: Execution) -> Run:
        """The run of a job that has ended."""
        program = self._running.pop(node)
        found = program.ran(execution)
        if program.key:
            self._known[program.key] = found
        return Run(node, found)
