"""A search in words: its answer and probability, the reason for its end, its cost."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from adascale.engine.answers.latex import readable
from adascale.engine.kinds import kind_of
from adascale.engine.search.account import fixed_tokens, greedy_answer, leads, plain_vote
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import ROOT, AnswerGroup, Estimate, Mode

from ..terminal.code import verdict_text
from ..terminal.console import as_typed
from ..terminal.text import chance, cut, duration, one_line, plural
from ..terminal.theme import STYLES, Glyphs
from .state import ViewState

_ANSWER_CELLS = 40

_AS_MODE: Mapping[Mode, str] = {"prose": "in prose", "program": "as a program", "code": "as a program"}

_CUT_SHORT = {"budget": "the budget is spent", "interrupted": "stopped by you"}


def summary(state: ViewState, glyphs: Glyphs) -> Text:
    """One line for the end of a search: ``18  score .83, 4 of 5 solutions agree, 352 tokens, 11 s``."""
    if state.tree.problem.kind == "code":
        return _code_summary(state, glyphs)
    if state.tree.problem.is_chat:
        end = f" ({one_line(_cut_short(state), glyphs)})" if _cut_short(state) else ""
        return Text(f"{tokens_text(state)}, {duration(state.t)}{end}")
    facts = [tokens_text(state), duration(state.t)]
    if state.answer is not None:
        facts = [*support(state), *facts]
    text = ", ".join(facts)
    reason = state.result.stop_reason if state.result else ""
    if end := _cut_short(state) or (reason if state.answer is None else ""):
        text += f" ({one_line(end, glyphs)})"
    is_guess = state.answer is not None and state.result is not None and state.result.is_guess
    unknown = state.answer is None or is_guess
    answer = answer_text(state, glyphs)
    if is_guess:
        answer = f"I don't know; best guess {answer}"
    return Text().append(answer, STYLES["low" if unknown else "answer"]).append(f"  {text}")


def closing_lines(state: ViewState, glyphs: Glyphs) -> list[Text]:
    """The summary, and the reason for the end if there is one to tell."""
    reason = Text(one_line(why(state), glyphs), STYLES["faint"])
    return [summary(state, glyphs), *([reason] if reason else [])]


def _cut_short(state: ViewState) -> str:
    """Reason why a search did not come to its own end: budget, user, error; empty if it did."""
    if isinstance(state.end, SearchFailed):
        return f"failed: {as_typed(state.end.notice.message)}"
    if state.result is None:
        return "unfinished"
    last = state.tree[state.result.best].step if state.result.best is not None else None
    if state.tree.problem.is_chat and last is not None and last.finish == "length":
        return "cut at --max-tokens"
    limits = state.started.budget
    if state.result.stop_reason == "budget" and limits.max_seconds is not None:
        is_spent = limits.max_tokens is not None and state.tokens >= limits.max_tokens
        return _CUT_SHORT["budget"] if is_spent else "the time is up"
    return _CUT_SHORT.get(state.result.stop_reason, "")


def _code_summary(state: ViewState, glyphs: Glyphs) -> Text:
    """``passes 3 of 3 tests  after 2 of 8 programs, 204 tokens, 4 s``, or the first test that it fails."""
    best, problem = state.best, state.tree.problem
    tests = kind_of(problem).tests(problem)
    execution = None if best is None else state.tree[best].execution
    words = "no program" if execution is None else one_line(verdict_text(execution, tests), glyphs)
    done = plural(len(state.candidates), "program")
    most = f" of {state.samples}" if tests and state.samples else ""
    facts = [f"after {len(state.candidates)}{most} programs" if most else f"after {done}"]
    is_calibrated = state.confidence is not None and state.confidence.calibrated
    if execution is not None and not execution.fails and is_calibrated:
        beyond = "it also passes others like them" if execution.verdicts else "it is correct"
        facts.append(f"{score_text(state)} that {beyond}")
    is_hopeless = state.result is not None and state.result.stop_reason == "hopeless"
    end = (
        "given up: another program is unlikely to pass"
        if is_hopeless
        else one_line(_cut_short(state), glyphs)
    )
    cost = [tokens_text(state), duration(state.t), *filter(None, [end])]
    style = STYLES["answer" if execution is not None and execution.passes else "low"]
    return Text().append(words, style).append(f"  {', '.join([*facts, *cost])}")


def why(state: ViewState) -> str:
    """Reason for the end of a search, estimate of its question, price of all solutions; empty before the end.

    ``p .93 reached .90 after 3 of 16 solutions; question .54; all 16: about 2,900 tokens; greedy agrees``
    """
    result = state.result
    problem = state.tree.problem
    if result is None or state.started.strategy == "greedy" or problem.kind != "value":
        return ""
    parts = [_decision(state, result.stop_reason), *_question_estimate(state)]
    fixed = fixed_tokens(state)
    if fixed is not None and fixed > state.tokens and len(state.branches) < (state.samples or 0):
        parts.append(f"all {state.samples}: about {fixed:,} tokens")
    return "; ".join([*parts, *_baselines(state)])


def _decision(state: ViewState, reason: str) -> str:
    """The reason for the end of the search, from its stop reason."""
    estimate, standing = state.confidence, state.tree.standing
    done = standing.finished if standing else 0
    most = state.samples
    after = f"after {done} of {plural(most, 'solution')}" if most else f"after {plural(done, 'solution')}"
    if state.answer is None and reason == "exhausted":
        return f"no checkable answer {after}"
    at = state.started.limits.stop_at
    if at is None:
        return f"stopped {after}" if reason in _CUT_SHORT else f"ended {after}"
    if estimate is None or not estimate.calibrated:
        return f"the votes decided {after}" if reason == "confident" else f"stopped {after}"
    match reason:
        case "confident":
            return f"p {chance(estimate.median)} reached {chance(at)} {after}"
        case "settled":
            return f"{after} more would hardly change it: p {chance(estimate.median)}"
        case "hopeless":
            return f"given up {after}: p {chance(estimate.median)}, and more would hardly raise it"
        case "exhausted":
            return f"p did not reach {chance(at)} {after}"
        case _:
            return f"stopped {after}"


def _question_estimate(state: ViewState) -> list[str]:
    """``question .54``, ``question .54 in prose, .61 as a program``: calibrated, before any draw."""
    known = {mode: found for mode, found in state.tree.questions.items() if found.calibrated}
    if len(known) > 1:
        return ["question " + ", ".join(f"{chance(p.median)} {_AS_MODE[mode]}" for mode, p in known.items())]
    question = state.tree[ROOT].estimate
    return [f"question {chance(question.median)}"] if question and question.calibrated else []


def _baselines(state: ViewState) -> list[str]:
    """Agreement of greedy and the plain vote, as far as the search has drawn them."""
    greedy, vote = greedy_answer(state), plain_vote(state)
    said = {"greedy": (greedy.node, greedy.answer)} if greedy else {}
    said |= {"the plain vote": (vote.nodes[0], vote.answer)} if vote else {}
    agree = [name for name, (node, _) in said.items() if leads(state, node)]
    differ = [f"{name} says {readable(said[name][1] or '')}" for name in said if name not in agree]
    both = [f"{' and '.join(agree)} {'agree' if len(agree) > 1 else 'agrees'}"] if agree else []
    return [*differ, *both]


def steps_text(state: ViewState) -> str:
    """``7 steps``: all nodes but the question."""
    return plural(len(state.tree) - 1, "step")


def tokens_text(state: ViewState) -> str:
    """``204 tokens``, or ``204 of 2,048 tokens`` if there is a limit."""
    if state.started.budget.max_tokens is None:
        return plural(state.tokens, "token")
    return f"{state.tokens:,} of {state.started.budget.max_tokens:,} tokens"


def answer_text(state: ViewState, glyphs: Glyphs) -> str:
    """The best answer, short and readable."""
    if state.answer is None:
        return "no answer"
    return cut(one_line(readable(state.answer), glyphs), _ANSWER_CELLS, glyphs)


def score_text(state: ViewState) -> str:
    """``p .96`` or ``score .83``: an uncalibrated number is never called a probability."""
    return _estimate_text(state.confidence)


def _estimate_text(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{'p' if estimate.calibrated else 'score'} {chance(estimate.median)}"


def interval_text(estimate: Estimate | None, level: str = "") -> str:
    """``p .81 (.66-.91)`` with the 10 and 90 % quantiles; ``score .83``; nothing without an estimate.

    Args:
        estimate: Estimate to be shown.
        level: Level of the calibration, to be shown too.
    """
    text = _estimate_text(estimate)
    if estimate is None or not estimate.calibrated:
        return text
    interval = f"{chance(estimate.lower)}-{chance(estimate.upper)}"
    return f"{text} ({', '.join(filter(None, [interval, level]))})"


def backing(state: ViewState, group: AnswerGroup) -> str:
    """``p .31``: the estimate of the best solution with an answer."""
    return _estimate_text(state.tree[group.nodes[0]].estimate)


def support(state: ViewState) -> list[str]:
    """``p .8 (.5-.96, portable)`` and ``3 of 4 solutions agree, 2 of them programs``, for example."""
    level = state.started.models.level  # the usual one, fitted, is not named
    named = level if level in ("portable", "unlabelled") else ""
    facts = [interval_text(state.confidence, named)] if state.confidence is not None else []
    agree, solutions = state.agreement
    agreeing = state.groups[0].nodes if state.groups else ()
    programs = sum(state.tree[node].mode == "program" for node in agreeing)
    if solutions <= 1:
        return [*facts, "1 program" if programs else "1 solution"]
    among = ""
    if programs == agree:
        among = ", all programs" if agree > 1 else ", a program"
    elif programs:
        among = f", {programs} of them programs" if programs > 1 else ", 1 of them a program"
    return [*facts, f"{agree} of {solutions} solutions agree{among}"]
