"""Programs of one search: those that wait to be run, and the results of the others.

A program that computes an answer is run as it is. The program of a code task is run with the tests that are
given; one that does the same line by line as an earlier one has its verdicts, and is not run again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..answers.program import read_program
from ..code.extraction import extract_program
from ..code.harness import Harness, Verdict
from ..code.suite import Suite
from ..code.syntax import normal_form
from ..code.trial import Trial
from ..types import Execution, Mode, NodeId, Problem

NO_PROGRAM = Execution("", "there is no program in the text", 0.0)
_NOT_RUN = Execution("", "", 0.0)


@dataclass(frozen=True, slots=True)
class Job:
    """A source that an executor is to run for a node."""

    node: NodeId
    source: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Run:
    """The result of running a node's program.

    Attributes:
        node: The node.
        execution: Output and error, without verdicts.
        trial: Verdicts on the program of a code task.
    """

    node: NodeId
    execution: Execution
    trial: Trial | None = None


class Programs:
    """The programs of one search.

    Args:
        problem: Its given tests run the programs of a code task.
    """

    def __init__(self, problem: Problem) -> None:
        self._suite = Suite() if problem.task is None else problem.task.given
        self._written: list[tuple[NodeId, str, Mode]] = []
        self._trials: dict[NodeId, tuple[Harness, Trial]] = {}  # running; their verdicts are not known yet
        self._known: dict[str, tuple[Execution, tuple[Verdict, ...]]] = {}
        self._running = 0

    @property
    def pending(self) -> bool:
        """True while a program waits or runs."""
        return bool(self._written) or self._running > 0

    def add(self, node: NodeId, text: str, mode: Mode) -> None:
        """Take the text of a complete trajectory."""
        self._written.append((node, text, mode))

    def take(self) -> list[Job | Run]:
        """A job for each program that was added and has to run, a run for each whose fate is known."""
        written, self._written = self._written, []
        taken = [
            self._trial(node, text) if mode == "code" else _answering(node, text)
            for node, text, mode in written
        ]
        self._running += sum(isinstance(each, Job) for each in taken)
        return taken

    def _trial(self, node: NodeId, text: str) -> Job | Run:
        program = extract_program(text, self._suite.entry_point)
        if program is None:
            return Run(node, NO_PROGRAM, Trial(None, (Verdict("not-run"),) * len(self._suite.tests)))
        if not self._suite.tests:
            return Run(node, _NOT_RUN, Trial(program, ()))
        if known := self._known.get(normal_form(program.source)):
            execution, verdicts = known
            return Run(node, replace(execution, seconds=0.0), Trial(program, verdicts))
        harness = Harness(program.source, self._suite)
        self._trials[node] = harness, Trial(program, ())
        return Job(node, harness.source, "code")

    def end(self, node: NodeId, execution: Execution) -> Run:
        """The run of a job that has ended."""
        self._running -= 1
        if node not in self._trials:
            return Run(node, execution)
        harness, trial = self._trials.pop(node)
        verdicts = harness.verdicts(execution)
        printed = replace(execution, output=harness.without_verdicts(execution.output))
        self._known[normal_form(harness.program)] = printed, verdicts
        return Run(node, printed, replace(trial, verdicts=verdicts))


def _answering(node: NodeId, text: str) -> Job | Run:
    program = read_program(text)
    return Run(node, NO_PROGRAM) if program is None else Job(node, program, "program")
