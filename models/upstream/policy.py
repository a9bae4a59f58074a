"""Streams of a server as the generator of a driver.

Growth is the text of a stream and its number of tokens. Their ids are unknown, so a step has
zeros in their place, and a prefix is continued from its text. Where the server cannot continue a message, a
solution is one step: nothing could be drawn again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from adascale.engine.errors import DecodeAbortedError, UsageError
from adascale.engine.kind_table import entry_of
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
    SamplingParams,
    SessionOptions,
    spellings,
    with_own,
)
from ..steps import ends_program, ends_step
from .client import Chunk, Client
from .servers import Server

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
        id: Its number.
        start: The order that it carries out.
        mends: True if its text is cut into steps, since the server can continue each.
        opening: Text that was put into the model's mouth at the beginning of the unfinished step.
        most: Tokens that it may have, its thought left out.
        spent: Those that it had.
        stream: Cancelled to close its stream.
        text: Text of the unfinished step.
        tokens: Tokens of that step.
        logprob: Sum of their log-probabilities, if the server gives them.
        unknown: Number of its tokens whose log-probabilities have not come.
        thinks: It began with a thought, whose tokens are among them.
    """

    id: BranchId
    start: BranchStart
    mends: bool
    opening: str
    most: int
    stream: Future[None] = field(init=False)
    text: bytearray = field(init=False)
    tokens: int = 0
    logprob: float = 0.0
    unknown: int = 0
    spent: int = 0
    thinks: bool = False

    def __post_init__(self) -> None:
        self.begin(self.opening)

    def begin(self, opening: str = "") -> None:
        """Begin a step."""
        self.text, self.tokens, self.logprob, self.unknown = bytearray(opening.encode()), 0, 0.0, 0

    def step(self, finish: Finish | None) -> Step:
        """The step as far as it is written; one that ends is followed by an empty one."""
        logprob = None if self.unknown or self.thinks else self.logprob
        step = Step(self.text.decode("utf-8", "replace"), (0,) * self.tokens, logprob, finish)
        if finish is not None:
            self.begin()
        return step

    def write(self, chunk: Chunk, tokens: int) -> Finish | None:
        """Append a chunk; returns why its step ends with it."""
        piece, end, mode = chunk.text.encode(), chunk.finish, self.start.prefix.mode
        self.text += piece
        self.tokens += tokens
        self.logprob += chunk.logprob or 0.0
        if chunk.logprob is None and end is None:  # servers omit it for the end of a turn
            self.unknown += tokens
        elif chunk.logprob is not None and not piece:  # all of them came at last
            self.unknown = 0
        # Though it was switched off: its tokens count, and its text stays unless the server separates it.
        self.thinks |= bool(chunk.thought) or self.text.lstrip().startswith(b"<think>")
        self.spent += 0 if self.thinks else tokens
        if ends_program(mode, self.text, piece):
            return "stop"
        if self.spent > self.most:
            return "length"
        is_step = self.mends and not self.thinks and mode == "prose" and ends_step(self.text, piece)
        return end or ("step" if is_step else None)


class UpstreamPolicy:
    """Streams solutions from a server; implements ``engine.ports.Policy``.

    Args:
        client: Runs streams.
        server: The server, and its limits.
        parameters: Size of the model.
        sampling: Sampler of each prompt.
        options: System prompt of the user, streams at once, and whether conversations may be long.
        stopped: Ends what waits for the server.
    """

    def __init__(
        self,
        client: Client,
        server: Server,
        parameters: float,
        sampling: Samplers,
        options: SessionOptions,
        stopped: threading.Event,
    ) -> None:
        self._client, self._server = client, server
        self._sampling, self._options, self._stopped = sampling, options, stopped
        self._branches: dict[BranchId, _Branch] = {}
        self._open: set[str] = set()
        self.flops_per_token = 2.0 * parameters
        self.slots = options.places or QUEUED * server.places

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return bool(self._open)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Nothing is read beforehand: a prompt goes to the server with each of its solutions.

        Raises:
            UsageError: no server can answer this kind of question.
        """
        if entry_of(problem).has_calls:
            text = "tools need a model in this process"
            raise UsageError(text, hint="a model's name or file, or no tools")
        self._open.add(problem.id)
        return PrefixWork()

    def option_logits(self, prompt: OptionsPrompt, problem: Problem) -> OptionLogits:
        """Read options from the log-probabilities of the reply's likeliest first tokens.

        An option that is not among these is as likely as the last one; without any, all are equally likely.

        Raises:
            AdascaleError: the server gave no reply.
            DecodeAbortedError: the session was stopped.
        """
        messages = self._messages(prompt.prompt, problem, prompt.text)
        sampler = SamplingParams(temperature=0.0, top_p=1.0, max_tokens=1)
        look = self._server.body(messages, sampler, alternatives=_LIKELIEST)
        chunks = self._client.reply(look, self._options.patience or math.inf, self._stopped.is_set)
        alternatives = next((each.alternatives for each in chunks if each.alternatives), {})
        work = chunks[-1].work
        return OptionLogits(_scores(prompt.words, alternatives), work.evaluated_tokens, work.reused_tokens)

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a stream."""
        prefix, problem, continues = branch.prefix, branch.prefix.problem, self._server.continues
        name = prompt_of(problem.kind, prefix.mode)
        params = self._sampling["text" if entry_of(problem).is_reply else name].of(branch)
        text = "".join(step.text for step in prefix.steps)
        opening = PROGRAM_OPENING if prefix.mode in PROGRAMS and continues and not text else ""
        left = max(1, params.max_tokens - sum(len(step.token_ids) for step in prefix.steps))
        messages = self._messages(name, problem, kind_of(problem).statement(problem))
        if prefill := text + opening:
            messages.append({"role": "assistant", "content": prefill})
        schema: Any = problem.details.get("schema")
        if entry_of(problem).has_fields and not branch.greedy:  # readings see their fields in other orders
            schema = reordered(schema_of(problem), np.random.default_rng(branch.seed))
        body = self._server.body(
            messages,
            replace(params, max_tokens=left + THINK_TOKENS),
            branch.seed & 0x7FFFFFFF,  # some servers read 31 bits
            schema=schema,
        )
        mends = continues and schema is None and not entry_of(problem).is_reply
        self._branches[id_] = started = _Branch(id_, branch, mends, opening, left)
        started.stream = self._client.start(started, body)

    def advance(self) -> list[Growth]:
        """Growths by the chunks that have come since; it waits a moment for the first.

        Raises:
            DecodeAbortedError: the session was stopped.
        """
        if self._stopped.is_set():
            raise DecodeAbortedError("stopped in the middle of a stream")
        chunks = self._client.poll(_PATIENCE)
        return [growth for chunk in chunks if (growth := self._grow(chunk)) is not None]

    def cancel(self, id_: BranchId) -> None:
        """Close a branch's stream."""
        if (branch := self._branches.pop(id_, None)) is not None:  # it may just have ended
            branch.stream.cancel()

    def close_problem(self, problem: Problem) -> None:
        """Nothing to free: the server manages its own cache."""
        self._open.discard(problem.id)

    def _messages(self, name: PromptName, problem: Problem, text: str) -> list[dict[str, Any]]:
        """The conversation up to the model's turn: one system message at most, and turns that alternate."""
        own = self._options.system
        turns = [(turn.role, turn.content.strip()) for turn in problem.history]
        system, spoken = below_system(
            own if entry_of(problem).is_reply else with_own(name, own), [*turns, ("user", text.strip())]
        )
        return [*([{"role": "system", "content": system}] if system else []), *spoken]

    def _grow(self, chunk: Chunk) -> Growth | None:
        """Growth of a branch by a chunk of its stream; None if nothing has become of it."""
        branch = chunk.stream
        if not isinstance(branch, _Branch) or self._branches.get(branch.id) is not branch:  # it has ended
            return None
        if chunk.begins_again or chunk.error is not None:
            branch.begin(branch.opening)
            branch.spent = 0
            step = branch.step(None)
            return Growth(branch.id, 0, step, begins_again=chunk.begins_again, error=chunk.error)
        # The end of a turn is a token, which not all servers count.
        tokens = max(chunk.tokens, int(chunk.finish == "stop" and not chunk.text))
        finish = branch.write(chunk, tokens)
        if not tokens and finish is None:
            return None
        step = branch.step(finish)
        if finish in ("stop", "length") or (finish == "step" and branch.start.until == "step"):
            self.cancel(branch.id)
        return Growth(branch.id, tokens, step, chunk.work, thinks=bool(chunk.thought))


def _scores(words: Sequence[str], alternatives: Mapping[str, float]) -> tuple[float, ...]:
    """Log-probability of each word among them all, by the tokens that a reply may begin with."""
    likely = [[alternatives[token] for token in spellings(word) if token in alternatives] for word in words]
    least = min(alternatives.values(), default=0.0) if any(likely) else 0.0
    scores = np.array([np.logaddexp.reduce(each or [least]) for each in likely])
    return tuple((scores - np.logaddexp.reduce(scores)).tolist())
