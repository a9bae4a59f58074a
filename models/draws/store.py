"""Draws kept for evaluations: every strategy and every repeat uses the draws of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from adascale.engine.kinds import kind_of
from adascale.engine.kinds.base import Look
from adascale.engine.ports import Prefix, PrefixWork, Seen
from adascale.engine.types import FINISHES, THOUGHTS, Mode, Problem, Reading, Step, Thought

from ..blobs import DrawnStore, Table, pack, pack_texts, unpack, unpack_texts
from ..calibration.artefact import Fingerprint
from ..options import PROMPTS
from ..storage import data_folder, keyed_path

_CONTENTS = 1
"""Raised when what is kept of a draw, or how it is drawn, changes."""

_THOUGHTS: tuple[Thought | None, ...] = (None, *THOUGHTS)

_PROMPTS = Table("prompts", ("problem",), {"tokens": "INTEGER", "reading": "BLOB"})
_DRAWS = Table("draws", ("key",), {"steps": "BLOB"})
_LOOKS = Table("looks", ("key",), {"tokens": "INTEGER", "log_probs": "BLOB"})


def draw_key(prefix: Prefix, seed: int, greedy: bool) -> str:
    """Key of a draw: a digest of what the generator reads, the tokens before it, its seed, and its mode."""
    tokens = [list(step.token_ids) for step in prefix.steps]
    mode = [] if prefix.mode == "prose" else [prefix.mode]
    statement = kind_of(prefix.problem).statement(prefix.problem)
    text = json.dumps([statement, tokens, "greedy" if greedy else seed, *mode])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class DrawStore(DrawnStore):
    """Draws by ``draw_key``, prompts and looks, each kept the moment it ends (``draws_path``)."""

    tables = _PROMPTS, _DRAWS, _LOOKS

    def put_prompt(self, problem: Problem, mode: Mode, prompt: PrefixWork) -> None:
        """Keep the reading of a question."""
        reading = _pack_readings([prompt.reading])
        self._blobs.put(_PROMPTS, [_prompt_key(problem, mode)], prompt.evaluated_tokens, reading)

    def prompt(self, problem: Problem, mode: Mode) -> PrefixWork | None:
        """Get the work and the reading of a question in a mode's prompt; every token counts as evaluated."""
        row = self._blobs.get(_PROMPTS, _prompt_key(problem, mode))
        if row is None:
            return None
        with self._blobs.decoding():
            [reading] = _unpack_readings(row[1])
            return PrefixWork(int(row[0]), 0, reading)

    def look(self, look: Look, problem: Problem) -> Seen | None:
        """The kept result of a look at options; None if there is none."""
        row = self._blobs.get(_LOOKS, _look_key(look, problem))
        if row is None:
            return None
        with self._blobs.decoding():
            return Seen(tuple(map(float, unpack(row[1])["log_probs"])), int(row[0]))

    def put_look(self, look: Look, problem: Problem, seen: Seen) -> None:
        """Keep what a look at options showed."""
        packed = pack({"log_probs": np.array(seen.log_probs)})
        self._blobs.put(_LOOKS, [_look_key(look, problem)], seen.evaluated_tokens, packed)

    def put(self, key: str, steps: tuple[Step, ...]) -> None:
        """Keep a draw, or its first steps; a longer one replaces a shorter one, whichever was kept first."""
        is_longer = steps[-1].finish != "step" or len(steps) > len(self.get(key))
        self._blobs.put(_DRAWS, [key], _pack_steps(steps), replace=is_longer)

    def get(self, key: str) -> tuple[Step, ...]:
        """The steps of a draw as far as they are kept; none if it was not begun."""
        row = self._blobs.get(_DRAWS, key)
        if row is None:
            return ()
        with self._blobs.decoding():
            return _unpack_steps(row[0])

    def __contains__(self, key: str) -> bool:
        return self._blobs.holds(_DRAWS, key)

    def __len__(self) -> int:
        return self._blobs.count(_DRAWS)


def _look_key(look: Look, problem: Problem) -> str:
    below = kind_of(problem).statement(problem) if look.options else PROMPTS[look.prompt]
    text = json.dumps([below, look.text, look.words])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _prompt_key(problem: Problem, mode: Mode) -> str:
    statement = kind_of(problem).statement(problem)
    return statement if mode == "prose" else f"{mode}\x00{statement}"


def draws_path(fingerprint: Fingerprint, rows: int, gpu_layers: int = 0) -> Path:
    """The file of the draws of a generator that decodes ``rows`` rows at a time on these devices."""
    import llama_cpp

    parts = [
        _CONTENTS,
        fingerprint.generator,
        fingerprint.prompt,
        dict(fingerprint.sampling),
        fingerprint.window,
        rows,
        *([asdict(fingerprint.program)] if fingerprint.program else []),
        llama_cpp.__version__,
        gpu_layers,
    ]
    return keyed_path(data_folder() / "draws", parts, ".sqlite")


def as_kept(step: Step) -> Step:
    """The step as it comes back from a store, so that what was just drawn is the same to the last bit."""
    [kept] = _unpack_steps(_pack_steps([step]))
    return kept


def _pack_steps(steps: Sequence[Step]) -> bytes:
    return pack(
        {
            "texts": pack_texts([step.text for step in steps]),
            "tokens": np.array([len(step.token_ids) for step in steps], np.int32),
            "token_ids": np.array([token for step in steps for token in step.token_ids], np.int32),
            "logprob": np.array([step.logprob for step in steps], np.float64),
            "finish": np.array([FINISHES.index(step.finish) for step in steps], np.int8),
            "readings": np.frombuffer(_pack_readings([step.reading for step in steps]), np.uint8),
            "thoughts": np.array([_THOUGHTS.index(step.thought) for step in steps], np.int8),
        }
    )


def _unpack_steps(blob: bytes) -> tuple[Step, ...]:
    """One step at least.

    Raises:
        Exception: nearly any, where ``_pack_steps`` did not make the blob.
    """
    arrays = unpack(blob)
    ids = np.split(arrays["token_ids"], np.cumsum(arrays["tokens"])[:-1])
    readings = _unpack_readings(arrays["readings"].tobytes())
    finishes = [FINISHES[at] for at in arrays["finish"]]
    thoughts = [_THOUGHTS[at] for at in arrays["thoughts"]]
    rows = zip(
        unpack_texts(arrays["texts"]), ids, arrays["logprob"], finishes, readings, thoughts, strict=True
    )
    steps = tuple(
        Step(text, tuple(map(int, tokens)), float(logprob), finish, reading, thought=thought)
        for text, tokens, logprob, finish, reading, thought in rows
    )
    if not steps:
        raise ValueError("a draw without a step")
    return steps


def _pack_readings(readings: Sequence[Reading | None]) -> bytes:
    """Readings in half precision; their number alone where one of them was not kept."""
    known = [reading for reading in readings if reading is not None]
    if len(known) < len(readings):
        return len(readings).to_bytes(4, "little")
    return pack(
        {
            "states": np.array([[reading.last, reading.mean] for reading in known], np.float16),
            "numbers": np.array([[reading.min_logprob, reading.entropy] for reading in known], np.float32),
        }
    )


def _unpack_readings(blob: bytes) -> list[Reading | None]:
    if len(blob) == 4:
        return [None] * int.from_bytes(blob, "little")
    arrays = unpack(blob)
    return [
        Reading(last, mean, float(lowest), float(entropy))
        for (last, mean), (lowest, entropy) in zip(
            arrays["states"].astype(np.float32), arrays["numbers"], strict=True
        )
    ]
