"""Draws kept for evaluations: every strategy and every repeat uses what another has drawn."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from adascale.engine.ports import Prefix
from adascale.engine.types import Problem, Reading, Step, Until

from ..calibration.artefact import Fingerprint
from ..calibration.rollouts import FINISHES

_CONTENTS = 1
"""Raised when what is kept of a draw, or how it is drawn, changes."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (problem TEXT PRIMARY KEY, tokens INTEGER NOT NULL, reading BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS draws (key TEXT PRIMARY KEY, steps BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as the generator read it; ``reading`` is None where no states were kept."""

    tokens: int
    reading: Reading | None


def draw_key(prefix: Prefix, seed: int, greedy: bool) -> str:
    """What one draw is known by: its question, the tokens before it, and its random numbers."""
    question = prefix.problem.question
    tokens = [list(step.token_ids) for step in prefix.steps]
    text = json.dumps([question, tokens, "greedy" if greedy else seed])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class DrawStore:
    """Draws in one SQLite file, each kept the moment it ends. Use with ``contextlib.closing``.

    Args:
        path: Created if missing; belongs to one generator, prompt and sampler (``draws_path``).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put_prompt(self, problem: Problem, prompt: Prompt) -> None:
        """Keep the reading of a question."""
        row = (problem.question, prompt.tokens, _packed([prompt.reading]))
        self._db.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?)", row)

    def prompt(self, problem: Problem) -> Prompt | None:
        """A question that was read."""
        row = self._row("SELECT tokens, reading FROM prompts WHERE problem = ?", problem.question)
        return None if row is None else Prompt(row[0], _readings(row[1])[0])

    def put(self, key: str, steps: tuple[Step, ...]) -> None:
        """Keep a draw; a longer one replaces a shorter one."""
        self._db.execute("INSERT OR REPLACE INTO draws VALUES (?, ?)", (key, _to_bytes(steps)))

    def get(self, key: str, until: Until) -> tuple[Step, ...] | None:
        """The steps of a draw that came at least that far."""
        row = self._row("SELECT steps FROM draws WHERE key = ?", key)
        steps = None if row is None else _from_bytes(row[0])
        if steps is None or (until == "answer" and steps[-1].finish == "step"):
            return None
        return steps if until == "answer" else steps[:1]

    def __contains__(self, key: str) -> bool:
        return self._row("SELECT 1 FROM draws WHERE key = ?", key) is not None

    def __len__(self) -> int:
        return int(self._row("SELECT count(*) FROM draws")[0])

    def _row(self, query: str, *values: str) -> Any:
        with closing(self._db.execute(query, values)) as rows:
            return rows.fetchone()


def draws_path(fingerprint: Fingerprint, rows: int, gpu_layers: int = 0) -> Path:
    """Where the draws of a generator are kept that decodes ``rows`` rows at a time on these devices."""
    import llama_cpp

    parts = [
        _CONTENTS,
        fingerprint.generator,
        fingerprint.prompt,
        dict(fingerprint.sampling),
        fingerprint.window,
        rows,
        llama_cpp.__version__,
        *([gpu_layers] if gpu_layers else []),  # draws made on a CPU before they were told apart stay known
    ]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    return Path(platformdirs.user_data_dir("adascale")) / "draws" / f"{key}.sqlite"


def _to_bytes(steps: tuple[Step, ...]) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        texts=np.frombuffer(json.dumps([step.text for step in steps]).encode(), np.uint8),
        tokens=np.array([len(step.token_ids) for step in steps], np.int32),
        token_ids=np.array([token for step in steps for token in step.token_ids], np.int32),
        logprob=np.array([step.logprob for step in steps], np.float64),
        finish=np.array([FINISHES.index(step.finish) for step in steps], np.int8),
        readings=np.frombuffer(_packed([step.reading for step in steps]), np.uint8),
    )
    return buffer.getvalue()


def _from_bytes(data: bytes) -> tuple[Step, ...]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        texts = json.loads(arrays["texts"].tobytes())
        ends = np.cumsum(arrays["tokens"])
        ids = np.split(arrays["token_ids"], ends[:-1])
        logprobs, finishes = arrays["logprob"], arrays["finish"]
        readings = _readings(arrays["readings"].tobytes())
    return tuple(
        Step(text, tuple(int(i) for i in ids[at]), float(logprobs[at]), FINISHES[finishes[at]], readings[at])
        for at, text in enumerate(texts)
    )


def _packed(readings: list[Reading | None]) -> bytes:
    known = [reading for reading in readings if reading is not None]
    if len(known) < len(readings):
        return len(readings).to_bytes(4, "little")
    buffer = io.BytesIO()
    np.savez(
        buffer,
        states=np.array([[reading.last, reading.mean] for reading in known], np.float16),
        numbers=np.array([[reading.min_logprob, reading.entropy] for reading in known], np.float32),
    )
    return buffer.getvalue()


def _readings(data: bytes) -> list[Reading | None]:
    if len(data) == 4:
        return [None] * int.from_bytes(data, "little")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        states, numbers = arrays["states"].astype(np.float32), arrays["numbers"]
    return [
        Reading(last, mean, float(lowest), float(entropy))
        for (last, mean), (lowest, entropy) in zip(states, numbers, strict=True)
    ]
