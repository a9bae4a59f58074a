"""A batch whose processes are killed again and again ends as if they had not been."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from home import Home

QUESTIONS = 40
KILLS = 30


@pytest.fixture(scope="module")
def home(chain_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, QUESTIONS)


def command(home: Home, out: Path) -> list[str]:
    run = [sys.executable, "-m", "adascale", "batch", str(home.data), "-o", str(out), "-g", str(home.model)]
    return [*run, "--strategy", "vote", "--samples", "48", "--seed", "1", "-q"]


def records(out: Path) -> dict[str, Any]:
    """Whole lines by id, each there once; a crash may have torn the last one."""
    text = out.read_text() if out.exists() else ""
    found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    by_id = {record["id"]: record for record in found}
    assert len(by_id) == len(found)
    return by_id


def answers(out: Path) -> dict[str, Any]:
    """What was found, without what depends on the time it took."""
    return {id_: (r["answer"], r["agreement"], r["solution"]) for id_, r in records(out).items()}


def kill_in_the_middle(process: subprocess.Popen[bytes], parent: bool, moment: float) -> bool:
    """SIGKILL after ``moment`` seconds of work; False where everything was done before."""
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


def test_killed_thirty_times_and_nothing_is_lost_or_there_twice(home: Home, tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    subprocess.run(command(home, whole), env=home.env, check=True)
    expected = answers(whole)
    assert len(expected) == QUESTIONS

    rng, kills, runs = random.Random(7), 0, 0
    while kills < KILLS:
        out, runs = tmp_path / f"out{runs}.jsonl", runs + 1
        code = None
        while code != 0:  # a run whose worker was killed ends with 6: the same command goes on
            with subprocess.Popen(command(home, out), env=home.env) as process:
                while process.poll() is None and kills < KILLS:
                    kills += kill_in_the_middle(process, kills % 2 == 0, rng.uniform(0.2, 2.0))
                    records(out)
                code = process.wait()
        assert answers(out) == expected
        assert out.read_text().endswith("\n")
