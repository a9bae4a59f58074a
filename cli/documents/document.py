"""Facts that every document of a recorded search shows."""

from __future__ import annotations

from ..render.state import ViewState
from ..render.summary import why
from ..terminal.text import one_line
from ..terminal.theme import UNICODE


def model_name(view: ViewState) -> str:
    """Name of the model; empty if it is not known."""
    generator = view.started.models.generator
    return one_line(generator.name, UNICODE) if generator else ""


def reason(view: ViewState) -> str:
    """Reason for the end of the search."""
    return one_line(why(view), UNICODE)


def has_answer(view: ViewState) -> bool:
    """True if there is an answer that can be compared; of a reply, and of a program, there is none."""
    return view.answer is not None and view.tree.problem.kind not in ("text", "code")


def is_guess(view: ViewState) -> bool:
    """True if the search says that it does not know the answer."""
    return view.result is not None and view.result.is_guess


def settings(view: ViewState) -> list[tuple[str, str]]:
    """Names and values of the settings of a search; unknown ones are left out."""
    generator, problem, budget = view.started.models.generator, view.started.problem, view.started.budget
    limits = [f"{budget.max_tokens:,} tokens"] if budget.max_tokens is not None else []
    limits += [f"{budget.max_seconds:g} s"] if budget.max_seconds is not None else []
    found = [
        ("model", model_name(view)),
        ("kind", f"{problem.kind} ({problem.why})" if problem.why else ""),
        ("sha256", generator.sha256 if generator else ""),
        ("strategy", view.started.strategy),
        ("modes", ", ".join(view.started.limits.modes)),
        ("budget", ", ".join(limits) or "none"),
        ("seed", str(view.started.seed)),
    ]
    return [(name, one_line(value, UNICODE)) for name, value in found if value]
