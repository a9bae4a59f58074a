"""Programs of one search: those that wait to be run, and the results of the others.

Of programs that do the same (``Runnable.key``) one is run, and the others share its verdicts.
"""

from __future__ import annotations

from ..execution import Execution, Trial
from ..kinds import kind_of
from ..kinds.base import Runnable
from ..types import Mode, NodeId, Problem


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

    def take(self) -> tuple[dict[NodeId, str | Trial], dict[NodeId, Execution]]:
        """Sources of the programs that were added and have to run, and the results of those that need not."""
        sources: dict[NodeId, str | Trial] = {}
        results: dict[NodeId, Execution] = {}
        for node, text, mode in self._written:
            program = self._kind.program(self._problem, mode, text)
            if isinstance(program, Execution):
                results[node] = program
            elif known := self._known.get(program.key):
                results[node] = program.like(known)
            else:
                self._running[node] = program
                sources[node] = program.source
        self._written = []
        return sources, results

    def end(self, node: NodeId, execution: Execution) -> Execution:
        """The result of a program that has run."""
        program = self._running.pop(node)
        found = program.ran(execution)
        if program.key:
            self._known[program.key] = found
        return found
