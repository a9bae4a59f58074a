"""How a session is opened, and where it tells what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .files.remote_file import Confirm, Report

Purpose = Literal["search", "rollouts", "replay"]
"""What a session is for: questions as they come; draws for a calibration, scored afterwards; or draws for an
evaluation, which are kept and played back. A draw of the last two is the same whoever runs beside it."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to open models.

    Attributes:
        generator: Model reference.
        prm: ``REF`` or ``FORMAT=REF`` of a PRM or judge, ``self`` for the generator itself,
            ``probe`` for its own hidden states, or ``none``.
        branches: Branches that run at once, 1 to 64.
        ctx_size: Tokens of one trajectory; None for ``WINDOW`` or what the model allows.
        threads: CPU threads; None for the physical cores.
        gpu_layers: Layers to offload, -1 for all; None for all if this build can.
        temperature, top_p, max_tokens: How trajectories are drawn; None for what the calibration was fitted
            with, since only so do its probabilities hold, and without one for ``SamplingParams``.
        system: System prompt; None for the built-in one.
        offline: Never touch the network.
        force: Load even if memory looks too small.
        purpose: What it is for; all but ``search`` decode every batch at the same width.
        calibration: ``auto`` for the one that belongs to the models, ``none``, or a file.
    """

    generator: str
    prm: str = "probe"
    branches: int = 8
    ctx_size: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    system: str | None = None
    offline: bool = False
    force: bool = False
    purpose: Purpose = "search"
    calibration: str = "auto"


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a session tells what it does.

    Attributes:
        status: Status lines.
        on_progress: Downloads.
        confirm: Consent for one.
        log: llama.cpp's log.
        loading: Each file before llama.cpp opens it: who survives an abort knows by it which one it was.
    """

    status: Callable[[str], None] = lambda text: None
    on_progress: Report | None = None
    confirm: Confirm | None = None
    log: Callable[[str], None] | None = None
    loading: Callable[[Path], None] = lambda path: None
