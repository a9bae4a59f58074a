"""A fit of a calibration that is killed at random moments, again and again, against one left alone.

Usage: ``python -m bench.runtime.kills_fit [--model tiny] [--kills 100] [--questions 40] [--seed 1]``

SIGKILL comes at any moment of the time that the undisturbed fit took; then the same command goes on, until
the calibration is written, and the next fit begins in an empty folder. ``lost`` counts stored rollouts that a
kill took away, and calibrations that no later run could write, ``doubled`` rows above those of the
undisturbed fit, ``torn`` damaged stores and calibrations, ``different`` other rollouts or another calibration
than the undisturbed fit's, ``left`` processes that outlive their parent.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from safetensors.numpy import load_file

from adascale.engine.errors import AdascaleError
from adascale.engine.search.record import Record
from adascale.models.calibration.artefact import Card, load_artefact
from adascale.models.calibration.rollouts import RolloutStore

from ..common import arguments, close
from .soak import model_file

_FEW = ("--samples", "2", "--programs", "1", "-o", "ctx_size", "512", "-o", "threads", "1")
"""So many solutions of a question take seconds."""

Rows = Mapping[tuple[Any, ...], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit whose files lie in a folder of its own."""

    model: Path
    data: Path
    folder: Path

    def start(self) -> subprocess.Popen[bytes]:
        """Begin it, or go on with it."""
        words = ["calibrate", "fit", "-m", self.model, "-d", self.data, *_FEW, "-qq", "--json"]
        command = [sys.executable, "-m", "adascale", *map(str, words)]
        env = {**os.environ, "XDG_DATA_HOME": str(self.folder)}
        return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)

    def rows(self) -> Rows:
        """Solutions of stored rollouts by their question; none before the first.

        Raises:
            AdascaleError: the store is damaged.
        """
        found = sorted((self.folder / "adascale" / "rollouts").glob("*.jsonl"))
        if not found:
            return {}
        with closing(RolloutStore(found[0], read_only=True)) as store:
            kept = [store.get(each.started.problem) for each in store.every()]
            return {(each.started.problem.id,): tuple(_solutions(each)) for each in kept if each is not None}

    def calibrations(self) -> list[tuple[Card, dict[str, bytes]]]:
        """Whole calibrations, their cards and arrays.

        Raises:
            AdascaleError: one is torn.
        """
        paths = sorted((self.folder / "adascale" / "calibrations").glob("*.safetensors"))
        arrays = ({name: array.tobytes() for name, array in load_file(path).items()} for path in paths)
        return [(load_artefact(path).card, own) for path, own in zip(paths, arrays, strict=True)]

    def run_killed(self, kills: int, seconds: float, rng: random.Random) -> Counter[str]:
        """Run it until the calibration is there, killing it meanwhile so often at most; returns faults."""
        found: Counter[str] = Counter()
        code: int | None = None
        while code != 0:
            before = self._kept(found)
            with self.start() as process:
                end = time.monotonic() + rng.uniform(0, seconds)
                while process.poll() is None and (found["kills"] == kills or time.monotonic() < end):
                    time.sleep(0.002)
                if process.poll() is None:
                    children = psutil.Process(process.pid).children(recursive=True)
                    process.kill()
                    found["kills"] += 1
                    found["left"] += len(psutil.wait_procs(children, timeout=10)[1])
                elif process.returncode != 0:
                    found["lost"] += 1
                    break
                code = process.wait()
            after = self._kept(found)
            found["lost"] += len(before.keys() - after.keys())
        return found

    def _kept(self, found: Counter[str]) -> Rows:
        try:
            self.calibrations()
            return self.rows()
        except AdascaleError:
            found["torn"] += 1
            return {}


def _solutions(record: Record) -> Iterator[tuple[str | None, list[tuple[object, ...]]]]:
    """Answer of each solution, and its steps with the states that they were written from."""
    for each in record.candidates:
        steps = record.tree.steps(each.node)
        read = [step.reading and (step.reading.last.tobytes(), step.reading.mean.tobytes()) for step in steps]
        yield each.answer, list(zip([step.token_ids for step in steps], read, strict=True))


def kill_again_and_again(model: Path, data: Path, kills: int, seed: int, folder: Path) -> Counter[str]:
    """Kill so often, in as many fits as it takes; returns their number, kills and faults."""
    started = time.monotonic()
    alone = Fit(model, data, folder / "alone")
    with alone.start() as process:
        assert process.wait() == 0
    seconds, rows, calibrations = time.monotonic() - started, alone.rows(), alone.calibrations()
    assert rows, "a fit keeps its rollouts"
    assert calibrations, "a fit writes a calibration"
    found: Counter[str] = Counter()
    rng = random.Random(seed)
    while found["kills"] < kills:
        fit = Fit(model, data, folder / f"fit{found['fits']}")
        found += fit.run_killed(kills - found["kills"], seconds, rng)
        found["fits"] += 1
        kept = fit.rows()
        found["doubled"] += len(kept.keys() - rows.keys())
        found["lost"] += len(rows.keys() - kept.keys())
        found["different"] += sum(kept.get(key) != value for key, value in rows.items())
        found["different"] += fit.calibrations() != calibrations
    return found


def write_questions(path: Path, count: int) -> Path:
    """So many questions with answers, two of three of which the tests' model knows."""
    rows = [
        {"id": str(n), "question": f"What is {n} * 2?", "answer": "18" if n % 3 else "20"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def main() -> None:
    args = arguments(__doc__, model="tiny", kills=100, questions=40, seed=1)
    with TemporaryDirectory() as name, model_file(args.model) as model:
        data = write_questions(Path(name) / "questions.jsonl", args.questions)
        found = kill_again_and_again(model, data, args.kills, args.seed, Path(name))
    faults = {fault: found[fault] for fault in ("lost", "doubled", "torn", "different", "left")}
    close({"kills": found["kills"], "fits": found["fits"], **faults})
    assert not any(faults.values()), "a kill has done harm"


if __name__ == "__main__":
    main()
