"""Downloads on the terminal: the question before, the progress meanwhile, one line afterwards."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from adascale.models.units import human_bytes

from .console import clean, may_animate, say, shown_path, stderr_console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from adascale.models.files.progress import DownloadPlan, Transfer

_PLAIN_EVERY_S = 10.0


class TransferView:
    """Shows what ``resolve`` reports; give it ``on_progress``.

    Bars on a terminal, else a plain line at most every ten seconds. Nothing is shown before the first
    report, so a question asked by ``confirm`` has the terminal to itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._progress: Progress | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._started: dict[str, float] = {}
        self._fetched: dict[str, int] = {}
        self._last_line = -_PLAIN_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
        if kind is None:
            for name, size in self._fetched.items():
                minutes, seconds = divmod(round(self._clock() - self._started[name]), 60)
                say(f"pulled {name}  {human_bytes(size)} in {minutes}:{seconds:02}")

    def on_progress(self, transfer: Transfer) -> None:
        """Take one report."""
        self._started.setdefault(transfer.label, self._clock())
        if transfer.activity == "fetching":
            self._fetched[transfer.label] = transfer.total_bytes
        if may_animate():
            self._draw(transfer)
        elif self._clock() - self._last_line >= _PLAIN_EVERY_S:
            self._last_line = self._clock()
            done, total = (count // 10**6 for count in (transfer.done_bytes, transfer.total_bytes))
            say(f"adascale: {transfer.activity} {transfer.label} {done}/{total} MB")

    def _draw(self, transfer: Transfer) -> None:
        if self._progress is None:
            self._progress = _bars()
            self._progress.start()
        key = (transfer.label, transfer.activity)
        if key not in self._tasks:
            text = clean(f"{transfer.activity} {transfer.label}")
            self._tasks[key] = self._progress.add_task(text, total=transfer.total_bytes)
        self._progress.update(self._tasks[key], completed=transfer.done_bytes)


def ask_consent(plan: DownloadPlan) -> bool:
    """Ask whether to download; without a terminal, say what will happen and go ahead."""
    announce(plan)
    return confirmed("download it?") if is_interactive() else True


def announce(plan: DownloadPlan) -> bool:
    """Say what will be downloaded; always True, so that it can stand for a given consent."""
    licence = f", {plan.licence}" if plan.licence else ""
    say(f"adascale: {plan.name} is not here yet: {human_bytes(plan.size_bytes)}{licence}, from {plan.origin}")
    say(f"adascale: it goes to {shown_path(plan.folder)}, where {human_bytes(plan.free_bytes)} are free")
    return True


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def confirmed(question: str) -> bool:
    """Ask on stderr; Return means yes, the end of input means no."""
    sys.stderr.write(f"{clean(question)} [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") and answer != ""


def _bars() -> Progress:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=stderr_console(),
        transient=True,
        # Redirecting would send the answer on stdout to the terminal.
        redirect_stdout=False,
        redirect_stderr=False,
    )
