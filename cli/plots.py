"""Pictures, with matplotlib from the plots extra; they read without colour."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adascale.engine.errors import UsageError

_NAMES = {"question": "Question", "step": "Unfinished", "finished": "Finished", "answer": "Answer"}
_MARKERS = "osD^vPX*<>"


def check_plot(path: Path) -> None:
    """Refuse early what could not be drawn after hours of work.

    Raises:
        UsageError: matplotlib is not installed, or the file is neither PNG nor SVG or cannot be written.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--plot {path} is neither .png nor .svg")
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise UsageError(f"--plot {path} cannot be written")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "pictures need matplotlib", slug="no-matplotlib", hint='pip install "adascale[plots]"'
        )


def reliability_diagram(stages: Mapping[str, Any], path: Path, label: str = "calibrated") -> None:
    """Estimated against observed by stage, the raw score beside it; PNG or SVG by the file's name.

    Args:
        stages: Report by stage.
        path: Is overwritten.
        label: What the estimates are.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = _pyplot()
    ordered = [(name, stages[name]) for name in _NAMES if name in stages]
    size = (3.2 * len(ordered), 3.4)
    figure, [axes] = pyplot.subplots(1, len(ordered), figsize=size, sharey=True, squeeze=False)
    for axis, (name, data) in zip(axes, ordered, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        if "raw" in data:
            _line(axis, data["raw"]["reliability"], "0.55", "x--", "raw score")
        _line(axis, data["reliability"], "0.1", "o-", label)
        axis.set(title=_NAMES[name], xlabel="estimated", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0].set_ylabel("observed")
    axes[-1].legend(*_legend(axes), frameon=False, fontsize=8, loc="upper left")
    figure.tight_layout()
    _save(figure, path)


def frontier(strategies: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Accuracy with its 95 % interval against generated tokens a question; PNG or SVG by the file's name.

    Args:
        strategies: Of an evaluation's report.
        path: Is overwritten.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(6.4, 4.2))
    for at, strategy in enumerate(strategies):
        x, y, (low, high) = strategy["generated_tokens"], strategy["accuracy"], strategy["accuracy_ci"]
        error = [[max(0.0, y - low)], [max(0.0, high - y)]]
        axis.errorbar([x], [y], error, color="0.2", marker=_MARKERS[at % len(_MARKERS)], linewidth=0.6)
        axis.annotate(strategy["name"], (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axis.set(xlabel="generated tokens a question", ylabel="accuracy", xscale="log")
    figure.tight_layout()
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "adascale"  # the same data gives the same bytes
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    try:
        figure.savefig(path, dpi=150, metadata=metadata)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        _pyplot().close(figure)


def _line(axis: Any, bins: list[Mapping[str, float]], color: str, style: str, label: str) -> None:
    x, y = [b["estimate"] for b in bins], [b["observed"] for b in bins]
    axis.plot(x, y, style, color=color, markersize=4, linewidth=1, label=label)


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Every label once, whichever panel drew it."""
    found = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found[label] = handle
    return list(found.values()), list(found)
