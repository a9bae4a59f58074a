"""A wall clock that jumps changes no answer and ends no wait: limits go by the monotonic one."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest
from commands import run_process
from home import Home

ROOT = Path(__file__).parents[2]

JUMPING = """
import itertools, time
real, jumps = time.time, itertools.cycle([0, -3 * 366, 80 * 366, 7 * 366])
time.time = lambda: real() + 86400 * next(jumps)
time.time_ns = lambda: int(1e9 * time.time())
"""
"""The file ``sitecustomize.py``, which every interpreter imports first."""


@pytest.mark.slow
def test_a_batch_under_a_clock_that_jumps_is_the_same(tmp_path: Path, chain_gguf: Path) -> None:
    home = Home.asking(tmp_path, chain_gguf, 12)
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    answers = []
    for name, path in (("steady", ""), ("jumping", str(tmp_path / "clock"))):
        env = {**home.env, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}
        output = tmp_path / f"{name}.jsonl"
        command = ["batch", str(home.data), "-o", str(output), "-g", str(home.model), "-t", "1"]
        done = run_process(env, *command, "--time-limit", "300s", "--seed", "1")
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in output.read_text().splitlines()]
        answers.append({record["id"]: (record["status"], record["answer"]) for record in records})
    assert answers[0] == answers[1]
    assert len(answers[0]) == 12


STAMPS = {
    "api/serve/app.py", "api/serve/protocols/ollama.py", "api/serve/protocols/ollama_models.py",
    "api/serve/protocols/protocol.py",
    "cli/disk/history.py", "models/fallback.py",
}  # fmt: skip
"""Files that say when something was made, and the one that counts calls by the day."""


def test_nothing_but_a_date_reads_the_wall_clock() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("api", "cli", "engine", "models")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("time.time", "time.time_ns", "datetime.now", "datetime.datetime.now")
    }
    assert found == STAMPS
