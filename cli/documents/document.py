"""A recorded search, with the facts that every format shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from adascale.engine.search.events import Event, StepProposed
from adascale.engine.types import NodeId

from ..render.state import ViewState
from ..render.summary import summary, why
from ..terminal.text import one_line
from ..terminal.theme import UNICODE


@dataclass(frozen=True, slots=True)
class Document:
    """A search that was recorded.

    Attributes:
        view: State after the last event.
        proposed_at: By node, seconds since the search started at which its step was complete.
    """

    view: ViewState
    proposed_at: Mapping[NodeId, float]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        """A document of the events of a trace (``read_trace``)."""
        proposed_at = {event.node: event.t for event in events if isinstance(event, StepProposed)}
        return cls(ViewState.of(events), proposed_at)

    @property
    def question(self) -> str:
        """The question."""
        return self.view.started.problem.question

    @property
    def model(self) -> str:
        """Name of the model; empty if it is not known."""
        generator = self.view.started.models.generator
        return one_line(generator.name, UNICODE) if generator else ""

    @property
    def title(self) -> str:
        """``adascale · qwen2.5-coder-1.5b``: the program and the model."""
        return UNICODE.dot.join(filter(None, ["adascale", self.model]))

    @property
    def outcome(self) -> str:
        """The answer with its probability, votes and cost, as below a search in the terminal."""
        return summary(self.view, UNICODE).plain

    @property
    def why(self) -> str:
        """Reason for the end of the search."""
        return one_line(why(self.view), UNICODE)

    @property
    def has_answer(self) -> bool:
        """True if there is an answer that can be compared; of a reply, and of a program, there is none."""
        return self.view.answer is not None and self.view.tree.problem.kind not in ("text", "code")

    @property
    def is_guess(self) -> bool:
        """True if the search says that it does not know the answer."""
        return self.view.result is not None and self.view.result.is_guess

    def facts(self) -> list[tuple[str, str]]:
        """Names and values of the settings of the search; unknown ones are left out."""
        generator, problem = self.view.started.models.generator, self.view.started.problem
        budget = self.view.started.budget
        limits = [f"{budget.max_tokens:,} tokens"] if budget.max_tokens is not None else []
        limits += [f"{budget.max_seconds:g} s"] if budget.max_seconds is not None else []
        found = [
            ("model", self.model),
            ("kind", f"{problem.kind} ({problem.why})" if problem.why else ""),
            ("sha256", generator.sha256 if generator else ""),
            ("strategy", self.view.started.strategy),
            ("modes", ", ".join(self.view.started.limits.modes)),
            ("budget", ", ".join(limits) or "none"),
            ("seed", str(self.view.started.seed)),
        ]
        return [(name, one_line(value, UNICODE)) for name, value in found if value]
