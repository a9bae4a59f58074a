"""One answered question as it is printed: its text, and its JSON object (``adascale.answer/1``)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from adascale import __version__
from adascale.engine.answer import Answer
from adascale.engine.answers.latex import readable
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.request import Settings
from adascale.engine.search.events import SearchStarted
from adascale.engine.search.tree import Tree
from adascale.engine.types import PROGRAMS, NodeId, Problem

from ..disk.files import ANSWER_SCHEMA
from ..terminal.console import as_typed, error_fields, json_text
from ..terminal.markdown import Program
from ..terminal.text import ARROW, plain

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
        "why": to_plain(answer.account),
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
