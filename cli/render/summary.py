"""A search in words: how far it is, its answer in one line, why it ended, and with -v its statistics."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from adascale.engine.answers.choosing import DOUBTFUL, FieldEstimate
from adascale.engine.answers.latex import readable
from adascale.engine.kind_table import entry_of
from adascale.engine.kinds import kind_of
from adascale.engine.search.events import OUT_OF_DISTRIBUTION, SearchFailed
from adascale.engine.search.tree import Node
from adascale.engine.types import Execution, StopReason, percent

from ..terminal.errors import as_typed
from ..terminal.markdown import verdict_text
from ..terminal.text import DOT, cut, duration, nouns, one_line, plural, rounded
from .state import ViewState

_ANSWER_CELLS = 40

_CUT_SHORT = {"budget": "the budget is spent", "interrupted": "stopped by you", "taken": "taken by you"}

_REASONS: Mapping[StopReason, str] = {
    "confident": ": that is sure enough",
    "settled": ": more would hardly change the answer",
    "hopeless": ": more would hardly help",
}


def closing_lines(state: ViewState, verbose: int = 0) -> list[Text]:
    """The lines below a search: its summary, and with ``verbose`` all the rest.

    A message of a conversation has nothing below its reply, unless that was cut short.
    """
    if state.kind.is_reply and not verbose and not _cut_short(state):
        return []
    more = [why(state), "" if state.kind.is_reply else cost_text(state)] if verbose else []
    more += [each.message for each in state.notices if verbose and each.code == OUT_OF_DISTRIBUTION]
    return [summary(state), *(Text(one_line(text), "faint") for text in more if text)]


def summary(state: ViewState) -> Text:
    """One line for the end of a search: ``391 · almost surely (96 %) · 2 of 2 solutions agree · 7 s``."""
    if state.kind.has_tests:
        facts, is_good = _code_facts(state), (run := _best_run(state)) is not None and run.passes
    elif state.kind.is_reply:
        facts, is_good = [cost_text(state)], False
    else:
        facts, is_good = _answer_facts(state), not is_unsure(state)
    line = Text(facts[0], "answer" if is_good else "" if state.kind.is_reply else "low", end="")
    cut_short = [one_line(text)] if (text := _cut_short(state)) else []
    return Text().append_text(line).append(DOT.join(["", *facts[1:], *cut_short, duration(state.t)]))


def _answer_facts(state: ViewState) -> list[str]:
    """``391``, ``almost surely (96 %)``, ``2 of 2 solutions agree``; a doubt stands before the answer."""
    if state.answer is None:
        return [f"no answer {_after(state)}" if state.candidates else "no answer"]
    if state.kind.has_fields and state.result is not None and state.result.fields:
        return [fields_text(state.result.fields), *state.support]
    if is_unsure(state):
        doubt = state.certainty or "a guess"
        return [f"{doubt}: perhaps {answer_words(state, state.answer)}", *state.support[bool(state.band) :]]
    return leader_facts(state)


def fields_text(fields: Mapping[str, FieldEstimate]) -> str:
    """``7 fields``, or ``2 of 7 fields doubtful: city 45 %, date 62 %``, the least likely first."""
    doubtful = sorted(
        (each.probability, name) for name, each in fields.items() if each.probability < DOUBTFUL
    )
    if not doubtful:
        return plural(len(fields), "field")
    words = ", ".join(f"{name} {percent(p)}".strip() for p, name in doubtful)
    return f"{len(doubtful)} of {plural(len(fields), 'field')} doubtful: {cut(one_line(words), 80)}"


def is_unsure(state: ViewState) -> bool:
    """True if the answer is unlikely or missing, or the search gave up; the exit code has a lower limit."""
    is_guess = state.result is not None and state.result.is_guess
    return state.answer is None or is_guess or state.band in ("not sure", "a guess")


def status_facts(state: ViewState) -> list[str]:
    """How far a search is: ``2 of up to 16 solutions``, ``9 s, about 12 s left``, ``8 of 10 ... stay``.

    The speed stands in place of the last one if that is unknown.
    """
    facts = [solutions_text(state)]
    if state.tokens or state.now >= 1:
        facts.append(duration(state.now))
        if (left := state.seconds_left) is not None:
            seconds, is_most = left
            unit = 5 if seconds > 20 else 1
            about = "at most" if is_most else "about"
            facts[-1] += f", {about} {duration(max(1, round(seconds / unit) * unit))} left"
    if state.tokens:
        facts += [tokens_text(state)] if state.started.budget.max_tokens else []
        stay = state.stay
        facts.append(
            _rate_text(state) if stay is None else f"{min(9, round(10 * stay))} of 10 such answers stay"
        )
    return facts


def solutions_text(state: ViewState) -> str:
    """``2 of up to 16 solutions``; the present work before the first one is complete."""
    noun, most, done = state.kind.noun, state.samples or 1, state.finished
    if not state.branches:
        return f"reading the {'options' if state.kind.has_options else 'question'}"
    if done:
        return f"{done} of up to {most} {nouns(noun)}" if most > 1 else plural(done, noun)
    return f"writing the first of up to {most} {nouns(noun)}" if most > 1 else f"writing a {noun}"


def leader_facts(state: ViewState) -> list[str]:
    """``391``, ``very likely (84 %)`` and ``5 of 7 solutions agree``; nothing before a solution."""
    if state.kind.has_tests:
        is_tested = bool(state.candidates and kind_of(state.tree.problem).tests(state.tree.problem))
        return [f"the best {_code_words(state)}"] if is_tested else []
    if state.answer is None:
        return ["no answer yet"] if state.candidates else []
    return [answer_words(state, state.answer), *state.support]


def outcome_text(state: ViewState, node: Node) -> str:
    """The outcome of a finished solution: ``= 27``, the error of its program, or ``passes 1 of 2 tests``."""
    problem = state.tree.problem
    if entry_of(problem).has_tests:
        tests = kind_of(problem).tests(problem)
        return "" if node.execution is None else one_line(verdict_text(node.execution, tests))
    candidate = next((each for each in state.candidates if each.node == node.id), None)
    if candidate is not None and candidate.answer is not None:
        return f"= {answer_words(state, candidate.answer)}"
    if node.mode == "program" and node.execution is not None and (program := state.program(node, "")):
        return one_line(program.output)
    return "no answer" if candidate is not None else ""


def _cut_short(state: ViewState) -> str:
    """Reason why a search did not come to its own end: budget, user, error; empty if it did."""
    if isinstance(state.end, SearchFailed):
        return f"failed: {as_typed(state.end.notice.message)}"
    if state.result is None or state.result.stop_reason is None:
        return "unfinished"
    last = state.tree[state.result.best].step if state.result.best is not None else None
    if state.kind.is_reply and last is not None and last.finish == "length":
        return "cut at -o max_tokens"
    return _CUT_SHORT.get(state.result.stop_reason, "")


def _code_facts(state: ViewState) -> list[str]:
    """``passes 3 of 3 tests``, or the first test that it fails, and ``after 2 of 8 programs``."""
    run, problem, done = _best_run(state), state.tree.problem, len(state.candidates)
    most = state.samples if kind_of(problem).tests(problem) else None
    facts = [
        _code_words(state),
        f"after {done} of {most} programs" if most else f"after {plural(done, 'program')}",
    ]
    if run is not None and not run.fails and state.certainty:
        beyond = "that it passes others like them" if run.verdicts else "that it is correct"
        facts.append(f"{state.certainty} {beyond}")
    if state.result is not None and state.result.stop_reason == "hopeless":
        facts.append("given up: another program is unlikely to pass")
    return facts


def _code_words(state: ViewState) -> str:
    """``passes 1 of 2 tests: assert f(3) == 9 gave 6``: the verdict on the best program."""
    return "no program" if state.best is None else outcome_text(state, state.tree[state.best]) or "no program"


def _best_run(state: ViewState) -> Execution | None:
    return None if state.best is None else state.tree[state.best].execution


def why(state: ViewState) -> str:
    """Reason for the end of a search; empty before the end.

    ``stopped after 3 of 16 solutions: 3 votes ahead of every other answer``
    """
    reason = state.result.stop_reason if state.result is not None else None
    if reason is None or state.started.strategy == "greedy" or not state.kind.has_votes:
        return ""
    lead = state.started.limit("lead")
    because = _REASONS.get(reason, "")
    if reason == "confident" and lead is not None:
        because = f": {lead} votes ahead of every other answer"
    return f"{'ended' if reason == 'exhausted' else 'stopped'} {_after(state)}{because}"


def _after(state: ViewState) -> str:
    """``after 3 of 16 solutions``, ``after all 16 solutions``, ``after 3 solutions``."""
    done, most = state.finished, state.samples
    if not done and state.answer is not None:
        return "before any solution"
    if not most or done == most == 1:
        return f"after {plural(done, 'solution')}"
    number = "all" if done >= most else f"{done} of"
    return f"after {number} {plural(most, 'solution')}"


def tokens_text(state: ViewState) -> str:
    """``204 tokens``, or ``204 of 2,048 tokens`` if there is a limit."""
    if state.started.budget.max_tokens is None:
        return plural(state.tokens, "token")
    return f"{state.tokens:,} of {state.started.budget.max_tokens:,} tokens"


def cost_text(state: ViewState) -> str:
    """``204 tokens · 31 tokens/s``."""
    return f"{tokens_text(state)}{DOT}{_rate_text(state)}"


def _rate_text(state: ViewState) -> str:
    return f"{state.rate:,.0f} tokens/s" if state.rate >= 10 else f"{state.rate:.2g} tokens/s"


def answer_words(state: ViewState, answer: str) -> str:
    """An answer of a search as a person reads it, cut to a part of a line: ``B. bank``, ``78.54``."""
    problem = state.tree.problem
    shown = None if state.kind.has_tests else kind_of(problem).shown(problem, answer, None)
    return cut(one_line(rounded(readable(shown or answer))), _ANSWER_CELLS)
