"""Reports of a download while it runs, and the plan that it asks consent for."""

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
    """Progress of a transfer; ``done_bytes`` goes back only where it begins anew.

    Attributes:
        label: Name of the model.
        done_bytes: Bytes that have arrived or were checked.
        total_bytes: Size of the file.
        activity: Fetching, checking the digest, or waiting for another process that downloads the file.
    """

    label: str
    done_bytes: int
    total_bytes: int
    activity: Activity = "fetching"


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """A download before its first byte, for consent.

    Attributes:
        name: Name of the model.
        origin: Place that it comes from, for people to read.
        size_bytes: Size of the model file.
        free_bytes: Disk space that is free now.
        folder: Cache that it goes to.
        licence: Licence of the model, empty when unknown.
    """

    name: str
    origin: str
    size_bytes: int
    free_bytes: int
    folder: Path
    licence: str


Report = Callable[[Transfer], None]
Confirm = Callable[[DownloadPlan], bool]
