"""What a download reports while it runs, and the plan that it asks consent for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .reference import Store

Source = Literal["path", "cache", "hub", "wheel"] | Store
Activity = Literal["fetching", "checking", "waiting"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Progress of a transfer; ``done_bytes`` never goes back for one label and activity.

    Attributes:
        label: The model's name.
        activity: Waiting is for another process that downloads the same file.
    """

    label: str
    done_bytes: int
    total_bytes: int
    activity: Activity = "fetching"


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """A download before its first byte, for consent.

    Attributes:
        source: Where it comes from first.
        origin: The repository or the packages, for people.
        size_bytes: Size of the model file.
        needed_bytes: Disk it takes while it runs.
        free_bytes: Disk that is free now.
        folder: The cache it goes to.
        licence: Licence of the model, empty when unknown.
    """

    name: str
    source: Source
    origin: str
    size_bytes: int
    needed_bytes: int
    free_bytes: int
    folder: Path
    licence: str


Report = Callable[[Transfer], None]
Confirm = Callable[[DownloadPlan], bool]
