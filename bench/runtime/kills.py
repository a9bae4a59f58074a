"""A batch whose processes are killed at random moments, again and again, against the same one left alone.

Usage: ``python -m bench.runtime.kills [--model smollm2-135m] [--kills 100] [--questions 12]
[--standing 5] [--seed 1]``

SIGKILL meets the parent and the worker by turns, at any moment of the first ``--within`` seconds after models
begin to load, or after ``--standing`` records are written; then the same command goes on, until the output is
whole, and the next output begins. ``lost`` and ``doubled`` count records against the questions, ``torn``
lines that are no record where a later one is, ``different`` answers other than those of the undisturbed run
(quantized kernels may round otherwise where a question has other neighbours in its batch).
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from ..common import arguments, close
from .soak import model_file


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that can be run again: its command but for the output, and the environment; None keeps ours."""

    command: tuple[str, ...]
    env: Mapping[str, str] | None = None

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Run it, or go on with it."""
        return subprocess.Popen([*self.command, "--output", str(out)], env=self.env)

    def run_killed(
        self, out: Path, numbers: range, within: float, rng: random.Random, standing: int = 0
    ) -> int:
        """Run it until its output is whole, killing it meanwhile.

        Args:
            out: Its output.
            numbers: Numbers of the kills; even ones are of the parent, odd ones of the worker.
            within: Seconds of work before a kill, at most.
            rng: Draws these seconds.
            standing: Records that are written before a kill, at least.

        Returns:
            How many of the kills came to pass before it was done.
        """
        kills, code = 0, None
        while code != 0:  # a run whose worker was killed ends with 6
            with self.start(out) as process:
                while process.poll() is None and kills < len(numbers):
                    while standing and process.poll() is None and _lines(out) < standing:
                        time.sleep(0.002)
                    moment = rng.uniform(0.0 if standing else 0.2, within)
                    kills += _kill_in_the_middle(process, numbers[kills] % 2 == 0, moment)
                code = process.wait()
        return kills


def _lines(out: Path) -> int:
    return out.read_bytes().count(b"\n") if out.exists() else 0


@dataclass(frozen=True, slots=True)
class Output:
    """Records of a batch.

    Attributes:
        counts: How many records each question has.
        answers: What was found, without what depends on the time it took.
        torn: Lines that are no record.
    """

    counts: Counter[str]
    answers: Mapping[str, tuple[Any, ...]]
    torn: int

    @classmethod
    def read(cls, out: Path) -> Output:
        """The output in a file that no run is writing."""
        counts: Counter[str] = Counter()
        answers: dict[str, tuple[Any, ...]] = {}
        torn = 0
        for line in out.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line)
                answers[record["id"]] = (record["answer"], record["agreement"], record["solution"])
                counts[record["id"]] += 1
                torn += not line.endswith(b"\n")
            except (ValueError, LookupError, TypeError):
                torn += 1
        return cls(counts, answers, torn)

    def faults(self, whole: Output) -> Counter[str]:
        """Faults of this output against that of an undisturbed run."""
        return Counter(
            lost=len(whole.counts.keys() - self.counts.keys()),
            doubled=sum(count - 1 for count in self.counts.values()),
            torn=self.torn,
            different=sum(self.answers.get(id_) != answer for id_, answer in whole.answers.items()),
        )


def kill_again_and_again(
    batch: Batch, kills: int, within: float, seed: int, folder: Path, standing: int = 0
) -> Counter[str]:
    """Kill so often, in as many outputs as it takes; returns their number, kills and faults."""
    with batch.start(folder / "whole.jsonl") as process:
        assert process.wait() == 0
    whole = Output.read(folder / "whole.jsonl")
    found: Counter[str] = Counter(questions=len(whole.counts))
    rng = random.Random(seed)
    while found["kills"] < kills:
        out = folder / f"out{found['outputs']}.jsonl"
        found["kills"] += batch.run_killed(out, range(found["kills"], kills), within, rng, standing)
        found["outputs"] += 1
        found += Output.read(out).faults(whole)
    return found


def _kill_in_the_middle(process: subprocess.Popen[bytes], parent: bool, moment: float) -> bool:
    """SIGKILL after ``moment`` seconds of work; False if everything was done before."""
    end = time.monotonic() + moment
    while time.monotonic() < end or not (workers := psutil.Process(process.pid).children()):
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    victim = process.pid if parent else workers[0].pid
    psutil.Process(victim).send_signal(signal.SIGKILL)
    if parent:
        process.wait()
        psutil.wait_procs(workers, timeout=10)
    return True


def batch_command(data: Path, model: Path | str, *options: str) -> tuple[str, ...]:
    """A batch of this installation."""
    return (
        sys.executable,
        "-m",
        "adascale",
        "batch",
        str(data),
        "-m",
        str(model),
        "--seed",
        "1",
        "-q",
        *options,
    )


def write_questions(path: Path, count: int) -> Path:
    """So many questions that a small model can try."""
    rows: Sequence[dict[str, str]] = [
        {"id": str(n), "question": f"Anna has {n + 3} apples and buys {2 * n + 1} more. How many has she?"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def main() -> None:
    args = arguments(__doc__, model="smollm2-135m", kills=100, questions=12, within=8.0, standing=0, seed=1)
    with TemporaryDirectory() as name, ExitStack() as folders:
        folder = Path(name)
        data = write_questions(folder / "questions.jsonl", args.questions)
        options = ("--strategy", "vote", "-o", "samples", "2", "-o", "budget", "160")
        model = folders.enter_context(model_file(args.model))
        batch = Batch(batch_command(data, model, *options))
        found = kill_again_and_again(batch, args.kills, args.within, args.seed, folder, args.standing)
    faults = {name: found[name] for name in ("lost", "doubled", "torn", "different")}
    close({"kills": found["kills"], "outputs": found["outputs"], "questions": found["questions"], **faults})
    assert not any(found[name] for name in ("lost", "doubled", "torn")), "a kill has cost a record"


if __name__ == "__main__":
    main()
