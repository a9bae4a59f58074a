"""Solutions are drawn once and kept, so that every strategy of an evaluation uses the same ones.

``DrawStore`` keeps them in one file for each generator, prompt and sampler; ``ReplayingPolicy`` is the
generator that a search sees, and lets a live one write those that are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Self

import llama_cpp
import numpy as np

from adascale.engine.kinds import OptionsPrompt, kind_of
from adascale.engine.ports import BranchStart, Growth, OptionLogits, Policy, Prefix, PrefixWork
from adascale.engine.types import AS_USUAL, BranchId, KindName, Mode, Problem, Reading, Step
from adascale.models.lines import Arrays, KeyedLines
from adascale.models.options import PROMPTS
from adascale.models.session import Session
from adascale.models.storage import data_folder, keyed_path
from adascale.models.upstream.session import UpstreamSession

if TYPE_CHECKING:
    from adascale.models import AnySession

_CONTENTS = 2
"""Raised when what is kept of a draw, or how it is drawn, changes."""

_PROMPTS, _DRAWS, _LOOKS = "prompts", "draws", "looks"


def draw_key(prefix: Prefix, seed: int, greedy: bool) -> str:
    """Key of a draw: a digest of what the generator reads, what is before it, its seed, and its mode."""
    # The ids of a server's tokens are not known: there the text is what is continued.
    tokens = [list(step.token_ids) if any(step.token_ids) else step.text for step in prefix.steps]
    mode = [] if prefix.mode == "prose" else [prefix.mode]
    statement = kind_of(prefix.problem).statement(prefix.problem)
    text = json.dumps([statement, tokens, "greedy" if greedy else seed, *mode])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class DrawStore(KeyedLines):
    """Draws by ``draw_key``, prompts and looks, each kept the moment it ends."""

    @classmethod
    def of(cls, session: AnySession, kind: KindName) -> Self:
        """The draws of a session's generator for a kind of problem."""
        at_server = isinstance(session, UpstreamSession) and session.drawn_with(kind)
        drawn_with = at_server or _drawn_with(session, kind)
        return cls(keyed_path(data_folder() / "draws", [_CONTENTS, *drawn_with], ".jsonl"))

    def put_prompt(self, problem: Problem, mode: Mode, prompt: PrefixWork) -> None:
        """Keep the reading of a question."""
        arrays = _reading_arrays([prompt.reading])
        self.keep(_PROMPTS, _prompt_key(problem, mode), prompt.evaluated_tokens, arrays)

    def prompt(self, problem: Problem, mode: Mode) -> PrefixWork | None:
        """Get the work and the reading of a question in a mode's prompt; every token counts as evaluated."""

        def read(tokens: Any, arrays: Arrays) -> PrefixWork:
            [reading] = _readings_from(arrays, 1)
            return PrefixWork(int(tokens), 0, reading)

        return self.read(_PROMPTS, _prompt_key(problem, mode), read)

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> OptionLogits | None:
        """The kept result of a look at options; None if there is none."""
        key = _options_key(asked, problem)
        return self.read(_LOOKS, key, lambda seen, _: OptionLogits(tuple(map(float, seen[0])), int(seen[1])))

    def put_option_logits(self, asked: OptionsPrompt, problem: Problem, seen: OptionLogits) -> None:
        """Keep what a look at options showed."""
        self.keep(_LOOKS, _options_key(asked, problem), [seen.log_probs, seen.evaluated_tokens])

    def put(self, key: str, steps: tuple[Step, ...]) -> None:
        """Keep a draw, or its first steps, unless as many are kept."""
        if key not in self or steps[-1].finish != "step" or len(steps) > len(self.get(key)):
            rows = [[step.text, step.token_ids, step.logprob, step.finish, step.thought] for step in steps]
            self.keep(_DRAWS, key, rows, _reading_arrays([step.reading for step in steps]))

    def get(self, key: str) -> tuple[Step, ...]:
        """The steps of a draw as far as they are kept; none if it was not begun."""
        return self.read(_DRAWS, key, _steps_from) or ()

    def __contains__(self, key: str) -> bool:
        return self.has(_DRAWS, key)

    def __len__(self) -> int:
        return sum(1 for _ in self.values(_DRAWS))


def _drawn_with(session: AnySession, kind: KindName) -> list[Any]:
    """All that a draw for a kind of problem depends on but its prefix and seed, as JSON."""
    assert isinstance(session, Session), "it has files"
    fingerprint = session.fingerprints[kind]
    return [
        fingerprint.generator,
        fingerprint.prompt,
        dict(fingerprint.sampling),
        fingerprint.window,
        session.context.sequences,
        *([asdict(fingerprint.program)] if fingerprint.program else []),
        llama_cpp.__version__,
        session.model.gpu_layers,
    ]


def _options_key(asked: OptionsPrompt, problem: Problem) -> str:
    below = kind_of(problem).statement(problem) if asked.options else PROMPTS[asked.prompt]
    text = json.dumps([below, asked.text, asked.words])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _prompt_key(problem: Problem, mode: Mode) -> str:
    statement = kind_of(problem).statement(problem)
    return statement if mode == "prose" else f"{mode}\x00{statement}"


def as_kept(step: Step) -> Step:
    """The step as it comes back from a store, so that what was just drawn is the same to the last bit."""
    [reading] = _readings_from(_reading_arrays([step.reading]), 1)
    return replace(step, reading=reading, wrong_sums=())


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


SLOTS = 1 << 16
"""Branches that may run at once: all that a strategy asks for, whatever the batch of the generator holds."""


@dataclass(slots=True)
class PlayedBranch:
    """A branch as its search sees it.

    Attributes:
        branch: Its beginning.
        key: The draw that it plays, in the store.
        steps: Its steps as far as they are known.
        at: Index of the step that it is writing.
        written: Tokens of that step that the search has seen.
    """

    branch: BranchStart
    key: str
    steps: tuple[Step, ...]
    at: int = 0
    written: int = 0

    @property
    def is_whole(self) -> bool:
        """True if all its steps are known."""
        return bool(self.steps) and (self.branch.until == "step" or self.steps[-1].finish != "step")

    @property
    def step(self) -> Step:
        """The step that it is writing."""
        return self.steps[self.at]

    @property
    def tokens_left(self) -> int:
        """Tokens of this step that the search has not seen."""
        return len(self.step.token_ids) - self.written


class ReplayingPolicy:
    """Implements ``engine.ports.Policy`` over kept draws and a generator that draws the rest.

    A search is shown its own branches only, all of them one token further in every batch: what it decides
    depends neither on other questions nor on what was kept before. Time is that of the step-cost curve, as if
    each question were asked alone.

    Args:
        live: Draws what is missing; the same (prefix, seed) must always give it the same tokens.
        store: The kept draws.
        seconds: Cost of one decode step by the number of branches in it.

    Attributes:
        drawn_tokens: Tokens that the generator had to write so far.
    """

    slots = SLOTS

    def __init__(self, live: Policy, store: DrawStore, seconds: Callable[[int], float]) -> None:
        self._live = live
        self._store = store
        self._seconds = seconds
        self._branches: dict[str, dict[BranchId, PlayedBranch]] = {}  # by question, the oldest first
        self._questions: dict[BranchId, str] = {}
        self._running: dict[BranchId, tuple[str, BranchStart, list[Step]]] = {}  # live ones, with their keys
        self._read: set[tuple[str, Mode]] = set()
        self._ids = count()
        self.drawn_tokens = 0

    @classmethod
    def of(cls, session: AnySession, store: DrawStore) -> Self:
        """The generator of a session, which draws only what the store does not hold.

        What a step costs at a server is not known, and counts as 0 seconds.
        """
        assert session.options.is_repeatable, "other draws are not the same again"

        def seconds(branches: int) -> float:
            if not isinstance(session, Session):
                return 0.0
            return session.step_costs.cheapest(branches)[0]

        return cls(session.policy, store, seconds)

    @property
    def flops_per_token(self) -> float:
        """FLOPs of a token of the generator."""
        return self._live.flops_per_token

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Read a prompt, or what is kept of it; the whole prompt counts as evaluated."""
        self._branches.setdefault(problem.id, {})
        kept = self._store.prompt(problem, mode)
        if kept is None:
            cost = self._read_prompt(problem, mode)
            read = PrefixWork(cost.evaluated_tokens + cost.reused_tokens, 0, cost.reading)
            self._store.put_prompt(problem, mode, read)
            # Read back, so that what is kept and what was just read are the same to the last bit.
            kept = self._store.prompt(problem, mode)
            assert kept is not None
        return kept

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> OptionLogits:
        """Read options, or what is kept of such a look; the whole prompt counts as evaluated."""
        assert not problem.history, "questions of an evaluation stand alone"
        seen = self._store.option_logits(asked, problem)
        if seen is None:
            self._free_row()
            found = self._live.option_logits(asked, problem)
            seen = OptionLogits(found.log_probs, found.evaluated_tokens + found.reused_tokens)
            self._store.put_option_logits(asked, problem, seen)
        return seen

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch; it waits until its steps are known."""
        assert branch.sampling == AS_USUAL, "questions of an evaluation have the sampler of the session"
        key = draw_key(branch.prefix, branch.seed, branch.greedy)
        self._questions[id_] = branch.prefix.problem.id
        self._branches[self._questions[id_]][id_] = PlayedBranch(branch, key, self._known(branch, key))

    def advance(self) -> Sequence[Growth]:
        """Draw one batch of what is missing; play every search on whose branches can all go on.

        A search goes on to where the first of its branches completes a step: nothing happens before.
        """
        every = [branch for branches in self._branches.values() for branch in branches.values()]
        missing = [branch for branch in every if not branch.is_whole]
        self._draw({branch.key: branch.branch for branch in missing})
        for branch in missing:
            branch.steps = self._known(branch.branch, branch.key)
        grown: list[Growth] = []
        for branches in self._branches.values():
            if branches and all(branch.is_whole for branch in branches.values()):
                grown += self._play(branches)
        return grown

    def _known(self, branch: BranchStart, key: str) -> tuple[Step, ...]:
        """The steps of a draw that are kept, as far as its branch may go."""
        steps, left = self._store.get(key), branch.max_tokens
        if branch.until == "step":
            return steps[:1]
        if left is None or not steps or steps[-1].finish == "step":
            return steps
        for at, step in enumerate(steps):
            tokens = 0 if step.is_thought else len(step.token_ids)
            if tokens > left or (tokens == left and step.finish == "step"):
                return (*steps[:at], _beginning(step, left))
            left -= tokens
        return steps

    def _play(self, branches: Mapping[BranchId, PlayedBranch]) -> list[Growth]:
        hop = min(branch.tokens_left for branch in branches.values())
        share = hop * self._seconds(len(branches)) / len(branches)
        return [self._grow(id_, branch, hop, share) for id_, branch in list(branches.items())]

    def _grow(self, id_: BranchId, branch: PlayedBranch, tokens: int, seconds: float) -> Growth:
        cost = PrefixWork()
        if branch.at == branch.written == 0:
            reused = sum(len(step.token_ids) for step in branch.branch.prefix.steps)
            cost = PrefixWork(0, reused)
        step = branch.step
        branch.written += tokens
        if branch.written < len(step.token_ids):
            part = replace(_beginning(step, branch.written), finish=None)
            return Growth(id_, tokens, part, cost, seconds)
        branch.at, branch.written = branch.at + 1, 0
        if branch.is_whole and branch.at == len(branch.steps):
            del self._branches[self._questions.pop(id_)][id_]
        return Growth(id_, tokens, step, cost, seconds)

    def cancel(self, id_: BranchId) -> None:
        """End a branch; the generator still writes its draw to the end, unless its question is closed."""
        del self._branches[self._questions.pop(id_)][id_]

    def close_problem(self, problem: Problem) -> None:
        """Forget a question; what still runs of it ends."""
        self._branches.pop(problem.id, None)
        for id_, (_, branch, _) in list(self._running.items()):
            if branch.prefix.problem.id == problem.id:
                self._live.cancel(id_)
                del self._running[id_]
        others = {(id_, mode) for id_, mode in self._read if id_ != problem.id}
        if others != self._read:
            self._live.close_problem(problem)
        self._read = others

    def _draw(self, missing: Mapping[str, BranchStart]) -> None:
        """Decode one batch of draws, by key, the first first; those it completes are kept."""
        if not missing:
            return
        running = {key for key, _, _ in self._running.values()}
        for key, branch in missing.items():
            if key not in running and len(self._running) < self._live.slots:
                problem, mode = branch.prefix.problem, branch.prefix.mode
                if (problem.id, mode) not in self._read:
                    self._read_prompt(problem, mode)
                id_ = BranchId(next(self._ids))
                self._running[id_] = key, branch, []
                # Whole, whatever its search would read of it: the next one may read more.
                self._live.start(id_, replace(branch, max_tokens=None))
        self._decode()

    def _read_prompt(self, problem: Problem, mode: Mode) -> PrefixWork:
        self._free_row()
        self._read.add((problem.id, mode))
        return self._live.open(problem, mode)

    def _free_row(self) -> None:
        """Make room for a prompt, which is read in a row that no branch holds."""
        while len(self._running) >= self._live.slots:
            self._decode()

    def _decode(self) -> None:
        for growth in self._live.advance():
            self.drawn_tokens += growth.new_tokens
            if growth.error is not None:
                raise growth.error
            if growth.begins_again:
                self._running[growth.branch][2].clear()
            if growth.step.finish is None:
                continue
            key, branch, steps = self._running[growth.branch]
            steps.append(as_kept(growth.step))
            if growth.step.finish != "step" or branch.until == "step":
                del self._running[growth.branch]
                self._store.put(key, tuple(steps))


def _beginning(step: Step, tokens: int) -> Step:
    """The first tokens of a step, and about as much of its text."""
    part = tokens / len(step.token_ids)
    text = step.text[: round(part * len(step.text))]
    logprob = None if step.logprob is None else step.logprob * part
    return Step(text, step.token_ids[:tokens], logprob, "length", thought=step.thought)
