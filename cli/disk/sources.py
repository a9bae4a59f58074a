"""Where ``export`` finds searches: kept runs, traces, and stores of rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from adascale.engine.errors import TraceError, UsageError
from adascale.export import SampledQuestion, read_rollouts
from adascale.models.lines import BEGIN
from adascale.models.storage import data_folder

from .history import past_runs, runs_dir
from .trace import read_record

UNREADABLE_RUN = "kept runs that cannot be read"
NO_STEPS = "searches without a step"

_FIXES = {
    "runs": 'adascale ask "What is 17 * 23?"',
    "rollouts": "adascale calibrate fit -d questions.jsonl",
}
"""Sources that this machine keeps by itself, and a command that makes each."""


def find_sources(names: Sequence[str]) -> list[Path]:
    """The files of sources by name, each once, in the order in which they are read.

    Args:
        names: ``runs`` or ``rollouts`` that this machine keeps; a trace; a folder of traces, as
            ``batch --traces`` writes it; or a store.

    Raises:
        UsageError: There is no such file, or nothing is kept.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for path in _kept_sources(name) if name in _FIXES else _sources_at(Path(name)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def read_sources(sources: Sequence[Path]) -> Iterator[SampledQuestion | str]:
    """Yield the questions of all sources, one in memory at a time, or why one is left out.

    Raises:
        TraceError: A trace cannot be read; a kept run is left out then.
        AdascaleError: A store is damaged.
    """
    for path in sources:
        with path.open("rb") as file:
            is_store = file.read(len(BEGIN)) == BEGIN
        if is_store:
            yield from read_rollouts(path)
            continue
        try:
            record = read_record(path)
        except TraceError:
            if path.parent != runs_dir():
                raise
            yield UNREADABLE_RUN
        else:
            yield SampledQuestion.of(record) if len(record.tree) > 1 else NO_STEPS


def _kept_sources(name: str) -> list[Path]:
    folder = runs_dir() if name == "runs" else data_folder() / name
    found = past_runs()[::-1] if name == "runs" else sorted(folder.glob("*.jsonl"))
    if not found:
        raise UsageError(
            f"no {name} are kept yet", f"they would be in {folder}", hint=_FIXES[name], slug="no-source"
        )
    return found


def _sources_at(path: Path) -> list[Path]:
    if found := [path] if path.is_file() else sorted(path.glob("*.jsonl")):
        return found
    raise UsageError(
        f"{path} holds no searches" if path.is_dir() else f"there is no source {path}",
        hint="--from runs, rollouts, a trace, a folder of traces, or a store of rollouts",
        slug="no-source",
    )
