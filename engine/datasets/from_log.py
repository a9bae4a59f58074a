"""A search's log in JSON as a sampled question, without its costs.

``SampledQuestion.of`` gives the same from a ``Record``. To build the events and the record of a log takes
twice as long as to read what a dataset holds of it, and a dataset is made of many thousand logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..answers.equality import is_right
from ..errors import TraceError
from ..search.events import OUTSIDE, ProgramRan, SearchStarted, from_json
from ..search.outcomes import PrefixOutcome
from ..types import Estimate, Execution, Mode
from .sampled import SampledNode, SampledQuestion

Json = Mapping[str, Any]


class LogFold:
    """Adds up the events of one search, as ``to_json`` writes them.

    Args:
        started: Its first event.
    """

    def __init__(self, started: SearchStarted) -> None:
        self._started = started
        self._steps: list[Json] = [{}]
        self._estimates: dict[int, Json] = {}
        self._executions: dict[int, Execution] = {}
        self._answers: dict[int, str | None] = {}
        self._branches: dict[int, tuple[int, Mode]] = {}
        self._outside = False
        self._question_estimate: Json | None = None

    def add(self, event: Json) -> None:
        """Take the next event.

        Raises:
            TraceError: it is malformed, or names a node that no event has made.
        """
        try:
            self._add(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TraceError(f"event {event.get('kind')!r} is malformed: {error!r}") from error

    def question(self) -> SampledQuestion:
        """What was sampled so far.

        Raises:
            TraceError: a step is malformed.
        """
        try:
            outcomes = self._outcomes()
            nodes = tuple(self._node(row, outcomes) for row in range(len(self._steps)))
        except (KeyError, TypeError) as error:
            raise TraceError(f"a step is malformed: {error!r}") from error
        in_domain = not self._outside if self._started.calibrated else None
        return SampledQuestion(self._started.problem, nodes, self._started.models, in_domain)

    def _add(self, event: Json) -> None:
        match event["kind"]:
            case "step_proposed":
                self._add_step(event)
            case "step_scored":
                self._estimates[self._row(event["node"])] = event["estimate"]
            case "branch_started":
                self._branches[event["branch"]] = self._row(event["parent"]), event.get("mode", "prose")
            case "answer_found":
                self._answers[self._row(event["node"])] = event["answer"]
            case "program_ran":
                ran = from_json(event)
                assert isinstance(ran, ProgramRan)
                self._executions[self._row(ran.node)] = ran.execution
            case "prompt_read":
                self._question_estimate = self._question_estimate or event.get("estimate")
            case "warned":
                self._outside = self._outside or event["code"] == OUTSIDE

    def _add_step(self, event: Json) -> None:
        self._row(event["parent"])
        if event["node"] != len(self._steps):
            raise ValueError(f"node {event['node']} is out of order")
        self._steps.append(event)

    def _row(self, node: int) -> int:
        if not 0 <= node < len(self._steps):
            raise ValueError(f"no event has made node {node}")
        return node

    def _outcomes(self) -> list[list[int]] | None:
        """``[right, total]`` of every node, as ``prefix_outcomes`` counts; None without a known answer."""
        gold = self._started.problem.answer
        if gold is None:
            return None
        counts = [[0, 0] for _ in self._steps]
        for end, answer in self._answers.items():
            right = int(is_right(answer, gold=gold))
            origin, at = self._branches[self._steps[end]["branch"]][0], end
            while True:
                counts[at][0] += right
                counts[at][1] += 1
                if at == origin:
                    break
                at = self._steps[at]["parent"]
        return counts

    def _node(self, row: int, outcomes: list[list[int]] | None) -> SampledNode:
        event = self._steps[row]
        step = event.get("step", _NO_STEP)
        estimate = self._estimates.get(row) if row else self._question_estimate
        return SampledNode(
            parent=event.get("parent", -1),
            text=step["text"],
            mode=self._branches[event["branch"]][1] if row else "prose",
            ended=step["finish"] != "step",
            tokens=len(step["token_ids"]),
            estimate=None if estimate is None else Estimate(**estimate),
            outcome=None if outcomes is None else PrefixOutcome(*outcomes[row]),
            answer=self._answers.get(row),
            execution=self._executions.get(row),
        )


_NO_STEP: Json = {"text": "", "finish": "step", "token_ids": ()}
"""Of the question."""
