"""Downloads on the terminal: the question before, the progress meanwhile, one line afterwards."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

from adascale.engine.decimals import human_bytes

from .console import clean, say, short_path
from .progress import Progress
from .text import clock

if TYPE_CHECKING:
    from adascale.models.files.progress import DownloadPlan, Transfer


class TransferView:
    """Shows the reports that ``resolve`` sends to ``on_progress``, and a line for each model at the end."""

    def __init__(self) -> None:
        self._progress = Progress("bytes")
        self._started: dict[str, float] = {}
        self._fetched: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._progress.__exit__()
        if kind is KeyboardInterrupt and self._fetched:
            say("adascale: stopped; the same command continues")
        if kind is None:
            for name, size in self._fetched.items():
                say(f"pulled {name}  {human_bytes(size)} in {clock(time.monotonic() - self._started[name])}")

    def on_progress(self, transfer: Transfer) -> None:
        """Show one report."""
        self._started.setdefault(transfer.label, time.monotonic())
        if transfer.activity == "fetching":
            self._fetched[transfer.label] = transfer.total_bytes
        task = f"{transfer.activity} {transfer.label}"
        self._progress.show(task, transfer.done_bytes, transfer.total_bytes)


def ask_consent(plan: DownloadPlan) -> bool:
    """Ask for consent to a download; without a terminal, announce it and go ahead."""
    announce(plan)
    return confirm("download it?", default=True) if is_interactive() else True


def announce(plan: DownloadPlan) -> bool:
    """Announce a download; always True, so that it can stand for a given consent."""
    licence = f", {plan.licence}" if plan.licence else ""
    size = human_bytes(plan.size_bytes)
    say(f"adascale: {plan.name} is not here yet: {size}{licence}, from {plan.origin}, sha256 verified")
    say(f"adascale: it goes to {short_path(plan.folder)}, where {human_bytes(plan.free_bytes)} are free")
    return True


def is_interactive() -> bool:
    """True if somebody can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def confirm(question: str, *, default: bool) -> bool:
    """Ask on stderr; Return means ``default``, the end of input means no."""
    sys.stderr.write(f"{clean(question)} [{'Y/n' if default else 'y/N'}] ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    answer = line.strip().lower()
    return answer in ("y", "yes") or (default and line != "" and answer == "")
