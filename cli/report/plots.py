"""Pictures, with matplotlib from the plots extra, in one style that reads without colour.

The same data gives the same bytes: no date, no random ids, and text stays text in an SVG.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adascale.engine.errors import UsageError
from adascale.models.extras import install_command
from adascale.models.storage import cache_folder

from ..disk.files import check_output, check_writable, has_mark, unwritable

_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": "0.92",
    "legend.frameon": False,
    "lines.linewidth": 1,
    "svg.fonttype": "none",
    "svg.hashsalt": "adascale",
}
_PROGRAM = "adascale reports"
"""Program that a picture names as its maker."""
_MARK = _PROGRAM.encode()

DARK = "#0072b2"


def check_plot(path: Path, sources: Iterable[str | Path] = ()) -> None:
    """Refuse early what could not be drawn after hours of work.

    Args:
        path: File to draw.
        sources: Files that are read, which no picture may replace.

    Raises:
        UsageError: matplotlib is not installed, or the file is neither PNG nor SVG, cannot be written, is
            one of the sources, or is there already and no picture of adascale.
    """
    check_writable(path)
    if path.suffix.lower() not in (".png", ".svg"):
        name = shlex.quote(str(path.with_suffix(".svg")))
        raise UsageError(f"--plot {path} is neither .png nor .svg", hint=f"--plot {name}")
    other = shlex.quote(f"{path.stem}-adascale{path.suffix}")
    check_output(path, f"--plot {other}", is_ours=partial(has_mark, mark=_MARK), reads=sources)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib", slug="no-matplotlib", hint=install_command("plots"))


def load_pyplot() -> Any:
    """``matplotlib.pyplot``, which draws into files in this style."""
    # A home that cannot be written to would cost a warning.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update(_STYLE)
    from matplotlib import pyplot

    return pyplot


def save_figure(figure: Any, path: Path, title: str, description: str = "") -> None:
    """Write a figure as PNG or SVG, by the file's name, and close it.

    Raises:
        UsageError: the file cannot be written.
    """
    metadata: dict[str, str | None] = {"Title": title, "Description": description}
    metadata |= (
        {"Date": None, "Creator": _PROGRAM} if path.suffix.lower() == ".svg" else {"Software": _PROGRAM}
    )
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    try:
        figure.savefig(path, dpi=150, metadata=metadata)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        load_pyplot().close(figure)


def error_bars(values: Sequence[float], ends: Iterable[tuple[float, float]]) -> list[list[float]]:
    """Distances from values down and up to the ends of their intervals; at least 0."""
    pairs = list(zip(values, ends, strict=True))
    return [[max(0.0, v - low) for v, (low, _) in pairs], [max(0.0, high - v) for v, (_, high) in pairs]]
