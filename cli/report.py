"""What is printed at the end: an answer as text or JSON (``adascale.answer/1``), the counts of a batch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adascale import __version__
from adascale.engine.answer import Answer, fixed_tokens
from adascale.engine.answers.choosing import AnswerGroup
from adascale.engine.answers.latex import readable
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, PartialError, WorkerDiedError
from adascale.engine.request import Settings
from adascale.engine.search.events import SearchStarted
from adascale.engine.search.tree import Tree
from adascale.engine.types import PROGRAMS, ROOT, NodeId, Problem, probability_of

from .disk.files import ANSWER_SCHEMA
from .terminal.console import as_typed, error_fields, json_text
from .terminal.markdown import Program
from .terminal.text import ARROW, plain

FIELDS = frozenset({
    "schema", "id", "question", "kind", "kind_why", "options",
    "status", "answer", "fields", "solution", "thought", "mode", "execution",
    "confidence", "agreement", "stop_reason", "why", "budget", "tree", "usage", "timing", "model", "prm",
    "calibration", "sampling", "search",
    "min_confidence", "warnings", "version",
    "error", "tests", "passed", "untested", "expected", "correct", "line", "fallback",
})  # fmt: skip
"""Every field that a record of a batch may have; no field of a question takes its name."""

_ENDS_IN_ANSWER = re.compile(r"\s*^\W*(?:final )?answer\W[^\n]*\s*\Z", re.IGNORECASE | re.MULTILINE)

_MEASURES = ("brier", "skill", "ece", "auc", "coverage")


def answer_payload(answer: Answer, extract: bool) -> str:
    """The solution as a person reads it and ``Answer: 18``; with ``extract`` the answer alone.

    Empty without an answer. Programs of code tasks, and JSON, stand alone.
    """
    shown, kind = answer.shown or "", answer.problem.kind
    if kind == "json":  # a line for each field, or all in one
        return json_text(json.loads(shown), None if extract else 2) if shown else ""
    if extract or kind == "code":
        return shown
    solution = _readable_solution(answer)
    if not shown:
        return solution
    reasons = _ENDS_IN_ANSWER.sub("", solution)  # the line below says it
    if reasons.strip(" .*") == shown:
        reasons = ""
    return "\n".join(part for part in (reasons, f"Answer: {readable(shown)}") if part)


def _readable_solution(answer: Answer) -> str:
    """Prose without its marks; a program as its code, with what it printed."""
    if answer.problem.is_chat:  # it was shown as it was generated
        return answer.solution
    if answer.mode not in PROGRAMS:
        return plain(answer.solution)
    program = Program.of(answer.solution, answer.execution)
    printed = program.output.replace("\n", "\n  ")
    return f"{program.code}\n{ARROW} {printed}"


def answer_record(answer: Answer, load_seconds: float, min_confidence: float = 0.0) -> dict[str, Any]:
    """The record of a question; unknown values are None, never missing."""
    record, problem = answer.record, answer.problem
    first, usage, is_code = record.started, record.usage, problem.kind == "code"
    execution = answer.execution
    if is_code and execution is not None:  # its source and verdicts have fields of their own
        execution = replace(execution, program="", verdicts=())
    return {
        "schema": ANSWER_SCHEMA,
        "id": problem.id,
        "question": problem.question,
        "kind": problem.kind,
        "kind_why": problem.why or None,
        "status": answer.status,
        "answer": answer.answer,
        "solution": answer.solution,
        "thought": answer.thought and to_plain(answer.thought),
        "mode": answer.mode,
        "execution": execution and to_plain(execution),
        **(_test_fields(answer) if is_code else {}),
        **({"fields": to_plain(answer.fields)} if problem.kind == "json" else {}),
        "confidence": _confidence(answer),
        "options": dict(answer.options) or None,
        "agreement": _agreement(answer),
        "stop_reason": answer.stop_reason,
        "why": _why(answer),
        "budget": {
            "tokens": {"used": usage.generated_tokens, "limit": first.budget.max_tokens},
            "time_s": {"used": round(record.t, 3), "limit": first.budget.max_seconds},
            "solutions": {"used": len(record.candidates)},
        },
        "tree": {
            "nodes": len(record.tree),
            "depth": max(node.depth for node in record.tree),
            "pruned": sum(node.status == "pruned" for node in record.tree),
        },
        "usage": to_plain(usage),
        "timing": {
            "load_s": round(load_seconds, 3),
            "search_s": round(record.t, 3),
            "tokens_per_s": round(usage.generated_tokens / record.t, 1) if record.t else None,
        },
        **_search_fields(first),
        "min_confidence": min_confidence,
        "warnings": [as_typed(notice.message) for notice in answer.notices],
        "version": __version__,
        **({"fallback": answer.fallback_record} if answer.fallback else {}),
    }


def _test_fields(answer: Answer) -> dict[str, Any]:
    return {
        "tests": to_plain(answer.tests),
        "passed": sum(test.outcome == "passed" for test in answer.tests),
        "untested": not answer.tests,
    }


def _confidence(answer: Answer) -> dict[str, Any]:
    """How sure the answer is; an uncalibrated number is a score, and the vote is that of the search's own."""
    estimate, own = answer.confidence, answer.record.answer
    p = estimate if estimate is not None and estimate.calibrated else None
    return {
        "p": p.median if p else None,
        "lo": p.lower if p else None,
        "hi": p.upper if p else None,
        "level": 0.8,
        "calibrated": p is not None,
        "score": estimate.median if estimate is not None and p is None else None,
        "vote_share": next((each.share for each in answer.groups if each.answer == own), None),
    }


def _agreement(answer: Answer) -> dict[str, Any]:
    tree, (agree, finished) = answer.record.tree, answer.record.agreement
    return {
        "solutions": finished,
        "programs": _count_programs(tree, (each.node for each in answer.record.candidates)),
        "agree": agree,
        "answers": [
            {
                "answer": group.answer,
                "solutions": len(group.nodes),
                "programs": _count_programs(tree, group.nodes),
                "weight": round(group.weight, 4),
            }
            for group in answer.groups
        ],
    }


def _why(answer: Answer) -> dict[str, Any]:
    """Numbers that a search was decided by, and the answers of a vote and of the greedy solution."""
    record = answer.record

    def votes(group: AnswerGroup) -> tuple[int, tuple[int, int]]:
        """Sorts answers by their votes; of equals the first drawn comes first."""
        return -len(group.nodes), min(map(record.tree.draw_order, group.nodes))

    greedy = (each.answer for each in record.candidates if each.greedy and each.answer is not None)
    return {
        "question_p": probability_of(record.tree[ROOT].estimate),
        "required": record.required,
        "at_most": record.samples,
        "fixed_tokens": fixed_tokens(record),
        "vote": min(record.groups, key=votes).answer if record.groups else None,
        "greedy": next(greedy, None),
    }


def _count_programs(tree: Tree, nodes: Iterable[NodeId]) -> int:
    return sum(tree[node].mode in PROGRAMS for node in nodes)


def run_fields(settings: Settings, min_confidence: float) -> dict[str, Any]:
    """Fields of a record that are known before anything is asked."""
    return {
        "budget": {
            "tokens": {"limit": settings.budget.max_tokens},
            "time_s": {"limit": settings.budget.max_seconds},
        },
        **_search_fields(settings.first_event(Problem("", ""))),
        "min_confidence": min_confidence,
        "version": __version__,
    }


def _search_fields(started: SearchStarted) -> dict[str, Any]:
    models = started.models
    return {
        "model": to_plain(models.generator),
        "prm": to_plain(models.prm),
        "calibration": _brief_calibration(models.calibration),
        "sampling": models.sampling,
        "search": {
            "strategy": started.strategy,
            **started.params,
            "width": started.width,
            "seed": started.seed,
        },
    }


def _brief_calibration(described: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The calibration with few of its figures: there is a record for every question."""
    if described is None:
        return None
    held_out = {
        stage: {name: found[name] for name in _MEASURES if name in found}
        for stage, found in (described.get("held_out") or {}).items()
    }
    return {**described, "held_out": held_out}


def error_record(problem: Problem, error: AdascaleError) -> dict[str, Any]:
    """A question that could not be searched, or not to its end since the models' process died."""
    return {
        "schema": ANSWER_SCHEMA,
        "id": problem.id,
        "question": problem.question,
        "status": "interrupted" if error.slug == WorkerDiedError.default_slug else "error",
        "answer": None,
        "error": error_fields(error),
        "version": __version__,
    }


_MOST_NAMES = 5
"""Failures of one kind that are named; the others are counted."""


@dataclass(slots=True)
class BatchCounts:
    """Counts of one run.

    Attributes:
        read: Lines that were read.
        skipped: Lines that had a record already.
        done: Questions that were searched to an end.
        abstained: Questions that were done without an answer that is sure enough.
        failing: Code tasks that were done with a program that fails a test.
        handed_on: Questions that were done with the answer of another server.
        graded: Questions that were done and whose answer is known.
        right: Graded questions with a correct answer.
        tokens: Generated for all that are done.
        fixed_tokens: Tokens that a fixed number of solutions would have cost.
        failures: Ids or line numbers of what failed, by the slug of the error.
        interrupted: The run was stopped.
    """

    read: int = 0
    skipped: int = 0
    done: int = 0
    abstained: int = 0
    failing: int = 0
    handed_on: int = 0
    graded: int = 0
    right: int = 0
    tokens: int = 0
    fixed_tokens: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Number of questions and lines that failed."""
        return sum(map(len, list(self.failures.values())))  # others may add one meanwhile

    @property
    def settled(self) -> int:
        """Number of questions and lines that need nothing more in this run."""
        return self.done + self.failed + self.skipped

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Count a search that came to its end, by its record (``adascale.answer/1``)."""
        tokens = record["usage"]["generated_tokens"]
        self.done += 1
        self.abstained += record["status"] not in ("answered", "failing")
        self.failing += record["status"] == "failing"
        self.handed_on += "fallback" in record
        self.graded += "correct" in record
        self.right += record.get("correct", False)
        self.tokens += tokens
        self.fixed_tokens += record["why"]["fixed_tokens"] or tokens

    def add_failure(self, slug: str, name: str) -> None:
        """Count a failure of the question or line ``name``; safe from any thread."""
        self.failures.setdefault(slug, []).append(name)

    def headline(self) -> str:
        """``12 done, 1 failed, 75 % correct, 980 tokens a question``."""
        return ", ".join([f"{self.done:,} done", *self.facts()])

    def facts(self) -> list[str]:
        """Failures, share of right answers and tokens a question, where there are any."""
        facts = [f"{self.failed:,} failed"] if self.failures else []
        if self.graded:
            facts.append(f"{100 * self.right / self.graded:.0f} % correct")
        if self.done:
            facts.append(f"{self.tokens / self.done:,.0f} tokens a question")
        return facts

    def not_asked(self) -> str:
        """``3 there already``."""
        return f"{self.skipped:,} there already"

    def summary(self) -> Iterator[str]:
        """Up to five lines for the end of the run."""
        yield self.headline() + (f", {self.not_asked()}" if self.skipped else "")
        if self.abstained:
            yield f"{self.abstained:,} of them not sure enough"
        if self.failing:
            yield f"{self.failing:,} of them with a program that fails a test"
        if self.handed_on:
            yield f"{self.handed_on:,} of them answered by the fallback"
        if self.fixed_tokens > self.tokens:
            saved = self.fixed_tokens - self.tokens
            yield f"{self.tokens:,} tokens, about {saved:,} fewer than all solutions"

    def error(self, hint: str) -> PartialError | None:
        """The error of a run with failures, with a ``hint`` how to go on; None without failures."""
        if not self.failures:
            return None
        facts = []
        for slug, names in sorted(self.failures.items(), key=lambda each: -len(each[1])):
            more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
            facts.append(f"{slug}: {', '.join(names[:_MOST_NAMES])}{more}")
        answered = self.done + self.skipped
        return PartialError(
            f"{answered:,} of {self.settled:,} are done, {self.failed:,} failed", *facts, hint=hint
        )
