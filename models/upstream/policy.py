"""Streams of a server as the generator of a driver.

Growth is what a stream brings: text, and how many tokens it was. Their ids are not known, so a step has
zeros in their place, and a prefix is continued from its text. Where the server cannot continue a message, a
solution is one step: nothing could be drawn again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.kinds import OptionsPrompt, kind_of, prompt_of
from adascale.engine.kinds.structured import schema_of
from adascale.engine.ports import BranchStart, Growth, OptionLogits, PrefixWork
from adascale.engine.tools.calls import below_system
from adascale.engine.tools.equality import reordered
from adascale.engine.types import (
    PROGRAMS,
    BranchId,
    Finish,
    Mode,
    Problem,
    PromptName,
    Step,
)

from ..options import (
    PROGRAM_OPENING,
    THINK_TOKENS,
    Samplers,
    SessionOptions,
    spellings,
    with_own,
)
from ..steps import ends_program, ends_step
from .client import Chunk, Client
from .servers import Asked, Facts

QUEUED = 2
"""Streams for each place: one that ends is followed at once by one that waits there."""

_PATIENCE = 0.05
"""Seconds to wait for a chunk before the driver looks at programs, new questions and interruptions."""

_LIKELIEST = 20
"""Alternatives of a look at options: the most that servers give."""


@dataclass(slots=True, eq=False)
class _Branch:
    """A solution that a stream writes.

    Attributes:
        start: The order that it carries out.
        mends: True if its steps are cut, as the server can go on behind each.
        opening: Text that was put into the model's mouth at the beginning of the unfinished step.
        text: Text of the unfinished step.
        tokens: Tokens of that step.
        logprob: Sum of their log-probabilities, as far as they are known.
        unknown: Number of its tokens whose log-probabilities have not come.
        has_thought: It began with a thought, whose tokens are among them.
    """

    start: BranchStart
    mends: bool
    opening: str
    text: bytearray = field(init=False)
    tokens: int = 0
    logprob: float = 0.0
    unknown: int = 0
    has_thought: bool = False

    def __post_init__(self) -> None:
        self.begin(self.opening)

    def begin(self, opening: str = "") -> None:
        """Begin a step."""
        self.text, self.tokens, self.logprob, self.unknown = bytearray(opening.encode()), 0, 0.0, 0

    def step(self, finish: Finish | None) -> Step:
        """The step as far as it is written; one that ends is followed by an empty one."""
        logprob = None if self.unknown or self.has_thought else self.logprob
        text = self.text.decode("utf-8", "replace")
        step = Step(text, (0,) * self.tokens, logprob, finish)
        if finish is not None:
            self.begin()
        return step

    def write(self, piece: bytes, tokens: int, logprob: float | None, end: Finish | None) -> Finish | None:
        """Append a piece; returns why its step ends with it."""
        self.text += piece
        self.tokens += tokens
        self.logprob += logprob or 0.0
        if logprob is None and end is None:  # servers leave out that of the end of a turn
            self.unknown += tokens
        elif logprob is not None and not piece:  # all of them came at last
            self.unknown = 0
        mode = self.start.prefix.mode
        if ends_program(mode, self.text, piece):
            return "stop"
        return end or ("step" if self.mends and mode == "prose" and ends_step(self.text, piece) else None)


class UpstreamPolicy:
    """Streams solutions from a server; implements ``engine.ports.Policy``.

    Args:
        client: Runs streams.
        facts: Abilities and limits of the server, as the probe found them.
        parameters: Size of the model.
        sampling: Sampler of each prompt.
        options: System prompt of the user, streams at once, and whether conversations may be long.
        stopped: Ends what waits for the server.
    """

    def __init__(
        self,
        client: Client,
        facts: Facts,
        parameters: float,
        sampling: Samplers,
        options: SessionOptions,
        stopped: threading.Event,
    ) -> None:
        self._client, self._facts = client, facts
        self._sampling, self._own_system = sampling, options.system
        self._patience = options.patience or math.inf
        self._stopped = stopped
        self._branches: dict[int, _Branch] = {}  # streams have the numbers of branches
        self._open: set[str] = set()
        self.flops_per_token = 2.0 * parameters
        self.slots = options.places or QUEUED * facts.places

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return bool(self._open)

    def system(self, name: PromptName) -> str:
        """The system prompt of that name, with the user's own below it."""
        return with_own(name, self._own_system)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Nothing is read beforehand: a prompt goes to the server with each of its solutions.

        Raises:
            UsageError: the question is of a kind that a server cannot be asked.
        """
        self._check(problem)
        self._open.add(problem.id)
        return PrefixWork()

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> OptionLogits:
        """Read options from the log-probabilities of the reply's likeliest first tokens.

        An option that is not among these is as likely as the last of them; if none is, they say nothing.

        Raises:
            UsageError: as ``open``.
            AdascaleError: the server gave no reply.
            DecodeAbortedError: the session was told to stop.
        """
        self._check(problem)
        messages = self._messages(asked.prompt, problem, asked.text)
        look = Asked(messages, 0.0, 1.0, 1, 0, alternatives=_LIKELIEST)
        reply = self._client.reply(look, self._facts, self._patience, self._stopped.is_set)
        work, scores = reply.work, _scores(asked.words, reply.alternatives)
        return OptionLogits(scores, work.evaluated_tokens, work.reused_tokens)

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a stream."""
        prefix, problem = branch.prefix, branch.prefix.problem
        name = prompt_of(problem.kind, prefix.mode)
        params = self._sampling["text" if problem.is_chat else name].of(branch)
        written = "".join(step.text for step in prefix.steps)
        is_program = prefix.mode in PROGRAMS and self._facts.continues
        opening = PROGRAM_OPENING if is_program and not written else ""
        left = max(1, params.max_tokens - sum(len(step.token_ids) for step in prefix.steps))
        messages = self._messages(name, problem, kind_of(problem).statement(problem))
        if begun := written + opening:
            messages.append({"role": "assistant", "content": begun})
        schema = self._schema(problem, None if branch.greedy else branch.seed)
        asked = Asked(
            messages,
            params.temperature,
            params.top_p,
            left + (THINK_TOKENS if self._facts.thinks else 0),
            branch.seed & 0x7FFFFFFF,  # some servers read 31 bits
            continues=bool(begun),
            schema=schema,
            sampler=asdict(params),
        )
        mends = self._facts.continues and not (self._facts.thinks or schema or problem.is_chat)
        self._branches[id_] = _Branch(branch, mends, opening)
        self._client.start(id_, asked, self._facts)

    def advance(self) -> list[Growth]:
        """Growths by the chunks that have come since; it waits a moment for the first.

        Raises:
            DecodeAbortedError: the session was told to stop.
        """
        if self._stopped.is_set():
            raise DecodeAbortedError("stopped in the middle of a stream")
        chunks = self._client.poll(_PATIENCE)
        return [growth for chunk in chunks if (growth := self._grow(chunk)) is not None]

    def cancel(self, id_: BranchId) -> None:
        """Close a branch's stream."""
        self._branches.pop(id_, None)  # it may just have ended
        self._client.cancel(id_)

    def close_problem(self, problem: Problem) -> None:
        """The server keeps what it likes."""
        self._open.discard(problem.id)

    def _check(self, problem: Problem) -> None:
        if problem.kind == "call":
            text = "tools need a model in this process"
            raise UsageError(text, hint="a model's name or file, or no tools")

    def _messages(self, name: PromptName, problem: Problem, text: str) -> list[dict[str, Any]]:
        """The conversation up to the model's turn: one system message at most, and turns that alternate."""
        system = self._own_system if problem.is_chat else self.system(name)
        said = [(turn.role, turn.content.strip()) for turn in problem.history]
        system, spoken = below_system(system, [*said, ("user", text.strip())])
        return [*([{"role": "system", "content": system}] if system else []), *spoken]

    def _schema(self, problem: Problem, seed: int | None) -> Mapping[str, Any] | None:
        """Schema of a reply, with another order of its fields for each seed where readings are compared."""
        schema = problem.details.get("schema")
        if not (self._facts.schema and isinstance(schema, dict)):
            return None
        if problem.kind != "json" or seed is None:
            return schema
        return reordered(schema_of(problem), np.random.default_rng(seed))

    def _grow(self, chunk: Chunk) -> Growth | None:
        """Growth of a branch by a chunk of its stream; None if nothing has become of it."""
        branch, id_ = self._branches.get(chunk.stream), BranchId(chunk.stream)
        if branch is None:  # it has ended
            return None
        if chunk.begins_again:
            branch.begin(branch.opening)
        if chunk.begins_again or chunk.error is not None:
            return Growth(id_, 0, branch.step(None), begins_again=chunk.begins_again, error=chunk.error)
        if chunk.thought:  # though it was switched off: its tokens count, and its text is not kept
            branch.has_thought, branch.mends = True, False
        # The end of a turn is a token, which not all servers count.
        tokens = max(chunk.tokens, int(chunk.finish == "stop" and not chunk.text))
        finish = branch.write(chunk.text.encode(), tokens, chunk.logprob, chunk.finish)
        if not tokens and finish is None:
            return None
        step = branch.step(finish)
        if finish in ("stop", "length") or (finish == "step" and branch.start.until == "step"):
            self.cancel(id_)
        return Growth(id_, tokens, step, chunk.work, thinks=bool(chunk.thought))


def _scores(words: Sequence[str], seen: Mapping[str, float]) -> tuple[float, ...]:
    """Log-probability of each word among them all, by the tokens that a reply may begin with."""
    likely = [[seen[token] for token in spellings(word) if token in seen] for word in words]
    least = min(seen.values(), default=0.0) if any(likely) else 0.0
    scores = [float(np.logaddexp.reduce(each or [least])) for each in likely]
    total = float(np.logaddexp.reduce(scores))
    return tuple(score - total for score in scores)
