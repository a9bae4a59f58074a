"""The text of a single trajectory as it is written, for whoever shows it at once."""

from __future__ import annotations

from collections.abc import Sequence

from .events import BranchGrew, Event, StepProposed


class GrowingReply:
    """Collects a reply from the events of its search, without what may still change or be cut.

    Args:
        stops: Texts before which the reply ends.
        keeps_blanks: Keep blanks at its beginning.

    Attributes:
        sent: Text that ``take`` has returned so far.
        stopped_at: The stop text that ended the reply; None so far.
    """

    def __init__(self, stops: Sequence[str] = (), *, keeps_blanks: bool = False) -> None:
        self.sent = ""
        self._keeps_blanks = keeps_blanks
        self.stopped_at: str | None = None
        self._steps = ""
        self._stops = stops
        self._held = max(map(len, stops), default=1) - 1

    def take(self, event: Event) -> str:
        """The text that an event adds; thoughts add nothing."""
        match event:
            case StepProposed() if not event.step.is_thought:
                self._steps += event.step.text
                text = self._steps
            case BranchGrew(thinks=False):
                text = self._steps + event.text
            case _:
                return ""
        text = text if self._keeps_blanks else text.lstrip()
        kept, stop = cut_at_stop(text, self._stops)
        self.stopped_at = self.stopped_at or stop
        if stop is None:  # half of a stop, half of a character or a last blank may stand at the end
            kept = kept[: max(0, len(kept) - self._held)]
            kept = kept.rstrip().removesuffix("\N{REPLACEMENT CHARACTER}").rstrip()
        added = kept[len(self.sent) :]
        self.sent = max(self.sent, kept, key=len)
        return added


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text before the earliest stop text, and that stop; None if it contains none of them."""
    at, stop = min(((at, stop) for stop in stops if (at := text.find(stop)) >= 0), default=(len(text), None))
    return text[:at], stop
