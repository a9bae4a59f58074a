"""Lines below a tree: the budget, the tree in numbers, the answers, and what will stop the search."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from adascale.engine.decimals import decimal

from ..terminal.text import cells, chance, clock, cut, duration, one_line, plural, thousands
from ..terminal.theme import STYLES, Glyphs
from .draw import Frame
from .maths import readable
from .state import ViewState
from .words import answer_text, backing, spent, support


def budget_line(state: ViewState, frame: Frame) -> Text:
    """A bar and the time that is left at most: an adaptive search usually stops earlier."""
    facts = [spent(state), *rate_text(state)]
    share, left = _limits(state)
    if fixed := state.account.fixed_tokens(state.tree):
        facts.insert(1, f"all {state.account.at_most}: about {thousands(fixed)}")
        share = state.tokens / fixed if share is None else share
    if state.ended:
        facts.append(duration(state.t))
    elif left is not None:
        gone = f"{clock(state.t)} gone, " if frame.width >= 100 else ""
        facts.append(f"{gone}at most {clock(left)} left")
    if share is None:
        return _facts("budget", facts, frame)
    return _facts("budget", facts, frame, _bar(share, frame.width, frame.glyphs))


def tree_line(state: ViewState, frame: Frame) -> Text:
    """How many nodes there are, and what they do."""
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


def best_line(state: ViewState, frame: Frame) -> Text:
    """The best answer, how sure it is, and what else was answered."""
    if state.answer is None:
        return _facts("best", ["no answer yet"], frame)
    facts = [answer_text(state, frame.glyphs), *support(state), *_rivals(state, frame.glyphs)]
    line = _facts("best", facts, frame)
    line.stylize(STYLES["answer"], 7, 7 + len(facts[0]))
    return line


def stop_line(state: ViewState, frame: Frame) -> Text:
    """What will end the search, beside where it is."""
    standing, most = state.tree.standing, state.account.at_most
    done = standing.finished if standing is not None else len(state.candidates)
    drawn = f"{done} of {plural(most, 'solution')}" if most else "where every prefix has ended"
    if "stop_at" not in state.params:
        return _facts("stops", [drawn], frame)
    facts = [f"at {chance(float(state.params['stop_at']))}", drawn]
    if standing is not None and standing.gain is not None:
        gain, least = (decimal(value, "+.2g") for value in (standing.gain, state.params["min_gain"]))
        facts.append(f"next adds {gain}, ends below {least}")
    return _facts("stops", facts, frame)


def _rivals(state: ViewState, glyphs: Glyphs) -> list[str]:
    """``then 26 (2, p .31), 13 (1, p .12), 3 more``: how many paths lead there, and the best one's p."""
    groups = state.groups[1:]
    if not groups:
        return []
    named = []
    for group in groups[:2]:
        answer = cut(one_line(readable(group.answer), glyphs), 12, glyphs)
        named.append(f"{answer} ({len(group.nodes)}, {backing(state, group)})")
    more = [f"{len(groups) - 2} more"] if len(groups) > 2 else []
    return ["then " + ", ".join([*named, *more])]


def bar_of_facts(share: float | None, facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    """A bar, where the share that is done is known, and as many facts as fit behind it."""
    line = Text()
    if share is not None:
        line.append_text(_bar(share, width, glyphs)).append("  ")
    line.append(glyphs.dot.join(fitting(facts, width - line.cell_len, glyphs)))
    line.truncate(width)
    return line


def rate_text(state: ViewState) -> list[str]:
    """``31 tok/s``; nothing where it is not known."""
    rate = state.rate
    return [f"{rate:.0f} tok/s" if rate >= 9.5 else f"{rate:.1f} tok/s"] if rate > 0 else []


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


def _bar(share: float, width: int, glyphs: Glyphs) -> Text:
    size = 30 if width >= 100 else 16 if width >= 60 else 8
    spent = min(size, int(share * size))
    bar = Text().append(glyphs.spent * spent, STYLES["spent"])
    return bar.append(glyphs.left * (size - spent), STYLES["left"])


def _facts(name: str, facts: Sequence[str], frame: Frame, bar: Text | None = None) -> Text:
    """A line of the footer; facts that do not fit are left out whole, from the end."""
    line = Text().append(f"{name:<7}", STYLES["faint"])
    if bar is not None:
        line.append_text(bar).append("  ")
    room = max(0, frame.width - line.cell_len)
    kept = fitting(facts, room, frame.glyphs)
    line.append(cut(frame.glyphs.dot.join(kept), room, frame.glyphs))
    line.truncate(frame.width)
    return line


def fitting(facts: Sequence[str], room: int, glyphs: Glyphs) -> Sequence[str]:
    """The first facts that fit side by side; one stays whatever its length."""
    while len(facts) > 1 and cells(glyphs.dot.join(facts)) > room:
        facts = facts[:-1]
    return facts
