"""A user's machine in a test: folders of its own, questions with answers, and the commands on it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import run

CLOSED = "http://127.0.0.1:9"
"""Nothing listens there."""


def write_questions(path: Path, numbers: range) -> Path:
    """The chain says 18 more often than 20, whatever it is asked."""
    rows = [
        {"id": i, "question": f"What is {i} * 2?", "answer": "18" if i % 3 else "20", "level": 1}
        for i in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass(frozen=True)
class Home:
    """A user's machine: folders of its own, and the commands on it."""

    folder: Path
    model: Path
    data: Path

    @classmethod
    def asking(cls, folder: Path, model: Path, questions: int) -> Home:
        """With so many questions in its data."""
        asked = [{"id": n, "question": f"What is {n} + 2?"} for n in range(questions)]
        home = cls(folder, model, folder / "in.jsonl")
        home.data.write_text("\n".join(map(json.dumps, asked)))
        return home

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the real user's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADASCALE_", "HF_", "XDG_"))}
        own = {"HOME": "", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache", "HF_HOME": "hf"}
        return {**kept, **{key: str(self.folder / name) for key, name in own.items()}, "COLUMNS": "100"}

    @property
    def sealed(self) -> dict[str, str]:
        """The same, with a Hub and a package index that do not answer."""
        kept = {k: v for k, v in self.env.items() if not k.startswith(("PIP_", "UV_"))}
        return {**kept, "HF_ENDPOINT": CLOSED, "PIP_INDEX_URL": CLOSED}

    @contextmanager
    def piping(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A command of ours with pipes for all streams; killed at the end."""
        words = [sys.executable, "-m", "adascale", *command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(words, env=self.env, text=True, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()

    @property
    def shelf(self) -> Path:
        return self.folder / "data" / "adascale" / "calibrations"

    def kept(self, table: str = "rollouts") -> int:
        """Rows in its store of rollouts or draws."""
        found = list((self.folder / "data" / "adascale" / table).glob("*.sqlite"))
        if not found:
            return 0
        with closing(sqlite3.connect(found[0])) as db:
            try:
                return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            except sqlite3.OperationalError:
                return 0  # not made yet

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """How a command of ours ends in this process; a traceback fails the test."""
        return run(self.env, *args)

    def fit_args(self, *more: str) -> list[str]:
        return [
            "calibrate",
            "fit",
            "-m",
            str(self.model),
            "-d",
            str(self.data),
            "-o",
            "ctx_size",
            "512",
            *more,
        ]
