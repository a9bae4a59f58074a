"""A recorded search as a web page in the style of the server's, which loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files

from adascale.engine.answers.latex import readable
from adascale.engine.types import ROOT, Estimate, probability_of

from ..render.rows import Row, all_rows, thought_line
from ..render.state import ViewState
from ..render.summary import answer_words, is_rough, summary, support, tokens_text
from ..terminal.console import clean
from ..terminal.markdown import as_html
from ..terminal.text import duration, percent, plural
from ..terminal.theme import UNICODE, level
from .document import has_answer, is_guess, model_name, reason, settings

_TITLE = 60
"""Characters of the question in the title of the page."""

_ANSWER = 400
"""Maximum number of characters of an answer."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser loads nothing and runs nothing for the page, whatever a model wrote into it."""


def to_html(view: ViewState) -> str:
    """The page: the answer first, then its solution, all answers, and folded how the search got there."""
    is_reply = view.tree.problem.kind == "text"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_as_html(view.started.problem.question[:_TITLE])} - adascale</title>",
        f"<style>{_style()}</style></head><body>",
        f'<header><h1>adascale</h1><p id="model" class="words">{_as_html(model_name(view))}</p></header>',
        f'<main><article class="ended sure-{level(view.confidence) or ""}">',
        f'<h2 class="question">{_as_html(view.started.problem.question)}</h2><div class="answer">',
        *([] if is_reply else _answer(view)),
        *_shown(view),
        *([f'<div class="foot">{_words(summary(view, UNICODE).plain)}</div>'] if is_reply else []),
        *_answers(view),
        *_how(view),
        '<details class="how"><summary>Settings</summary><dl class="words">',
        *(f"<dt>{_as_html(name)}</dt><dd>{_as_html(value)}</dd>" for name, value in settings(view)),
        "</dl></details>",
        "</div></article></main></body></html>",
    ]
    return "\n".join(parts)


def _style() -> str:
    """The style of the server's page; a part of the package, which needs nothing of the server."""
    folder = files("adascale").joinpath("serve", "page")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("tree.css", "page.css"))


def _answer(view: ViewState) -> Iterator[str]:
    """The answer in large type, how sure it is, and what that means; of a program one line."""
    p = probability_of(view.confidence)
    if view.answer is None or not has_answer(view):
        yield f'<div class="head"><p>{_as_html(summary(view, UNICODE).plain)}</p></div>'
        return
    answer = f"<strong>{_as_html(_said(view, view.answer))}</strong>"
    if is_guess(view):
        yield f'<div class="head"><p class="large">I don\'t know</p><p>My best guess is {answer}</p></div>'
    else:
        yield f'<div class="head"><p class="large">{answer}</p></div>'
    facts = [*support(view), duration(view.t)]
    sure = f"{_bar(p)}<b>{_as_html(facts.pop(0))}</b>" if p is not None else ""
    yield f'<div class="line">{sure}{_span(facts)}</div>'
    yield f'<div class="meaning">{_words(_meaning(view))}</div>'


def _meaning(view: ViewState) -> str:
    p = probability_of(view.confidence)
    if p is None:
        return "No probability: this model has no calibration, so only agreement counts."
    if is_rough(view):
        return "A rough estimate: how often this model is correct was never measured."
    return f"Of 100 answers shown with this number, about {round(100 * p)} are correct."


def _shown(view: ViewState) -> Iterator[str]:
    """The solution that is shown, without its thoughts."""
    rows = [row for row in all_rows(view) if row.node in view.best_path - {ROOT} and not row.thought]
    if not rows:
        return
    if rows[-1].program is None:
        text = "".join(row.text for row in rows)
        yield f'<div class="body"><div class="prose">{as_html(text)}</div></div>'
    else:
        yield f'<div class="body">{_text(rows[-1])}</div>'


def _answers(view: ViewState) -> Iterator[str]:
    """The options that were read, each with its bar, or all answers, the leading one first."""
    p = probability_of(view.confidence)
    if view.tree.problem.kind == "code" or (len(view.groups) < 2 and not view.options):
        return
    votes = {group.answer: len(group.nodes) for group in view.groups}
    sure = percent(p) if p is not None else ""
    chances: Mapping[str, float | None] = view.options or dict.fromkeys(votes)
    rows = [(_said(view, answer), votes.get(answer, 0), chance) for answer, chance in chances.items()]
    if not view.options and (none := view.agreement[1] - sum(votes.values())):
        rows.append(("no answer", none, None))
    yield f'<div class="answers"><ol class="{"options" if view.options else ""}">'
    leader = None if view.answer is None else _said(view, view.answer)
    for words, count, chance in rows:
        bar = "" if chance is None else _bar(chance)
        number = percent(chance) if chance is not None else sure if words == leader else ""
        yield (
            f'<li class="{"winner" if words == leader else ""}"><strong>{_as_html(words)}</strong>'
            f'<span class="votes" aria-hidden="true">{UNICODE.point * min(count, 10)}</span>'
            f'<span class="words">{plural(count, "solution") if count else ""}</span>{bar}'
            f"<b>{_as_html(number)}</b></li>"
        )
    yield "</ol></div>"


def _said(view: ViewState, answer: str) -> str:
    """An answer as a person reads it: of an option its text too."""
    return answer_words(view, answer, _ANSWER, UNICODE)


def _how(view: ViewState) -> Iterator[str]:
    """Why it stopped, and all solutions."""
    if view.tree.problem.kind == "text":
        return
    yield '<details class="how" open><summary>How it got there</summary>'
    if why := reason(view):
        yield _words(f"{why[0].upper()}{why[1:]}.")
    if len(view.tree) > 1:
        yield _words(f"{tokens_text(view)} in all. A bar is the estimate that a solution is correct.")
        yield from _solutions(view)
    yield "</details>"


def _solutions(view: ViewState) -> Iterator[str]:
    """A fold for each solution, in it its steps; those before a fork are in each solution behind it."""
    answers = {each.node: each.answer for each in view.candidates}
    rows = {row.node: row for row in all_rows(view) if row.node is not None}
    ends = [node for node in rows if node != ROOT and not view.tree.children(node)]
    yield '<ol class="solutions">'
    for number, end in enumerate(ends, 1):
        steps = [rows[node.id] for node in view.tree.path(end)]
        last, place = steps[-1], 0
        facts = [
            *(["shown"] if last.best else []),
            *(["program"] if last.program else []),
            plural(sum(row.tokens or 0 for row in steps), "token"),
            *([view.reasons.get(end, "")] if last.mark == "pruned" else []),
            *(["failed"] if last.mark == "failed" else []),
        ]
        look = level(view.confidence) if end in view.leading else None
        yield f'<li><details><summary><span class="name">Solution {number}</span>'
        yield f'<strong class="{look or ""}">{_as_html(answers.get(end) or "")}</strong>'
        yield f'{_span(facts)}{_estimate(last.estimate)}</summary><ol class="steps">'
        for row in steps:
            place += not row.thought
            yield _step(row, place)
        yield "</ol></details></li>"
    yield "</ol>"


def _step(row: Row, place: int) -> str:
    """One step: its name, estimate and whole text."""
    name = "" if row.thought else "Program" if row.program else f"Step {place}"
    facts = [name, *([row.why] if row.why else [])]
    look = "step pruned" if row.mark == "pruned" else "step"
    label = f'<p class="label">{_as_html(" · ".join(facts))}{_estimate(row.estimate)}</p>'
    return f'<li class="{look}">{label}{_text(row)}</li>'


def _text(row: Row) -> str:
    """The whole text of a step, of a thought folded, or the code of a program and what it printed."""
    if row.program is None:
        text = f'<div class="prose">{as_html(row.text)}</div>'
        return f"<details><summary>{thought_line(row)}</summary>{text}</details>" if row.thought else text
    program = row.program
    code = f'<div class="code"><pre tabindex="0"><code>{escape(clean(program.code))}</code></pre></div>'
    ran = f"{UNICODE.arrow} {program.output}" if program.output else ""
    style = "ran failed" if program.failed else "ran"
    return code + (f'<pre class="{style}">{escape(clean(ran))}</pre>' if ran else "")


def _estimate(estimate: Estimate | None) -> str:
    """A bar and its number; a score is no probability, and is not shown."""
    p = probability_of(estimate)
    return "" if p is None else f'<span class="p">{_bar(p)} {_as_html(percent(p))}</span>'


def _bar(value: float) -> str:
    return f'<span class="bar" aria-hidden="true"><i style="width:{round(100 * value)}%"></i></span>'


def _words(text: str) -> str:
    return f'<p class="words">{_as_html(text)}</p>'


def _span(facts: Sequence[str]) -> str:
    return f'<span class="words">{_as_html(" · ".join(facts))}</span>'


def _as_html(text: str) -> str:
    return escape(clean(readable(text)))
