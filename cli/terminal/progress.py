"""Progress of long work: bars on a terminal, a line every ten seconds elsewhere, nothing when quiet."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, Self

from adascale.engine.errors import human_bytes

from .console import may_animate, stderr_console
from .streams import say
from .text import clean, duration, short_path

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from adascale.models.files.cache import DownloadPlan, Transfer

LINE_EVERY_S: Final = 10.0
"""Seconds between two lines of progress."""


class Progress:
    """A bar for each task that is not complete, or lines if the cursor may not move.

    Nothing is shown before the first ``show``, so that a question has the terminal to itself until then.

    Args:
        unit: Unit of the counts; bytes are shown as MB.
        quiet: Show nothing.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        unit: Literal["questions", "rows", "bytes"],
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scale, self._unit = (10**6, "MB") if unit == "bytes" else (1, unit)
        self._quiet, self._clock = quiet, clock
        # The first line of a download is due at once.
        self._next_line = clock() + (0.0 if unit == "bytes" else LINE_EVERY_S)
        self._bars: Bars | None = None
        self._ids: dict[str, TaskID] = {}
        self._began: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            atexit.unregister(self._bars.stop)

    def show(self, task: str, done: int, total: int | None, *facts: str) -> None:
        """Show how far a task is.

        Args:
            task: Name of the task and of its bar, such as ``generating``.
            done: Questions, rows or bytes so far.
            total: Questions, rows or bytes at the end; None if that is unknown.
            facts: Further texts, such as the speed.
        """
        if self._quiet:
            return
        now = self._clock()
        began, first = self._began.setdefault(task, (now, done))
        if total and first < done < total:
            speed = (done - first) / max(now - began, 1e-3)
            facts += (f"{speed / self._scale:.1f} MB/s",) if self._unit == "MB" else ()
            facts += (f"about {duration((total - done) / speed)} left",)
        amount = f"{done // self._scale:,}"
        amount = f"{amount}/{total // self._scale:,} {self._unit}" if total else f"{amount} {self._unit}"
        if may_animate():
            self._draw(clean(task), done, total, ", ".join([amount, *facts]))
        elif now >= self._next_line:
            self._next_line = now + LINE_EVERY_S
            say(f"adascale: {', '.join([f'{task} {amount}', *facts])}")

    def _draw(self, task: str, done: int, total: int | None, note: str) -> None:
        if self._bars is None:
            self._bars = _new_bars(asks=self._unit == "MB")
            atexit.register(self._bars.stop)  # in case they run in a thread that is left behind
            self._bars.start()
        if task not in self._ids:
            self._ids[task] = self._bars.add_task(task, total=total, note="")
        self._bars.update(self._ids[task], completed=done, note=note, visible=total is None or done < total)


def _new_bars(*, asks: bool) -> Bars:
    """Build bars that vanish at the end; ``asks`` if a question may stand below them."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=stderr_console(),
        transient=True,
        # Redirecting would send the answer on stdout to the terminal.
        redirect_stdout=False,
        # A question has no line end, and would be held back.
        redirect_stderr=not asks,
    )


class TransferView(Progress):
    """Shows the reports that ``resolve`` sends to ``on_progress``, and a line for each model at the end."""

    def __init__(self) -> None:
        super().__init__("bytes")
        self._fetched: dict[str, tuple[int, float]] = {}

    def __exit__(self, _: object = None, error: object = None, *__: object) -> None:
        """Take the bars away, and list the models that were fetched."""
        super().__exit__()
        if isinstance(error, KeyboardInterrupt) and self._fetched:
            say("adascale: the same command continues the download")
        if error is None:
            for name, (size, began) in self._fetched.items():
                say(f"pulled {name}  {human_bytes(size)} in {duration(time.monotonic() - began)}")

    def on_progress(self, transfer: Transfer) -> None:
        """Show one report."""
        if transfer.activity == "fetching":
            self._fetched.setdefault(transfer.label, (transfer.total_bytes, time.monotonic()))
        self.show(f"{transfer.activity} {transfer.label}", transfer.done_bytes, transfer.total_bytes)


def consents(plan: DownloadPlan, *, asks: bool) -> bool:
    """Announce a download, and ask for consent if ``asks`` and somebody can answer."""
    licence = f", {plan.licence}" if plan.licence else ""
    size = human_bytes(plan.size_bytes)
    say(f"adascale: {plan.name} is not here yet: {size}{licence}, from {plan.origin}, sha256 verified")
    say(f"adascale: it goes to {short_path(plan.folder)}, where {human_bytes(plan.free_bytes)} are free")
    return not (asks and is_interactive()) or confirm("download it?", default=True)


def is_interactive() -> bool:
    """True if somebody can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def confirm(question: str, *, default: bool) -> bool:
    """Ask on stderr; Return means ``default``, the end of input means no."""
    sys.stderr.write(f"{clean(question)} [{'Y/n' if default else 'y/N'}] ")
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        say("")  # behind the question
        raise
    answer = line.strip().lower()
    return answer in ("y", "yes") or (default and line != "" and answer == "")
