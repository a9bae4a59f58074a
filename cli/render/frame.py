"""Whole pictures of a view: the live frame, the finished tree, the status line, the summary."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from adascale.engine.answers import same_answer
from adascale.engine.types import ROOT

from .draw import Frame, draw_rows
from .maths import readable
from .rows import tree_rows
from .state import ViewState
from .text import cells, chance, clock, cut, duration, one_line, pad, plural, thousands
from .theme import MARK_STYLES, STYLES, Glyphs

FULL_TREE = 60
"""Nodes of the largest tree that is left on the screen as a whole."""

FOLDED_ROWS = 30
"""Rows that a larger tree is folded to: the best path, and what lies beside it in a few words."""

HINT = "Ctrl-C: stop now and print the best answer."

AROUND = 7
"""Lines of a live frame that are not rows of the tree."""

_ANSWER_CELLS = 40

_ID_CELLS = 16


def live_frame(state: ViewState, width: int, height: int, glyphs: Glyphs, tick: int = 0) -> list[Text]:
    """The running search in at most ``height`` lines."""
    frame = Frame(width, glyphs, state.calibrated, tick)
    rows = tree_rows(state, max(1, height - AROUND))
    lines = [_question(state, frame), *draw_rows(rows, frame), Text()]
    lines += [_budget(state, frame), _tree(state, frame), _best(state, frame)]
    lines.append(Text(cut(HINT, width, glyphs), STYLES["faint"]))
    # Where even the frame does not fit, the newest facts are at its end.
    return lines[max(0, len(lines) - height) :]


def final_frame(state: ViewState, width: int, glyphs: Glyphs) -> list[Text]:
    """The finished tree in full; a large one folded around its best path."""
    frame = Frame(width, glyphs, state.calibrated)
    large = len(state.tree) > FULL_TREE
    rows = tree_rows(state, FOLDED_ROWS if large else None)
    lines = [_question(state, frame), *draw_rows(rows, frame), Text()]
    lines += [_budget(state, frame), _tree(state, frame)]
    if large:
        note = f"Folded around the best path: {len(rows)} rows for {plural(len(state.tree), 'node')}."
        lines.append(Text(cut(note, width, glyphs), STYLES["faint"]))
    return lines


def status_line(state: ViewState, width: int, glyphs: Glyphs, tick: int = 0) -> Text:
    """``◐ 281 of 2,048 tokens · 8 nodes · best 27 p .93 · 31 tok/s``."""
    facts = [_spent(state), plural(len(state.tree), "node")]
    if state.answer is not None:
        facts.append(f"best {_answer(state, glyphs)} {_score(state)}")
    line = Text().append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    line.append(cut(glyphs.dot.join([*facts, *_rate(state)]), max(0, width - 2), glyphs))
    line.truncate(width)
    return line


def waiting_line(message: str, width: int, glyphs: Glyphs, tick: int) -> Text:
    """What happens before the first search."""
    line = Text(no_wrap=True).append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    return line.append(cut(one_line(message, glyphs), max(0, width - 2), glyphs))


def search_line(id_: str, state: ViewState, width: int, glyphs: Glyphs, tick: int) -> Text:
    """One of several searches: ``◐ gsm8k-0001      3 of 16 solutions · 18 p .73 · 412 tokens``."""
    done, most = len(state.account.candidates), state.account.at_most
    facts = [f"{done} of {plural(most, 'solution')}" if most else plural(done, "solution")]
    if state.answer is not None:
        facts.append(f"{_answer(state, glyphs)} {_score(state)}")
    facts.append(plural(state.tokens, "token"))
    line = Text().append(glyphs.spin[tick % len(glyphs.spin)] + " ", MARK_STYLES["running"])
    line.append(pad(cut(one_line(id_, glyphs), _ID_CELLS, glyphs), _ID_CELLS) + "  ", STYLES["question"])
    line.append(glyphs.dot.join(_fitting(facts, width - _ID_CELLS - 4, glyphs)), STYLES["faint"])
    line.truncate(width)
    return line


def bar_of_facts(share: float | None, facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    """A bar, where the share that is done is known, and as many facts as fit behind it."""
    line = Text()
    if share is not None:
        line.append_text(_bar(share, width, glyphs)).append("  ")
    line.append(glyphs.dot.join(_fitting(facts, width - line.cell_len, glyphs)))
    line.truncate(width)
    return line


_CUT_SHORT = {"budget": "the budget is spent", "interrupted": "stopped by you"}


def summary(state: ViewState, glyphs: Glyphs) -> Text:
    """One line for the end of a search: ``18  score .83, 4 of 5 paths agree, 352 tokens, 11 s``."""
    facts = [_spent(state), duration(state.t)]
    if state.answer is not None:
        facts = [*_standing(state), *facts]
    text = ", ".join(facts)
    reason = state.result.stop_reason if state.result else "interrupted"
    if state.answer is None or reason in _CUT_SHORT:
        text += f" ({_CUT_SHORT.get(reason, reason)})"
    unknown = state.answer is None or reason == "hopeless"
    answer = _answer(state, glyphs)
    if reason == "hopeless" and state.answer is not None:
        answer = f"I don't know; best guess {answer}"
    return Text().append(answer, STYLES["low" if unknown else "answer"]).append(f"  {text}")


def why(state: ViewState) -> str:
    """What decided, what was known before, what a fixed width would cost; empty where nothing stops early.

    ``p .93 reached .90 after 3 of 16 solutions; question .54; all 16: about 2,900 tokens; greedy agrees``
    """
    account, result = state.account, state.result
    if result is None or "stop_at" not in state.params:
        return ""
    parts = [_decided(state, result.stop_reason), *_before(state)]
    fixed = account.fixed_tokens(state.tree)
    if fixed is not None and account.started < (account.at_most or 0):
        parts.append(f"all {account.at_most}: about {thousands(fixed)} tokens")
    return "; ".join([*parts, *_others(state)])


def _decided(state: ViewState, reason: str) -> str:
    estimate, standing = state.confidence, state.tree.standing
    done = standing.finished if standing else 0
    most = state.account.at_most
    after = f"after {done} of {plural(most, 'solution')}" if most else f"after {plural(done, 'solution')}"
    if state.answer is None and reason == "exhausted":
        return f"no checkable answer {after}"
    if estimate is None or not estimate.calibrated:
        return f"the votes decided {after}" if reason == "confident" else f"stopped {after}"
    at = float(state.params["stop_at"])
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


def _before(state: ViewState) -> list[str]:
    question = state.tree[ROOT].estimate
    return [f"question {chance(question.median)}"] if question and question.calibrated else []


def _others(state: ViewState) -> list[str]:
    """What the plain vote and greedy say, where they were drawn."""
    assert state.result is not None
    answer, account = state.result.answer, state.account
    others = {"greedy": account.greedy(state.tree), "the plain vote": account.vote()}
    said = {name: other for name, other in others.items() if other is not None and answer is not None}
    differ = [f"{name} says {other}" for name, other in said.items() if not same_answer(other, answer or "")]
    agree = [name for name, other in said.items() if same_answer(other, answer or "")]
    both = [f"{' and '.join(agree)} {'agree' if len(agree) > 1 else 'agrees'}"] if agree else []
    return [*differ, *both]


def _question(state: ViewState, frame: Frame) -> Text:
    text = Text().append("Q  ", STYLES["faint"])
    question = one_line(readable(state.tree.problem.question), frame.glyphs)
    text.append(cut(question, max(0, frame.width - 3), frame.glyphs), STYLES["question"])
    text.truncate(frame.width)
    return text


def _budget(state: ViewState, frame: Frame) -> Text:
    """A bar and the time that is left at most: an adaptive search usually stops earlier."""
    facts = [_spent(state), *_rate(state)]
    share, left = _limits(state)
    if share is None and (fixed := state.account.fixed_tokens(state.tree)):
        share = state.tokens / fixed
        facts[0] += f" of about {thousands(fixed)} for all {state.account.at_most}"
    if state.ended:
        facts.append(duration(state.t))
    elif left is not None:
        gone = f"{clock(state.t)} gone, " if frame.width >= 100 else ""
        facts.append(f"{gone}at most {clock(left)} left")
    if share is None:
        return _facts("budget", facts, frame)
    return _facts("budget", facts, frame, _bar(share, frame.width, frame.glyphs))


def _bar(share: float, width: int, glyphs: Glyphs) -> Text:
    size = 30 if width >= 100 else 16 if width >= 60 else 8
    spent = min(size, int(share * size))
    bar = Text().append(glyphs.spent * spent, STYLES["spent"])
    return bar.append(glyphs.left * (size - spent), STYLES["left"])


def _limits(state: ViewState) -> tuple[float | None, float | None]:
    """Share of the nearer limit that is used, and the seconds until it is reached at most."""
    budget, shares, left = state.budget, list[float](), list[float]()
    if budget.max_tokens is not None:
        shares.append(state.tokens / max(1, budget.max_tokens))
        if state.rate > 0:
            left.append(max(0, budget.max_tokens - state.tokens) / state.rate)
    if budget.max_seconds is not None:
        shares.append(state.t / max(1e-9, budget.max_seconds))
        left.append(max(0.0, budget.max_seconds - state.t))
    return (max(shares) if shares else None, min(left) if left else None)


def _spent(state: ViewState) -> str:
    if state.budget.max_tokens is None:
        return plural(state.tokens, "token")
    return f"{thousands(state.tokens)} of {thousands(state.budget.max_tokens)} tokens"


def _rate(state: ViewState) -> list[str]:
    rate = state.rate
    return [f"{rate:.0f} tok/s" if rate >= 9.5 else f"{rate:.1f} tok/s"] if rate > 0 else []


def _tree(state: ViewState, frame: Frame) -> Text:
    nodes = state.tree.nodes
    pruned = sum(node.status == "pruned" for node in nodes)
    writing = state.writing()
    idle = sum(
        node.status == "open" and not state.tree.children(node.id) and node.id not in writing
        for node in nodes
    )
    unused = "left open" if state.ended else "waiting"
    counts = ((pruned, "pruned"), (len(state.running), "running"), (idle, unused))
    facts = [plural(len(nodes), "node"), f"depth {max(node.depth for node in nodes)}"]
    return _facts("tree", [*facts, *(f"{n:,} {word}" for n, word in counts if n)], frame)


def _best(state: ViewState, frame: Frame) -> Text:
    if state.answer is None:
        return _facts("best", ["no answer yet"], frame)
    facts = [_answer(state, frame.glyphs), *_standing(state), *_stops(state), *_rivals(state, frame.glyphs)]
    line = _facts("best", facts, frame)
    line.stylize(STYLES["answer"], 7, 7 + len(facts[0]))
    return line


def _stops(state: ViewState) -> list[str]:
    """What will end an adaptive search, beside where it is."""
    if "stop_at" not in state.params:
        return []
    facts = [f"stops at {chance(float(state.params['stop_at']))}"]
    standing = state.tree.standing
    if standing is not None and standing.gain is not None and "min_gain" in state.params:
        least = float(state.params["min_gain"])
        facts.append(f"next adds {_small(standing.gain)}, stops below {_small(least)}")
    return facts


def _small(gain: float) -> str:
    """``+.012``, ``+.0005``."""
    return f"{gain:+.2g}".replace("0.", ".", 1)


def _rivals(state: ViewState, glyphs: Glyphs) -> list[str]:
    """``then 26 (2), 13 (1), 3 more``."""
    groups = state.groups[1:]
    if not groups:
        return []
    named = [
        f"{cut(one_line(readable(group.answer), glyphs), 12, glyphs)} ({len(group.nodes)})"
        for group in groups[:2]
    ]
    more = [f"{len(groups) - 2} more"] if len(groups) > 2 else []
    return ["then " + ", ".join([*named, *more])]


def _facts(name: str, facts: Sequence[str], frame: Frame, bar: Text | None = None) -> Text:
    """A line of the footer; facts that do not fit are left out whole, from the end."""
    line = Text().append(f"{name:<7}", STYLES["faint"])
    if bar is not None:
        line.append_text(bar).append("  ")
    room = max(0, frame.width - line.cell_len)
    kept = _fitting(facts, room, frame.glyphs)
    line.append(cut(frame.glyphs.dot.join(kept), room, frame.glyphs))
    line.truncate(frame.width)
    return line


def _fitting(facts: Sequence[str], room: int, glyphs: Glyphs) -> Sequence[str]:
    """The first facts that fit side by side; one stays whatever its length."""
    while len(facts) > 1 and cells(glyphs.dot.join(facts)) > room:
        facts = facts[:-1]
    return facts


def _answer(state: ViewState, glyphs: Glyphs) -> str:
    if state.answer is None:
        return "no answer"
    return cut(one_line(readable(state.answer), glyphs), _ANSWER_CELLS, glyphs)


def _score(state: ViewState) -> str:
    """``p .96`` or ``score .83``: an uncalibrated number is never called a probability."""
    estimate = state.confidence
    if estimate is None:
        return ""
    return f"{'p' if estimate.calibrated else 'score'} {chance(estimate.median)}"


def _standing(state: ViewState) -> list[str]:
    """``p .96 (.91-.98)`` and ``3 of 3 paths agree``."""
    facts = []
    if (estimate := state.confidence) is not None:
        spread = f" ({chance(estimate.lower)}-{chance(estimate.upper)})" if estimate.calibrated else ""
        facts.append(_score(state) + spread)
    agree, paths = state.agreement
    facts.append(f"{agree} of {paths} paths agree" if paths > 1 else "1 path")
    return facts
