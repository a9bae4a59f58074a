"""Draws kept for evaluations: every strategy and every repeat uses the draws of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from adascale.engine.kinds import Look, kind_of
from adascale.engine.ports import Prefix, PrefixWork, Seen
from adascale.engine.types import KindName, Mode, Problem, Reading, Step

from ..lines import Arrays, KeyedLines
from ..options import PROMPTS
from ..storage import data_folder, keyed_path

if TYPE_CHECKING:
    from ..session import OpenSession

_CONTENTS = 2
"""Raised when what is kept of a draw, or how it is drawn, changes."""

_PROMPTS, _DRAWS, _LOOKS = "prompts", "draws", "looks"


def draw_key(prefix: Prefix, seed: int, greedy: bool) -> str:
    """Key of a draw: a digest of what the generator reads, the tokens before it, its seed, and its mode."""
    tokens = [list(step.token_ids) for step in prefix.steps]
    mode = [] if prefix.mode == "prose" else [prefix.mode]
    statement = kind_of(prefix.problem).statement(prefix.problem)
    text = json.dumps([statement, tokens, "greedy" if greedy else seed, *mode])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class DrawStore(KeyedLines):
    """Draws by ``draw_key``, prompts and looks, each kept the moment it ends."""

    @classmethod
    def of(cls, session: OpenSession, kind: KindName) -> Self:
        """The draws of a session's generator, with its rows and devices, for a kind of problem."""
        import llama_cpp

        fingerprint = session.prompts.fingerprints[kind]
        parts = [
            _CONTENTS,
            fingerprint.generator,
            fingerprint.prompt,
            dict(fingerprint.sampling),
            fingerprint.window,
            session.context.sequences,
            *([asdict(fingerprint.program)] if fingerprint.program else []),
            llama_cpp.__version__,
            session.model.gpu_layers,
        ]
        return cls(keyed_path(data_folder() / "draws", parts, ".jsonl"))

    def put_prompt(self, problem: Problem, mode: Mode, prompt: PrefixWork) -> None:
        """Keep the reading of a question."""
        arrays = _reading_arrays([prompt.reading])
        self._put(_PROMPTS, _prompt_key(problem, mode), prompt.evaluated_tokens, arrays)

    def prompt(self, problem: Problem, mode: Mode) -> PrefixWork | None:
        """Get the work and the reading of a question in a mode's prompt; every token counts as evaluated."""

        def read(tokens: Any, arrays: Arrays) -> PrefixWork:
            [reading] = _readings_from(arrays, 1)
            return PrefixWork(int(tokens), 0, reading)

        return self._get(_PROMPTS, _prompt_key(problem, mode), read)

    def look(self, look: Look, problem: Problem) -> Seen | None:
        """The kept result of a look at options; None if there is none."""
        key = _look_key(look, problem)
        return self._get(_LOOKS, key, lambda seen, _: Seen(tuple(map(float, seen[0])), int(seen[1])))

    def put_look(self, look: Look, problem: Problem, seen: Seen) -> None:
        """Keep what a look at options showed."""
        self._put(_LOOKS, _look_key(look, problem), [seen.log_probs, seen.evaluated_tokens])

    def put(self, key: str, steps: tuple[Step, ...]) -> None:
        """Keep a draw, or its first steps, unless as many are kept."""
        if key not in self or steps[-1].finish != "step" or len(steps) > len(self.get(key)):
            rows = [[step.text, step.token_ids, step.logprob, step.finish, step.thought] for step in steps]
            self._put(_DRAWS, key, rows, _reading_arrays([step.reading for step in steps]))

    def get(self, key: str) -> tuple[Step, ...]:
        """The steps of a draw as far as they are kept; none if it was not begun."""
        return self._get(_DRAWS, key, _steps_from) or ()

    def __contains__(self, key: str) -> bool:
        return self._holds(_DRAWS, key)

    def __len__(self) -> int:
        return self._count(_DRAWS)


def _look_key(look: Look, problem: Problem) -> str:
    below = kind_of(problem).statement(problem) if look.options else PROMPTS[look.prompt]
    text = json.dumps([below, look.text, look.words])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _prompt_key(problem: Problem, mode: Mode) -> str:
    statement = kind_of(problem).statement(problem)
    return statement if mode == "prose" else f"{mode}\x00{statement}"


def as_kept(step: Step) -> Step:
    """The step as it comes back from a store, so that what was just drawn is the same to the last bit."""
    [reading] = _readings_from(_reading_arrays([step.reading]), 1)
    return replace(step, reading=reading, wrong_sums=(), logprobs=())


def _steps_from(rows: Any, arrays: Arrays) -> tuple[Step, ...]:
    """One step at least.

    Raises:
        Exception: nearly any, where ``DrawStore.put`` did not make them.
    """
    steps = tuple(
        Step(text, tuple(tokens), logprob, finish, reading, thought=thought)
        for (text, tokens, logprob, finish, thought), reading in zip(
            rows, _readings_from(arrays, len(rows)), strict=True
        )
    )
    if not steps:
        raise ValueError("a draw without a step")
    return steps


def _reading_arrays(readings: Sequence[Reading | None]) -> Arrays:
    """Readings in half precision; nothing where one of them was not kept."""
    known = [reading for reading in readings if reading is not None]
    if len(known) < len(readings):
        return {}
    return {
        "states": np.array([[reading.last, reading.mean] for reading in known], np.float16),
        "numbers": np.array([[reading.min_logprob, reading.entropy] for reading in known], np.float32),
    }


def _readings_from(arrays: Arrays, count: int) -> list[Reading | None]:
    if "states" not in arrays:
        return [None] * count
    rows = zip(arrays["states"].astype(np.float32), arrays["numbers"], strict=True)
    return [Reading(last, mean, float(lowest), float(entropy)) for (last, mean), (lowest, entropy) in rows]
