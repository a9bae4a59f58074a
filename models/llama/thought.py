"""The thought of a running branch: whether the branch is inside, and what ends the thought.

A thought is known by its tags in the text that is written. At its budget, or where the model ends its turn in
the middle, it is closed with tokens that are appended as they are ("budget forcing", arXiv 2501.19393):
nothing is tokenized again, and the answer is written behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adascale.engine.types import Step, Thought

MIN_STEP = 64
"""Tokens of a step of a thought at least: thoughts have a blank line every few words."""

CLOSING = "\n\nI have to answer now, with what I have found so far.\n"
"""What a thought ends with at its budget, before its closing tag."""


@dataclass(frozen=True, slots=True)
class ThoughtFormat:
    """How thoughts begin and end behind one kind of prompt.

    Attributes:
        opening, closing: The tags, as UTF-8.
        is_open: Whether the prompt ends inside a thought.
        cut: Tokens that close a thought at its budget, and lead to the answer.
        cut_text: Their text, up to where the answer begins.
        lead: Tokens that lead to the answer behind a thought that the model has closed.
    """

    opening: bytes
    closing: bytes
    is_open: bool
    cut: tuple[int, ...]
    cut_text: bytes
    lead: tuple[int, ...] = ()

    def following(self, part: Thought) -> tuple[tuple[int, ...], bytes]:
        """The tokens that follow a part of a thought, and their text as far as it belongs to the thought."""
        match part:
            case "part":
                return (), b""
            case "whole":
                return self.lead, b""
            case "cut":
                return self.cut, self.cut_text


ThoughtPhase = Literal["before", "inside", "behind"]
"""Of a branch: its text may still become an opening tag, it thinks, or it writes its answer."""


class ThoughtProgress:
    """Where a branch stands in its thought.

    Args:
        form: Of the branch's prompt.
        budget: Tokens that the thoughts of a trajectory may have.
        steps: Those that the branch continues.

    Attributes:
        phase: Where the next token is written.
    """

    def __init__(self, form: ThoughtFormat, budget: int, steps: Sequence[Step]) -> None:
        self.form = form
        self.phase: ThoughtPhase = "inside" if form.is_open else "before"
        if steps:
            self.phase = _phase_behind(steps[-1])
        self._budget = budget
        self._tokens = sum(len(step.token_ids) for step in steps if step.is_thought)

    def look_for_opening(self, text: bytearray) -> None:
        """Look for the opening tag at the beginning of a step's text."""
        if self.phase != "before":
            return
        begun = bytes(text.lstrip())
        if begun.startswith(self.form.opening):
            self.phase = "inside"
        elif not self.form.opening.startswith(begun):
            self.phase = "behind"

    def part(self, text: bytearray, last_piece: bytes, tokens: int, *, at_delimiter: bool) -> Thought | None:
        """What of the thought is complete with the last token of a step; None where the step goes on.

        Args:
            text: Of the step.
            last_piece: Bytes of its last token.
            tokens: Of the step.
            at_delimiter: Whether a blank line ends it.
        """
        if self.form.closing in text[-(len(last_piece) + len(self.form.closing) - 1) :]:
            return "whole"
        if self._tokens + tokens >= self._budget:
            return "cut"
        return "part" if at_delimiter and tokens >= MIN_STEP else None

    def end_step(self, step: Step) -> None:
        """A step of the thought is complete."""
        self._tokens += len(step.token_ids)
        self.phase = _phase_behind(step)

    def tokens_beside(self, tokens: int) -> int:
        """Tokens of thoughts that do not count as tokens of the solution: no more than one thought has.

        Args:
            tokens: Of the unfinished step.
        """
        written = self._tokens + (tokens if self.phase == "inside" else 0)
        return min(written, self._budget + len(self.form.cut))


def _phase_behind(step: Step) -> ThoughtPhase:
    """Where a branch stands behind a step; some models think again behind a thought."""
    match step.thought:
        case None:
            return "behind"
        case "part":
            return "inside"
        case "whole" | "cut":
            return "before"
