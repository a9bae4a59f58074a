"""Shared by the benches: arguments, models, files, lists of questions, a prompt, figures, tables."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from adascale.cli.terminal.text import columns
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.types import Problem
from adascale.models.files.library import resolve

from .metrics import ece, ece_floor

STORY = "Write a very long and detailed story about a lighthouse keeper and the sea. Do not stop early. "


def model_path(name: str) -> Path:
    """File of a catalogue name or path, fetched if need be."""
    return resolve(name).path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON Lines of a file, which is compressed where its name ends in .gz."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def kept_lines(path: Path) -> list[dict[str, Any]]:
    """The lines that a run before has kept; none before the first."""
    return read_lines(path) if path.exists() else []


def append(path: Path, *objects: Mapping[str, Any]) -> None:
    """Add lines, compressed where the name ends in .gz: such a file may have several members."""
    data = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects).encode()
    with path.open("ab") as file:
        file.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def listed(files: Sequence[Sequence[Problem]], ids: Path) -> list[Problem]:
    """The questions of a file of ids, one a line, in its order (``bench/frozen``)."""
    known = {problem.id: problem for file in files for problem in file}
    return [known[id_] for id_ in ids.read_text(encoding="utf-8").split()]


def arguments(doc: str | None, *names: str, **flags: Any) -> argparse.Namespace:
    """Words of the command line: places by their names, and flags by their defaults, whose type they have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name)
    for name, usual in flags.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    return parser.parse_args()


def close(figures: dict[str, Any]) -> None:
    """The last line of every bench: its figures, for programs."""
    print(json.dumps(figures, allow_nan=False))


def table(header: list[str], rows: list[list[str]]) -> None:
    """Columns aligned to the right, for people."""
    print(columns([header, *rows], ">" * len(header)), flush=True)


@dataclass(frozen=True, slots=True)
class Played:
    """A rule on one question: whether it is right, its probability (None without one) and its tokens."""

    right: bool
    p: float | None
    tokens: int


def judged(found: Sequence[tuple[float, bool]]) -> Predictions:
    """Probabilities of answers to different questions, and whether each is right."""
    p, right = np.array([p for p, _ in found]), np.array([float(right) for _, right in found])
    return Predictions(np.arange(len(p), dtype=np.int64), np.column_stack([p, p, p]), right, np.ones_like(p))


def level(found: Sequence[tuple[float, bool]]) -> str:
    """ECE of probabilities, and the ECE that true ones would have on as many questions."""
    if not found:
        return "-"
    known = judged(found)
    return f"{ece(known):.3f} ({ece_floor(known):.3f})"


def share(right: Sequence[bool]) -> str:
    """How many of them, as a share."""
    return f"{fmean(right):.3f}" if right else "-"
