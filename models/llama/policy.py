"""The generator on llama.cpp: many branches of many problems in one decode batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adascale.engine.errors import UsageError
from adascale.engine.kinds import prompt_of
from adascale.engine.kinds.base import Look
from adascale.engine.ports import BranchStart, Growth, PrefixWork, Seen
from adascale.engine.sampling import SamplingChange
from adascale.engine.tools.reading import MARKERS
from adascale.engine.tools.tool import ToolRequest
from adascale.engine.types import (
    MODES,
    BranchId,
    Finish,
    Mode,
    Problem,
    PromptName,
    Thought,
    TokenLogprob,
)

from ..options import SamplingParams
from .branch import Job, Slot
from .calls import CallWriter, Rules, Verdict, call_rules, object_rules
from .chat import ChatFormat
from .prefixes import PrefixCache, evaluate_tokens
from .prompts import Prompts
from .runtime import FloatArray, LlamaContext, Run
from .sampling import Samplers, Stream, largest, penalised, surprise_of
from .seats import Seats
from .stepcost import Batching
from .thinking import ThoughtProgress

_PAD = (0,)


class LlamaPolicy:
    """Samples steps with llama.cpp; implements ``engine.ports.Policy``.

    Args:
        context: Has one sequence per slot.
        chats: Format of each prompt.
        sampling: Sampler of each prompt.
        cache: Parked prefixes of this context.
        batching: Decides how a batch is split.
        park_steps: Park the prefix behind each finished step for its children. Without it every child
            evaluates its whole prefix again, so that its tokens do not depend on which siblings ran before.
        reply_tokens: Tokens of a reply to a chat; None for those of any solution.
    """

    def __init__(
        self,
        context: LlamaContext,
        chats: Mapping[PromptName, ChatFormat],
        sampling: Mapping[PromptName, SamplingParams],
        cache: PrefixCache,
        batching: Batching,
        park_steps: bool = True,
        reply_tokens: int | None = None,
    ) -> None:
        self._context = context
        self._model = context.model
        self._chats = chats
        self._sampling = sampling
        self._batching = batching
        self._park_steps = park_steps
        self._for_chat = SamplingChange(max_tokens=reply_tokens)
        self._samplers = Samplers(self._model.vocab_size, most=self.slots + len(sampling))
        self._prompts = Prompts(context, chats, sampling, cache)
        self._seats = Seats(context, cache, park_steps)
        self._rules: dict[tuple[str, Mode], Rules] = {}
        self._is_closed = False
        for marker in MARKERS:  # a call begins behind the text of one, even if it is a control token
            self._model.spell_out(self._model.tokenize(marker, special=True))

    @property
    def flops_per_token(self) -> float:
        """2 x the generator's active parameters."""
        return self._model.flops_per_token

    @property
    def slots(self) -> int:
        """Branches that run at once: one per sequence of the context."""
        return self._context.sequences

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """Evaluate the prompt once and keep it until ``close_problem``.

        Raises:
            ContextOverflowError: as ``Prompts.open``.
            UsageError: so too, or the schema of a tool cannot be made a grammar.
        """
        if mode == "call":
            self._rules[problem.id, mode] = call_rules(self._model, ToolRequest.of(problem.details))
        elif isinstance(schema := problem.details.get("schema"), dict):
            self._rules[problem.id, mode] = object_rules(self._model, schema)
        return self._prompts.open(problem, mode, len(self._seats.slots))

    def look(self, look: Look, problem: Problem) -> Seen:
        """Read options from the logits behind a prompt; raises as ``Prompts.look``."""
        return self._prompts.look(look, problem, len(self._seats.slots))

    @property
    def is_busy(self) -> bool:
        """True while a problem is open."""
        return len(self._prompts) > 0

    def check_open(self) -> None:
        """Refuse to go on behind the end of the session, whose model is freed.

        Raises:
            UsageError: it is closed.
        """
        if self._is_closed:
            hint = "ask, and read the events, within its with statement"
            raise UsageError("the session is closed", hint=hint, slug="session-closed")

    def close_problem(self, problem: Problem) -> None:
        """Forget the problem's prefixes, and behind the last problem give memory back."""
        self._prompts.close(problem)
        for mode in MODES:
            self._rules.pop((problem.id, mode), None)
        if not (self.is_busy or self._is_closed):
            self._context.reset()

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Queue a branch; the next ``advance`` gives it a sequence."""
        prefix, problem = branch.prefix, branch.prefix.problem
        name = prompt_of(problem.kind, prefix.mode)
        chat, params = self._chats[name], self._sampling[name]
        if problem.is_chat:
            params = params.changed(self._for_chat)
        params = params.changed(branch.sampling)
        if branch.max_tokens is not None:
            params = replace(params, max_tokens=min(params.max_tokens, branch.max_tokens))
        prompt = self._prompts.tokens(problem, prefix.mode)
        tokens, ends = list(prompt), [len(chat.head), len(prompt)]
        for step in prefix.steps:
            tokens += step.token_ids
            # A finished step is parked without its last token, which was sampled but not evaluated.
            ends += [len(tokens) - 1, len(tokens)] if self._park_steps else []
        begun = not all(step.is_thought for step in prefix.steps)
        thought = None
        if chat.thoughts is not None and not problem.is_raw:
            thought = ThoughtProgress(chat.thoughts, params.think_tokens, prefix.steps)
        rules = self._rules.get((problem.id, prefix.mode))
        if problem.kind == "json" and not branch.greedy:
            rules = object_rules(self._model, problem.details["schema"], branch.seed)
        self._seats.waiting.append(
            Job(
                id_,
                branch,
                tuple(tokens),
                tuple(ends),
                prompt_tokens=len(prompt),
                stream=Stream(None if branch.greedy else branch.seed),
                sampling=params,
                opening=b"" if begun else chat.opening.encode(),
                thought=thought,
                calls=None if rules is None else CallWriter(rules),
            )
        )

    def advance(self) -> Sequence[Growth]:
        """Seat the waiting branches and sample for them; if none were waiting, evaluate a batch.

        A batch holds one token of every branch, so that its shape, and with it the rounding of the kernels,
        does not depend on when which branch was seated.

        Raises:
            UsageError: as ``check_open``.
        """
        self.check_open()
        self._seats.seat_waiting()
        grown = self._grow_seated() or self._grow_all()
        steps = {seq: growth.step for seq, growth in grown.items() if growth.step.finish is not None}
        # An abort raises here, before any branch is freed, so that each is still there to be cancelled.
        for sequence, step in steps.items():
            if step.finish == "step":
                self._evaluate_lead(sequence)
        for sequence in sorted(steps, reverse=True):
            self._seats.end_step(sequence, steps[sequence])
        return list(grown.values())

    def cancel(self, id_: BranchId) -> None:
        """End a branch as ``Seats.cancel``; a policy that is closed has ended all branches."""
        if not self._is_closed:
            self._seats.cancel(id_)

    def close(self) -> None:
        """Free samplers; the context is closed by its owner."""
        self._seats.close()
        self._is_closed = True
        self._samplers.close()

    def _grow_seated(self) -> dict[int, Growth]:
        """Sample for branches with kept logits, and evaluate the missing end of each leader's prefix."""
        grown: dict[int, Growth] = {}
        for sequence, slot in enumerate(self._seats.slots):
            if slot.parked is not None and slot.parked.logits is not None:
                logits, hidden, slot.parked = slot.parked.logits, slot.parked.hidden, None
                grown[sequence] = self._grow(slot, logits, hidden)
            elif len(slot.pending) > 1:
                row = evaluate_tokens(self._context, sequence, len(slot.held), slot.pending)
                grown[sequence] = self._grow_from_row(sequence, row)
        return grown

    def _grow_all(self) -> dict[int, Growth]:
        """Evaluate one token of each branch, in the cheapest partition, and sample from each row."""
        grown: dict[int, Growth] = {}
        at, slots = 0, self._seats.slots
        # Padding may use only sequences that no branch holds, and they begin behind the last slot.
        for chunk in self._batching(len(slots), self._context.capacity):
            part = range(at, at + chunk.size)
            runs = [Run(s, len(slots[s].held), slots[s].pending) for s in part]
            padding = range(at + chunk.size, at + chunk.rows)
            for sequence in padding:
                self._context.clear(sequence)  # an interrupt or an abort may have left something there
            self._context.decode([*runs, *(Run(s, 0, _PAD) for s in padding)])
            for row, sequence in enumerate(part):
                grown[sequence] = self._grow_from_row(sequence, row)
            for sequence in padding:
                self._context.clear(sequence)
            at += chunk.size
        return grown

    def _grow_from_row(self, sequence: int, row: int) -> Growth:
        slot = self._seats.slots[sequence]
        slot.held += slot.pending
        slot.pending = []
        logits = self._context.logits(row)
        if len(slot.held) == len(slot.job.prefix):
            self._seats.park_prefix(sequence, row)
        return self._grow(slot, logits, self._context.state(row))

    def _sample(self, slot: Slot, logits: FloatArray) -> int:
        """Draw from logits, ``[vocab_size]``, as a grammar allows."""
        sampling, calls = slot.job.sampling, slot.job.calls
        if sampling.has_penalties:
            logits = penalised(logits, sampling, slot.held, slot.held[slot.job.prompt_tokens :])
        sampler = self._samplers.of(sampling)
        if calls is not None and calls.grammar is not None:
            return sampler.sample_under(calls.grammar, slot.job.stream, logits)
        return sampler.sample_from(slot.job.stream, logits)

    def _grow(self, slot: Slot, logits: FloatArray, state: FloatArray | None) -> Growth:
        """Draw a token and append it, and end the step if the token completes it."""
        token = self._sample(slot, logits)
        surprise, piece = surprise_of(logits, token), self._model.piece(token)
        if slot.is_inside_thought and self._model.is_end(token):
            slot.observe(surprise, state)  # what closes the thought takes the place of the end of the turn
            return self._grow_thought(slot, "cut", sampled=0)
        slot.push(token, piece, surprise, state)
        if (most := slot.job.start.sampling.logprobs) is not None and piece:
            slot.logprobs.append(self._token_logprob(logits, token, surprise.logprob, most))
        if (part := slot.thought_part(piece)) is not None:
            return self._grow_thought(slot, part, sampled=1)
        forced, verdict = self._write_calls(slot, token, piece)
        finish = self._finish(slot, token, piece, verdict)
        step = slot.take_step(finish, slot.open_part) if finish else slot.open_step()
        return Growth(slot.job.id, 1 + forced, step, slot.take_prefix_cost(), thinks=slot.may_think)

    def _write_calls(self, slot: Slot, token: int, piece: bytes) -> tuple[int, Verdict]:
        """Begin a call where the last token does; returns the tokens appended for it, and its meaning."""
        calls = slot.job.calls
        if calls is None:
            return 0, "on"
        # A reply that has to be a call does not end before it has begun.
        is_free = not calls.rules.is_required if self._model.is_end(token) else slot.may_think
        if is_free or (verdict := calls.read(bytes(slot.text))) == "on":
            return 0, "on"
        if verdict == "over":
            return 0, "over"
        if verdict == "replaced":
            slot.take_back(piece)
        lead, text = calls.rules.lead(verdict)
        slot.append(lead, text)
        calls.begin(bytes(slot.text))
        return len(lead) - (verdict == "replaced"), verdict

    def _token_logprob(self, logits: FloatArray, token: int, logprob: float, most: int) -> TokenLogprob:
        """Log-probabilities of a token drawn from ``logits``, ``[vocab_size]``, and of the likeliest ones."""
        normaliser, piece = float(logits[token]) - logprob, self._model.piece
        likeliest = [
            TokenLogprob(tuple(piece(each)), float(logits[each]) - normaliser)
            for each in largest(logits, most)
        ]
        return TokenLogprob(tuple(piece(token)), logprob, tuple(likeliest))

    def _finish(self, slot: Slot, token: int, piece: bytes, verdict: Verdict) -> Finish | None:
        """The reason for which the last token, of this meaning for calls, ends the step; None if none."""
        ends = verdict == "on" and self._model.is_end(token)
        if not slot.is_inside_thought and (verdict == "over" or ends or slot.closes_program(piece)):
            return "stop"
        if self._is_spent(slot):
            return "length"
        return "step" if not slot.is_inside_thought and slot.at_delimiter(piece) else None

    def _is_spent(self, slot: Slot, more: int = 0) -> bool:
        """True if a branch has no room left for a solution behind ``more`` tokens."""
        return (
            slot.solution_tokens() >= slot.job.sampling.max_tokens
            or slot.length() + more >= self._context.window
        )

    def _grow_thought(self, slot: Slot, part: Thought, *, sampled: int) -> Growth:
        """End a step of a thought; at the end of the thought append the tokens that lead to the answer."""
        assert slot.job.thought is not None, "a thought without tags"
        lead, text = slot.job.thought.form.following(part)
        if self._is_spent(slot, len(lead)):  # it thinks again and again
            lead, step = (), slot.take_step("length", "part")
        else:
            slot.append(lead, text)
            step = slot.take_step("step", part)
        return Growth(slot.job.id, sampled + len(lead), step, slot.take_prefix_cost())

    def _evaluate_lead(self, sequence: int) -> None:
        """Evaluate the tokens appended behind a thought except the last one, as after any other step."""
        slot = self._seats.slots[sequence]
        *lead, last = slot.pending
        if lead:
            evaluate_tokens(self._context, sequence, len(slot.held), lead)
            slot.held += lead
            slot.pending = [last]
