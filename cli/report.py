"""An answer as text and as a JSON record (``adascale.answer/1``)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from adascale import __version__
from adascale.engine.answer import Answer
from adascale.engine.answers.latex import readable
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.kind_table import entry_of
from adascale.engine.search.events import SearchStarted
from adascale.engine.types import PROGRAMS, Problem

from .terminal.errors import as_typed, error_fields
from .terminal.markdown import Program, plain
from .terminal.streams import json_text
from .terminal.text import ARROW

ANSWER_SCHEMA = "adascale.answer/1"
"""Schema of the record of a question."""

RUN_FIELDS = ("budget", "model", "prm", "calibration", "sampling", "search", "min_confidence", "version")
"""Fields of a record that do not depend on its question, but on its kind at most."""

FIELDS = frozenset({
    "schema", "id", "question", "kind", "why", "options",
    "status", "answer", "fields", "solution", "thought", "mode", "execution",
    "confidence", "agreement", "stop_reason", "usage", "timing", "warnings", *RUN_FIELDS,
    "error", "tests", "passed", "untested", "expected", "correct", "line", "fallback",
})  # fmt: skip
"""Every field that a record may have; no field of a question in a batch takes its name."""

_ENDS_IN_ANSWER = re.compile(r"\s*^\W*(?:final )?answer\W[^\n]*\s*\Z", re.IGNORECASE | re.MULTILINE)


def answer_payload(answer: Answer, verbose: int = 0) -> str:
    """The answer as text; with ``verbose`` its solution above it.

    Without an answer it is the solution. Programs of code tasks, and JSON, stand alone.
    """
    text, kind = answer.shown or "", entry_of(answer.problem)
    if kind.has_fields:
        return json_text(json.loads(text), 2) if text else ""
    if kind.has_tests:
        return text
    if kind.is_reply:  # it was shown as it was generated
        return answer.solution
    if text and not verbose:
        return readable(text)
    solution = plain(answer.solution)
    if answer.mode in PROGRAMS:  # its code, and its output
        program = Program.of(answer.solution, answer.execution)
        solution = f"{program.code}\n{ARROW} " + program.output.replace("\n", "\n  ")
    if not text:
        return solution
    reasons = _ENDS_IN_ANSWER.sub("", solution)  # the line below repeats it
    if reasons.strip(" .*") == text:
        reasons = ""
    return "\n".join(part for part in (reasons, f"Answer: {readable(text)}") if part)


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
        "why": problem.why or None,
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
    """A probability if calibrated, else a score; and the share of votes of our own answer."""
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
        "vote_share": next((group.share for group in answer.groups if group.answer == own), None),
    }


def _agreement(answer: Answer) -> dict[str, Any]:
    agree, finished = answer.record.agreement
    answers = [
        {"answer": group.answer, "solutions": len(group.nodes), "weight": round(group.weight, 4)}
        for group in answer.groups
    ]
    return {"solutions": finished, "agree": agree, "answers": answers}


def run_fields(started: SearchStarted, min_confidence: float) -> dict[str, Any]:
    """The ``RUN_FIELDS`` of a search."""
    models, budget, described = started.models, started.budget, started.models.calibration
    return {
        "budget": {"tokens": budget.max_tokens, "time_s": budget.max_seconds},
        "model": to_plain(models.generator),
        "prm": to_plain(models.prm),
        # Its figures are in its file.
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
    """The record of a question whose search failed, or was lost when the models' process died."""
    return {
        "schema": ANSWER_SCHEMA,
        "id": problem.id,
        "question": problem.question,
        "status": "interrupted" if error.slug == WorkerDiedError.default_slug else "error",
        "answer": None,
        "error": error_fields(error),
        "version": __version__,
    }
