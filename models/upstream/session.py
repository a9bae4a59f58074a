"""Searches over a server: its streams as the generator of a driver, and the session around them.

Growth is what a stream brings: text, and how many tokens it was. Their ids are not known, so a step has
zeros in their place, and a prefix is continued from its text. Where the server cannot continue a message, a
solution is one step: nothing could be drawn again, and a draw that begins anew takes back all that it wrote.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

import numpy as np

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import DecodeAbortedError, UsageError, setting
from adascale.engine.kinds import KINDS, OptionsPrompt, kind_of, prompt_of
from adascale.engine.kinds.structured import schema_of
from adascale.engine.ports import (
    BranchStart,
    Clock,
    Growth,
    OptionLogits,
    Policy,
    PrefixWork,
    SequenceLogprob,
)
from adascale.engine.request import Conditions
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.tools.calls import in_words
from adascale.engine.tools.equality import reordered
from adascale.engine.types import (
    MODES,
    PROGRAMS,
    BranchId,
    Finish,
    KindName,
    Mode,
    Notice,
    Problem,
    PromptName,
    SamplingChange,
    Step,
)

from ..calibration.artefact import (
    Artefact,
    Fingerprint,
    InstalledCalibrations,
    describe,
    describe_prior,
    mismatches,
    read_installed,
)
from ..options import (
    PROGRAM_OPENING,
    PROMPTS,
    REPLY_TOKENS,
    THINK_TOKENS,
    Reporting,
    SamplingParams,
    SessionOptions,
    check_idle,
    samplers,
)
from ..programs.executor import ProgramExecutor
from ..steps import ends_program, ends_step
from .address import Address
from .client import Chunk, Client
from .probe import probe
from .servers import SERVERS, Asked, Facts

ASSUMED_SIZE = 1.5e9
"""Parameters of a model whose size neither the server nor the user says."""

WIDEST = 16
"""Solutions of one question that run side by side at a server with more places than that."""

QUEUED = 2
"""Streams for each place: one that ends is followed at once by one that waits there."""

_PATIENCE = 0.05
"""Seconds to wait for a chunk before the driver looks at programs, new questions and interruptions."""

_LIKELIEST = 20
"""Alternatives of a look at options: the most that servers give."""

_OWN_PROMPT: tuple[PromptName, ...] = ("program", "code", "date", "look-choice", "look-yes-no")
"""Prompts that a user's system prompt does not replace."""


@dataclass(slots=True, eq=False)
class _Branch:
    """A solution that a stream writes.

    Attributes:
        id: Its number at the driver.
        start: The order that it carries out.
        mends: True if its steps are cut, as the server can go on behind each.
        opening: Text that was put into the model's mouth at the beginning of the unfinished step.
        text: Text of the unfinished step.
        tokens: Tokens of that step.
        logprob: Sum of their log-probabilities, as far as they are known.
        unknown: Number of its tokens whose log-probabilities have not come.
        has_thought: It began with a thought, whose tokens are among them.
    """

    id: BranchId
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
        status: Tells what the client has to say.
    """

    def __init__(
        self,
        client: Client,
        facts: Facts,
        parameters: float,
        sampling: Mapping[PromptName, SamplingParams],
        options: SessionOptions,
        stopped: threading.Event,
        status: Callable[[str], None],
    ) -> None:
        self._client, self._facts = client, facts
        self._sampling, self._own_system = sampling, options.system
        is_conversation = options.is_roomy and options.sampling.max_tokens is None
        self._for_chat = SamplingChange(max_tokens=REPLY_TOKENS if is_conversation else None)
        self._stopped, self._status = stopped, status
        self._numbers = count()
        self._branches: dict[int, _Branch] = {}  # by their streams
        self._streams: dict[BranchId, int] = {}
        self._early: list[Chunk] = []
        self._open: set[str] = set()
        self.flops_per_token = 2.0 * parameters
        self.slots = options.places or QUEUED * facts.places

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return bool(self._open)

    def system(self, name: PromptName) -> str:
        """The system prompt of that name, or that of the user in its place."""
        is_own = self._own_system is None or name in _OWN_PROMPT
        return PROMPTS[name] if is_own else self._own_system or ""

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
        stream, messages = next(self._numbers), self._messages(asked.prompt, problem, asked.text)
        self._client.start(stream, Asked(messages, 0.0, 1.0, 1, 0, alternatives=_LIKELIEST))
        seen: dict[str, float] = {}
        while True:
            if self._stopped.is_set():
                self._client.cancel(stream)
                raise DecodeAbortedError("stopped in the middle of a look at options")
            chunks = list(self._poll(_PATIENCE))
            self._early += [chunk for chunk in chunks if chunk.stream != stream]
            for chunk in chunks:
                if chunk.stream != stream:
                    continue
                if chunk.error is not None:
                    raise chunk.error
                seen |= chunk.alternatives
                if chunk.finish is not None:
                    work = _prompt_work(chunk)
                    scores = _scores(asked.words, seen)
                    return OptionLogits(scores, work.evaluated_tokens, work.reused_tokens)

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a stream."""
        prefix, problem = branch.prefix, branch.prefix.problem
        name = prompt_of(problem.kind, prefix.mode)
        params = self._sampling[name].changed(self._for_chat if problem.is_chat else SamplingChange())
        params = params.changed(branch.sampling)
        solution = [step for step in prefix.steps if not step.is_thought]
        written = "".join(step.text for step in solution)
        is_program = prefix.mode in PROGRAMS and self._facts.continues
        opening = PROGRAM_OPENING if is_program and not written else ""
        left = min(params.max_tokens, branch.max_tokens or params.max_tokens)
        left = max(1, left - sum(len(step.token_ids) for step in solution))
        messages = self._messages(name, problem, kind_of(problem).statement(problem))
        if begun := written + opening:
            messages.append({"role": "assistant", "content": begun})
        schema = self._schema(problem, None if branch.greedy else branch.seed)
        asked = Asked(
            messages,
            0.0 if branch.greedy else params.temperature,
            params.top_p,
            left + (THINK_TOKENS if self._facts.thinks else 0),
            branch.seed & 0x7FFFFFFF,  # some servers read 31 bits
            continues=bool(begun),
            schema=schema,
            sampler=_numbers(params),
        )
        self._streams[id_] = stream = next(self._numbers)
        mends = self._facts.continues and not self._facts.thinks and schema is None
        self._branches[stream] = _Branch(id_, branch, mends, opening)
        self._client.start(stream, asked)

    def advance(self) -> list[Growth]:
        """Growths by the chunks that have come since; it waits a moment for the first.

        Raises:
            DecodeAbortedError: the session was told to stop.
        """
        if self._stopped.is_set():
            raise DecodeAbortedError("stopped in the middle of a stream")
        early, self._early = self._early, []
        chunks = [*early, *self._poll(0.0 if early else _PATIENCE)]
        return [growth for chunk in chunks for growth in self._grow(chunk)]

    def cancel(self, id_: BranchId) -> None:
        """Close a branch's stream."""
        if (stream := self._streams.pop(id_, None)) is not None:  # else it has just ended
            del self._branches[stream]
            self._client.cancel(stream)

    def close_problem(self, problem: Problem) -> None:
        """The server keeps what it likes."""
        self._open.discard(problem.id)

    def _poll(self, seconds: float) -> Iterator[Chunk]:
        for chunk in self._client.poll(seconds):
            if chunk.notice is not None:
                self._status(" ".join(filter(None, [chunk.notice.message, *chunk.notice.facts])))
            yield chunk

    def _check(self, problem: Problem) -> None:
        if problem.kind == "call":
            text, hint = "tools need a model in this process", "a model's name or file, or no tools"
        elif problem.is_raw:
            text, hint = "a server continues no raw text", "a message, or a model's name or file"
        else:
            return
        raise UsageError(text, hint=hint)

    def _messages(self, name: PromptName, problem: Problem, text: str) -> list[dict[str, Any]]:
        """The conversation up to the model's turn: one system message at most, and turns that alternate."""
        system = (self._own_system or "") if problem.is_chat else self.system(name)
        said = [(turn.role, turn.content.strip()) for turn in problem.history]
        system = "\n\n".join(filter(None, [system, *(words for role, words in said if role == "system")]))
        spoken = [{"role": role, "content": words} for role, words in said if role != "system"]
        spoken = in_words([*spoken, {"role": "user", "content": text.strip()}])
        return [*([{"role": "system", "content": system}] if system else []), *spoken]

    def _schema(self, problem: Problem, seed: int | None) -> Mapping[str, Any] | None:
        """Schema of a reply, with another order of its fields for each seed where readings are compared."""
        schema = problem.details.get("schema")
        if not (self._facts.schema and isinstance(schema, dict)):
            return None
        if problem.kind != "json" or seed is None:
            return schema
        return reordered(schema_of(problem), np.random.default_rng(seed))

    def _grow(self, chunk: Chunk) -> Iterator[Growth]:
        """Growths of a branch by a chunk of its stream."""
        branch = self._branches.get(chunk.stream)
        if branch is None:  # it has ended, or was a look's
            return
        if chunk.begins_again:
            branch.begin(branch.opening)
        if chunk.error is not None:
            yield Growth(branch.id, 0, branch.step(None), error=chunk.error)
            return
        if chunk.thought:  # though it was switched off: its tokens count, and its text is not kept
            branch.has_thought, branch.mends = True, False
        # The end of a turn is a token, which not all servers count.
        tokens = max(chunk.tokens, int(chunk.finish == "stop" and not chunk.text))
        for piece, share, is_last in _pieces(chunk.text, tokens):
            part = share / tokens if tokens else 1.0
            logprob = None if chunk.logprob is None else part * chunk.logprob
            finish = branch.write(piece.encode(), share, logprob, chunk.finish if is_last else None)
            if not share and finish is None:
                continue
            step = branch.step(finish)
            work = _prompt_work(chunk) if is_last else PrefixWork()
            is_over = finish in ("stop", "length") or (finish == "step" and branch.start.until == "step")
            if is_over:
                self.cancel(branch.id)
            yield Growth(branch.id, share, step, work, thinks=bool(chunk.thought))
            if is_over:
                return


def _pieces(text: str, tokens: int) -> Iterator[tuple[str, int, bool]]:
    """Cut what came at once behind its blank lines: each piece, its share of the tokens, if it is the last.

    One token stays whole, as a model in this process writes it.
    """
    found = _PARAGRAPH.findall(text) if tokens > 1 else [text]
    done, characters = 0, 0
    for at, piece in enumerate(found or [""], 1):
        characters += len(piece)
        upto = tokens if at >= len(found) else round(tokens * characters / len(text))
        yield piece, upto - done, at >= len(found)
        done = upto


_PARAGRAPH = re.compile(r"(?:(?!\n\n).)+\n*|\n+", re.DOTALL)


def _numbers(params: SamplingParams) -> dict[str, float]:
    """The numbers of a sampler that not all servers take; those of penalties where there are any."""
    filters = {"top_k": params.top_k, "min_p": params.min_p, "repeat_penalty": params.repeat_penalty}
    penalties = {"presence_penalty": params.presence_penalty, "frequency_penalty": params.frequency_penalty}
    return {**filters, **{name: value for name, value in penalties.items() if value}}


def _prompt_work(chunk: Chunk) -> PrefixWork:
    cached = chunk.cached_tokens or 0
    return PrefixWork(max(0, (chunk.prompt_tokens or 0) - cached), cached)


def _scores(words: Sequence[str], seen: Mapping[str, float]) -> tuple[float, ...]:
    """Log-probability of each word among them all, by the tokens that a reply may begin with."""
    found = []
    for word in words:
        spellings = {word, word.lower(), f" {word}"} if len(word) > 1 else {word, f" {word}"}
        found.append([seen[token] for token in spellings & seen.keys()])
    least = min(seen.values(), default=0.0) if any(found) else 0.0
    scores = [float(np.logaddexp.reduce(each or [least])) for each in found]
    total = float(np.logaddexp.reduce(scores))
    return tuple(score - total for score in scores)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class UpstreamSession:
    """A server that is open for searches, in the place of a ``Session``; a context manager.

    Args:
        options: Address of the model, and settings.
        reporting: Shows status.

    Attributes:
        abort: Ends what waits for the server; safe to set from any thread or signal handler.
        options: Options of the session.
        facts: Abilities and limits of the server, as the probe found them.
        size: Parameters of the model, as far as anybody says.
        policy: The server's model as the engine sees it.
        executor: Runs programs.

    Raises:
        UsageError: an option needs a model in this process.
        AdascaleError: on entry: the server cannot be used.
    """

    facts: Facts
    size: float
    policy: UpstreamPolicy
    executor: ProgramExecutor

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.abort = threading.Event()
        self.options, self._reporting = options, reporting
        self._address = Address.of(options.generator, options.key_file)
        self._stack = ExitStack()
        self._notices: list[Notice] = []
        for name, value, usual in (
            ("prm", options.prm, ("probe", "none")),
            ("calibration", options.calibration, ("auto", "none")),
            ("think", options.think, (0,)),
        ):
            if value not in usual:
                text = f"{setting(name)} is for a model in this process, not for a server"
                raise UsageError(text, hint="leave it out, or name a model or a file")

    def __enter__(self) -> Self:
        options = self.options
        self._reporting.status(f"Asking {self._address.server}...")
        self.facts = facts = probe(self._address, self._notices.append)
        taken = SERVERS[facts.server].sampler
        if options.sampling.min_p is not None and "min_p" not in taken:
            raise UsageError(f"{self._address.server} takes no {setting('min_p')}", hint="leave it out")
        usual = SamplingParams() if "top_k" in taken else SamplingParams(top_k=0)
        by_mode = {mode: options.sampling.over(usual, 0) for mode in MODES}
        self._sampling = samplers(by_mode, options)
        self.size = size = options.size or facts.parameters or ASSUMED_SIZE
        self.executor = self._stack.enter_context(ProgramExecutor(unsandboxed=options.unsandboxed))
        client = self._stack.enter_context(closing(Client(self._address, facts)))
        say = self._reporting.status
        self.policy = UpstreamPolicy(client, facts, size, self._sampling, options, self.abort, say)
        is_judged = options.calibration == "auto" and options.prm != "none"
        installed = read_installed() if is_judged else InstalledCalibrations()
        self._notices += [Notice("calibration-unreadable", each.message) for each in installed.errors]
        known = installed.find(self.fingerprint)
        self._fits: dict[KindName, Artefact] = {}
        if known is not None and not mismatches(known.card, self.fingerprint):
            self._fits["value"] = known
        weights = {kind: fit.card.votes for kind, fit in self._fits.items()}
        judged = {kind for kind, entry in KINDS.items() if entry.judged_by} - {"code", "call"}
        self._posteriors = {
            kind: Posterior.of_model(kind, size, fitted=weights.get(kind))
            for kind in judged
            if is_judged and (facts.logprobs or not KINDS[kind].has_options)
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort.set()  # whoever goes on reading events reads the last one
        self._stack.close()

    @property
    def is_open(self) -> bool:
        """True since entry."""
        return hasattr(self, "policy")

    @property
    def name(self) -> str:
        """Address of the model, with the name that the server gives it."""
        return str(replace(self._address, name=self.facts.model))

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""
        model = f"{self.facts.server} {self._address.url} {self.facts.model}"
        asked = _digest(json.dumps(self.drawn_with("value")))
        return Fingerprint(model, "", "votes", asked, self._sampling["prose"].record(), 0)

    def listing(self) -> list[tuple[str, Path, str]]:
        """Files of the session: none."""
        return []

    def make_executor(self) -> ProgramExecutor:
        """As that of ``Session``."""
        return ProgramExecutor(unsandboxed=self.options.unsandboxed)

    def drawn_with(self, kind: KindName) -> list[Any]:
        """As that of ``Session``; a server need not write the same again, but what it wrote is kept."""
        facts = self.facts
        named = {mode: prompt_of(kind, mode) for mode in KINDS[kind].modes}
        prompts = [[self.policy.system(name), self._sampling[name].record()] for name in named.values()]
        return [self._address.url, facts.server, facts.model, facts.continues, facts.schema, prompts]

    def step_seconds(self, branches: int) -> float:
        """0: what a step costs at a server is not known."""
        return 0.0

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the server, or a policy in its place, after clearing an earlier abort.

        Raises:
            UsageError: a search of the session has not ended.
        """
        check_idle(self.policy.is_busy)
        self.abort.clear()
        return Driver(policy or self.policy, SequenceLogprob(), self._posteriors, clock, self.executor)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that ``auto`` may use for a value, as those of a ``Session`` without a fit."""
        return ("program", "prose") if self.options.system is None and self._posteriors else ("prose",)

    @property
    def width(self) -> int:
        """Branches of a search that run side by side: one for each place of the server, up to a bound."""
        return min(WIDEST, self.facts.places)

    def conditions(self, kind: KindName) -> Conditions:
        """Model and warnings of the searches of one kind of problem."""
        facts, name = self.facts, KINDS[kind].prompt
        judge, fit = self._posteriors.get(kind), self._fits.get(kind)
        card = describe_prior(judge) if judge is not None else None
        unfitted = None if fit is None or card is None else {**card, "level": "prior"}
        models = ModelDescription(
            GeneratorDescription(facts.model, n_ctx=facts.context or 0, device=self._address.server),
            None,
            card if fit is None else describe(fit),
            {**self._sampling[name].record(), "prompt": _digest(self.policy.system(name))},
        )
        return Conditions(models, tuple(self._warnings(kind)), self.width, unfitted, facts.continues)

    def _warnings(self, kind: KindName) -> Iterator[Notice]:
        facts = self.facts
        yield from self._notices
        is_sized = self.options.size or facts.parameters or kind in self._fits
        if kind in self._posteriors and not is_sized:
            yield Notice(
                "size-assumed",
                f"{self._address.server} does not say how large {facts.model} is: 1.5B is assumed",
                hint=f"{setting('size', '4B')} says it, and makes the number better",
            )
