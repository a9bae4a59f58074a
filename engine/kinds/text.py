"""Text: a message of a conversation, whose reply nobody can check.

It is asked below no built-in prompt, one reply is drawn, no calibration judges it, and it is reported token
by token as it is written. With a ``suffix`` among its details, perhaps an empty one, it is a text
that is continued as it stands, up to the suffix, and no message.
"""

from __future__ import annotations

from ..execution import Execution
from ..types import Finish, Mode, Problem
from .base import Kind


class Text(Kind):
    """A reply is shown as it is, and has no answer."""

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> None:
        """None: two replies cannot be compared."""
        return None


KIND = Text()
