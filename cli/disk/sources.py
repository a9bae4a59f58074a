"""Where ``export`` finds searches: kept runs, traces, and the stores of rollouts and draws."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adascale.engine.errors import TraceError, UsageError
from adascale.engine.types import Problem
from adascale.export.sampled import SampledQuestion
from adascale.export.sources import read_draws, read_rollouts
from adascale.models.storage import data_folder

from .history import past_runs, runs_dir
from .trace import read_record

SourceKind = Literal["run", "trace", "rollouts", "draws"]

UNREADABLE_RUN = "kept runs that cannot be read"
NO_STEPS = "searches without a step"

_FIXES = {
    "runs": 'adascale ask "What is 17 * 23?"',
    "rollouts": "adascale calibrate fit -d questions.jsonl",
    "draws": "adascale eval questions.jsonl",
}
"""Sources that this machine keeps by itself, and a command that makes each."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to export.

    Attributes:
        kind: Contents; a run is a trace in the history, where an unreadable one is no error.
        path: The file.
    """

    kind: SourceKind
    path: Path


def find_sources(names: Sequence[str]) -> list[Source]:
    """The files of sources by name, each once, in the order in which they are read.

    Args:
        names: ``runs``, ``rollouts`` or ``draws`` that this machine keeps; a trace; a folder of traces, as
            ``batch --traces`` writes it; or a store.

    Raises:
        UsageError: There is no such file, or nothing is kept.
    """
    found: dict[Path, Source] = {}
    for name in names:
        for source in _kept_sources(name) if name in _FIXES else _sources_at(Path(name)):
            found.setdefault(source.path.resolve(), source)
    return list(found.values())


def read_sources(
    sources: Sequence[Source], problems: Sequence[Problem], draw_seed: int
) -> Generator[SampledQuestion | str, None, None]:
    """Yield the questions of all sources, one in memory at a time, or why one is left out.

    Args:
        sources: Files, in the order in which they are read.
        problems: Questions of the evaluations whose draws are read.
        draw_seed: Seed of those evaluations.

    Raises:
        TraceError: A trace cannot be read.
        UsageError: A store cannot be read.
    """
    for source in sources:
        match source.kind:
            case "trace":
                yield _read_trace(source.path)
            case "run":
                try:
                    yield _read_trace(source.path)
                except TraceError:
                    yield UNREADABLE_RUN
            case "rollouts":
                with _readable(source.path):
                    yield from read_rollouts(source.path)
            case "draws":
                with _readable(source.path):
                    yield from read_draws(source.path, problems, draw_seed)


def _read_trace(path: Path) -> SampledQuestion | str:
    record = read_record(path)
    return SampledQuestion.of(record) if len(record.tree) > 1 else NO_STEPS


def _kept_sources(name: str) -> list[Source]:
    if name == "runs":
        folder = runs_dir()
        found = [Source("run", path) for path in reversed(past_runs())]
    else:
        folder = data_folder() / name
        found = [source for path in sorted(folder.glob("*.sqlite")) for source in _sources_at(path)]
    if not found:
        raise UsageError(
            f"no {name} are kept yet", f"they would be in {folder}", hint=_FIXES[name], slug="no-source"
        )
    return found


def _sources_at(path: Path) -> list[Source]:
    if path.is_file():
        with path.open("rb") as file:
            is_store = file.read(6) == b"SQLite"
        return [Source(_kind_of_store(path) if is_store else "trace", path)]
    if found := [Source("trace", each) for each in sorted(path.glob("*.jsonl"))]:
        return found
    raise UsageError(
        f"{path} holds no searches" if path.is_dir() else f"there is no source {path}",
        hint=f"--from {', '.join(_FIXES)}, a trace, a folder of traces, or a store",
        slug="no-source",
    )


def _kind_of_store(path: Path) -> SourceKind:
    with _readable(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "rollouts" in tables:
        return "rollouts"
    if "draws" in tables:
        return "draws"
    raise UsageError(
        f"{path} has nothing that calibrate or eval keeps", hint="--from rollouts", slug="no-source"
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in a line why a store cannot be read."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the store {path}: {error}", slug="unreadable") from error
