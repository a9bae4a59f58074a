"""Where sampled questions lie on this machine: kept runs, traces, and the stores of rollouts and draws."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adascale.engine.datasets.sampled import SampledQuestion
from adascale.engine.datasets.writing import Omission
from adascale.engine.errors import TraceError, UsageError
from adascale.engine.types import Problem
from adascale.models.storage import data_folder

from .history import past_runs, runs_dir
from .trace import read_sampled

SourceKind = Literal["run", "trace", "rollouts", "draws"]

UNREADABLE_RUN = Omission("kept runs that cannot be read")
NO_STEPS = Omission("searches that failed before their first step")

_KEPT = ("runs", "rollouts", "draws")
"""Names of what this machine keeps by itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of sampled questions.

    Attributes:
        kind: What it holds; a run is a trace in the history, where an unreadable one is no error.
        path: The file.
    """

    kind: SourceKind
    path: Path


def find_sources(names: Sequence[str]) -> list[Source]:
    """The files of sources by name, each once, in the order in which they are read.

    Args:
        names: ``runs``, ``rollouts`` or ``draws`` for what this machine keeps; a trace; a folder of traces,
            as ``batch --traces`` writes it; or a store.

    Raises:
        UsageError: there is no such file, or nothing is kept.
    """
    found: dict[Path, Source] = {}
    for name in names:
        for source in _kept_sources(name) if name in _KEPT else _sources_at(Path(name)):
            found.setdefault(source.path.resolve(), source)
    return list(found.values())


def read_sources(
    sources: Sequence[Source], problems: Sequence[Problem], draw_seed: int
) -> Iterator[SampledQuestion | Omission]:
    """The questions of all sources, one in memory at a time.

    Args:
        sources: Files, in the order in which they are read.
        problems: Questions of the evaluations whose draws are read.
        draw_seed: Seed of those evaluations.

    Raises:
        TraceError: a trace cannot be read.
    """
    from adascale.models.datasets.from_draws import read_draws  # reads numpy arrays
    from adascale.models.datasets.from_rollouts import read_rollouts

    readers: dict[SourceKind, Callable[[Path], Iterator[SampledQuestion | Omission]]] = {
        "run": _read_run,
        "trace": _read_trace,
        "rollouts": read_rollouts,
        "draws": lambda path: read_draws(path, problems, draw_seed),
    }
    for source in sources:
        with _readable(source.path):
            yield from readers[source.kind](source.path)


def _kept_sources(name: str) -> list[Source]:
    if name == "runs":
        found = [Source("run", path) for path in reversed(past_runs())]
        folder, fix = runs_dir(), 'adascale ask "What is 17 * 23?"'
    else:
        folder = data_folder() / name
        found = [source for path in sorted(folder.glob("*.sqlite")) for source in _sources_at(path)]
        fix = (
            "adascale calibrate fit -d questions.jsonl"
            if name == "rollouts"
            else "adascale eval questions.jsonl"
        )
    if not found:
        raise UsageError(f"no {name} are kept yet", f"they would be in {folder}", hint=fix, slug="no-source")
    return found


def _sources_at(path: Path) -> list[Source]:
    if path.is_dir():
        found = [Source("trace", each) for each in sorted(path.glob("*.jsonl"))]
        if not found:
            raise UsageError(
                f"the folder {path} holds no trace", hint="adascale batch --traces", slug="no-source"
            )
        return found
    if not path.is_file():
        raise UsageError(
            f"there is no source {path}",
            hint=f"--from {'|'.join(_KEPT)}, a trace, a folder of traces, or a store",
            slug="no-source",
        )
    with path.open("rb") as file:
        is_store = file.read(6) == b"SQLite"
    return [Source(_kind_of_store(path), path)] if is_store else [Source("trace", path)]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in a line why a store cannot be read."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the store {path}: {error}", slug="unreadable") from error


def _kind_of_store(path: Path) -> SourceKind:
    with _readable(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "rollouts" in tables:
        return "rollouts"
    if "draws" in tables:
        return "draws"
    raise UsageError(f"{path} holds neither rollouts nor draws", hint="--from rollouts", slug="no-source")


def _read_trace(path: Path) -> Iterator[SampledQuestion | Omission]:
    question = read_sampled(path)
    yield question if len(question.nodes) > 1 else NO_STEPS


def _read_run(path: Path) -> Iterator[SampledQuestion | Omission]:
    try:
        yield from _read_trace(path)
    except TraceError:
        yield UNREADABLE_RUN
