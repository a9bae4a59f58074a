"""One answered question as it is printed: its text, and its JSON object (``adascale.answer/1``)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adascale import __version__
from adascale.engine.answers.choosing import SearchResult
from adascale.engine.answers.latex import readable
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, WorkerDiedError
from adascale.engine.execution import Execution
from adascale.engine.kinds import kind_of
from adascale.engine.search.account import account, confidence
from adascale.engine.search.events import SearchFailed, SearchStarted
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import PROGRAMS, NodeId, Notice, Problem, probability_of

from ..disk.files import ANSWER_SCHEMA
from ..terminal.console import as_typed, error_fields, json_text
from ..terminal.markdown import Program
from ..terminal.text import ARROW, plain

if TYPE_CHECKING:
    from adascale.models.fallback import FallbackAnswer

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


def solution_text(record: Record) -> str:
    """The solution that is shown, as the model wrote it; empty when no trajectory finished."""
    best = _best(record)
    return "" if best is None else record.tree.text(best.id).strip()


def _thought(record: Record) -> dict[str, Any] | None:
    """The thought before the solution that is shown; None without one."""
    best = _best(record)
    steps = () if best is None else record.tree.thoughts(best.id)
    if not steps:
        return None
    return {
        "text": "".join(step.text for step in steps),
        "tokens": sum(len(step.token_ids) for step in steps),
        "cut": any(step.thought == "cut" for step in steps),
    }


def _best(record: Record) -> Node | None:
    """The node at which the solution that is shown ends."""
    best = record.result.best if record.result is not None else None
    return None if best is None else record.tree[best]


def _readable_solution(record: Record) -> str:
    """Prose without its marks; a program as its code, with what it printed."""
    text, best = solution_text(record), _best(record)
    if record.started.problem.is_chat:  # it was shown as it was generated
        return text
    if best is None or best.mode not in PROGRAMS:
        return plain(text)
    if best.mode == "code":
        return answer_of(record) or ""
    program = Program.of(text, best.execution)
    printed = program.output.replace("\n", "\n  ")
    return f"{program.code}\n{ARROW} {printed}"


def answer_of(record: Record) -> str | None:
    """The answer that a user gets, of a code task its program; None without one."""
    best, problem = _best(record), record.started.problem
    if record.result is None or (best is None and not record.options):
        return None
    execution = None if best is None else best.execution
    return kind_of(problem).shown(problem, record.result.answer, execution)


def answer_payload(record: Record, extract: bool) -> str:
    """The solution as a person reads it and ``Answer: 18``; with ``extract`` the answer alone.

    Empty without an answer. Programs of code tasks, and JSON, stand alone.
    """
    answer = answer_of(record) or ""
    kind = record.started.problem.kind
    if kind == "json":
        return _json_payload(answer, extract) if answer else ""
    if extract or kind == "code":
        return answer
    solution = _readable_solution(record)
    return _with_answer(solution, answer) if answer else solution


def handed_on_payload(record: Record, found: FallbackAnswer, extract: bool) -> str:
    """The answer of another server, as ``answer_payload``."""
    if record.started.problem.kind == "json":
        return _json_payload(found.answer, extract)
    answer = _shown(record, found)
    return answer if extract else _with_answer(plain(found.text), answer)


def _json_payload(answer: str, extract: bool) -> str:
    """A JSON object with a line for each field, or in one line."""
    return json_text(json.loads(answer), None if extract else 2)


def _shown(record: Record, found: FallbackAnswer) -> str:
    problem = record.started.problem
    return kind_of(problem).shown(problem, found.answer, None) or found.answer


def _with_answer(solution: str, answer: str) -> str:
    reasons = _ENDS_IN_ANSWER.sub("", solution)  # the line below says it
    if reasons.strip(" .*") == answer:
        reasons = ""
    return "\n".join(part for part in (reasons, f"Answer: {readable(answer)}") if part)


def answer_record(
    record: Record,
    load_seconds: float,
    min_confidence: float = 0.0,
    handed_on: FallbackAnswer | Notice | None = None,
) -> dict[str, Any]:
    """The record of a search that has finished or failed; unknown values are None, never missing.

    The answer of another server to which the question was handed on takes the place of the search's own.
    """
    first, result, usage = record.started, record.result, record.usage
    if isinstance(record.end, SearchFailed):
        return error_record(first.problem, record.end.error())
    assert result is not None, "only a search that has ended has a record"
    best, is_chat = _best(record), first.problem.is_chat
    if is_chat:  # nobody can check it
        result = replace(result, confidence=None)
    return {
        "schema": ANSWER_SCHEMA,
        "id": first.problem.id,
        "question": first.problem.question,
        "kind": first.problem.kind,
        "kind_why": first.problem.why or None,
        "status": status_of(result, 0.0 if is_chat else min_confidence),
        "answer": result.answer,
        "solution": solution_text(record),
        "thought": _thought(record),
        "mode": best.mode if best is not None else None,
        "execution": to_plain(best.execution) if best is not None else None,
        **_test_fields(record),
        **({"fields": to_plain(result.fields)} if first.problem.kind == "json" else {}),
        "confidence": confidence(result),
        "options": dict(result.options) or None,
        "agreement": _agreement(record, result),
        "stop_reason": result.stop_reason,
        "why": account(record),
        "budget": {
            "tokens": {"used": usage.generated_tokens, "limit": first.budget.max_tokens},
            "time_s": {"used": round(record.t, 3), "limit": first.budget.max_seconds},
            "solutions": {"used": len(record.candidates)},
        },
        "tree": _shape(record.tree),
        "usage": to_plain(usage),
        "timing": {
            "load_s": round(load_seconds, 3),
            "search_s": round(record.t, 3),
            "tokens_per_s": round(usage.generated_tokens / record.t, 1) if record.t else None,
        },
        **_search_fields(first),
        "min_confidence": min_confidence,
        "warnings": [as_typed(notice.message) for notice in record.notices],
        "version": __version__,
        **_fallback_fields(record, handed_on),
    }


def _fallback_fields(record: Record, handed_on: FallbackAnswer | Notice | None) -> dict[str, Any]:
    """Fields of a question that was handed on; nobody here knows how sure the other server is."""
    if handed_on is None:
        return {}
    if isinstance(handed_on, Notice):
        return {"warnings": [as_typed(notice.message) for notice in (*record.notices, handed_on)]}
    result = record.result
    assert result is not None, "a question is handed on behind its search"
    return {
        "status": "answered",
        "answer": handed_on.answer,
        "solution": handed_on.text,
        "thought": None,
        "mode": None,
        "execution": None,
        **({"fields": {}} if record.started.problem.kind == "json" else {}),
        "confidence": confidence(replace(result, confidence=None)),
        "fallback": handed_on.described(result),
    }


def _test_fields(record: Record) -> dict[str, Any]:
    """Fields of a code task: its program in the place of the answer, and each test's verdict."""
    problem, best = record.started.problem, _best(record)
    if problem.kind != "code":
        return {}
    tests = kind_of(problem).tests(problem)
    execution = best.execution if best is not None else None
    found = execution or Execution("", "", 0.0)
    is_whole = record.result is not None and record.result.stop_reason != "interrupted"
    passing = "answered" if found.passes or not tests else "failing"
    judged = zip(tests, found.verdicts, strict=False)
    return {
        **({"status": passing} if is_whole and found.program else {}),
        "answer": found.program or None,
        # Its source and verdicts have fields of their own.
        "execution": execution and to_plain(replace(execution, program="", verdicts=())),
        "tests": [{"test": test, **to_plain(verdict)} for test, verdict in judged],
        "passed": found.passed,
        "untested": not tests,
    }


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


def status_of(result: SearchResult, min_confidence: float = 0.0) -> str:
    """``answered``, ``low_confidence``, ``no_answer`` or ``interrupted``.

    A solution without a checkable answer counts as answered, unless a minimum confidence is asked for.
    """
    if result.stop_reason == "interrupted":
        return "interrupted"
    if not result.has_reply:
        return "no_answer"
    return "answered" if is_sure(result, min_confidence) else "low_confidence"


def is_sure(result: SearchResult, min_confidence: float) -> bool:
    """The answer has at least this calibrated probability; an uncalibrated score never has.

    A guess is not sure, whatever is asked for.
    """
    if result.is_guess:
        return False
    if min_confidence <= 0:
        return True
    p = probability_of(result.confidence)
    return result.answer is not None and p is not None and p >= min_confidence


def _agreement(record: Record, result: SearchResult) -> dict[str, Any]:
    agree, finished = record.agreement
    return {
        "solutions": finished,
        "programs": _count_programs(record.tree, [candidate.node for candidate in record.candidates]),
        "agree": agree,
        "answers": [
            {
                "answer": group.answer,
                "solutions": len(group.nodes),
                "programs": _count_programs(record.tree, group.nodes),
                "weight": round(group.weight, 4),
            }
            for group in result.groups
        ],
    }


def _count_programs(tree: Tree, nodes: Iterable[NodeId]) -> int:
    return sum(tree[node].mode in PROGRAMS for node in nodes)


def _shape(tree: Tree) -> dict[str, int]:
    return {
        "nodes": len(tree),
        "depth": max(node.depth for node in tree),
        "pruned": sum(node.status == "pruned" for node in tree),
    }
