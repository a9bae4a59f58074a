"""The correct trajectories of a search, by the known answer or by tests that no search has seen."""

from __future__ import annotations

from collections.abc import Callable

from ..answers.votes import right_candidates
from ..code.harness import Harness
from ..code.suite import Suite
from ..code.syntax import normal_form
from ..search.record import Record
from ..types import Execution, NodeId, Problem


class HiddenTests:
    """Runs programs with hidden tests; each program of a suite once, however often it was drawn.

    Args:
        run: Runs a source to its end.
    """

    def __init__(self, run: Callable[[str], Execution]) -> None:
        self._run = run
        self._known: dict[tuple[Suite, str], bool] = {}

    def pass_on(self, source: str, hidden: Suite) -> bool:
        """True if a program passes all of them."""
        key = hidden, normal_form(source)
        if key not in self._known:
            harness = Harness(source, hidden)
            verdicts = harness.verdicts(self._run(harness.source))
            self._known[key] = all(verdict.outcome == "passed" for verdict in verdicts)
        return self._known[key]


def right_nodes(record: Record, problem: Problem, hidden: HiddenTests | None) -> frozenset[NodeId]:
    """Last nodes of the correct trajectories.

    Args:
        record: Record of a search of the problem, which has seen no hidden test.
        problem: The problem with its answer or its hidden tests.
        hidden: Runs the latter; None if there is no code task.
    """
    if problem.task is None:
        assert problem.answer is not None, "an evaluation needs the right answers"
        return right_candidates(record.candidates, problem.answer)
    assert hidden is not None, "hidden tests need something that runs them"
    programs = {
        each.node: trial.program
        for each in record.candidates
        if (trial := record.tree[each.node].trial) is not None
    }
    return frozenset(
        node
        for node, program in programs.items()
        if program is not None and hidden.pass_on(program.source, problem.task.hidden)
    )
