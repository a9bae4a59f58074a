"""Prints the end: an answer as text or JSON (``adascale.answer/1``), the counts of a batch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adascale import __version__
from adascale.engine.answer import Answer
from adascale.engine.answers.choosing import AnswerGroup
from adascale.engine.answers.latex import readable
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.kind_table import entry_of
from adascale.engine.search.events import SearchStarted
from adascale.engine.types import PROGRAMS, ROOT, Problem, probability_of

from .disk.files import ANSWER_SCHEMA
from .terminal.errors import as_typed, error_fields
from .terminal.markdown import Program
from .terminal.streams import json_text
from .terminal.text import ARROW, plain

FIELDS = frozenset({
    "schema", "id", "question", "kind", "kind_why", "options",
    "status", "answer", "fields", "solution", "thought", "mode", "execution",
    "confidence", "agreement", "stop_reason", "why", "budget", "usage", "timing", "model", "prm",
    "calibration", "sampling", "search",
    "min_confidence", "warnings", "version",
    "error", "tests", "passed", "untested", "expected", "correct", "line", "fallback",
})  # fmt: skip
"""Every field that a record of a batch may have; no field of a question takes its name."""

_ENDS_IN_ANSWER = re.compile(r"\s*^\W*(?:final )?answer\W[^\n]*\s*\Z", re.IGNORECASE | re.MULTILINE)


def answer_payload(answer: Answer, verbose: int = 0) -> str:
    """The answer, which alone is checked; with ``verbose`` the solution as a person reads it above it.

    Without an answer it is the solution. Programs of code tasks, and JSON, stand alone.
    """
    shown, kind = answer.shown or "", entry_of(answer.problem)
    if kind.has_fields:
        return json_text(json.loads(shown), 2) if shown else ""
    if kind.has_tests:
        return shown
    if kind.is_reply:  # it was shown as it was generated
        return answer.solution
    if shown and not verbose:
        return readable(shown)
    solution = plain(answer.solution)
    if answer.mode in PROGRAMS:  # its code, and what it printed
        program = Program.of(answer.solution, answer.execution)
        solution = f"{program.code}\n{ARROW} " + program.output.replace("\n", "\n  ")
    if not shown:
        return solution
    reasons = _ENDS_IN_ANSWER.sub("", solution)  # the line below says it
    if reasons.strip(" .*") == shown:
        reasons = ""
    return "\n".join(part for part in (reasons, f"Answer: {readable(shown)}") if part)


def answer_record(answer: Answer, min_confidence: float = 0.0) -> dict[str, Any]:
    """The record of a question; unknown values are None, never missing."""
    record, problem, execution = answer.record, answer.problem, answer.execution
    more: dict[str, Any] = {"fields": to_plain(answer.fields)} if entry_of(problem).has_fields else {}
    if entry_of(problem).has_tests:
        passed = sum(test.outcome == "passed" for test in answer.tests)
        more = {"tests": to_plain(answer.tests), "passed": passed, "untested": not answer.tests}
        # Its source and verdicts have fields of their own.
        execution = execution and replace(execution, program="", verdicts=())
    if answer.fallback:
        more["fallback"] = answer.fallback_record
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
        "confidence": _confidence(answer),
        "options": dict(answer.options) or None,
        "agreement": _agreement(answer),
        "stop_reason": answer.stop_reason,
        "why": _why(answer),
        "usage": to_plain(record.usage),
        "timing": {
            "search_s": round(record.t, 3),
            "tokens_per_s": round(record.usage.generated_tokens / record.t, 1) if record.t else None,
        },
        **run_fields(record.started, min_confidence),
        "warnings": [as_typed(notice.message) for notice in answer.notices],
        **more,
    }


def _confidence(answer: Answer) -> dict[str, Any]:
    """How sure the answer is; an uncalibrated number is a score, and the vote is that of the search's own."""
    estimate, own = answer.confidence, answer.record.answer
    p = estimate if estimate is not None and estimate.calibrated else None
    return {
        "p": p.median if p else None,
        "band": answer.band,
        "lo": p.lower if p else None,
        "hi": p.upper if p else None,
        "level": 0.8,
        "calibrated": p is not None,
        "score": estimate.median if estimate is not None and p is None else None,
        "vote_share": next((each.share for each in answer.groups if each.answer == own), None),
    }


def _agreement(answer: Answer) -> dict[str, Any]:
    agree, finished = answer.record.agreement
    answers = [
        {"answer": each.answer, "solutions": len(each.nodes), "weight": round(each.weight, 4)}
        for each in answer.groups
    ]
    return {"solutions": finished, "agree": agree, "answers": answers}


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
        "vote": min(record.groups, key=votes).answer if record.groups else None,
        "greedy": next(greedy, None),
    }


def run_fields(started: SearchStarted, min_confidence: float) -> dict[str, Any]:
    """Fields of a record that are known before anything is asked."""
    models, budget, described = started.models, started.budget, started.models.calibration
    return {
        "budget": {"tokens": budget.max_tokens, "time_s": budget.max_seconds},
        "model": to_plain(models.generator),
        "prm": to_plain(models.prm),
        # There is a record for every question: its figures are in its file.
        "calibration": described and {key: described[key] for key in described if key != "held_out"},
        "sampling": models.sampling,
        "search": {
            "strategy": started.strategy,
            **started.params,
            "schedule": [started.schedule.narrow, started.schedule.wide],
            "seed": started.seed,
        },
        "min_confidence": min_confidence,
        "version": __version__,
    }


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


@dataclass(slots=True)
class BatchCounts:
    """Counts of one run.

    Attributes:
        read: Lines that were read.
        skipped: Lines that had a record already.
        done: Questions that were searched to an end.
        remarks: Number of these, by what is to be said of them.
        graded: Questions that were done and whose answer is known.
        right: Graded questions with a correct answer.
        tokens: Generated for all that are done.
        failures: Number of questions and lines that failed, by the slug of the error.
        interrupted: The run was stopped.
    """

    read: int = 0
    skipped: int = 0
    done: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    graded: int = 0
    right: int = 0
    tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Number of questions and lines that failed."""
        return sum(list(self.failures.values()))  # others may add one meanwhile

    @property
    def settled(self) -> int:
        """Number of questions and lines that need nothing more in this run."""
        return self.done + self.failed + self.skipped

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Count a search that came to its end, by its record (``adascale.answer/1``)."""
        self.done += 1
        if record["status"] == "failing":
            self.remarks["with a program that fails a test"] += 1
        elif record["status"] != "answered":
            self.remarks["not sure enough"] += 1
        if "fallback" in record:
            self.remarks["answered by the fallback"] += 1
        self.graded += "correct" in record
        self.right += record.get("correct", False)
        self.tokens += record["usage"]["generated_tokens"]

    def facts(self) -> list[str]:
        """Failures, share of right answers and tokens a question, where there are any."""
        facts = [f"{self.failed:,} failed"] if self.failures else []
        if self.graded:
            facts.append(f"{100 * self.right / self.graded:.0f} % correct")
        if self.done:
            facts.append(f"{self.tokens / self.done:,.0f} tokens a question")
        return facts
